import type { Action } from '../../src/data/action.js';
import type { Applied, Deadline, Device, ResetLevel } from '../../src/devices/device.js';
import type { Task } from '../../src/data/task.js';
import type { Frame } from '../../src/data/formats/frame.js';
import { Phone } from '../../src/devices/phone/index.js';
import { Random } from '../../src/random.js';

/** A fault of a device. After the last two it never works again. */
export type Fault =
  | 'reset fails'
  | 'screenshot fails'
  /** the action was not applied */
  | 'act throws'
  /** as on real servers when the connection breaks: the action was applied, the answer is lost */
  | 'act throws after it was applied'
  | 'hangs'
  | 'dies';

export const FAULTS: readonly Fault[] = [
  'reset fails',
  'screenshot fails',
  'act throws',
  'act throws after it was applied',
  'hangs',
  'dies',
];

const BLANK: Frame = { width: 1, height: 1, rgba: new Uint8ClampedArray(4) };

/** The fault of an attempt at an episode, if any, and the call at which it happens; the reset is call 0. */
export type FaultPlan = (episode: { task: Task; seed: number }) => { kind: Fault; call: number } | undefined;

/** A record of what all faulty devices of a test did. */
export class Happenings {
  /** devices opened */
  made = 0;
  /** devices closed */
  closed = 0;
  /** the attempts at episodes, with the actions sent */
  readonly attempts: { readonly task: string; readonly seed: number; readonly sent: Action[]; applied: number }[] = [];
  readonly faults: Fault[] = [];
}

/** A phone that fails by plan. */
export class FaultyDevice implements Device {
  readonly phone: Phone;
  readonly size;
  private fault: { kind: Fault; call: number } | undefined;
  private calls = 0;
  private lastCall: 'none' | 'hangs' | 'dies' = 'none';
  private attempt: Happenings['attempts'][number] | undefined;
  private closed = false;

  constructor(
    readonly id: string,
    private readonly record: Happenings,
    private readonly plan: FaultPlan,
    /** `blank`: empty screenshots, for long runs in which painting would take most of the time */
    private readonly screen: 'painted' | 'blank' = 'painted',
  ) {
    this.phone = new Phone(id);
    this.size = this.phone.size;
    record.made++;
  }

  async reset(level: ResetLevel, episode: { task: Task; seed: number } & Deadline): Promise<void> {
    this.fault = this.plan(episode);
    this.calls = 0;
    this.attempt = { task: episode.task.id, seed: episode.seed, sent: [], applied: 0 };
    this.record.attempts.push(this.attempt);
    await this.meet('reset fails');
    await this.phone.reset(level, episode);
  }

  async screenshot(deadline: Deadline): Promise<Frame> {
    await this.meet('screenshot fails');
    return this.screen === 'blank' ? BLANK : this.phone.screenshot(deadline);
  }

  async act(action: Action, deadline: Deadline): Promise<{ applied: Applied }> {
    this.attempt!.sent.push(action);
    await this.meet('act throws');
    const applied = await this.phone.act(action, deadline);
    this.attempt!.applied++;
    if (this.fault?.kind === 'act throws after it was applied' && this.calls > this.fault.call) {
      throw this.failure('act throws after it was applied', 'socket hang up');
    }
    return applied;
  }

  async health(): Promise<'ok' | 'dead'> {
    return this.lastCall === 'none' ? 'ok' : 'dead';
  }

  achieved(): boolean {
    if (this.lastCall !== 'none') throw new Error('the device is gone');
    return this.phone.achieved();
  }

  async close(): Promise<void> {
    if (this.closed) throw new Error(`${this.id} was closed twice`);
    this.closed = true;
    this.record.closed++;
    await this.phone.close();
  }

  /** Fails if the plan's call has come; a fault of another kind of call waits for such a call. */
  private async meet(own: Fault): Promise<void> {
    if (this.closed) throw new Error(`${this.id} was called after it was closed`);
    if (this.lastCall === 'hangs') return new Promise(() => undefined);
    if (this.lastCall === 'dies') throw new Error('the device is gone');
    const due = this.fault && this.calls++ >= this.fault.call ? this.fault.kind : undefined;
    if (due === 'hangs') {
      this.record.faults.push(due);
      this.lastCall = due;
      return new Promise(() => undefined);
    }
    if (due === 'dies') {
      this.lastCall = due;
      throw this.failure(due, 'the device is gone');
    }
    if (due === own) throw this.failure(own, `HTTP 500: ${own}`);
  }

  private failure(kind: Fault, message: string): Error {
    this.record.faults.push(kind);
    this.fault = undefined;
    return new Error(message);
  }
}

/** Random faults for a share of the attempts, all kinds equally likely; the seed and the attempt's number decide. */
export function faultsBySeed(seed: number, share: number, longest: number): FaultPlan {
  const attempts = new Map<number, number>();
  return ({ seed: episode }) => {
    const attempt = attempts.get(episode) ?? 0;
    attempts.set(episode, attempt + 1);
    const random = new Random(seed, 'fault', episode, attempt);
    if (!random.chance(share)) return undefined;
    const kind = random.pick(FAULTS);
    return { kind, call: kind === 'reset fails' ? 0 : random.int(longest) };
  };
}
