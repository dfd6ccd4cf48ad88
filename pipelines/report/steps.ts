import type { Transition } from '../../src/data/transitions.js';

export const REPORTED = [
  'tid',
  'trajectory',
  'step',
  'task',
  'goal',
  'action',
  'image',
  'nextImage',
  'done',
  'truncated',
  'mcReturn',
  'trajectoryReward',
] as const;

export type ReportedStep = Pick<Transition, (typeof REPORTED)[number]>;

/** The steps of each trajectory, in order. */
export function byTrajectory(steps: readonly ReportedStep[]): Map<string, ReportedStep[]> {
  const by = new Map<string, ReportedStep[]>();
  for (const step of steps) {
    const before = by.get(step.trajectory);
    if (before) before.push(step);
    else by.set(step.trajectory, [step]);
  }
  return by;
}
