import type { Transition } from '../../src/data/transitions.js';

/** The columns of the transitions that labels need. */
export const LABELLED = [
  'tid',
  'trajectory',
  'step',
  'goal',
  'action',
  'actionType',
  'image',
  'nextImage',
  'trajectoryReward',
] as const satisfies readonly (keyof Transition)[];

/** A step to rate. */
export type LabelledStep = Pick<Transition, (typeof LABELLED)[number]>;

/** The steps of each trajectory, in order; in a data set those of one trajectory are adjacent. */
export function byTrajectory(steps: readonly LabelledStep[]): LabelledStep[][] {
  const trajectories: LabelledStep[][] = [];
  for (const step of steps) {
    const current = trajectories.at(-1);
    if (current?.[0].trajectory === step.trajectory) current.push(step);
    else trajectories.push([step]);
  }
  return trajectories;
}
