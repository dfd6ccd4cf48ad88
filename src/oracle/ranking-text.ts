import type { Ranking } from './ranking.js';
import type { Estimate } from './statistics.js';

/** A number for people, and what it is. */
export type RankingLine = readonly [what: string, ...values: string[]];

/** The rows of a table of rankings: a name, and what each ranking has there. */
export function rankingRows(rankings: readonly Ranking[]): RankingLine[] {
  const row = (what: string, of: (ranking: Ranking) => string): RankingLine => [what, ...rankings.map(of)];
  const kinds = [...new Set(rankings.flatMap(({ pairs }) => Object.keys(pairs)))];
  return [
    row('states, candidates', ({ states, candidates }) => `${states}, ${candidates}`),
    ...kinds.map((kind) =>
      row(`pairs right: ${kind}`, ({ pairs: { [kind]: found } }) =>
        found ? `${estimate(found)}, ${found.pairs} pairs` : '–',
      ),
    ),
    row('rank correlation in a state', ({ rank_correlation: found }) => estimate(found)),
    row('true value: the policy itself', ({ values }) => estimate(values.policy, 3)),
    row('true value: action taken', ({ values }) => estimate(values.taken, 3)),
    row('true value: best of N', ({ values }) => estimate(values.best_of_n, 3)),
    row('true value: best (chosen and measured apart)', ({ values }) => estimate(values.best_cross_fitted, 3)),
    row('true value: best (largest mean, too high)', ({ values }) => estimate(values.best, 3)),
    row('share of the gain that best of N finds', ({ gain, gain_cross_fitted: fitted }) =>
      fitted === null ? '–' : `${percent(fitted)} (of the largest means ${gain === null ? '–' : percent(gain)})`,
    ),
    row('regret of best of N', ({ regret }) => estimate(regret, 3)),
    row(
      'best of N: same, better, equal, worse',
      ({ best_of_n: n }) => `${n.same}, ${n.better}, ${n.equal}, ${n.worse}`,
    ),
    row('states that the actor imitates', ({ imitated, states }) => `${imitated.states} of ${states}`),
    row('true advantage of what is imitated', ({ imitated }) => decimal(imitated.gain, 3)),
    row('true advantage of what is left out', ({ imitated }) => decimal(imitated.gain_of_others, 3)),
    ...[...new Set(rankings.flatMap(({ levels }) => levels.map(({ from }) => from)))]
      .sort((a, b) => a - b)
      .map((from) => {
        const at = ({ levels }: Ranking) => levels.find((level) => level.from === from);
        const to = rankings.map((ranking) => at(ranking)?.to).find((end) => end !== undefined);
        const steps = to == null ? `from step ${from}` : `steps ${from} to ${to}`;
        return row(`V, truth, correlation: ${steps}`, (ranking) => {
          const level = at(ranking);
          return level
            ? `${decimal(level.v, 3)}, ${decimal(level.truth, 3)}, ${decimal(level.correlation)} (${level.states} states)`
            : '–';
        });
      }),
    ...(['q_all', 'q_within', 'q_between', 'v'] as const).flatMap((part) => [
      row(`${PARTS[part]}: correlation`, ({ calibration }) => decimal(calibration[part].correlation)),
      row(`${PARTS[part]}: slope`, ({ calibration }) => decimal(calibration[part].slope)),
      ...(part === 'q_all' || part === 'v'
        ? [row(`${PARTS[part]}: mean error`, ({ calibration }) => decimal(calibration[part].bias, 3))]
        : []),
    ]),
  ];
}

const PARTS = {
  q_all: 'Q of all candidates and the truth',
  q_within: 'Q within states',
  q_between: 'Q between states',
  v: 'V and the truth',
} as const;

function estimate({ mean, ci95 }: Estimate, digits = 2): string {
  return ci95 === null
    ? decimal(mean, digits)
    : `${decimal(mean, digits)} (${decimal(ci95[0], digits)} to ${decimal(ci95[1], digits)})`;
}

function decimal(value: number | null, digits = 2): string {
  return value === null || !Number.isFinite(value) ? '–' : value.toFixed(digits).replace('-', '−');
}

function percent(share: number): string {
  return `${(100 * share).toFixed(0).replace('-', '−')} %`;
}
