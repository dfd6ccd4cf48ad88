import { setMaxListeners } from 'node:events';
import { RunError, UserError } from '../../errors.js';
import { Random } from '../../random.js';
import { machineClock, within, type Clock } from './clock.js';
import type { Device } from '../device.js';
import { oneLine } from './guard.js';
import { Lease, type Condition } from './lease.js';

/** How patient a pool is; the settings `device.*` have the same defaults. */
export const POOL_DEFAULTS = {
  /** milliseconds beyond its deadline until a call is given up, and its device with it */
  graceMs: 2000,
  /** milliseconds that a device may take to be made */
  openMs: 180_000,
  /** milliseconds that a device may take to be closed */
  closeMs: 10_000,
  /** milliseconds without a sign of its holder after which a lease ends */
  leaseMs: 600_000,
  /** milliseconds that a slot rests after its device failed; doubled with each further failure in a row */
  restMs: 1000,
  /** milliseconds that it rests at most */
  longestRestMs: 60_000,
  /** failures in a row after which a slot is given up */
  giveUpAfter: 5,
} as const;

export interface PoolOptions extends Partial<Readonly<Record<keyof typeof POOL_DEFAULTS, number>>> {
  /** slots, numbered from 0 */
  readonly count: number;
  /** Makes the device of a slot, also after one before it has failed. A UserError ends the pool. */
  readonly open: (slot: number) => Promise<Device>;
  /** decides how much of each rest is rested, so that devices that failed together do not come back together */
  readonly seed: number;
  readonly clock?: Clock;
  /** closes the pool */
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: PoolEvent) => void;
}

/** What happened to a slot. */
export interface PoolEvent {
  readonly kind: 'failed' | 'refilled' | 'given up' | 'expired' | 'not closed';
  readonly slot: number;
  /** for people */
  readonly line: string;
}

/** How many slots are in each condition; together they are all. */
export interface PoolStatus {
  /** lent */
  readonly working: number;
  /** free, or never asked for */
  readonly free: number;
  /** being made */
  readonly opening: number;
  /** resting after a failure */
  readonly resting: number;
  readonly givenUp: number;
}

interface Slot {
  readonly number: number;
  state: 'empty' | 'opening' | 'free' | 'lent' | 'resting' | 'given up';
  device?: Device;
  lease?: Lease;
  /** in a row */
  failures: number;
  /** in all: names the random part of a rest */
  faults: number;
  /** why its last device failed */
  reason: string;
  /** ends its rest without a refill */
  cancelRest?: () => void;
}

interface Waiter {
  grant(slot: Slot): void;
  refuse(reason: unknown): void;
}

/**
 * Slots for devices, lent to one holder at a time. A slot is filled when there is first someone to use it; one whose device
 * fails rests (longer with every failure in a row), is filled anew, and after `giveUpAfter` failures in a row is given up.
 * Only devices that the pool made are ever closed.
 */
export class DevicePool {
  readonly count: number;
  private readonly limits: Readonly<Record<keyof typeof POOL_DEFAULTS, number>>;
  private readonly clock: Clock;
  private readonly slots: Slot[];
  /** the longest free first */
  private readonly free: Slot[] = [];
  /** the longest waiting first */
  private readonly waiters: Waiter[] = [];
  /** devices being made and devices being closed; none of them rejects */
  private readonly pending = new Set<Promise<void>>();
  /** why nothing is lent any more */
  private over: { readonly reason: unknown } | undefined;
  private closing = false;
  private closed: Promise<void> | undefined;
  /** ends the waits for devices that are being made */
  private readonly abandon = new AbortController();
  private readonly abort = () => void this.close();

  constructor(private readonly options: PoolOptions) {
    const { count, signal, clock = machineClock } = options;
    if (!Number.isInteger(count) || count < 1)
      throw new RangeError(`DevicePool: expected 1 or more slots, got ${count}`);
    this.count = count;
    this.clock = clock;
    // every device that is being made listens
    setMaxListeners(0, this.abandon.signal);
    const limits = { ...POOL_DEFAULTS } as Record<keyof typeof POOL_DEFAULTS, number>;
    for (const key of Object.keys(limits) as (keyof typeof POOL_DEFAULTS)[]) limits[key] = options[key] ?? limits[key];
    this.limits = limits;
    this.slots = Array.from({ length: count }, (_, number) => ({
      number,
      state: 'empty',
      failures: 0,
      faults: 0,
      reason: '',
    }));
    if (signal?.aborted) this.abort();
    else signal?.addEventListener('abort', this.abort, { once: true });
  }

