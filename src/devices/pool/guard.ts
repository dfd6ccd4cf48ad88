import { RunError, UserError } from '../../errors.js';
import type { Action } from '../../data/action.js';
import type { Clock } from './clock.js';
import type { Applied, Deadline, Device, ResetLevel } from '../device.js';
import type { Task } from '../../data/task.js';
import type { Frame } from '../../data/formats/frame.js';

/** What was asked of a device when it failed. */
export type DeviceCall =
  'lease' | 'reset' | 'screenshot' | 'act' | 'health' | 'achieved' | 'over' | 'startRecording' | 'stopRecording';

/** A device could not film its screen, or give the film; there is nothing wrong with it otherwise. */
export class RecordingFailed extends RunError {
  override name = 'RecordingFailed';
}

/** A device failed: it threw, did not answer in time, or is no longer lent to whoever asks. Nobody's mistake above it. */
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

/** `health` brings no deadline of its own. */
const HEALTH_MS = 10_000;
/** Characters of a device's own words in our messages; drivers answer with pages. */
const QUOTED = 300;

/** What was thrown, in one line of printable characters. */
export function oneLine(error: unknown): string {
  const text = error instanceof Error ? error.message || error.name : String(error);
  const plain = text
    // colours first, then whatever else a terminal would obey
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
  /** told when a call begins and when it ends: signs of life */
  readonly onSign: () => void;
}

/**
 * A device as it is lent: the deadline is kept on our side too, so a call that hangs ends; after a fault or the end of the
 * lease the device is not called again, and what it still answers goes nowhere.
 */
export class GuardedDevice implements Device {
  readonly id: string;
  readonly achieved?: () => boolean | undefined;
  readonly over?: () => boolean;
  readonly startRecording?: (deadline: Deadline) => Promise<void>;
  readonly stopRecording?: (deadline: Deadline) => Promise<Uint8Array>;
  /** what failed first */
  fault: DeviceFault | undefined;
  private ended: { readonly reason: unknown } | undefined;
  private readonly underWay = new Set<(reason: unknown) => void>();

  constructor(
    private readonly inner: Device,
    private readonly options: GuardOptions,
  ) {
    this.id = inner.id;
    // whoever asks looks first whether they are there
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

  /** Whether a call has not been answered yet. */
  get busy(): boolean {
    return this.underWay.size > 0;
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

  /** A lent device is its pool's to close. */
  async close(): Promise<void> {
    throw new Error(`device ${this.id} is lent: release the lease, and close the pool`);
  }

  /** From now on every call, also one under way, fails with `reason`. */
  end(reason: unknown): void {
    this.ended ??= { reason };
    for (const reject of this.underWay) reject(reason);
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
      // the grace is a wait of its own, so that answers that came in while this process was held up are still read
      let cancel = clock.after(deadlineMs, () => {
        cancel = clock.after(graceMs, () => {
          fail(this.failed(name, new Error(`no answer in ${deadlineMs} ms and ${graceMs} ms of grace`)));
        });
      });
      const settle = (): boolean => {
        if (settled) return false;
        settled = true;
        cancel();
        this.underWay.delete(fail);
        onSign();
        return true;
      };
      const fail = (reason: unknown): void => {
        if (settle()) reject(reason as Error);
      };
      this.underWay.add(fail);
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

  /** A recording that fails is no fault of the device; one that hangs is, for nothing else can be asked meanwhile. */
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

  /** What a call that failed with `error` throws; the user's mistakes stay what they are. */
  private failed(name: DeviceCall, error: unknown): Error {
    if (error instanceof UserError) return error;
    // devices that say themselves who and what they are need not be heard twice
    const prefix = `${this.id}: ${name}: `;
    const said = oneLine(error);
    const reason = said.startsWith(prefix) ? said.slice(prefix.length) : said;
    const fault = new DeviceFault(this.id, name, reason, { cause: error });
    this.fault ??= fault;
    return fault;
  }

  private throwIfEnded(): void {
    if (this.ended) throw this.ended.reason;
    if (this.fault) throw this.fault;
  }
}
