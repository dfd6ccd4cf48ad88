import { setImmediate as turn } from 'node:timers/promises';
import { parseAction } from '../../src/agents/grammar.js';
import { imageId } from '../../src/data/images.js';
import type { Rating } from '../../src/data/labels.js';
import type { LabelledStep } from './steps.js';
import { DEFAULT_GRID, DEFAULT_SURPRISES, Phone, Remaining } from '../../src/devices/phone/index.js';
import { counted } from '../../src/counted.js';
import { UserError } from '../../src/errors.js';
import type { PlayedEpisode } from '../episodes/played.js';

/** A step rated by the phone's state. */
export interface StateRating {
  readonly rating: Rating;
  readonly explanation: string;
  /** actions to the end of the task before and after it */
  readonly before: number;
  readonly after: number;
}

/** The columns of a trajectory's steps that a replay needs. */
export type ReplayedStep = Pick<LabelledStep, 'trajectory' | 'step' | 'action' | 'image' | 'nextImage'>;

/** Frames that the phone draws before the event loop must turn, so that their memory is freed (Phone.frame). */
const FRAMES = 8;

/**
 * Plays a trajectory again on the embedded phone and rates each step: good exactly if the shortest way to the end of the
 * task is shorter after it than before (`Remaining`), or if it declares success rightly. Every screen of the replay must
 * be the recorded one, pixel by pixel.
 * @throws UserError if a screen differs: the phone was another one when the episode was played
 */
export async function rateByState(
  steps: readonly ReplayedStep[],
  { task, seed, surprises = DEFAULT_SURPRISES }: PlayedEpisode,
  phone = new Phone('rated', { surprises }),
): Promise<StateRating[]> {
  phone.begin(task, seed);
  const remaining = new Remaining(DEFAULT_GRID);
  const ratings: StateRating[] = [];
  for (const [i, { trajectory, action: text, image, nextImage }] of steps.entries()) {
    if (i % FRAMES === 0) await turn();
    mustShow(phone, image, `step ${i} of trajectory ${trajectory}`);
    const before = remaining.of(phone);
    const parsed = parseAction(text);
    const action = 'invalid' in parsed ? undefined : parsed.action;
    if (action) phone.apply(action);
    const right = action?.type === 'STATUS_TASK_COMPLETE' && phone.achieved();
    const after = right ? 0 : remaining.of(phone);
    ratings.push({ rating: after < before ? 2 : 1, explanation: said(action?.type, before, after), before, after });
    if (i === steps.length - 1) mustShow(phone, nextImage, `the end of trajectory ${trajectory}`);
  }
  return ratings;
}

function mustShow(phone: Phone, image: string, where: string): void {
  const got = imageId(phone.frame());
  if (got === image) return;
  throw new UserError(
    `${where}: the replay on the embedded phone shows the screen ${got}, expected ${image} as recorded; another version of critiq played it: collect the episodes again, or use label.from=outcome`,
  );
}

function said(type: string | undefined, before: number, after: number): string {
  if (type === 'STATUS_TASK_COMPLETE') return after === 0 ? 'the task is achieved' : 'the task is not achieved yet';
  if (type === 'STATUS_TASK_IMPOSSIBLE') return `the task is possible: ${counted(before, 'step')} to the end`;
  if (type === undefined) return `not an action; still ${counted(before, 'step')} to the end`;
  return after === before
    ? `still ${counted(before, 'step')} to the end`
    : `${counted(before, 'step')} to the end before it, ${after} after it`;
}
