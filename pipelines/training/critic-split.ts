import { splitTrajectories, type Split } from '../../src/data/replay.js';
import type { StageContext } from '../../src/runner/stage.js';

/** The trajectories of collected steps that the critic of this run trains on, and those that it holds out. */
export function criticSplit(
  { config, seed }: StageContext<unknown>,
  steps: readonly { readonly trajectory: string }[],
): Split {
  const { validation, split } = config.critic as { validation: number; split: 'seed' | 'order' };
  const ids = steps.map(({ trajectory }) => trajectory);
  return splitTrajectories(ids, seed, 1 - validation, split);
}
