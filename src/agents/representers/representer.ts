import type { Frame } from '../../data/formats/frame.js';

/** A state, and what is to be represented in it. */
export interface RepresentedState {
  /** the policy's prompt */
  readonly prompt: string;
  /** the instruction that the agent was given */
  readonly goal: string;
  /** content id of the screenshot */
  readonly image: string;
  /** the screenshot; asked for only where it is needed */
  readonly frame: () => Promise<Frame>;
  /** image vector of the bare screenshot by the representer's own tower, where it is known already */
  readonly plain?: Float32Array;
  /** texts of actions; '' is the state alone */
  readonly actions: readonly string[];
}

/** How far a representer has come, and whether to go on. */
export interface RepresentOptions {
  /** aborted: reject soon */
  readonly signal?: AbortSignal;
  /** called after each call that `calls` has counted */
  readonly onCall?: () => void;
}

/** Makes the representations that the critic reads (docs/algorithms.md §2.3); draws cursors and keeps caches itself. */
export interface Representer {
  /** states that are best given to `represent` at a time: enough to be fast, few enough for memory */
  readonly chunk: number;
  /** [actions × dim] for each state, in order; dim is the same for all */
  represent(states: readonly RepresentedState[], options?: RepresentOptions): Promise<Float32Array[]>;
  /** How many calls of a slow model `represent` would make for these states; absent where calls are not counted. */
  calls?(states: readonly RepresentedState[]): number;
}
