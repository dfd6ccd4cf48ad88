import { basename, join } from 'node:path';
import { counted } from '../src/counted.js';
import { labelQuality } from '../src/data/label-quality.js';
import { LABELS, type LabelRow } from '../src/data/labels.js';
import { writeAtomic } from '../src/data/store/atomic.js';
import { removeInside } from '../src/data/store/inside.js';
import { openDataset } from '../src/data/store/manifest.js';
import { sealed } from '../src/data/store/sealed.js';
import { setFile } from '../src/data/store/set-files.js';
import { readTable, writeTable } from '../src/data/tables.js';
import { byTrajectory, INVALID, TRANSITIONS } from '../src/data/transitions.js';
import { RunError, UserError } from '../src/errors.js';
import { RATING_PROMPT_VERSION } from '../src/judges/rating-prompt.js';
import { stage, type StageContext } from '../src/runner/stage.js';
import { FILES, readLabels } from './datasets.js';
import { playedEpisodes, type PlayedEpisode } from './episodes/played.js';
import { answering, StepJudges, type JudgedStep } from './label/judge.js';
import { describeLabels } from './label/quality.js';
import { Label } from './label/settings.js';
import { rateByState, type StateRating } from './label/state.js';
import { LABELLED, type LabelledStep } from './label/steps.js';
import { once } from './resources.js';

/** Ratings of the steps of trajectories: what the value model of VEM learns (docs/labels.md). */
export const label = stage({
  name: 'label',
  summary: 'rate every step good or bad: by a judge, its outcome, or the state of the embedded phone',
  settings: Label,
  // those of the judges count where they rate (`derived`)
  neutral: ['judge', 'second', 'shows', 'budget_calls', 'budget_tokens', 'when_spent'],
  derived: (config) => {
    const { from, judge, second, shows } = config.label as Label;
    if (from !== 'judge') return {};
    return {
      'label.judge': { ...answering(judge), shows, prompt: RATING_PROMPT_VERSION },
      ...(second.model === '' ? {} : { 'label.second': answering(second) }),
    };
  },
  // all shards share the judges' limits of parallel questions
  workers: ({ from }) => (from === 'judge' ? 1 : undefined),
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
      columns: LABELLED,
    });
    const trajectories = [...byTrajectory(steps).values()];
    const progress = ctx.progress(steps.length, `steps of shard ${shard.id}`);
    const judged =
      from === 'judge' ? await (await judgesOf(ctx)).rate(trajectories, () => progress.advance()) : undefined;
    const played = from === 'state' || compare ? await playedOf(ctx) : undefined;
    async function* labelled(): AsyncGenerator<LabelRow> {
      for (const [t, trajectory] of trajectories.entries()) {
        ctx.signal.throwIfAborted();
        const states = played && (await statesOf(ctx, trajectory, played));
        for (const [i, step] of trajectory.entries()) {
          const second = judged?.[t].second?.[i];
          yield {
            ...compared(step, states?.[i]),
            ...(judged ? byJudge(judged[t].first[i], await judgesOf(ctx)) : byRule(from as Rule, step, states?.[i])),
            ...(second ? bySecond(second, await judgesOf(ctx)) : NO_SECOND),
          };
        }
        if (!judged) progress.advance(trajectory.length);
      }
    }
    const file = FILES.labels(shard.id);
    await writeTable(join(ctx.dataset('labels'), file), LABELS, labelled());
    progress.done();
    return [file];
  },
  finish: async (ctx) => {
    const folder = ctx.dataset('labels');
    const quality = labelQuality(await readLabels(folder));
    if (ctx.settings.from === 'judge') {
      const { first, second } = await judgesOf(ctx);
      for (const judge of [first, second]) if (judge) ctx.log.info(judge.summary);
    }
    const { steps, unknown } = quality;
    // if nothing is rated, the old result must not remain
    const file = setFile(folder, 'result');
    removeInside(folder, basename(file), file);
    if (unknown > 0 && unknown === steps)
      throw new RunError(
        `${ctx.instance}: none of ${counted(steps, 'step')} was rated: ${quality.reason}; fix the cause, then run the same command with --force`,
      );
    await writeAtomic(file, sealed(quality));
    if (unknown > 0)
      ctx.log.warn(
        `${unknown} of ${counted(steps, 'step')} have no rating (the column explanation says why); to ask again, run the same command with --force: the other answers are kept`,
      );
    for (const line of describeLabels(quality, ctx.settings)) ctx.log.info(line);
  },
});

/** The judges of this stage. */
function judgesOf(ctx: StageContext<Label>): Promise<StepJudges> {
  return once(ctx, 'judges of steps', () => new StepJudges(ctx));
}

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

/** The ratings by state of a trajectory; undefined if it cannot be replayed and they only serve to compare. */
async function statesOf(
  ctx: StageContext<Label>,
  trajectory: readonly LabelledStep[],
  played: (episode: number) => PlayedEpisode,
): Promise<StateRating[] | undefined> {
  const { settings, log } = ctx;
  try {
    return await rateByState(trajectory, played(Number(trajectory[0].trajectory)));
  } catch (error) {
    if (settings.from === 'state' || !(error instanceof UserError)) throw error;
    const { message } = error;
    log.debug(`not compared with the state of the phone: ${message}`);
    // one line, though every trajectory may differ
    await once(ctx, 'replay differs', () =>
      log.warn(
        `trajectories that the phone replays differently are not compared with its state; the first: ${message}`,
      ),
    );
    return undefined;
  }
}

type Rated = Pick<LabelRow, 'rating' | 'explanation' | 'source' | 'judge'>;
type Second = Pick<LabelRow, 'secondRating' | 'secondExplanation' | 'secondJudge'>;
/** What rates without a judge. */
type Rule = Exclude<Label['from'], 'judge'>;

/** Who the step is, and its ratings by outcome and state. */
function compared(step: LabelledStep, state: StateRating | undefined): Omit<LabelRow, keyof Rated | keyof Second> {
  return {
    tid: step.tid,
    trajectory: step.trajectory,
    step: step.step,
    actionType: step.actionType ?? INVALID,
    outcomeRating: outcomeOf(step),
    stateRating: state?.rating ?? null,
    stepsBefore: state?.before ?? null,
    stepsAfter: state?.after ?? null,
  };
}

/** Good in a successful trajectory, bad in a failed one. */
function outcomeOf({ trajectoryReward }: LabelledStep): 1 | 2 {
  return trajectoryReward > 0 ? 2 : 1;
}

function byRule(from: Rule, step: LabelledStep, state: StateRating | undefined): Rated {
  const outcome = outcomeOf(step);
  const explanation = `the trajectory ${outcome === 2 ? 'succeeded' : 'failed'}`;
  const rated = from === 'state' ? state! : { rating: outcome, explanation };
  return { rating: rated.rating, explanation: rated.explanation, source: from, judge: from };
}

function byJudge({ rating, explanation }: JudgedStep, { first }: StepJudges): Rated {
  return { rating, explanation, source: 'judge', judge: first.name };
}

const NO_SECOND: Second = { secondRating: null, secondExplanation: null, secondJudge: null };

function bySecond({ rating, explanation }: JudgedStep, { second }: StepJudges): Second {
  return { secondRating: rating, secondExplanation: explanation, secondJudge: second!.name };
}
