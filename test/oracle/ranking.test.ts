/** A critic's ranking beside the truth, on states whose numbers can be checked by hand. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatAction } from '../../src/agents/grammar.js';
import { tap, type Action } from '../../src/data/action.js';
import { rankingOf, type RankedState } from '../../src/oracle/ranking.js';
import { averageRanks, clusteredMean, correlation, slope } from '../../src/oracle/statistics.js';
import { meanOf, returnOf } from '../../src/oracle/table.js';
import { Random } from '../../src/random.js';

const OPTIONS = { gap: 0.25, errors: 0, aggregate: 'min', threshold: 0, gamma: 1 } as const;
const ACTIONS: readonly Action[] = [
  tap([0.1, 0.1]),
  tap([0.9, 0.9]),
  { type: 'TYPE', text: 'red lamp' },
  { type: 'PRESS_BACK' },
];

/** A state whose candidates succeed in so many of 10 episodes, and what the critic says. */
function state(
  wins: readonly number[],
  q: readonly number[],
  more: Partial<{ v: number; trueV: number; of: string; step: number }> = {},
) {
  const { v = 0, trueV = 0, of = String(wins), step = 0 } = more;
  const outcomes = (n: number): number[] => Array.from({ length: 10 }, (_, i) => (i < n ? 1 : 0));
  return {
    trajectory: of,
    step,
    candidates: {
      tid: 1,
      actions: wins.map((_, i) => formatAction(ACTIONS[i])),
      counts: wins.map(() => 1),
      valid: wins.map(() => true),
      logProbs: wins.map(() => 0),
    },
    truth: {
      tid: 1,
      rollouts: 10,
      q: wins.map((n) => n / 10),
      qError: wins.map(() => 0),
      v: trueV,
      vError: 0,
      outcomes: wins.flatMap(outcomes),
      stateOutcomes: outcomes(10 * trueV),
    },
    values: { tid: 1, q1: [...q], q2: q.map((value) => value + 1), v1: v, v2: v + 1 },
  } satisfies RankedState;
}

test('pairs count where the truth is far enough apart, and are sorted by kind', () => {
  // truth 0.2, 0.8, 0.3, 0.9: far pairs 01 03 12 23; the critic has 01 and 03 right, 12 and 23 wrong
  const one = rankingOf([state([2, 8, 3, 9], [0, 0.2, 0.5, 0.4])], OPTIONS);
  const rates = Object.fromEntries(Object.entries(one.pairs).map(([kind, { pairs, mean }]) => [kind, [pairs, mean]]));
  assert.deepEqual(rates, {
    all: [4, 0.5],
    'taken and untaken': [2, 1],
    'both untaken': [2, 0],
    'same action type': [1, 1],
    'both taps or swipes': [1, 1],
    'different action types': [3, 1 / 3],
  });
  assert.equal(rankingOf([state([2, 8, 3, 9], [0, 0.2, 0.5, 0.4])], { ...OPTIONS, gap: 0.65 }).pairs.all.pairs, 1);
  // 0.2 and 0.8 are 3.2 standard errors apart; 0.3 and 0.8 only 2.5, as 0.2 and 0.9 are 4.2, and 0.3 and 0.9 3.3
  assert.equal(rankingOf([state([2, 8, 3, 9], [0, 0.2, 0.5, 0.4])], { ...OPTIONS, errors: 3 }).pairs.all.pairs, 3);
  assert.equal(rankingOf([state([0, 9], [0.3, 0.3])], OPTIONS).pairs.all.mean, 0.5, 'a tie is half right');
});

test('best of N is compared with the action taken and with the best', () => {
  const states = [
    state([2, 8, 3], [0, 0.5, 0.1], { of: 'a', v: 0.2, trueV: 0.4 }), // takes 1, which is best
    state([6, 1], [0.2, 0.3], { of: 'b', v: 0.4, trueV: 0.5 }), // takes 1, which is worse, and does not imitate it
    state([5, 5], [0.3, 0.1], { of: 'c', v: 0.4, trueV: 0.5 }), // keeps
  ];
  const found = rankingOf(states, OPTIONS);
  assert.deepEqual(found.best_of_n, { same: 1, better: 1, equal: 0, worse: 1 });
  const close = (a: number | null, b: number) => assert.ok(a !== null && Math.abs(a - b) < 1e-12, `${a}, not ${b}`);
  close(found.values.taken.mean, 1.3 / 3);
  close(found.values.best_of_n.mean, 1.4 / 3);
  close(found.values.best.mean, 1.9 / 3);
  close(found.gain, 0.1 / 0.6);
  close(found.regret.mean, 0.5 / 3);
  close(found.values.policy.mean, 1.4 / 3);
  assert.equal(found.imitated.states, 1);
  close(found.imitated.gain, 0.4);
  close(found.imitated.gain_of_others, -0.2);
});

