import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MetricsLine } from '../../src/data/metrics.js';
import { Random } from '../../src/random.js';
import { reliability } from '../../src/report/reliability.js';
import { calibrationVerdict, fitInWords, fitOf } from '../../src/report/verdicts.js';

const lines = (...losses: (readonly [loss: number | null, validation: number | null])[]): MetricsLine[] =>
  losses.map(([loss, validation_loss], i) => ({ shard: 'only', step: 10 * (i + 1), loss, validation_loss }));

test('a critic overfits where its validation loss rises while its training loss falls', () => {
  // the demo's critic
  const fit = fitOf(lines([0.0897, 0.0798], [0.0711, 0.0995], [0.0619, 0.0941]))!;
  assert.equal(fit.kind, 'overfits');
  assert.equal(
    fitInWords('critic', fit),
    'critic overfits: its validation loss rises from 0.0798 (step 10) to 0.0941 (step 30), while its training loss falls from 0.0897 to 0.0619. Fewer iterations, more data or more weight decay may help; keep_best=true would keep the weights of step 10.',
  );
  assert.equal(
    fitInWords('critic', { ...fit, kept: true }),
    'critic kept the weights of step 10: its validation loss rises from 0.0798 (step 10) to 0.0941 (step 30) afterwards.',
  );
  assert.equal(fitOf(lines([0.09, 0.08], [0.07, 0.07], [0.06, 0.072]))!.kind, 'fine', 'within 5 % of the lowest');
  assert.equal(fitOf(lines([0.09, 0.08], [0.1, 0.12]))!.kind, 'worsens', 'both rise');
});

test('the training loss is the mean since the validation before; too few validations give no verdict', () => {
  const sparse = lines([4, null], [2, 3], [1, null], [null, null], [0.5, 2]);
  const { best, last } = fitOf(sparse)!;
  assert.deepEqual(last, { step: 50, validation: 2, training: 0.75 });
  assert.equal(best, last);
  assert.equal(fitOf(lines([1, null], [0.5, null])), undefined);
  assert.equal(fitOf(lines([1, 1])), undefined);
  assert.equal(fitOf([]), undefined);
});

/** Steps of 200 trajectories with returns of 0 or 1, of which `predict` sees the true probability. */
function made(predict: (probability: number) => number, seed = 0) {
  const random = new Random(seed, 'verdicts');
  const [predicted, observed, group]: [number[], number[], string[]] = [[], [], []];
  for (let i = 0; i < 200; i++) {
    for (let k = 0; k < 5; k++) {
      const probability = random.next();
      predicted.push(predict(probability));
      observed.push(random.chance(probability) ? 1 : 0);
      group.push(String(i));
    }
  }
  return reliability({ predicted, observed, group })!;
}

test('calibration in words: good, overconfident, too cautious, biased', () => {
  const words = (predict: (probability: number) => number) => {
    const verdict = calibrationVerdict({ validation: made(predict) })!;
    return { level: verdict.level, text: verdict.sentences.join(' ') };
  };
  const good = words((p) => p);
  assert.equal(good.level, 'good');
  assert.match(good.text, /^On held-out trajectories, Q is well calibrated/);
  assert.match(good.text, /no sign that Q is over- or underconfident/);
  assert.ok(!good.text.includes('On average'), good.text);
  assert.match(words((p) => 2 * p - 0.5).text, /slope is 0\.\d+ .*Q is overconfident/);
  assert.match(words((p) => 0.25 + p / 2).text, /slope is [12]\.\d+ .*Q is too cautious/);
  const high = words((p) => p + 0.2);
  assert.equal(high.level, 'poor');
  assert.match(high.text, /On average Q is 0\.\d+ too high/);
  assert.match(words(() => 0.5).text, /^On held-out trajectories, Q is (well|fairly well) calibrated/);
});

test('held-out trajectories are judged first, and a gap to the training ones is named', () => {
  const trained = made((p) => p);
  const random = new Random(1, 'noise');
  const held = made((p) => p + 0.5 * random.normal());
  const { sentences } = calibrationVerdict({ train: trained, validation: held })!;
  assert.match(sentences.at(-1)!, /^On training trajectories the correlation is 0\.\d+, so part of/);
  assert.equal(calibrationVerdict({}), undefined);
  assert.match(calibrationVerdict({ all: trained })!.sentences[0], /^On all trajectories/);
});

test('the interval of the slope counts trajectories, not steps', () => {
  const steps = made((p) => p);
  const { predicted, observed }: { predicted: number[]; observed: number[] } = { predicted: [], observed: [] };
  const group: string[] = [];
  // every step ten times over in the same trajectory tells nothing new
  const random = new Random(2, 'slope');
  for (let i = 0; i < 60; i++) {
    const probability = random.next();
    const outcome = random.chance(probability) ? 1 : 0;
    for (let k = 0; k < 10; k++) {
      predicted.push(probability);
      observed.push(outcome);
      group.push(String(i));
    }
  }
  const wide = (one: typeof steps) => one.slope_ci95![1] - one.slope_ci95![0];
  const repeated = reliability({ predicted, observed, group })!;
  const apart = reliability({ predicted, observed, group: group.map((_, i) => String(i)) })!;
  assert.ok(Math.abs(repeated.slope! - apart.slope!) < 1e-12);
  assert.ok(wide(repeated) > 2.5 * wide(apart), `${wide(repeated)} against ${wide(apart)}`);
  assert.ok(steps.slope_ci95![0] < 1 && 1 < steps.slope_ci95![1]);
});