  /**
   * A device, as soon as one is free; who asked first gets one first.
   * @param request.signal ends the wait, and after it the lease
   * @param request.timeoutMs how long to wait; as long as there is hope, if left out
   * @throws RunError where no device became free in time, all slots are given up or the pool is closed; what `signal` was
   * aborted with; the UserError of a device that cannot be made
   */
  async lease({ signal, timeoutMs }: { signal?: AbortSignal; timeoutMs?: number } = {}): Promise<Lease> {
    signal?.throwIfAborted();
    if (this.over) throw this.over.reason;
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        cancel?.();
        signal?.removeEventListener('abort', abort);
        const at = this.waiters.indexOf(waiter);
        if (at >= 0) this.waiters.splice(at, 1);
      };
      const waiter: Waiter = {
        grant: (slot) => {
          settle();
          resolve(this.lend(slot, signal));
        },
        refuse: (reason) => {
          settle();
          reject(reason as Error);
        },
      };
      const abort = (): void => waiter.refuse(signal!.reason);
      signal?.addEventListener('abort', abort, { once: true });
      const cancel =
        timeoutMs === undefined
          ? undefined
          : this.clock.after(timeoutMs, () => {
              waiter.refuse(new RunError(`no device was free within ${timeoutMs} ms: ${this.describe()}`));
            });
      this.waiters.push(waiter);
      this.serve();
    });
  }

  get status(): PoolStatus {
    const of = (...states: Slot['state'][]): number => this.slots.filter(({ state }) => states.includes(state)).length;
    return {
      working: of('lent'),
      free: of('free', 'empty'),
      opening: of('opening'),
      resting: of('resting'),
      givenUp: of('given up'),
    };
  }

  /**
   * Ends all leases and closes all devices that the pool made, in at most twice `closeMs`: a device that is being made is
   * waited for as long as one that is being closed. One that still comes later is closed when it comes.
   */
  close(): Promise<void> {
    this.closed ??= this.end();
    return this.closed;
  }

  private async end(): Promise<void> {
    this.closing = true;
    const { signal } = this.options;
    signal?.removeEventListener('abort', this.abort);
    const reason = signal?.aborted ? (signal.reason as unknown) : new RunError('the pool of devices was closed');
    this.stop(reason);
    for (const slot of this.slots) {
      slot.cancelRest?.();
      slot.lease?.end(reason);
      const { device } = slot;
      slot.device = undefined;
      if (device) this.dispose(slot, device);
    }
    const cancel = this.clock.after(this.limits.closeMs, () => this.abandon.abort());
    // a device that is made meanwhile is closed in turn
    while (this.pending.size > 0) await Promise.all(this.pending);
    cancel();
  }

  /** Lends nothing any more, to those who wait either. */
  private stop(reason: unknown): void {
    this.over ??= { reason };
    for (const waiter of [...this.waiters]) waiter.refuse(this.over.reason);
  }

  /** Gives out what is free, and fills as many slots as there is someone waiting for. */
  private serve(): void {
    if (this.over) return;
    while (this.waiters.length > 0 && this.free.length > 0) this.waiters[0].grant(this.free.shift()!);
    let opening = this.slots.filter(({ state }) => state === 'opening').length;
    for (const slot of this.slots) {
      if (opening >= this.waiters.length) break;
      if (slot.state !== 'empty') continue;
      this.track(this.fill(slot));
      opening++;
    }
  }

  private async fill(slot: Slot): Promise<void> {
    slot.state = 'opening';
    let device: Device;
    const open = async (): Promise<Device> => this.options.open(slot.number);
    try {
      device = await within(this.clock, this.limits.openMs, open, {
        late: (made) => this.dispose(slot, made),
        signal: this.abandon.signal,
      });
    } catch (error) {
      if (this.closing) return;
      if (error instanceof UserError) {
        slot.state = 'given up';
        slot.reason = error.message;
        this.stop(error);
      } else {
        this.failed(slot, `cannot be opened: ${oneLine(error)}`);
      }
      return;
    }
    if (this.closing) {
      this.dispose(slot, device);
      return;
    }
    slot.device = device;
    if (slot.faults > 0) this.tell('refilled', slot, `filled again, by ${device.id}`);
    this.ready(slot);
  }

  private ready(slot: Slot): void {
    slot.state = 'free';
    this.free.push(slot);
    this.serve();
  }

  private lend(slot: Slot, signal: AbortSignal | undefined): Lease {
    slot.state = 'lent';
    const { graceMs, leaseMs } = this.limits;
    const lease = new Lease({
      slot: slot.number,
      device: slot.device!,
      clock: this.clock,
      graceMs,
      leaseMs,
      signal,
      onEnd: (end) => this.returned(slot, end),
    });
    slot.lease = lease;
    return lease;
  }

  private returned(slot: Slot, end: { condition: Condition; reason: string; expired: boolean }): void {
    slot.lease = undefined;
    if (this.closing) return;
    if (end.expired) this.tell('expired', slot, end.reason);
    if (end.condition === 'faulty') {
      this.failed(slot, end.reason);
      return;
    }
    if (!end.expired) slot.failures = 0;
    this.ready(slot);
  }

  /** The device of a slot, or the making of one, failed. */
  private failed(slot: Slot, reason: string): void {
    const { device } = slot;
    slot.device = undefined;
    slot.reason = reason;
    slot.failures++;
    slot.faults++;
    const closed = device ? this.dispose(slot, device) : Promise.resolve();
    if (this.closing) return;
    if (slot.failures >= this.limits.giveUpAfter) {
      slot.state = 'given up';
      const times = slot.failures === 1 ? 'a failure' : `${slot.failures} failures in a row`;
      this.tell('given up', slot, `given up after ${times}; the last: ${reason}`);
      if (this.slots.every(({ state }) => state === 'given up')) this.stop(this.nothingLeft());
      return;
    }
    slot.state = 'resting';
    const { restMs, longestRestMs } = this.limits;
    const most = Math.min(longestRestMs, restMs * 2 ** (slot.failures - 1));
    const ms = Math.round(most * (0.5 + 0.5 * new Random(this.options.seed, 'rest', slot.number, slot.faults).next()));
    this.tell('failed', slot, `${reason}; replaced after ${ms} ms`);
    slot.cancelRest = this.clock.after(ms, () => {
      slot.cancelRest = undefined;
      // a device that is still going would share what it drives with the next one
      void closed.then(() => {
        if (this.over) return;
        slot.state = 'empty';
        this.serve();
      });
    });
  }

  /** Closes a device, and waits for it only so long. */
  private dispose(slot: Slot, device: Device): Promise<void> {
    const closed = within(this.clock, this.limits.closeMs, async () => device.close()).catch((error: unknown) => {
      this.tell('not closed', slot, `${device.id} could not be closed: ${oneLine(error)}`);
    });
    return this.track(closed);
  }

  private track(work: Promise<void>): Promise<void> {
    const tracked = work.finally(() => this.pending.delete(tracked));
    this.pending.add(tracked);
    return tracked;
  }

  private tell(kind: PoolEvent['kind'], slot: Slot, line: string): void {
    this.options.onEvent?.({ kind, slot: slot.number, line: `device ${slot.number}: ${line}` });
  }

  private nothingLeft(): RunError {
    const reasons = [...new Set(this.slots.map(({ reason }) => reason))];
    const said = reasons.slice(0, 3).join('; ');
    const more = reasons.length > 3 ? `; and ${reasons.length - 3} more reasons` : '';
    const all = this.count === 1 ? 'the only device was' : `all ${this.count} devices were`;
    return new RunError(`${all} given up, each after ${this.limits.giveUpAfter} failures in a row: ${said}${more}`);
  }

  private describe(): string {
    const { working, opening, resting, givenUp } = this.status;
    return `${working} of ${this.count} at work, ${opening} being opened, ${resting} resting after a failure, ${givenUp} given up`;
  }
}
