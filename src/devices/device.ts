import type { Action } from '../data/action.js';
import type { Frame } from '../data/formats/frame.js';
import type { Task } from '../data/task.js';

/** Whether an action reached the device. `unknown`: it may have; it must not be sent again. */
export type Applied = 'yes' | 'no' | 'unknown';

export interface Deadline {
  /** milliseconds this call may take before it fails */
  readonly deadlineMs: number;
}

/** How much of the device is put back: the app, an emulator snapshot, or a new device. */
export type ResetLevel = 'app' | 'snapshot' | 'recreate';

/** A phone that an agent can see and touch. One episode at a time; calls are not made concurrently. */
export interface Device {
  readonly id: string;
  /** pixels */
  readonly size: { readonly width: number; readonly height: number };
  /** milliseconds that a reset may need where other calls need less: a new session, a new emulator */
  readonly resetMs?: number;
  /** Put the device into the starting state of an episode. `seed` decides everything random in it, where the device can. */
  reset(level: ResetLevel, episode: { task: Task; seed: number } & Deadline): Promise<void>;
  screenshot(deadline: Deadline): Promise<Frame>;
  act(action: Action, deadline: Deadline): Promise<{ applied: Applied }>;
  health(): Promise<'ok' | 'sick' | 'dead'>;
  /**
   * For a device that knows its own state: whether the current task is achieved now, as far as it is known after the last
   * action. Undefined: this device, or this task, could not say.
   */
  achieved?(): boolean | undefined;
  /** For tasks with an end of their own: whether it has come, so that no further action counts. */
  over?(): boolean;
  /**
   * For a device that can film its own screen: begin to. At most one recording is under way. What it throws costs the
   * recording and not the episode.
   */
  startRecording?(deadline: Deadline): Promise<void>;
  /** End the recording; resolves with the video as a file's bytes, MP4 or WebM. A `reset` or `close` ends one and drops it. */
  stopRecording?(deadline: Deadline): Promise<Uint8Array>;
  close(): Promise<void>;
}
