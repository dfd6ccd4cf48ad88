import { join } from 'node:path';
import { z } from 'zod';
import { counted } from '../src/counted.js';
import { LABELS, type LabelRow } from '../src/data/labels.js';
import { openDataset } from '../src/data/store/manifest.js';
import { readTable, writeTable } from '../src/data/tables.js';
import { INVALID, TRANSITIONS, type Transition } from '../src/data/transitions.js';
import { ratingAgreement } from '../src/data/rating-agreement.js';
import { stage, type StageContext } from '../src/runner/stage.js';
import { FILES, readLabels } from './datasets.js';
import { playedEpisodes, type PlayedEpisode } from './episodes/played.js';
import { rateByState, type StateRating } from './label/state.js';
import { once } from './resources.js';

export const Label = z.object({
  from: z
    .enum(['outcome', 'state'])
    .default('outcome')
    .describe(
      'what rates a step: the outcome of its trajectory, or the state of the embedded phone, which is exact (docs/labels.md)',
    ),
  data: z
    .string()
    .regex(/^[\w+-][\w.+:/-]*$/, 'the name of a data set, or RUN:name')
    .default('trajectories')
    .describe(
      'data set whose steps are rated: `trajectories` (collected or imported), `demos`, `eval/NAME`, or one of another run as `RUN:trajectories`',
    ),
  compare: z
    .boolean()
    .default(true)
    .describe(
      'also rate each step by the outcome and, if the embedded phone can replay it, by its state, to measure the labels',
    ),
});
type Label = z.infer<typeof Label>;

/** The columns of the transitions that labels need. */
const COLUMNS = [
  'tid',
  'trajectory',
  'step',
  'goal',
  'action',
  'actionType',
  'image',
  'nextImage',
  'trajectoryReward',
] as const;
export type LabelledStep = Pick<Transition, (typeof COLUMNS)[number]>;

/** Ratings of the steps of trajectories: what the value model of VEM learns (docs/labels.md). */
export const label = stage({
  name: 'label',
  summary: 'rate every step good or bad, by its outcome or by the state of the embedded phone',
  settings: Label,
  inputs: ({ data }) => [data],
  outputs: () => ['labels'],
  plan: async (ctx) => {
    const { data } = ctx.settings;
    const { shards } = await openDataset(ctx.dataset(data), { stage: data });
    return shards.map(({ shard: id, files }) => ({
      id,
      inputs: { [data]: [id] },
      extent: { steps: files.find(({ file }) => file === FILES.transitions(id))?.rows ?? 0 },
    }));
  },
  run: async (shard, ctx) => {
    const { from, data, compare } = ctx.settings;
    const steps = await readTable(join(ctx.dataset(data), FILES.transitions(shard.id)), TRANSITIONS, {
      columns: COLUMNS,
    });
    const progress = ctx.progress(steps.length, `steps of shard ${shard.id}`);
    const played = from === 'state' || compare ? await playedOf(ctx) : undefined;
    async function* labelled(): AsyncGenerator<LabelRow> {
      for (const trajectory of byTrajectory(steps)) {
        ctx.signal.throwIfAborted();
        const states = played && (await rateByState(trajectory, played(Number(trajectory[0].trajectory))));
        for (const [i, step] of trajectory.entries()) yield labelRow(step, ctx.settings, states?.[i]);
        progress.advance(trajectory.length);
      }
    }
    const file = FILES.labels(shard.id);
    await writeTable(join(ctx.dataset('labels'), file), LABELS, labelled());
    progress.done();
    return [file];
  },
  finish: async (ctx) => {
    const rows = await readLabels(ctx.dataset('labels'));
    const count = (rating: number | null) => rows.filter((row) => row.rating === rating).length;
    const unknown = count(null);
    ctx.log.info(
      `${counted(rows.length, 'step')} of ${ctx.settings.data} rated by ${ctx.settings.from}: ${count(2)} good, ${count(1)} bad${unknown === 0 ? '' : `, ${unknown} unknown`}`,
    );
    if (ctx.settings.from === 'state') return;
    const exact = ratingAgreement(rows.map((row) => ({ first: row.rating, second: row.stateRating })));
    if (exact.accuracy !== null)
      ctx.log.info(
        `agreement with the state of the phone: ${(100 * exact.accuracy).toFixed(1)} % of ${counted(exact.items, 'step')}, kappa ${exact.kappa?.toFixed(2) ?? 'undefined'}`,
      );
  },
});

/**
 * The episodes as played on the embedded phone.
 * @returns undefined if they were not, and the labels do not depend on it
 */
function playedOf(ctx: StageContext<Label>): Promise<((episode: number) => PlayedEpisode) | undefined> {
  const { from, data } = ctx.settings;
  return once(ctx, 'played episodes', () => {
    try {
      return playedEpisodes(ctx.dataset(data), ctx.config);
    } catch (error) {
      if (from === 'state') throw error;
      ctx.log.debug(`no ratings by state to compare with: ${(error as Error).message}`);
      return undefined;
    }
  });
}

/** The steps of each trajectory; those of one trajectory are adjacent. */
function byTrajectory(steps: readonly LabelledStep[]): LabelledStep[][] {
  const trajectories: LabelledStep[][] = [];
  for (const step of steps) {
    const current = trajectories.at(-1);
    if (current?.[0].trajectory === step.trajectory) current.push(step);
    else trajectories.push([step]);
  }
  return trajectories;
}

function labelRow(step: LabelledStep, { from }: Label, state: StateRating | undefined): LabelRow {
  const { tid, trajectory, step: index, actionType, trajectoryReward } = step;
  const success = trajectoryReward > 0;
  const outcome = success ? 2 : 1;
  const byState = from === 'state';
  return {
    tid,
    trajectory,
    step: index,
    actionType: actionType ?? INVALID,
    rating: byState ? state!.rating : outcome,
    explanation: byState ? state!.explanation : `the trajectory ${success ? 'succeeded' : 'failed'}`,
    source: from,
    judge: from,
    secondRating: null,
    secondExplanation: null,
    secondJudge: null,
    outcomeRating: outcome,
    stateRating: state?.rating ?? null,
    stepsBefore: state?.before ?? null,
    stepsAfter: state?.after ?? null,
  };
}
