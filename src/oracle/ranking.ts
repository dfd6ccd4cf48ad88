import { AGGREGATES, advantages, bestCandidate, type ActorSettings } from '../algorithms/digiq.js';
import { actionColumns } from '../agents/action-columns.js';
import type { CandidateRow, ValueRow } from '../data/transitions.js';
import { averageRanks, clusteredMean, correlation, slope, type Estimate } from './statistics.js';
import { meanOf, returnOf, type OracleRow } from './table.js';

/** A measured state: the truth, and what a critic says of it. */
export interface RankedState {
  /** states of one trajectory are not independent */
  readonly trajectory: string;
  /** position in it, from 0 */
  readonly step: number;
  readonly candidates: CandidateRow;
  readonly truth: OracleRow;
  readonly values: ValueRow;
}

export interface RankingOptions {
  /** pairs count if their true values differ by at least this */
  readonly gap: number;
  /** and by more than this many standard errors of the difference */
  readonly errors: number;
  /** how the twins become one value */
  readonly aggregate: ActorSettings['aggregate'];
  /** the actor imitates above this advantage */
  readonly threshold: number;
  /** discount of the true values: the critic's, or 1 for success rates */
  readonly gamma: number;
}

/** Pairs of candidates of one state whose order the critic gets right. */
export interface PairAccuracy extends Estimate {
  readonly pairs: number;
}

/** How well a critic knows which action is better, beside the truth. */
export interface Ranking {
  readonly states: number;
  readonly candidates: number;
  readonly rollouts: number;
  /** by kind of pair; kinds without a pair are left out */
  readonly pairs: Readonly<Record<string, PairAccuracy>>;
  /** mean over the states of Spearman's correlation of advantage and truth, where neither is constant */
  readonly rank_correlation: Estimate & { readonly states: number };
  /** mean true value lost by taking the critic's best action instead of the truly best one */
  readonly regret: Estimate;
  /** mean true values of what could be done in the states */
  readonly values: Readonly<Record<'policy' | 'taken' | 'best_of_n' | 'best' | 'best_cross_fitted', Estimate>>;
  /** share of the gain from the action taken to the truly best one that best-of-N finds; null without such a gain */
  readonly gain: number | null;
  /** the same with the cross-fitted best action, whose value is not biased upwards */
  readonly gain_cross_fitted: number | null;
  /** states in which best-of-N keeps the action taken, or takes a better, an equally good or a worse one */
  readonly best_of_n: Readonly<Record<'same' | 'better' | 'equal' | 'worse', number>>;
  /** states whose best action the actor imitates: its advantage is above the threshold */
  readonly imitated: Imitated;
  /** the critic's V beside the truth, by the position in the episode: is the level right far from the end? */
  readonly levels: readonly Level[];
  /** how Q follows the truth */
  readonly calibration: Readonly<Record<'q_all' | 'q_within' | 'q_between' | 'v', Calibration>>;
}

/** States at the steps from `from` up to `to` (from 1; null: no end). */
export interface Level {
  readonly from: number;
  readonly to: number | null;
  readonly states: number;
  /** mean V of the critic, and mean true value */
  readonly v: number;
  readonly truth: number;
  /** of V and truth; null where one side is constant */
  readonly correlation: number | null;
}

/** Steps of an episode that are looked at together, the first ones of each. */
const LEVELS = [0, 3, 6, 9, 15];

interface Imitated {
  readonly states: number;
  /** mean of its true value minus that of the policy, in these states and in the others */
  readonly gain: number | null;
  readonly gain_of_others: number | null;
}

export interface Calibration {
  readonly n: number;
  /** null where one side is constant */
  readonly correlation: number | null;
  /** of the least-squares line of the truth on the prediction: 1 is ideal */
  readonly slope: number | null;
  /** mean of prediction minus truth; 0 by construction within states */
  readonly bias: number;
}

