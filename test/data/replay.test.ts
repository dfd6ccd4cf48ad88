import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MinibatchSampler, splitTrajectories } from '../../src/data/replay.js';
import { monteCarloReturns } from '../../src/data/returns.js';

const ids = Array.from({ length: 50 }, (_, i) => `t${i}`);

test('the split puts four of five trajectories into training, and each on one side only', () => {
  const { train, validation } = splitTrajectories([...ids, ...ids], 0);
  assert.deepEqual([train.size, validation.size], [40, 10]);
  assert.deepEqual([...train, ...validation].sort(), [...ids].sort());
});

test('the split depends on the ids and the seed, not on their order', () => {
  const split = splitTrajectories(ids, 3);
  assert.deepEqual(splitTrajectories([...ids].reverse(), 3), split);
  assert.notDeepEqual(splitTrajectories(ids, 4).validation, split.validation);
});

test('a split by order takes the first trajectories for training, whatever the seed', () => {
  const { train, validation } = splitTrajectories([...ids, ...ids], 7, 0.8, 'order');
  assert.deepEqual([...train], ids.slice(0, 40));
  assert.deepEqual([...validation], ids.slice(40));
});

test('with two or more trajectories, neither side of a split is empty', () => {
  for (const fraction of [0, 0.01, 0.99, 1]) {
    const { train, validation } = splitTrajectories(['a', 'b', 'c'], 1, fraction);
    assert.ok(train.size > 0 && validation.size > 0);
  }
  assert.deepEqual(splitTrajectories(['a'], 1).train, new Set(['a']));
  assert.equal(splitTrajectories([], 1).train.size, 0);
});

test('every epoch has every transition once, in a new order', () => {
  const sampler = new MinibatchSampler(10, 4, 7, 'critic');
  const drawn = Array.from({ length: 10 }, (_, step) => [...sampler.indices(step)]).flat();
  const epochs = [0, 1, 2, 3].map((epoch) => drawn.slice(10 * epoch, 10 * epoch + 10));
  for (const epoch of epochs) {
    assert.deepEqual(
      [...epoch].sort((a, b) => a - b),
      [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    );
  }
  assert.equal(new Set(epochs.map(String)).size, 4);
});

for (const mode of ['epochs', 'uniform'] as const) {
  test(`${mode}: a minibatch depends only on the seed, the label and the step`, () => {
    const sampler = (seed: number, label: string) => new MinibatchSampler(13, 5, seed, label, mode);
    const straight = sampler(1, 'critic');
    const all = Array.from({ length: 30 }, (_, step) => straight.indices(step));
    const jumping = sampler(1, 'critic');
    for (const step of [29, 3, 17, 0, 17]) assert.deepEqual(jumping.indices(step), all[step]);
    assert.notDeepEqual(sampler(2, 'critic').indices(0), all[0]);
    assert.notDeepEqual(sampler(1, 'actor').indices(0), all[0]);
    assert.ok(all.every((batch) => batch.length === 5 && batch.every((index) => index >= 0 && index < 13)));
  });
}

test('a sampler without transitions or with an empty batch is an error', () => {
  assert.throws(() => new MinibatchSampler(0, 4, 0, 'critic'), /critic: expected at least 1 transition, got 0/);
  assert.throws(() => new MinibatchSampler(4, 0, 0, 'critic'), /critic: expected a batch of at least 1, got 0/);
});

test('returns are the discounted sums of rewards to the end', () => {
  assert.deepEqual([...monteCarloReturns([0, 0, 1], 0.5)], [0.25, 0.5, 1]);
  assert.deepEqual([...monteCarloReturns([1, 2, 3], 1)], [6, 5, 3]);
  assert.deepEqual([...monteCarloReturns([1, 2, 3], 0)], [1, 2, 3]);
  assert.deepEqual([...monteCarloReturns([], 0.9)], []);
});
