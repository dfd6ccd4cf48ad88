import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import {
  DigiRL,
  curriculum,
  doublyRobustAdvantages,
  filteredImitation,
  instructionValueLoss,
  keptSteps,
  releasedAdvantages,
  stepValueLoss,
} from '../../src/algorithms/digirl.js';
import {
  Parameters,
  constant,
  grad,
  input,
  openRuntime,
  toOnnx,
  type Runtime,
  type Tensor,
} from '../../src/graph/index.js';
import { instructionLogits, stepLogits, valueSpecs, type ValueConfig } from '../../src/models/value.js';
import { Random } from '../../src/random.js';

const runtime: Runtime = await openRuntime({ threads: 1 });
after(() => runtime.close());

function near(got: ArrayLike<number>, expected: readonly number[], tolerance = 1e-12): void {
  assert.equal(got.length, expected.length);
  expected.forEach((value, i) => assert.ok(Math.abs(got[i] - value) <= tolerance, `${i}: ${got[i]}, not ${value}`));
}

test('the value heads have the released widths: 3584, 768, 768, 2 for steps and 768, 768, 768, 2 for instructions', () => {
  const { hidden } = DigiRL.parse({});
  const specs = valueSpecs({ text: 768, image: 1408, hidden });
  const widths = (head: string) => [0, 2, 4].map((layer) => specs[`${head}.${layer}.weight`].shape);
  assert.deepEqual(widths('v2'), [
    [768, 3584],
    [768, 768],
    [2, 768],
  ]);
  assert.deepEqual(widths('instruction')[0], [768, 768]);
});

/** The network and its losses in float64, independent of the graphs. */
class Reference {
  constructor(
    private readonly config: ValueConfig,
    readonly weights: Map<string, { shape: readonly number[]; data: Float64Array }>,
  ) {}

  private logits(head: string, x: readonly number[]): number[] {
    let h = [...x];
    const layers = this.config.hidden.length + 1;
    for (let layer = 0; layer < layers; layer++) {
      const { shape, data } = this.weights.get(`${head}.${2 * layer}.weight`)!;
      const { data: bias } = this.weights.get(`${head}.${2 * layer}.bias`)!;
      h = Array.from({ length: shape[0] }, (_, row) => {
        const sum = h.reduce((total, value, i) => total + value * data[row * shape[1] + i], bias[row]);
        return layer + 1 < layers ? Math.max(0, sum) : sum;
      });
    }
    return h;
  }

  /** mean of -log p(class); class 1 is a return above 0 */
  private crossEntropy(head: string, rows: readonly (readonly number[])[], returns: readonly number[]): number {
    const losses = rows.map((row, i) => {
      const [failure, success] = this.logits(head, row);
      const largest = Math.max(failure, success);
      const total = largest + Math.log(Math.exp(failure - largest) + Math.exp(success - largest));
      return total - (returns[i] > 0 ? success : failure);
    });
    return losses.reduce((a, b) => a + b, 0) / losses.length;
  }

  loss(text: number[][], images: number[][], returns: readonly number[]): number {
    const states = text.map((row, i) => [...row, ...images[i]]);
    const steps = this.crossEntropy('v1', states, returns) + this.crossEntropy('v2', states, returns);
    return steps + this.crossEntropy('instruction', text, returns);
  }
}

test('the losses of the values and their gradients match a float64 reference and its finite differences', async () => {
  const config: ValueConfig = { text: 3, image: 2, hidden: [5, 4] };
  const params = Parameters.init(valueSpecs(config), 7);
  const random = new Random(1, 'data');
  const rows = 6;
  const matrix = (columns: number) =>
    Array.from({ length: rows }, () => Array.from({ length: columns }, () => random.normal()));
  const [text, images] = [matrix(3), matrix(4)];
  const returns = [0, 1, 0.25, 0, 0.5, 0];
  const p = params.inputs();
  const [t, i, r] = [input('t', [rows, 3]), input('i', [rows, 4]), input('r', [rows])];
  const twins: [Tensor, Tensor] = [stepLogits(p, config, 'v1', t, i), stepLogits(p, config, 'v2', t, i)];
  const [steps, instruction] = [stepValueLoss(twins, r), instructionValueLoss(instructionLogits(p, config, t), r)];
  const names = params.names();
  const gradients = [steps, instruction].flatMap((loss, k) => {
    const own = names.filter((name) => name.startsWith('instruction') === (k === 1));
    const wanted = grad(
      loss,
      own.map((name) => p[name]),
    );
    return own.map((name, j): [string, Tensor] => [`d ${name}`, wanted[j]]);
  });
  const session = await runtime.session(toOnnx({ steps, instruction, ...Object.fromEntries(gradients) }));
  const result = await session.run({
    ...params.arrays(),
    t: Float32Array.from(text.flat()),
    i: Float32Array.from(images.flat()),
    r: Float32Array.from(returns),
  });
  session.close();
  const weights = new Map(
    names.map((name) => [name, { shape: params.get(name).shape, data: Float64Array.from(params.get(name).data) }]),
  );
  const reference = new Reference(config, weights);
  const loss = () => reference.loss(text, images, returns);
  const got = Number((result.steps as Float32Array)[0]) + Number((result.instruction as Float32Array)[0]);
  assert.ok(Math.abs(got - loss()) < 1e-6, `${got}, not ${loss()}`);
  const h = 1e-6;
  for (const [name, { data }] of weights) {
    const gradient = result[`d ${name}`] as Float32Array;
    data.forEach((value, k) => {
      data[k] = value + h;
      const up = loss();
      data[k] = value - h;
      const difference = (up - loss()) / (2 * h);
      data[k] = value;
      assert.ok(Math.abs(gradient[k] - difference) < 1e-5, `${name}[${k}]: ${gradient[k]}, not ${difference}`);
    });
  }
});

