import { RunError, UserError } from '../../errors.js';
import type { Action } from '../../data/action.js';
import type { Clock } from './clock.js';
import type { Applied, Deadline, Device, ResetLevel } from '../device.js';
import type { Task } from '../../data/task.js';
import type { Frame } from '../../data/formats/frame.js';
import { discreet } from '../../secrets/known.js';

/** The call in which a device failed. */
export type DeviceCall =
  'lease' | 'reset' | 'screenshot' | 'act' | 'health' | 'achieved' | 'over' | 'startRecording' | 'stopRecording';

/** A device could not start or return a recording of its screen; otherwise it is healthy. */
export class RecordingFailed extends RunError {
  override name = 'RecordingFailed';
}

/** A device failed: it threw, missed its deadline, or the caller's lease has ended. The caller is not at fault. */
export class DeviceFault extends RunError {
  override name = 'DeviceFault';

  constructor(
    /** `Device.id` */
    readonly device: string,
    readonly call: DeviceCall,
    /** one line */
    readonly reason: string,
    options?: ErrorOptions,
  ) {
    super(`device ${device}: ${call}: ${reason}`, options);
  }
}

/** Deadline of `health`, which has no such parameter. */
const HEALTH_MS = 10_000;
/** Most characters of a device's own words in our messages; some drivers answer with whole pages. */
const QUOTED = 300;

/** The message of an error as one line of printable characters, without keys. */
export function oneLine(error: unknown): string {
  const text = error instanceof Error ? error.message || error.name : String(error);
  const plain = discreet(text)
    // colours first, then all other control characters
    // eslint-disable-next-line no-control-regex
    .replace(/\u001b\[[0-9;]*m/g, '')
    .replace(/[\p{Cc}\s]+/gu, ' ')
    .trim();
  return plain.length > QUOTED ? `${plain.slice(0, QUOTED)}...` : plain;
}

interface GuardOptions {
  readonly clock: Clock;
  /** milliseconds beyond a call's own deadline */
  readonly graceMs: number;
  /** called at the start and the end of each call, as a sign of life */
  readonly onSign: () => void;
}

/**
 * A lent device. The guard enforces each call's deadline, so a hung call ends. After a fault, or after the end of the lease,
 * the device is not called again and its late answers are ignored.
 */
export class GuardedDevice implements Device {
  readonly id: string;
  readonly achieved?: () => boolean | undefined;
  readonly over?: () => boolean;
  readonly startRecording?: (deadline: Deadline) => Promise<void>;
  readonly stopRecording?: (deadline: Deadline) => Promise<Uint8Array>;
  /** the first fault */
  fault: DeviceFault | undefined;
  private ended: { readonly reason: unknown } | undefined;
  /** rejects of the calls in flight */
  private readonly inFlight = new Set<(reason: unknown) => void>();

  constructor(
    private readonly inner: Device,
    private readonly options: GuardOptions,
  ) {
    this.id = inner.id;
    // optional members exist only if the device has them, since callers check for them
    if (inner.achieved) this.achieved = () => this.ask('achieved', () => inner.achieved!());
    if (inner.over) this.over = () => this.ask('over', () => inner.over!());
    if (inner.startRecording && inner.stopRecording) {
      this.startRecording = (deadline) => this.film('startRecording', deadline, () => inner.startRecording!(deadline));
      this.stopRecording = (deadline) => this.film('stopRecording', deadline, () => inner.stopRecording!(deadline));
    }
  }

  get size(): Device['size'] {
    return this.inner.size;
  }

  /** Whether a call is in flight. */
  get busy(): boolean {
    return this.inFlight.size > 0;
  }

  reset(level: ResetLevel, episode: { task: Task; seed: number } & Deadline): Promise<void> {
    const deadlineMs = Math.max(episode.deadlineMs, this.inner.resetMs ?? 0);
    return this.call('reset', deadlineMs, () => this.inner.reset(level, { ...episode, deadlineMs }));
  }

  screenshot(deadline: Deadline): Promise<Frame> {
    return this.call('screenshot', deadline.deadlineMs, () => this.inner.screenshot(deadline));
  }

  act(action: Action, deadline: Deadline): Promise<{ applied: Applied }> {
    return this.call('act', deadline.deadlineMs, () => this.inner.act(action, deadline));
  }

  health(): Promise<'ok' | 'sick' | 'dead'> {
    return this.call('health', HEALTH_MS, () => this.inner.health());
  }

  /** Only the pool may close a device. */
  async close(): Promise<void> {
    throw new Error(`device ${this.id} is lent; release its lease and close the pool instead`);
  }

  /** From now on all calls, including those in flight, fail with `reason`. */
  end(reason: unknown): void {
    this.ended ??= { reason };
    for (const reject of this.inFlight) reject(reason);
  }

  private ask<T>(name: DeviceCall, question: () => T): T {
    this.throwIfEnded();
    try {
      return question();
    } catch (error) {
      throw this.failed(name, error);
    }
  }

  private call<T>(name: DeviceCall, deadlineMs: number, work: () => Promise<T>): Promise<T> {
    const { clock, graceMs, onSign } = this.options;
    return new Promise<T>((resolve, reject) => {
      this.throwIfEnded();
      onSign();
      let settled = false;
      // the grace is a separate timer, so that answers that arrived while this process was blocked are still read
      let cancel = clock.after(deadlineMs, () => {
        cancel = clock.after(graceMs, () => {
          fail(this.failed(name, new Error(`no answer in ${deadlineMs} ms and ${graceMs} ms of grace`)));
        });
      });
      const settle = (): boolean => {
        if (settled) return false;
        settled = true;
        cancel();
        this.inFlight.delete(fail);
        onSign();
        return true;
      };
      const fail = (reason: unknown): void => {
        if (settle()) reject(reason as Error);
      };
      this.inFlight.add(fail);
      new Promise<T>((answer) => answer(work())).then(
        (value) => {
          if (settle()) resolve(value);
        },
        (error: unknown) => {
          if (!settled) fail(this.failed(name, error));
        },
      );
    });
  }

  /** A failed recording is not a device fault. A hung one is, since the device can take no other call meanwhile. */
  private async film<T>(
    name: 'startRecording' | 'stopRecording',
    { deadlineMs }: Deadline,
    work: () => Promise<T>,
  ): Promise<T> {
    const outcome = await this.call(name, deadlineMs, async () => {
      try {
        return { made: await work() };
      } catch (error) {
        if (error instanceof UserError) throw error;
        return { failed: new RecordingFailed(`device ${this.id}: ${name}: ${oneLine(error)}`, { cause: error }) };
      }
    });
    if (outcome.failed) throw outcome.failed;
    return outcome.made as T;
  }

  /** The error to throw for a call that failed with `error`: a UserError stays, all others become a DeviceFault. */
  private failed(name: DeviceCall, error: unknown): Error {
    if (error instanceof UserError) return error;
    // some devices put their id and the call into the message themselves
    const prefix = `${this.id}: ${name}: `;
    const message = oneLine(error);
    const reason = message.startsWith(prefix) ? message.slice(prefix.length) : message;
    const fault = new DeviceFault(this.id, name, reason, { cause: error });
    this.fault ??= fault;
    return fault;
  }

  private throwIfEnded(): void {
    if (this.ended) throw this.ended.reason;
    if (this.fault) throw this.fault;
  }
}
