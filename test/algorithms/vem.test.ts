/** VEM's loss against PyTorch's numbers (test/fixtures/python/make_vem.py) and finite differences; ratings and weights. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { sampledLogProb, sampleWeight, VemSettings, vemLoss } from '../../src/algorithms/vem.js';
import { expectedRating, goodProbability } from '../../src/data/rating.js';
import {
  chain,
  clipByGlobalNorm,
  constant,
  grad,
  input,
  matmul,
  openRuntime,
  Parameters,
  reshape,
  scaleByAdam,
  scaleByLearningRate,
  toOnnx,
  Trainer,
  type Runtime,
} from '../../src/graph/index.js';
import { Random } from '../../src/random.js';

interface Golden {
  readonly shape: [batch: number, length: number, width: number, vocabulary: number];
  readonly lr: number;
  readonly clip: number;
  readonly x: number[];
  readonly labels: number[];
  readonly mask: number[];
  readonly cases: {
    readonly name: string;
    readonly weights: number[];
    readonly clamp: [number, number] | null;
    readonly matrix: number[];
    readonly log_prob: number[];
    readonly loss: number;
    readonly gradient: number[];
    readonly steps: { readonly loss: number; readonly norm: number; readonly matrix: number[] }[];
  }[];
}

const golden = JSON.parse(readFileSync('test/fixtures/golden/vem.json', 'utf8')) as Golden;
const [batch, length, width, vocabulary] = golden.shape;
const runtime: Runtime = await openRuntime({ threads: 1 });
after(() => runtime.close());

const labels = constant(BigInt64Array.from(golden.labels, BigInt), [batch, length], 'int64');
const mask = constant(golden.mask, [batch, length]);
const x = constant(golden.x, [batch * length, width]);

function near(what: string, got: ArrayLike<number>, expected: readonly number[], tolerance = 1e-5): void {
  assert.equal(got.length, expected.length, what);
  const scale = Math.max(1, ...expected.map(Math.abs));
  expected.forEach((value, i) =>
    assert.ok(Math.abs(got[i] - value) <= tolerance * scale, `${what}[${i}]: ${got[i]}, not ${value}`),
  );
}

/** `matrix` · x */
function logitsOf(matrix: readonly number[]): number[] {
  return Array.from({ length: batch * length * vocabulary }, (_, at) => {
    const [row, token] = [Math.floor(at / vocabulary), at % vocabulary];
    let total = 0;
    for (let k = 0; k < width; k++) total += golden.x[row * width + k] * matrix[k * vocabulary + token];
    return total;
  });
}

for (const { name, weights, clamp, matrix, ...expected } of golden.cases) {
  test(`loss, gradient and two steps of Adam are those of PyTorch (${name})`, async () => {
    const logits = input('logits', [batch, length, vocabulary]);
    const logs = sampledLogProb(logits, labels, mask, { log_prob_clamp: clamp });
    const loss = vemLoss(logs, constant(weights, [batch]));
    const session = await runtime.session(toOnnx({ loss, logs, gradient: grad(loss, [logits])[0] }));
    const result = await session.run({ logits: Float32Array.from(logitsOf(matrix)) });
    session.close();
    near('log-probability', result.logs as Float32Array, expected.log_prob);
    near('loss', result.loss as Float32Array, [expected.loss]);
    near('gradient', result.gradient as Float32Array, expected.gradient, 1e-6);

    const params = Parameters.from({ matrix: { shape: [width, vocabulary], data: matrix } });
    const trainer = new Trainer<null>({
      runtime,
      params,
      optimizer: chain(clipByGlobalNorm(golden.clip), scaleByAdam(), scaleByLearningRate()),
      loss: (p) => {
        const all = reshape(matmul(x, p.matrix), [batch, length, vocabulary]);
        return {
          loss: vemLoss(sampledLogProb(all, labels, mask, { log_prob_clamp: clamp }), constant(weights, [batch])),
        };
      },
    });
    for (const step of expected.steps) {
      const { loss: at } = await trainer.accumulate(null, {});
      const { gradNorm } = await trainer.apply(golden.lr, 1);
      near('loss of a step', at as Float32Array, [step.loss]);
      near('norm before clipping', [gradNorm], [step.norm]);
      near('matrix', params.get('matrix').data, step.matrix, 1e-4);
    }
    trainer.close();
  });
}

