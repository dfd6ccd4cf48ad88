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