test('calibration separates the order within states from the level between them', () => {
  const well = [state([2, 8], [0.2, 0.8]), state([1, 3], [0.1, 0.3])];
  const right = rankingOf(well, OPTIONS).calibration;
  for (const part of [right.q_all, right.q_within, right.q_between])
    assert.ok(Math.abs(part.correlation! - 1) < 1e-9 && Math.abs(part.slope! - 1) < 1e-9);
  // the order is right, the level is turned round
  const wrong = rankingOf([state([2, 8], [0, 0.1]), state([1, 3], [0.7, 0.9])], OPTIONS).calibration;
  assert.ok(Math.abs(wrong.q_within.correlation! - Math.SQRT1_2) < 1e-9);
  assert.ok(Math.abs(wrong.q_between.correlation! + 1) < 1e-9);
  assert.ok(Math.abs(wrong.q_all.bias - (1.7 / 4 - 1.4 / 4)) < 1e-9);
});

test('the discount applies to the outcomes', () => {
  assert.deepEqual([returnOf(0, 0.5), returnOf(1, 0.5), returnOf(3, 0.5)], [0, 1, 0.25]);
  assert.deepEqual(meanOf([1, 0, 1, 0]), { mean: 0.5, error: Math.sqrt(1 / 3 / 4) });
  const late = state([0, 0], [0, 1]);
  late.truth.outcomes = [...new Array<number>(10).fill(1), ...new Array<number>(10).fill(3)];
  assert.equal(rankingOf([late], { ...OPTIONS, gamma: 0.5 }).pairs.all.mean, 0);
  assert.deepEqual(rankingOf([late], OPTIONS).pairs, {}, 'without a discount both always succeed');
});

test('the cross-fitted best is not flattered by chance', () => {
  const random = new Random(3, 'chance');
  // all four actions are equally good
  const states = Array.from({ length: 400 }, (_, i) => {
    const made = state([5, 5, 5, 5], [0, 0, 0, 0], { of: `${i}` });
    made.truth.outcomes = made.truth.outcomes.map(() => (random.chance(0.5) ? 1 : 0));
    return made;
  });
  const { values } = rankingOf(states, OPTIONS);
  assert.ok(values.best.mean > 0.62, `${values.best.mean}`);
  assert.ok(Math.abs(values.best_cross_fitted.mean - 0.5) < 0.03, `${values.best_cross_fitted.mean}`);
});

test('statistics', () => {
  assert.deepEqual(averageRanks([3, 1, 3, 2]), [3.5, 1, 3.5, 2]);
  assert.equal(correlation([1, 2, 3], [2, 4, 6]), 1);
  assert.equal(correlation([1, 1], [0, 1]), null);
  assert.equal(slope([1, 2, 3], [2, 4, 6]), 2);
  const apart = clusteredMean([0, 1, 0, 1], ['a', 'b', 'c', 'd']);
  const joined = clusteredMean([0, 0, 1, 1], ['a', 'a', 'b', 'b']);
  assert.equal(apart.mean, 0.5);
  assert.ok(joined.ci95![1] > apart.ci95![1], 'equal values of one trajectory are one observation');
  assert.deepEqual(clusteredMean([2, 0], ['a', 'b'], [4, 0]), { mean: 0.5, ci95: null });
});

test('the level of V is shown by the position in the episode', () => {
  const states = [
    state([0], [0], { step: 2, v: 0.1, trueV: 0.3, of: 'a' }),
    state([0], [0], { step: 0, v: 0.3, trueV: 0.5, of: 'b' }),
    state([0], [0], { step: 20, v: 0.9, trueV: 0.2, of: 'c' }),
  ];
  const found = rankingOf(states, OPTIONS).levels.map(({ from, to, states: n, v, truth }) => [from, to, n, v, truth]);
  assert.deepEqual(found, [
    [1, 3, 2, 0.2, 0.4],
    [16, null, 1, 0.9, 0.2],
  ]);
});