test("the paper's advantage is the outcome close to a success, and the difference of values elsewhere", () => {
  const values = [0.2, 0.5, 0.4];
  const won = doublyRobustAdvantages({ rewards: [0, 0, 1], values }, 0.5);
  // λ^2 + (1 - λ^2)(V1 - V0), λ + (1 - λ)(V2 - V1), 1
  near(won, [0.25 + 0.75 * 0.3, 0.5 + 0.5 * -0.1, 1]);
  near(doublyRobustAdvantages({ rewards: [0, 0, 0], values }, 0.5), [0.3, -0.1, -0.4]);
  const settings = DigiRL.parse({});
  assert.deepEqual(keptSteps({ rewards: [0, 0, 0], values }, [0, 0, 0], settings, 10), [true, false, false]);
  // 1 / H: 0.3 is not above 1 / 3
  assert.deepEqual(keptSteps({ rewards: [0, 0, 0], values }, [0, 0, 0], settings, 3), [false, false, false]);
  assert.deepEqual(keptSteps({ rewards: [0, 0, 0], values }, [0, 0, 0], { ...settings, keep_above: -0.2 }, 3), [
    true,
    true,
    false,
  ]);
});

test('the released rule adds reward and return and subtracts the margin', () => {
  const trajectory = { rewards: [0, 1], values: [0.5, 0.6] };
  near(releasedAdvantages(trajectory, [0.5, 1], 0.05), [0.6 - 0.5 - 0.05 + 0.5, 0 - 0.6 - 0.05 + 1 + 1]);
  const settings = DigiRL.parse({ advantage: 'released' });
  const failed = { rewards: [0, 0, 0], values: [0.5, 0.54, 0.7] };
  // 0.04 is not above the margin
  assert.deepEqual(keptSteps(failed, [0, 0, 0], settings, 10), [false, true, false]);
});

test('the curriculum prefers successes on tasks that usually fail', () => {
  const attempts = [
    { id: 'easy won', reward: 1, instructionValue: 0.9 },
    { id: 'hard won', reward: 1, instructionValue: 0.2 },
    { id: 'easy lost', reward: 0, instructionValue: 0.9 },
    { id: 'hard lost', reward: 0, instructionValue: 0.1 },
  ];
  assert.deepEqual([...curriculum(attempts, 'instruction', 0.25)], ['hard won']);
  assert.deepEqual([...curriculum(attempts, 'instruction', 0.5)], ['hard won', 'easy won']);
  assert.deepEqual([...curriculum(attempts, 'instruction', 0.51)], ['hard won', 'easy won', 'hard lost']);
  assert.deepEqual([...curriculum(attempts, 'reward', 0.5)], ['easy won', 'hard won']);
  assert.deepEqual([...curriculum([], 'reward', 0.1)], []);

  // as numpy: quantile([0, 0, 1, 1], 0.9) = 1 keeps both successes, and quantile(0.5) = 0.5 the same
  assert.deepEqual([...curriculum(attempts, 'reward', 0.1)].length, 1);
  for (const top of [0.1, 0.5]) {
    const kept = curriculum(attempts, 'reward', top, 'keep');
    assert.deepEqual([...kept].sort(), ['easy won', 'hard won']);
  }
  assert.equal(curriculum(attempts, 'reward', 1, 'keep').size, attempts.length);
  assert.equal(curriculum([], 'reward', 0.1, 'keep').size, 0);
});

test('the imitation loss sums kept steps and divides by the number of all steps', async () => {
  const logs = constant([-1, -2, -4, -8], [4]);
  const session = await runtime.session(toOnnx({ loss: filteredImitation(logs, constant([1, 0, 1, 0], [4])) }));
  const { loss } = await session.run({});
  session.close();
  near(loss as Float32Array, [(1 + 4) / 4]);
});