/** Kinds of pairs. */
const KINDS: Readonly<Record<string, (i: number, types: readonly string[], j: number) => boolean>> = {
  all: () => true,
  'taken and untaken': (i) => i === 0,
  'both untaken': (i) => i !== 0,
  'same action type': (i, types, j) => types[i] === types[j],
  'both taps or swipes': (i, types, j) => types[i] === 'DUAL_POINT' && types[j] === 'DUAL_POINT',
  'both typed texts': (i, types, j) => types[i] === 'TYPE' && types[j] === 'TYPE',
  'different action types': (i, types, j) => types[i] !== types[j],
};

/** Compares a critic's values of some states with their true values. @param states at least one */
export function rankingOf(states: readonly RankedState[], options: RankingOptions): Ranking {
  const rows = states.map((state) => judged(state, options));
  const groups = rows.map(({ trajectory }) => trajectory);
  const over = (of: (row: Judged) => number) => clusteredMean(rows.map(of), groups);
  const pairs: Record<string, PairAccuracy> = {};
  for (const [kind, belongs] of Object.entries(KINDS)) {
    const found = rows.map((row) => pairsOf(row, belongs, options));
    const total = found.reduce((sum, { pairs: n }) => sum + n, 0);
    if (total === 0) continue;
    const weights = found.map(({ pairs: n }) => n);
    const { mean, ci95 } = clusteredMean(
      found.map(({ right }) => right),
      groups,
      weights,
    );
    // a share
    pairs[kind] = { pairs: total, mean, ci95: ci95 && [Math.max(0, ci95[0]), Math.min(1, ci95[1])] };
  }
  const ranked = rows.flatMap(({ trajectory, advantage, q }) => {
    const found = correlation(averageRanks(advantage), averageRanks(q));
    return found === null ? [] : [{ trajectory, found }];
  });
  const values = {
    policy: over(({ v }) => v),
    taken: over(({ q }) => q[0]),
    best_of_n: over(({ q, chosen }) => q[chosen]),
    best: over(({ q }) => Math.max(...q)),
    best_cross_fitted: over(({ crossFitted }) => crossFitted),
  };
  const share = (best: Estimate) => {
    const possible = best.mean - values.taken.mean;
    return possible > 0 ? (values.best_of_n.mean - values.taken.mean) / possible : null;
  };
  const within = (of: (row: Judged) => readonly number[]) =>
    rows.flatMap((row) => {
      const all = of(row);
      const { mean } = meanOf(all);
      return all.map((value) => value - mean);
    });
  const imitated = rows.filter(({ best }) => best !== undefined);
  const others = rows.filter(({ best }) => best === undefined);
  const gainOf = (some: readonly Judged[]) =>
    some.length === 0 ? null : meanOf(some.map(({ q, v, chosen }) => q[chosen] - v)).mean;
  const kinds = rows.map(({ q, chosen }) =>
    chosen === 0 ? 'same' : q[chosen] > q[0] ? 'better' : q[chosen] < q[0] ? 'worse' : 'equal',
  );
  const count = (kind: (typeof kinds)[number]) => kinds.filter((one) => one === kind).length;
  return {
    states: rows.length,
    candidates: rows.reduce((sum, { q }) => sum + q.length, 0),
    rollouts: Math.min(...states.map(({ truth }) => truth.rollouts)),
    pairs,
    rank_correlation: {
      states: ranked.length,
      ...clusteredMean(
        ranked.map(({ found }) => found),
        ranked.map(({ trajectory }) => trajectory),
      ),
    },
    regret: over(({ q, chosen }) => Math.max(...q) - q[chosen]),
    values,
    gain: share(values.best),
    gain_cross_fitted: share(values.best_cross_fitted),
    best_of_n: { same: count('same'), better: count('better'), equal: count('equal'), worse: count('worse') },
    levels: LEVELS.flatMap((from, i): Level[] => {
      const to = LEVELS[i + 1] ?? null;
      const own = rows.filter(({ step }) => step >= from && (to === null || step < to));
      if (own.length === 0) return [];
      const [v, truth] = [own.map(({ scoreV }) => scoreV), own.map(({ v: value }) => value)];
      const means = { v: meanOf(v).mean, truth: meanOf(truth).mean, correlation: correlation(v, truth) };
      return [{ from: from + 1, to, states: own.length, ...means }];
    }),
    imitated: { states: imitated.length, gain: gainOf(imitated), gain_of_others: gainOf(others) },
    calibration: {
      q_all: calibration(
        rows.flatMap(({ score }) => score),
        rows.flatMap(({ q }) => q),
      ),
      q_within: calibration(
        within(({ score }) => score),
        within(({ q }) => q),
      ),
      q_between: calibration(
        rows.map(({ score }) => meanOf(score).mean),
        rows.map(({ q }) => meanOf(q).mean),
      ),
      v: calibration(
        rows.map(({ scoreV }) => scoreV),
        rows.map(({ v }) => v),
      ),
    },
  };
}

