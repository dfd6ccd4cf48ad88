import { setMaxListeners } from 'node:events';
import { RunError, UserError } from '../../errors.js';
import { Random } from '../../random.js';
import { machineClock, within, type Clock } from './clock.js';
import type { Device } from '../device.js';
import { oneLine } from './guard.js';
import { Lease, type Condition } from './lease.js';

/** A pool's timeouts and limits; the settings `device.*` have the same defaults. */
export const POOL_DEFAULTS = {
  /** milliseconds after a call's deadline at which the call and its device count as failed */
  graceMs: 2000,
  /** milliseconds that opening a device may take */
  openMs: 180_000,
  /** milliseconds that closing a device may take */
  closeMs: 10_000,
  /** milliseconds without a sign of life from its holder after which a lease expires */
  leaseMs: 600_000,
  /** milliseconds of a slot's pause after its device failed; doubled with each further failure in a row */
  restMs: 1000,
  /** longest such pause in milliseconds */
  longestRestMs: 60_000,
  /** failures in a row after which the pool gives up a slot */
  giveUpAfter: 5,
} as const;

export interface PoolOptions extends Partial<Readonly<Record<keyof typeof POOL_DEFAULTS, number>>> {
  /** number of slots; they are numbered from 0 */
  readonly count: number;
  /** Opens a device for a slot, at first and after each failure. A UserError ends the pool. */
  readonly open: (slot: number) => Promise<Device>;
  /** seeds the random part of the pauses, so that devices that failed together do not restart together */
  readonly seed: number;
  readonly clock?: Clock;
  /** closes the pool */
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: PoolEvent) => void;
}

/** An event of a slot. */
export interface PoolEvent {
  readonly kind: 'failed' | 'refilled' | 'given up' | 'expired' | 'not closed';
  readonly slot: number;
  /** a line for the log */
  readonly line: string;
}

/** The number of slots in each state. */
export interface PoolStatus {
  /** lent */
  readonly working: number;
  /** free, or not yet opened */
  readonly free: number;
  /** being opened */
  readonly opening: number;
  /** pausing after a failure */
  readonly resting: number;
  readonly givenUp: number;
}

interface Slot {
  readonly number: number;
  state: 'empty' | 'opening' | 'free' | 'lent' | 'resting' | 'given up';
  device?: Device;
  lease?: Lease;
  /** failures in a row */
  failures: number;
  /** failures in total; seeds the random part of a pause */
  faults: number;
  /** why its last device failed */
  reason: string;
  /** cancels its pause, without a new device */
  cancelRest?: () => void;
}

interface Waiter {
  grant(slot: Slot): void;
  refuse(reason: unknown): void;
}

/**
 * Slots for devices, each lent to one holder at a time. The pool opens a slot's device when it is first needed. After a
 * failure the slot pauses (longer with every failure in a row) and gets a new device; after `giveUpAfter` failures in a row
 * the pool gives it up. The pool closes only devices that it opened.
 */
export class DevicePool {
  readonly count: number;
  private readonly limits: Readonly<Record<keyof typeof POOL_DEFAULTS, number>>;
  private readonly clock: Clock;
  private readonly slots: Slot[];
  /** longest free first */
  private readonly free: Slot[] = [];
  /** longest waiting first */
  private readonly waiters: Waiter[] = [];
  /** devices being opened or closed; none of these promises rejects */
  private readonly pending = new Set<Promise<void>>();
  /** why the pool lends nothing any more */
  private over: { readonly reason: unknown } | undefined;
  private closing = false;
  private closed: Promise<void> | undefined;
  /** ends the waits for devices that are being opened */
  private readonly abandon = new AbortController();
  private readonly abort = () => void this.close();

  constructor(private readonly options: PoolOptions) {
    const { count, signal, clock = machineClock } = options;
    if (!Number.isInteger(count) || count < 1)
      throw new RangeError(`DevicePool: expected 1 or more slots, got ${count}`);
    this.count = count;
    this.clock = clock;
    // every device that is being opened listens
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
   * Lends a device as soon as one is free, in the order of the requests.
   * @param request.signal ends the wait, and later the lease
   * @param request.timeoutMs longest wait; by default there is no limit
   * @throws RunError if no device becomes free in time, all slots are given up or the pool is closed; the reason of
   * `signal`; the UserError of a device that cannot be opened
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
   * Ends all leases and closes all devices that the pool opened, in at most twice `closeMs`: devices that are being opened
   * get the same time as those being closed. A device that opens even later is closed then.
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
    // a device that finishes opening meanwhile is closed in turn
    while (this.pending.size > 0) await Promise.all(this.pending);
    cancel();
  }

  /** Stops lending and refuses all waiting requests. */
  private stop(reason: unknown): void {
    this.over ??= { reason };
    for (const waiter of [...this.waiters]) waiter.refuse(this.over.reason);
  }

  /** Lends the free devices, and opens as many further ones as there are requests waiting. */
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
    if (slot.faults > 0) this.tell('refilled', slot, `replaced by ${device.id}`);
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

  /** Handles the failure of a slot's device, or of opening one. */
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
      const times = slot.failures === 1 ? '1 failure' : `${slot.failures} failures in a row`;
      this.tell('given up', slot, `given up after ${times}; last reason: ${reason}`);
      if (this.slots.every(({ state }) => state === 'given up')) this.stop(this.nothingLeft());
      return;
    }
    slot.state = 'resting';
    const { restMs, longestRestMs } = this.limits;
    const most = Math.min(longestRestMs, restMs * 2 ** (slot.failures - 1));
    const ms = Math.round(most * (0.5 + 0.5 * new Random(this.options.seed, 'rest', slot.number, slot.faults).next()));
    this.tell('failed', slot, `${reason}; will be replaced after ${ms} ms`);
    slot.cancelRest = this.clock.after(ms, () => {
      slot.cancelRest = undefined;
      // until it is closed, the old device may still use what the next one needs
      void closed.then(() => {
        if (this.over) return;
        slot.state = 'empty';
        this.serve();
      });
    });
  }

  /** Closes a device and waits at most `closeMs` for it. */
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
    const first = reasons.slice(0, 3).join('; ');
    const more = reasons.length > 3 ? `; and ${reasons.length - 3} more reasons` : '';
    const all = this.count === 1 ? 'the only device was' : `all ${this.count} devices were`;
    return new RunError(`${all} given up, each after ${this.limits.giveUpAfter} failures in a row: ${first}${more}`);
  }

  private describe(): string {
    const { working, opening, resting, givenUp } = this.status;
    return `${working} of ${this.count} in use, ${opening} being opened, ${resting} pausing after a failure, ${givenUp} given up`;
  }
}
