import type { Clock } from './clock.js';
import type { Device } from '../device.js';
import { DeviceFault, GuardedDevice } from './guard.js';

/** The condition in which a device is returned: `faulty` means that it must not run another episode. */
export type Condition = 'fine' | 'faulty';

interface LeaseOptions {
  readonly slot: number;
  readonly device: Device;
  readonly clock: Clock;
  readonly graceMs: number;
  readonly leaseMs: number;
  /** ends the lease and its calls */
  readonly signal?: AbortSignal;
  /** called once, however the lease ends */
  readonly onEnd: (end: { condition: Condition; reason: string; expired: boolean }) => void;
}

/**
 * Exclusive use of a device until `release`. A lease without a sign of life (a call, `heartbeat`, `during`) for `leaseMs`
 * expires: its holder counts as dead, and the pool lends the device again.
 */
export class Lease {
  readonly slot: number;
  /** the guarded device: its calls end by their deadline, if need be with a DeviceFault */
  readonly device: GuardedDevice;
  /** the device itself, for demonstrators and judges that know its type; not for actions */
  readonly unguarded: Device;
  private over = false;
  private lastSign: number;
  /** rejects of the promises in `during` */
  private readonly waits = new Set<(reason: unknown) => void>();
  private cancel: () => void;
  private readonly abort = () => this.end(this.options.signal?.reason);

  constructor(private readonly options: LeaseOptions) {
    const { slot, device, clock, graceMs, leaseMs, signal } = options;
    this.slot = slot;
    this.unguarded = device;
    this.device = new GuardedDevice(device, { clock, graceMs, onSign: () => this.heartbeat() });
    this.lastSign = clock.now();
    this.cancel = clock.after(leaseMs, () => this.checkExpiry());
    signal?.addEventListener('abort', this.abort, { once: true });
  }

  /** Tells that the holder is alive. */
  heartbeat(): void {
    this.lastSign = this.options.clock.now();
  }

  /**
   * Waits for something other than the device, such as the agent's next action, and keeps the lease alive meanwhile.
   * @throws the reason for the end of the lease, as soon as it ends
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

  /** Returns the device. After a failed call, or during a call, it always counts as faulty. */
  release(condition: Condition, reason = 'returned as faulty'): void {
    this.finish(condition, reason, this.ended());
  }

  /** Ends the lease for its holder: its calls and its waits fail with `reason`. */
  end(reason: unknown): void {
    this.finish('fine', '', reason);
  }

  private ended(): DeviceFault {
    return new DeviceFault(this.device.id, 'lease', 'the lease has ended');
  }

  private checkExpiry(): void {
    const { clock, leaseMs } = this.options;
    const left = this.device.busy || this.waits.size > 0 ? leaseMs : this.lastSign + leaseMs - clock.now();
    if (left > 0) {
      this.cancel = clock.after(left, () => this.checkExpiry());
      return;
    }
    const fault = new DeviceFault(this.device.id, 'lease', `the holder gave no sign of life in ${leaseMs} ms`);
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
    else if (busy) this.options.onEnd({ condition: 'faulty', reason: 'returned during a call', expired });
    else this.options.onEnd({ condition, reason, expired });
  }
}
