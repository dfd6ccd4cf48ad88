import type { Frame } from '../../data/formats/frame.js';
import { byTrajectory } from '../../data/transitions.js';

/** An action in a state, to be rated. */
export interface RatedAction {
  /** the agent's instruction */
  readonly goal: string;
  /** texts of the actions before this one, the first one first; never later ones */
  readonly history: readonly string[];
  /** text of the action; must be a valid one */
  readonly action: string;
  /** content id of the screenshot before the action */
  readonly image: string;
  /** loads the screenshot; called only if it is needed */
  readonly frame: () => Promise<Frame>;
}

/** Rates actions: VEM's frozen value model (docs/algorithms.md §5). */
export interface ValueModel {
  /** The probability of rating 2 (good) for each action, in order. @throws the reason of `signal` once it is aborted */
  good(actions: readonly RatedAction[], signal: AbortSignal): Promise<number[]>;
}

/** Whatever decides the answer of a value model, as a key. @param history most earlier actions that it reads */
export function ratedKey({ goal, history: all, action, image }: RatedAction, history: number): string {
  return JSON.stringify([goal, history === 0 ? [] : all.slice(-history), action, image]);
}

/**
 * The texts of the actions before each step of some trajectories, by the steps' ids. A step's history ends before it: the
 * first step of a trajectory has none.
 */
export function histories(
  steps: readonly {
    readonly tid: number;
    readonly trajectory: string;
    readonly step: number;
    readonly action: string;
  }[],
): ReadonlyMap<number, readonly string[]> {
  const found = new Map<number, readonly string[]>();
  for (const own of byTrajectory(steps).values()) {
    own.sort((a, b) => a.step - b.step);
    const texts = own.map(({ action }) => action);
    own.forEach(({ tid }, i) => found.set(tid, texts.slice(0, i)));
  }
  return found;
}