/** A state with everything that is compared. */
interface Judged {
  readonly trajectory: string;
  readonly step: number;
  readonly types: readonly string[];
  /** true values and their standard errors */
  readonly q: readonly number[];
  readonly error: readonly number[];
  readonly v: number;
  /** the critic's Q, advantages and V */
  readonly score: readonly number[];
  readonly advantage: readonly number[];
  readonly scoreV: number;
  /** what best-of-N takes without a threshold: where no candidate is valid, the action taken */
  readonly chosen: number;
  /** what the actor imitates; undefined: nothing */
  readonly best: number | undefined;
  /** value of the best action, chosen by half of the episodes and measured by the others */
  readonly crossFitted: number;
}

function judged({ trajectory, step, candidates, truth, values }: RankedState, options: RankingOptions): Judged {
  const { aggregate, threshold, gamma } = options;
  const of = AGGREGATES[aggregate];
  const n = candidates.actions.length;
  const { rollouts } = truth;
  const returns = Array.from({ length: n }, (_, i) =>
    truth.outcomes.slice(i * rollouts, (i + 1) * rollouts).map((outcome) => returnOf(outcome, gamma)),
  );
  const means = returns.map(meanOf);
  const advantage = advantages(values, aggregate);
  const scored = advantage.map((one, i) => ({ advantage: one, valid: candidates.valid[i] }));
  return {
    trajectory,
    step,
    types: candidates.actions.map((text) => String(actionColumns(text).actionType)),
    q: means.map(({ mean }) => mean),
    error: means.map(({ error }) => error),
    v: meanOf(truth.stateOutcomes.map((outcome) => returnOf(outcome, gamma))).mean,
    score: values.q1.map((first, i) => of(first, values.q2[i])),
    advantage,
    scoreV: of(values.v1, values.v2),
    chosen: bestCandidate(scored, -Infinity) ?? 0,
    best: bestCandidate(scored, threshold),
    crossFitted: crossFitted(returns),
  };
}

/**
 * The value of the best candidate without the luck of being chosen by its own measurement: one half of the episodes chooses
 * it, the other half measures it, and the other way round. It is a little too low, as the largest mean is too high.
 */
function crossFitted(returns: readonly (readonly number[])[]): number {
  const halves = [0, 1].map((odd) => returns.map((some) => meanOf(some.filter((_, i) => i % 2 === odd)).mean));
  const chosen = halves.map((by) => by.indexOf(Math.max(...by)));
  return (halves[1][chosen[0]] + halves[0][chosen[1]]) / 2;
}

function pairsOf(
  { types, q, error, advantage }: Judged,
  belongs: (typeof KINDS)[string],
  { gap, errors }: RankingOptions,
): { readonly pairs: number; readonly right: number } {
  let [pairs, right] = [0, 0];
  for (let i = 0; i < q.length; i++)
    for (let j = i + 1; j < q.length; j++) {
      const difference = Math.abs(q[i] - q[j]);
      if (difference < gap || difference <= errors * Math.hypot(error[i], error[j]) || !belongs(i, types, j)) continue;
      pairs++;
      const [by, truly] = [advantage[i] - advantage[j], q[i] - q[j]];
      // a tie is right half of the time
      right += by === 0 ? 0.5 : by > 0 === truly > 0 ? 1 : 0;
    }
  return { pairs, right };
}

function calibration(predicted: readonly number[], truth: readonly number[]): Calibration {
  return {
    n: predicted.length,
    correlation: correlation(predicted, truth),
    slope: slope(predicted, truth),
    bias: meanOf(predicted).mean - meanOf(truth).mean,
  };
}
