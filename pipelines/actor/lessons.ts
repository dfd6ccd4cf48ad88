import { join } from 'node:path';
import type { TextTokenizer } from '../../src/agents/text/tokenizer.js';
import {
  advantages,
  bestCandidate,
  scoredCandidates,
  scoredSamples,
  type ActorSettings,
} from '../../src/algorithms/digiq.js';
import { imitated, type FilteredBC } from '../../src/algorithms/filteredbc.js';
import { counted } from '../../src/counted.js';
import { splitTrajectories } from '../../src/data/replay.js';
import { readTable } from '../../src/data/tables.js';
import { VALUES, type ValueRow } from '../../src/data/transitions.js';
import { UserError } from '../../src/errors.js';
import { Random } from '../../src/random.js';
import type { StageContext } from '../../src/runner/stage.js';
import { readCandidates, readTransitions } from '../datasets.js';
import { criticSplit } from '../training/critic-split.js';

/** What the lessons depend on. */
export type LessonSettings = ActorSettings & {
  readonly method: 'digiq' | 'filteredbc';
  readonly filteredbc: FilteredBC;
};

/** An action to train on, as tokens with the end token, and its weight in the loss. */
export interface Lesson {
  readonly tokens: readonly number[];
  /** clamped as the settings say; unused if all lessons weigh the same */
  readonly advantage: number;
  /** false where there is nothing to learn: the row then counts as 0 in the mean */
  readonly learned: boolean;
}

/** The states that the actor trains on. */
export interface Lessons {
  readonly count: number;
  /** whether every lesson is learned */
  readonly all: boolean;
  /** the prompt of a state as tokens, and the id of its image vector */
  state(row: number): { readonly prompt: readonly number[]; readonly image: string };
  /** The action to train on in a state. @param draw number of the row since the start of training; seeds lessons that are drawn anew each time */
  lesson(row: number, draw: number): Lesson;
}

/** A part of the trajectories, split as the critic's are. */
export interface Part {
  readonly part: 'train' | 'validation';
  /** fraction that is held out */
  readonly validation: number;
}

/** Encodes actions; undefined for those that the policy cannot generate, since they would lengthen the padding of their batch. */
class Actions {
  private readonly known = new Map<string, readonly number[] | undefined>();

  constructor(
    private readonly tokenizer: TextTokenizer,
    private readonly longest: number,
  ) {}

  encode(action: string): readonly number[] | undefined {
    if (!this.known.has(action)) {
      const tokens = this.tokenizer.encode(action);
      this.known.set(action, tokens.length <= this.longest + 1 ? tokens : undefined);
    }
    return this.known.get(action);
  }
}

/** A state with the lesson that was chosen for it once and for all. */
interface Fixed {
  readonly prompt: string;
  readonly image: string;
  readonly action: string;
  readonly advantage: number;
}

/**
 * The lessons of a method.
 * @param policy its tokenizer, and the most tokens of an action
 * @param part undefined: all trajectories
 * @throws UserError if there is nothing to learn
 */
export async function lessonsOf(
  ctx: StageContext<LessonSettings>,
  policy: { readonly tokenizer: TextTokenizer; readonly maxTokens: number },
  part?: Part,
): Promise<Lessons> {
  const { settings } = ctx;
  const actions = new Actions(policy.tokenizer, policy.maxTokens);
  if (settings.method === 'digiq' && settings.scored === 'samples')
    return sampledLessons(ctx, policy.tokenizer, actions, part);
  const found = await (settings.method === 'digiq' ? digiqLessons(ctx, part) : filteredLessons(ctx, part));
  const lessons = found.flatMap(({ action, prompt, image, advantage }) => {
    const tokens = actions.encode(action);
    return tokens
      ? [{ prompt: policy.tokenizer.encode(prompt), image, lesson: { tokens, advantage, learned: true } }]
      : [];
  });
  if (lessons.length < found.length) {
    ctx.log.warn(
      `${found.length - lessons.length} of ${counted(found.length, 'action')} left out: longer than the ${policy.maxTokens} tokens that the policy can generate`,
    );
  }
  if (lessons.length === 0 && part?.part === 'validation')
    throw new UserError(
      `actor.validation=${part.validation}: nothing can be learned in the held-out trajectories; hold out more`,
    );
  if (lessons.length === 0) {
    throw new UserError(
      settings.method === 'digiq'
        ? `actor.threshold=${settings.threshold}: no action has a higher advantage; lower it, or check the critic`
        : 'actor.method=filteredbc: no trajectory succeeded, so there is nothing to imitate; collect more, or with a better policy',
    );
  }
  return { count: lessons.length, all: true, state: (row) => lessons[row], lesson: (row) => lessons[row].lesson };
}

/** The actions of successful trajectories. */
async function filteredLessons(ctx: StageContext<LessonSettings>, part?: Part): Promise<Fixed[]> {
  const rows = await trainingRows(ctx, part);
  const good = imitated(new Map(rows.map((row) => [row.trajectory, row.trajectoryReward])), ctx.settings.filteredbc);
  return rows.filter(({ trajectory }) => good.has(trajectory)).map((row) => ({ ...row, advantage: 0 }));
}

/**
 * The lessons of Digi-Q, one a state: the best scored candidate, with best_of_n only where its advantage exceeds the
 * threshold (others add nothing to the loss and are left out); or the action taken.
 */
