import type { Clock } from './clock.js';
import type { Device } from '../device.js';
import { DeviceFault, GuardedDevice } from './guard.js';

/** How a device is given back: as it should be, or as one that cannot be trusted with another episode. */
export type Condition = 'fine' | 'faulty';

interface LeaseOptions {
  readonly slot: number;
  readonly device: Device;
  readonly clock: Clock;
  readonly graceMs: number;
  readonly leaseMs: number;
  /** ends the lease's calls, and the lease */
  readonly signal?: AbortSignal;
  /** told once, however the lease ends */
  readonly onEnd: (end: { condition: Condition; reason: string; expired: boolean }) => void;
}

/**
 * A device that is one holder's until it is released. A lease that gives no sign of life (a call, `heartbeat`, `during`)
 * for `leaseMs` ends, and the device goes to someone else: its holder has died.
 */
export class Lease {
  readonly slot: number;
  /** the device, under guard: its calls end by their deadline, with what it says or a DeviceFault */
  readonly device: GuardedDevice;
  /** the device itself, for demonstrators and judges that know its kind; not to be acted on */
  readonly unguarded: Device;
  private over = false;
  private lastSign: number;
  /** what the holder waits for, by `during` */
  private readonly waits = new Set<(reason: unknown) => void>();
  private cancel: () => void;
  private readonly abort = () => this.end(this.options.signal?.reason);

  constructor(private readonly options: LeaseOptions) {
    const { slot, device, clock, graceMs, leaseMs, signal } = options;
    this.slot = slot;
    this.unguarded = device;
    this.device = new GuardedDevice(device, { clock, graceMs, onSign: () => this.heartbeat() });
    this.lastSign = clock.now();
    this.cancel = clock.after(leaseMs, () => this.look());
    signal?.addEventListener('abort', this.abort, { once: true });
  }

  /** The holder is alive. */
  heartbeat(): void {
    this.lastSign = this.options.clock.now();
  }

  /**
   * Waits for something that is not the device, such as the agent's next action: the lease holds that long.
   * @throws what the lease is ended with, at once
   */
  during<T>(work: Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.waits.add(reject);
      const done = (): void => {
        this.waits.delete(reject);
        this.heartbeat();
      };
      work.finally(done).then(resolve, reject);
      if (this.over) reject(this.ended());
    });
  }

  /** Gives the device back. One whose call failed or is still under way counts as faulty whatever is said. */
  release(condition: Condition, reason = 'given back as faulty'): void {
    this.finish(condition, reason, this.ended());
  }

  /** Ends the lease for its holder: what it waits for, here and of the device, fails with `reason`. */
  end(reason: unknown): void {
    this.finish('fine', '', reason);
  }

  private ended(): DeviceFault {
    return new DeviceFault(this.device.id, 'lease', 'the lease has ended');
  }

  private look(): void {
    const { clock, leaseMs } = this.options;
    const left = this.device.busy || this.waits.size > 0 ? leaseMs : this.lastSign + leaseMs - clock.now();
    if (left > 0) {
      this.cancel = clock.after(left, () => this.look());
      return;
    }
    const fault = new DeviceFault(this.device.id, 'lease', `its holder gave no sign of life in ${leaseMs} ms`);
    this.finish('fine', fault.reason, fault, true);
  }

  private finish(condition: Condition, reason: string, error: unknown, expired = false): void {
    if (this.over) return;
    this.over = true;
    this.cancel();
    this.options.signal?.removeEventListener('abort', this.abort);
    const { fault, busy } = this.device;
    this.device.end(error);
    for (const reject of this.waits) reject(error);
    if (fault) this.options.onEnd({ condition: 'faulty', reason: `${fault.call}: ${fault.reason}`, expired });
    else if (busy) this.options.onEnd({ condition: 'faulty', reason: 'given back in the middle of a call', expired });
    else this.options.onEnd({ condition, reason, expired });
  }
}