test('the gradient of the loss matches finite differences of a float64 reference', async () => {
  const random = new Random(3, 'logits');
  const values = Float64Array.from({ length: batch * length * vocabulary }, () => 2 * random.normal());
  const weights = [0, 1, 0.5, 0.25];
  const reference = () => {
    let total = 0;
    for (let row = 0; row < batch * length; row++) {
      const own = values.subarray(row * vocabulary, (row + 1) * vocabulary);
      const all = own.reduce((sum, value) => sum + Math.exp(value), 0);
      const p = Math.min(0.99, Math.max(0.001, Math.exp(own[golden.labels[row]]) / all));
      total -= (weights[Math.floor(row / length)] * golden.mask[row] * Math.log(p)) / batch;
    }
    return total;
  };
  const logits = input('logits', [batch, length, vocabulary]);
  const logs = sampledLogProb(logits, labels, mask, VemSettings.parse({}));
  const loss = vemLoss(logs, constant(weights, [batch]));
  const session = await runtime.session(toOnnx({ loss, gradient: grad(loss, [logits])[0] }));
  const result = await session.run({ logits: Float32Array.from(values) });
  session.close();
  near('loss', result.loss as Float32Array, [reference()]);
  const h = 1e-6;
  values.forEach((value, i) => {
    values[i] = value + h;
    const up = reference();
    values[i] = value - h;
    const difference = (up - reference()) / (2 * h);
    values[i] = value;
    near(`gradient ${i}`, [(result.gradient as Float32Array)[i]], [difference]);
  });
});

test('a bad action teaches nothing, as released it weighs half, and an unparsable one never counts', () => {
  const defaults = VemSettings.parse({});
  const weigh = (good: number | undefined, changed: object = {}) => sampleWeight(good, { ...defaults, ...changed });
  assert.deepEqual([weigh(0.2), weigh(0.5), weigh(0.51), weigh(undefined)], [0, 0, 1, 0]);
  const released = { weights: [0.5, 1] };
  assert.deepEqual([weigh(0.2, released), weigh(0.9, released), weigh(undefined, released)], [0.5, 1, 0]);
  assert.deepEqual([weigh(0.7, { threshold: 0.8 }), weigh(0.81, { threshold: 0.8 })], [0, 1]);
  const soft = { weighting: 'expected' };
  assert.deepEqual([weigh(0.25, soft), weigh(undefined, soft)], [0.25, 0]);
  assert.equal(weigh(0.25, { ...soft, ...released }), 0.625);
});

test('the value is the expected rating, from the log-probabilities of both digits and normalised over them', () => {
  assert.equal(goodProbability({ bad: -3, good: -3 }), 0.5);
  // most of the probability is on other tokens; the digits still tell
  const good = goodProbability({ bad: Math.log(0.01), good: Math.log(0.03) });
  assert.ok(Math.abs(good - 0.75) < 1e-12, String(good));
  assert.deepEqual([expectedRating(0), expectedRating(good), expectedRating(1)], [1, 1 + good, 2]);
  assert.equal(goodProbability({ bad: -Infinity, good: -1 }), 1);
  assert.equal(goodProbability({ bad: -1, good: -Infinity }), 0);
});

test('the defaults are the published settings, except for the weight of bad actions', () => {
  const { batch_size, grad_accum_steps, lr, max_grad_norm, log_prob_clamp, epochs, validation, temperature, weights } =
    VemSettings.parse({});
  assert.equal(batch_size * grad_accum_steps, 96);
  assert.deepEqual([lr, max_grad_norm, epochs, validation, temperature], [1e-6, 0.01, 20, 0.05, 1]);
  assert.deepEqual(log_prob_clamp, [0.001, 0.99]);
  assert.deepEqual(weights, [0, 1]);
});