async function digiqLessons(ctx: StageContext<LessonSettings>, part?: Part): Promise<Fixed[]> {
  const { settings, seed } = ctx;
  const states = await scoredStates(ctx, part);
  const { onBest, threshold } = ruleOf(settings);
  const lessons: Fixed[] = [];
  let changed = 0;
  for (const state of states) {
    const { tid, prompt, image, advantage, actions } = state;
    let chosen = 0;
    if (onBest) {
      const random = new Random(seed, 'actor', 'n', tid);
      const scored = scoredCandidates(actions.length, settings.n, (k) => random.int(k));
      const best = bestOf(state, scored, threshold);
      if (best === undefined) continue;
      chosen = best;
      if (chosen !== 0) changed++;
    }
    lessons.push({ prompt, image, action: actions[chosen], advantage: clamped(advantage[chosen], settings) });
  }
  if (onBest) {
    const what = settings.loss === 'best_of_n' ? 'an action above the threshold' : 'a valid action';
    ctx.log.info(
      `${lessons.length} of ${counted(states.length, 'state')} have ${what}; in ${changed} of them it differs from the action taken`,
    );
  }
  return lessons;
}

/**
 * The lessons of Digi-Q as its code draws them (docs/algorithms.md §2.5): all states, and for each batch anew the best of n
 * samples. A state where none is above the threshold, or all are invalid, adds 0 to the loss.
 */
async function sampledLessons(
  ctx: StageContext<LessonSettings>,
  tokenizer: TextTokenizer,
  encoded: Actions,
  part?: Part,
): Promise<Lessons> {
  const { settings, seed } = ctx;
  const states = await scoredStates(ctx, part);
  const prompts = states.map(({ prompt }) => tokenizer.encode(prompt));
  const { onBest, threshold } = ruleOf(settings);
  const reachable = states.filter(({ advantage, valid }) => advantage.some((a, i) => valid[i] && a > threshold)).length;
  ctx.log.info(`${reachable} of ${counted(states.length, 'state')} have a stored action that can be learned`);
  if (reachable === 0) {
    throw new UserError(
      `actor.threshold=${settings.threshold}: no stored action has a higher advantage; lower it, or check the critic`,
    );
  }
  return {
    count: states.length,
    all: false,
    state: (row) => ({ prompt: prompts[row], image: states[row].image }),
    lesson: (row, draw) => {
      const { tid, advantage, actions, counts } = states[row];
      let chosen: number | undefined = 0;
      if (onBest) {
        const random = new Random(seed, 'actor', 'samples', draw, tid);
        const scored = scoredSamples(counts, settings.n, (k) => random.int(k));
        chosen = bestOf(states[row], scored, threshold);
      }
      const tokens = chosen === undefined ? undefined : encoded.encode(actions[chosen]);
      // a short action instead, which adds little padding
      if (!tokens) return { tokens: [tokenizer.eos], advantage: 0, learned: false };
      return { tokens, advantage: clamped(advantage[chosen!], settings), learned: true };
    },
  };
}

/** Whether lessons are the best of the scored actions, and above which advantage: without best_of_n, whatever it is. */
function ruleOf({ loss, action, threshold }: LessonSettings): { onBest: boolean; threshold: number } {
  const filtered = loss === 'best_of_n';
  return { onBest: filtered || action === 'best', threshold: filtered ? threshold : -Infinity };
}

/** The best of a state's scored candidates, as an index of all its candidates; undefined if none is above the threshold. */
function bestOf(
  { advantage, valid }: Pick<ScoredState, 'advantage' | 'valid'>,
  scored: readonly number[],
  threshold: number,
): number | undefined {
  const best = bestCandidate(
    scored.map((i) => ({ advantage: advantage[i], valid: valid[i] })),
    threshold,
  );
  return best === undefined ? undefined : scored[best];
}

function clamped(advantage: number, { loss, advantage_clamp: range }: LessonSettings): number {
  return range === null || loss === 'best_of_n' ? advantage : Math.min(range[1], Math.max(range[0], advantage));
}

/** A state with its candidates and their advantages. */
interface ScoredState {
  readonly tid: number;
  readonly prompt: string;
  readonly image: string;
  readonly actions: readonly string[];
  readonly counts: readonly number[];
  readonly valid: readonly boolean[];
  readonly advantage: readonly number[];
}

async function scoredStates(ctx: StageContext<LessonSettings>, part?: Part): Promise<ScoredState[]> {
  const rows = await trainingRows(ctx, part);
  const candidates = new Map(
    (await readCandidates(ctx.dataset('candidates'), 'candidates')).map((row) => [row.tid, row]),
  );
  const values = new Map<number, ValueRow>(
    (await readTable(join(ctx.dataset('values'), 'values.parquet'), VALUES)).map((row) => [row.tid, row]),
  );
  return rows.map(({ tid, prompt, image }) => {
    const { actions, counts, valid } = candidates.get(tid)!;
    return {
      tid,
      prompt,
      image,
      actions,
      counts,
      valid,
      advantage: advantages(values.get(tid)!, ctx.settings.aggregate),
    };
  });
}

/** The transitions to train on: all, or those of the critic's training trajectories; of these, a part. */
async function trainingRows(ctx: StageContext<LessonSettings>, part?: Part) {
  const all = await criticsRows(ctx);
  if (part === undefined) return all;
  const { split } = ctx.config.critic as { split: 'seed' | 'order' };
  const ids = all.map(({ trajectory }) => trajectory);
  const kept = splitTrajectories(ids, ctx.seed, 1 - part.validation, split)[part.part];
  return all.filter(({ trajectory }) => kept.has(trajectory));
}

async function criticsRows(ctx: StageContext<LessonSettings>) {
  const rows = await readTransitions(ctx.dataset('trajectories'), 'collect', [
    'tid',
    'trajectory',
    'prompt',
    'image',
    'action',
    'trajectoryReward',
  ]);
  if (ctx.settings.data === 'all') return rows;
  const { train } = criticSplit(ctx, rows);
  return rows.filter(({ trajectory }) => train.has(trajectory));
}
