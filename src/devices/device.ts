import type { Action } from '../data/action.js';
import type { Frame } from '../data/formats/frame.js';
import type { Task } from '../data/task.js';

/** Whether an action was applied on the device. `unknown`: perhaps; it must not be sent again. */
export type Applied = 'yes' | 'no' | 'unknown';

export interface Deadline {
  /** milliseconds after which this call fails */
  readonly deadlineMs: number;
}

/** The scope of a reset: the app, an emulator snapshot, or a new device. */
export type ResetLevel = 'app' | 'snapshot' | 'recreate';

/** A phone that an agent can see and touch. It runs one episode at a time and gets no concurrent calls. */
export interface Device {
  readonly id: string;
  /** pixels */
  readonly size: { readonly width: number; readonly height: number };
  /** milliseconds that a reset may take if it needs longer than other calls: a new session, a new emulator */
  readonly resetMs?: number;
  /** Puts the device into an episode's initial state. `seed` decides everything random, as far as the device allows. */
  reset(level: ResetLevel, episode: { task: Task; seed: number } & Deadline): Promise<void>;
  screenshot(deadline: Deadline): Promise<Frame>;
  act(action: Action, deadline: Deadline): Promise<{ applied: Applied }>;
  health(): Promise<'ok' | 'sick' | 'dead'>;
  /**
   * Only on devices that know their own state: whether the current task is achieved, as of the last action. Undefined if
   * the device cannot tell for this task.
   */
  achieved?(): boolean | undefined;
  /** Only for tasks that end by themselves: whether the task has ended, so that no further action counts. */
  over?(): boolean;
  /**
   * Only on devices that can film their screen: starts a recording, at most one at a time. If it throws, the recording is
   * lost, not the episode.
   */
  startRecording?(deadline: Deadline): Promise<void>;
  /** Ends the recording and resolves with the bytes of a video file, MP4 or WebM. `reset` and `close` discard a recording. */
  stopRecording?(deadline: Deadline): Promise<Uint8Array>;
  close(): Promise<void>;
}
