import { histories, type RatedAction } from '../../src/agents/value/value-model.js';
import { isValidAction } from '../../src/agents/grammar.js';
import { ImageStore } from '../../src/data/images.js';
import { splitTrajectories } from '../../src/data/replay.js';
import type { Transition } from '../../src/data/transitions.js';
import { UserError } from '../../src/errors.js';
import { Random } from '../../src/random.js';
import { reference } from '../../src/runner/reference.js';
import type { StageContext } from '../../src/runner/stage.js';
import type { Config } from '../../src/settings/settings.js';
import { readLabels, readTransitions } from '../datasets.js';
import type { Value } from './settings.js';

/** A labelled step as the value model reads it. */
export interface LabelledStep extends RatedAction {
  readonly tid: number;
  readonly trajectory: string;
  readonly step: number;
  readonly good: boolean;
  readonly explanation: string;
  /** exact rating by the device's state; null if unknown */
  readonly stateGood: boolean | null;
}

export interface Labelled {
  readonly train: readonly LabelledStep[];
  readonly validation: readonly LabelledStep[];
}

/** The data set whose steps are labelled: `label.data`, in the run that the labels are from. */
export function labelledSet(config: Config): string {
  const { data } = config.label as { data: string };
  const other = reference((config.value as Value).labels);
  return other && !reference(data) ? `${other.run}:${data}` : data;
}

const COLUMNS = ['tid', 'trajectory', 'step', 'goal', 'action', 'image'] as const;

/**
 * The labelled steps of a run, split by trajectory. Steps without a rating are left out, and invalid actions too: the value
 * model is never asked about them.
 * @param most steps of each part; by default as many as the settings say
 * @throws UserError if there is nothing to learn, or the labels are those of other trajectories
 */
export async function labelledSteps(
  ctx: Pick<StageContext<Value>, 'settings' | 'config' | 'seed' | 'dataset'>,
  most?: number,
): Promise<Labelled> {
  const { settings, seed } = ctx;
  const data = labelledSet(ctx.config);
  const rows = (await readTransitions(ctx.dataset(data), data, COLUMNS)) as Pick<
    Transition,
    (typeof COLUMNS)[number]
  >[];
  const other = reference(data);
  const images = new ImageStore(ctx.dataset(other ? `${other.run}:images` : 'images'));
  const before = histories(rows);
  const byStep = new Map(rows.map((row) => [`${row.trajectory} ${row.step}`, row]));
  const folder = ctx.dataset(settings.labels);
  const labels = await readLabels(folder);
  const found: LabelledStep[] = [];
  for (const { trajectory, step, rating, explanation, stateRating } of labels) {
    const row = byStep.get(`${trajectory} ${step}`);
    if (!row)
      throw new UserError(
        `${folder}: rates step ${step} of trajectory ${trajectory}, which ${ctx.dataset(data)} does not have; run \`critiq label\` again, or set label.data to the data set that was labelled`,
      );
    if (rating === null || !isValidAction(row.action)) continue;
    const { tid, goal, action, image } = row;
    found.push({
      tid,
      trajectory,
      step,
      goal,
      action,
      image,
      history: before.get(tid)!,
      frame: () => images.get(image),
      good: rating === 2,
      explanation,
      stateGood: stateRating === null ? null : stateRating === 2,
    });
  }
  const good = found.filter((step) => step.good).length;
  if (good === 0 || good === found.length)
    throw new UserError(
      `${folder}: ${found.length === 0 ? 'no rated step with a valid action' : `all ${found.length} rated steps are ${good === 0 ? 'bad' : 'good'}`}; expected good and bad ones: label more trajectories`,
    );
  const split = splitTrajectories(
    found.map(({ trajectory }) => trajectory),
    seed,
    1 - settings.validation,
  );
  const part = (which: 'train' | 'validation', limit: number) =>
    new Random(seed, 'value', which)
      .shuffled(found.filter(({ trajectory }) => split[which].has(trajectory)))
      .slice(0, most ?? limit);
  return { train: part('train', settings.steps), validation: part('validation', settings.measured) };
}
