import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FilteredBC, imitated } from '../../src/algorithms/filteredbc.js';
import { wilson95 } from '../../src/data/interval.js';

const rewards = new Map([
  ['a', 0],
  ['b', 1],
  ['c', 0.5],
  ['d', 1],
  ['e', 0],
]);

test('Filtered BC imitates only trajectories with a reward above 0', () => {
  assert.deepEqual([...imitated(rewards, FilteredBC.parse({}))].sort(), ['b', 'c', 'd']);
});

test('Filtered BC can imitate the best fraction of all trajectories, but never a failure', () => {
  assert.deepEqual([...imitated(rewards, { top: 0.2 })], ['b']);
  assert.deepEqual([...imitated(rewards, { top: 0.4 })].sort(), ['b', 'd']);
  assert.deepEqual([...imitated(rewards, { top: 1 })].sort(), ['b', 'c', 'd']);
});

test("Wilson's interval has known values, stays within [0, 1] and is symmetric", () => {
  // R: prop.test(c(8), c(10), correct = FALSE)
  const [low, high] = wilson95(8, 10);
  assert.ok(Math.abs(low - 0.4901625) < 1e-6 && Math.abs(high - 0.9433178) < 1e-6, `${low} ${high}`);
  assert.deepEqual(wilson95(0, 0), [0, 1]);
  assert.equal(wilson95(0, 20)[0], 0);
  const [l, h] = wilson95(3, 20);
  const [l2, h2] = wilson95(17, 20);
  assert.ok(Math.abs(l - (1 - h2)) < 1e-12 && Math.abs(h - (1 - l2)) < 1e-12);
});
