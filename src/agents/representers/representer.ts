import type { Frame } from '../../data/formats/frame.js';

/** A state and the actions to represent in it. */
export interface RepresentedState {
  /** the policy's prompt */
  readonly prompt: string;
  /** the agent's instruction */
  readonly goal: string;
  /** content id of the screenshot */
  readonly image: string;
  /** loads the screenshot; called only if it is needed */
  readonly frame: () => Promise<Frame>;
  /** image vector of the bare screenshot by the representer's own tower, if already known */
  readonly plain?: Float32Array;
  /** texts of actions; '' stands for the state alone */
  readonly actions: readonly string[];
}

/** Cancellation and progress. */
export interface RepresentOptions {
  /** when aborted, `represent` rejects soon */
  readonly signal?: AbortSignal;
  /** called after each call that `calls` counts */
  readonly onCall?: () => void;
}

/** Makes the critic's representations (docs/algorithms.md §2.3). It draws cursors and keeps caches itself. */
export interface Representer {
  /** recommended number of states for a call of `represent`: enough for speed, few enough for memory */
  readonly chunk: number;
  /** [actions × dim] for each state, in order; dim is the same for all */
  represent(states: readonly RepresentedState[], options?: RepresentOptions): Promise<Float32Array[]>;
  /** The number of calls to a slow model that `represent` would make for these states; absent if calls are not counted. */
  calls?(states: readonly RepresentedState[]): number;
}
