import assert from 'node:assert/strict';
import { test } from 'node:test';
import { agreementByType, ratingAgreement } from '../../src/data/rating-agreement.js';

const pairs = (counts: readonly [both: number, first: number, second: number, neither: number]) =>
  counts.flatMap((count, i) =>
    Array.from({ length: count }, () => ({
      first: i === 0 || i === 1 ? (2 as const) : (1 as const),
      second: i === 0 || i === 2 ? (2 as const) : (1 as const),
    })),
  );

test("Cohen's kappa of a known table", () => {
  // the example of https://en.wikipedia.org/wiki/Cohen%27s_kappa: 20 5 10 15, kappa 0.4
  const found = ratingAgreement(pairs([20, 5, 10, 15]));
  assert.deepEqual([found.items, found.accuracy], [50, 0.7]);
  assert.ok(Math.abs(found.kappa! - 0.4) < 1e-12);
});

test('a rater that guesses has kappa 0, one that always disagrees -1, and equal constant raters none', () => {
  assert.equal(ratingAgreement(pairs([30, 30, 20, 20])).kappa, 0);
  assert.equal(ratingAgreement(pairs([0, 10, 10, 0])).kappa, -1);
  assert.deepEqual([ratingAgreement(pairs([9, 0, 0, 0])).accuracy, ratingAgreement(pairs([9, 0, 0, 0])).kappa], [1, null]); // prettier-ignore
  assert.equal(ratingAgreement([]).accuracy, null);
});

test('unknown ratings are in no number, and types come by their steps', () => {
  const rows = [
    ...pairs([3, 1, 0, 0]).map((pair) => ({ ...pair, actionType: 'TYPE' })),
    ...pairs([1, 0, 0, 1]).map((pair) => ({ ...pair, actionType: 'DUAL_POINT' })),
    { first: null, second: 2 as const, actionType: 'DUAL_POINT' },
    { first: null, second: null, actionType: 'PRESS_HOME' },
  ];
  const { all, types } = agreementByType(rows, (row) => row);
  assert.deepEqual([all.items, all.bothGood, all.onlyFirstGood, all.bothBad], [6, 4, 1, 1]);
  assert.deepEqual(types.map(({ type, items, accuracy }) => [type, items, accuracy]), [['TYPE', 4, 0.75], ['DUAL_POINT', 2, 1]]); // prettier-ignore
});
