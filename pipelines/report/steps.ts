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
