import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  Optimizer,
  Parameters,
  Runtime,
  Trainer,
  TypedArray,
  adamW,
  add,
  addDecayedWeights,
  chain,
  clipByGlobalNorm,
  gather,
  input,
  linear,
  mean,
  mul,
  openRuntime,
  polyak,
  relu,
  scaleByAdam,
  scaleByLearningRate,
  square,
  sub,
  sum,
} from '../../src/graph/index.js';
import { UserError } from '../../src/errors.js';
import { Random } from '../../src/random.js';

const KINDS = ['ffi', 'node'] as const;
const runtimes: Record<string, Runtime> = {};
let folder = '';
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'critiq-training-'));
  for (const kind of KINDS) runtimes[kind] = await openRuntime({ kind, threads: 2 });
});
after(async () => {
  for (const kind of KINDS) await runtimes[kind].close();
  rmSync(folder, { recursive: true });
});

const uniform = (random: Random, n: number) => Float32Array.from({ length: n }, () => 2 * random.next() - 1);

/** A trainer whose gradients are its feeds: loss = Σ parameter · feed. */
function fedTrainer(
  runtime: Runtime,
  params: Parameters,
  optimizer: Optimizer,
  trainable?: (name: string) => boolean,
): Trainer<null> {
  return new Trainer({
    runtime,
    params,
    optimizer,
    trainable,
    loss: (p) => ({
      loss: Object.entries(p)
        .map(([name, w]) => sum(mul(w, input(`d ${name}`, w.shape))))
        .reduce((a, b) => add(a, b)),
    }),
  });
}

interface AdamState {
  p: Float64Array;
  m: Float64Array;
  v: Float64Array;
}

/** torch.optim.Adam or AdamW after torch.nn.utils.clip_grad_norm_, as documented, in float64. */
function referenceStep(
  states: AdamState[],
  gradients: Float64Array[],
  t: number,
  { lr, b1 = 0.9, b2 = 0.999, eps = 1e-8, clip = Infinity, decay = 0 }: Record<string, number> & { lr: number },
): number {
  const norm = Math.sqrt(gradients.reduce((total, g) => total + g.reduce((a, x) => a + x * x, 0), 0));
  const coefficient = Math.min(1, clip / (norm + 1e-6));
  states.forEach(({ p, m, v }, k) => {
    for (let i = 0; i < p.length; i++) {
      const g = gradients[k][i] * coefficient;
      p[i] -= lr * decay * p[i];
      m[i] = b1 * m[i] + (1 - b1) * g;
      v[i] = b2 * v[i] + (1 - b2) * g * g;
      const [mHat, vHat] = [m[i] / (1 - b1 ** t), v[i] / (1 - b2 ** t)];
      p[i] -= (lr * mHat) / (Math.sqrt(vHat) + eps);
    }
  });
  return norm;
}

function closeTo(got: ArrayLike<number>, want: ArrayLike<number>, tolerance: number, what: string): void {
  assert.equal(got.length, want.length, what);
  let [worst, top] = [0, 1e-12];
  for (let i = 0; i < want.length; i++) {
    worst = Math.max(worst, Math.abs(got[i] - want[i]));
    top = Math.max(top, Math.abs(want[i]));
  }
  assert.ok(worst <= tolerance * top, `${what}: differs by ${worst} of ${top}`);
}

/** a single value, less than a cache line, and two blocks and a rest */
const SHAPES = { bias: [1], odd: [3, 5], large: [2, 2 ** 18 + 7] };

for (const kind of KINDS) {
  for (const [name, decay, clip] of [
    ['Adam with clipping', 0, 0.01],
    ['AdamW without clipping', 0.1, Infinity],
  ] as const) {
    test(`${name} matches torch's formulas at every step (${kind})`, async () => {
      const random = new Random(2, name);
      const params = Parameters.init(
        {
          bias: { shape: SHAPES.bias, init: 'ones' },
          odd: { shape: SHAPES.odd, init: { normal: 0.5 } },
          large: { shape: SHAPES.large, init: { uniform: 0.3 } },
        },
        7,
      );
      const clipping = Number.isFinite(clip) ? [clipByGlobalNorm(clip)] : [];
      const optimizer = chain(...clipping, ...adamW({ weightDecay: decay }), scaleByLearningRate());
      const trainer = fedTrainer(runtimes[kind], params, optimizer);
      const states = params.names().map((n): AdamState => {
        const p = Float64Array.from(params.get(n).data);
        return { p, m: new Float64Array(p.length), v: new Float64Array(p.length) };
      });
      for (let t = 1; t <= 4; t++) {
        // Two micro-batches, averaged.
        const gradients = params.names().map((n) => new Float64Array(params.get(n).data.length));
        for (let micro = 0; micro < 2; micro++) {
          const feeds = Object.fromEntries(
            params.names().map((n) => [`d ${n}`, uniform(random, params.get(n).data.length)]),
          );
          params.names().forEach((n, k) => feeds[`d ${n}`].forEach((x, i) => (gradients[k][i] += x / 2)));
          await trainer.accumulate(null, feeds);
        }
        const lr = 1e-2 / t;
        const norm = referenceStep(states, gradients, t, { lr, decay, clip });
        const { gradNorm } = await trainer.apply(lr, 2);
        closeTo([gradNorm], [norm], 1e-5, `gradient norm of step ${t}`);
      }
      params.names().forEach((n, k) => closeTo(params.get(n).data, states[k].p, 2e-6, n));
      trainer.close();
    });
  }
}

test('frozen parameters do not change, have no state, and do not count in the gradient norm', async () => {
  const params = Parameters.init(
    { a: { shape: [4], init: 'ones' }, frozen: { shape: [4], init: 'ones' }, b: { shape: [4], init: 'ones' } },
    0,
  );
  const trainer = fedTrainer(
    runtimes.ffi,
    params,
    chain(scaleByAdam(), scaleByLearningRate()),
    (name) => name !== 'frozen',
  );
  const three = new Float32Array(4).fill(3);
  await trainer.accumulate(null, { 'd a': three, 'd frozen': three, 'd b': three });
  const { gradNorm } = await trainer.apply(0.1, 1);
  closeTo([gradNorm], [Math.sqrt(8 * 9)], 1e-6, 'norm of a and b only');
  assert.deepEqual([...params.get('frozen').data], [1, 1, 1, 1]);
  for (const name of ['a', 'b']) closeTo(params.get(name).data, [0.9, 0.9, 0.9, 0.9], 1e-6, name);
  assert.throws(() => trainer.gradient('frozen'), /frozen is not a trained parameter/);
  trainer.close();
});

test('a transform for some parameters does not change the others', async () => {
  const params = Parameters.init({ weight: { shape: [5], init: 'ones' }, bias: { shape: [5], init: 'ones' } }, 0);
  const optimizer = chain(
    addDecayedWeights(0.5, (name) => name === 'weight'),
    scaleByLearningRate(),
  );
  const trainer = fedTrainer(runtimes.ffi, params, optimizer);
  const one = new Float32Array(5).fill(1);
  await trainer.accumulate(null, { 'd weight': one, 'd bias': one });
  await trainer.apply(0.1, 1);
  closeTo(params.get('weight').data, new Float32Array(5).fill(1 - 0.1 * 1.5), 1e-6, 'weight');
  closeTo(params.get('bias').data, new Float32Array(5).fill(1 - 0.1), 1e-6, 'bias');
  trainer.close();
});

/** A small network with an embedding whose rows repeat in the batch; buckets are batch sizes. */
function network(runtime: Runtime, params: Parameters, sessions?: number, lanes?: number): Trainer<{ batch: number }> {
  return new Trainer({
    runtime,
    params,
    sessions,
    lanes,
    optimizer: chain(clipByGlobalNorm(1), scaleByAdam(), scaleByLearningRate()),
    loss: (p, { batch }) => {
      const x = gather(p.table, input('ids', [batch], 'int64'));
      const y = linear(relu(linear(x, p['first.weight'], p['first.bias'])), p['second.weight']);
      const error = square(sub(y, input('target', [batch, 3])));
      return { loss: mean(error), metrics: { worst: error } };
    },
  });
}

const newNetwork = () =>
  Parameters.init(
    {
      table: { shape: [300, 16], init: { normal: 1 } },
      'first.weight': { shape: [33, 16], init: { uniform: 0.3 } },
      'first.bias': { shape: [33], init: 'zeros' },
      'second.weight': { shape: [3, 33], init: { uniform: 0.3 } },
    },
    5,
  );

function microBatch(trainer: Trainer<{ batch: number }>, micro: number): Promise<Record<string, TypedArray>> {
  const random = new Random(3, 'batch', micro);
  const batch = 5 + (micro % 3);
  const ids = BigInt64Array.from({ length: batch }, () => BigInt(random.int(4)));
  const target = Float32Array.from({ length: batch * 3 }, (_, i) => Number(ids[Math.floor(i / 3)]) - (i % 3));
  return trainer.accumulate({ batch }, { ids, target });
}

async function train(trainer: Trainer<{ batch: number }>, from: number, to: number): Promise<number[]> {
  const losses: number[] = [];
  for (let micro = from; micro < to; micro++) {
    const { loss } = await microBatch(trainer, micro);
    losses.push((loss as Float32Array)[0]);
    if (micro % 2 === 1) await trainer.apply(1e-2, 2);
  }
  return losses;
}

const bits = (params: Parameters) =>
  params
    .names()
    .map((name) =>
      Buffer.from(
        new Uint8Array(
          params.get(name).data.buffer,
          params.get(name).data.byteOffset,
          params.get(name).data.byteLength,
        ),
      ).toString('hex'),
    );

for (const kind of KINDS) {
  test(`training that was stopped at any micro-batch and resumed ends bit-identical (${kind})`, async () => {
    const straight = newNetwork();
    const whole = network(runtimes[kind], straight);
    const losses = await train(whole, 0, 12);
    whole.close();
    assert.ok(losses[11] < losses[0], 'it learns');
    for (const stop of [2, 5]) {
      const [stateFile, paramsFile] = [join(folder, `${kind}-${stop}-state`), join(folder, `${kind}-${stop}-params`)];
      const first = newNetwork();
      const before = network(runtimes[kind], first);
      await train(before, 0, stop);
      await before.save(stateFile);
      await first.save(paramsFile);
      before.close();
      const second = Parameters.load(paramsFile);
      const resumed = network(runtimes[kind], second);
      await resumed.load(stateFile);
      assert.equal(resumed.step, Math.floor(stop / 2));
      await train(resumed, stop, 12);
      resumed.close();
      assert.deepEqual(
        Object.fromEntries(second.names().map((name, i) => [name, bits(second)[i]])),
        Object.fromEntries(straight.names().map((name, i) => [name, bits(straight)[i]])),
      );
    }
  });
}

for (const kind of KINDS) {
  test(`concurrent micro-batches give the same step as sequential ones (${kind})`, async () => {
    const one = newNetwork();
    const alone = network(runtimes[kind], one);
    /** Trains with 5 concurrent micro-batches per step. With `file`, another trainer resumes from it after two steps. */
    const sideBySide = async (lanes: number, file?: string): Promise<Parameters> => {
      const params = newNetwork();
      let trainer = network(runtimes[kind], params, undefined, lanes);
      for (let step = 0; step < 4; step++) {
        const asked = Array.from({ length: 5 }, (_, k) => microBatch(trainer, 5 * step + k));
        const applied = trainer.apply(1e-2, 5);
        await Promise.all([...asked, applied]);
        if (step !== 1 || file === undefined) continue;
        await trainer.save(file);
        trainer.close();
        trainer = network(runtimes[kind], params, undefined, lanes);
        await trainer.load(file);
      }
      trainer.close();
      return params;
    };
    for (let step = 0; step < 4; step++) {
      for (let k = 0; k < 5; k++) await microBatch(alone, 5 * step + k);
      await alone.apply(1e-2, 5);
    }
    alone.close();
    const [two, again] = [await sideBySide(2), await sideBySide(2, join(folder, `${kind}-lanes`))];
    assert.deepEqual(bits(again), bits(two), 'bit-identical each time, also after a restart');
    assert.deepEqual(bits(await sideBySide(1)), bits(one));
    for (const name of one.names()) closeTo(two.get(name).data, one.get(name).data, 1e-5, name);
  });

  test(`gradient() and a state saved within a step include the gradients of all lanes (${kind})`, async () => {
    const [a, b] = [newNetwork(), newNetwork()];
    const [alone, laned] = [network(runtimes[kind], a), network(runtimes[kind], b, undefined, 2)];
    for (let k = 0; k < 3; k++) await Promise.all([microBatch(alone, k), microBatch(laned, k)]);
    closeTo(laned.gradient('table'), alone.gradient('table'), 1e-6, 'gradient');
    const file = join(folder, `${kind}-between`);
    await laned.save(file);
    const resumed = network(runtimes[kind], b, undefined, 2);
    await resumed.load(file);
    closeTo(resumed.gradient('table'), alone.gradient('table'), 1e-6, 'gradient after a restart');
    for (const trainer of [alone, laned, resumed]) trainer.close();
  });
}

test('the result does not depend on the number of sessions kept', async () => {
  const [many, one] = [newNetwork(), newNetwork()];
  const [a, b] = [network(runtimes.ffi, many), network(runtimes.ffi, one, 1)];
  assert.deepEqual(await train(a, 0, 8), await train(b, 0, 8));
  assert.deepEqual(bits(one), bits(many));
  a.close();
  b.close();
});

test('loading the state of other parameters is an error', async () => {
  const file = join(folder, 'other-state');
  const trainer = network(runtimes.ffi, newNetwork());
  await train(trainer, 0, 2);
  await trainer.save(file);
  trainer.close();
  const other = fedTrainer(runtimes.ffi, Parameters.zeros({ table: [2] }), chain(scaleByAdam(), scaleByLearningRate()));
  await assert.rejects(
    other.load(file),
    (error: Error) =>
      error instanceof UserError &&
      /other-state: m\.table: expected an array of shape \[2\], got \[300,16\]/.test(error.message),
  );
  const plain = Parameters.zeros({ w: [2] });
  await plain.save(join(folder, 'no-state'));
  await assert.rejects(other.load(join(folder, 'no-state')), /no-state: not an optimizer state/);
  other.close();
});

test('wrong feeds, and apply without accumulate, are errors', async () => {
  const trainer = network(runtimes.ffi, newNetwork());
  await assert.rejects(trainer.apply(0.1, 1), /call accumulate first/);
  const target = new Float32Array(6);
  await assert.rejects(trainer.accumulate({ batch: 2 }, { target }), /ids is missing/);
  await assert.rejects(
    trainer.accumulate({ batch: 2 }, { target, ids: new BigInt64Array(3) }),
    /ids: expected 2 values for shape \[2\], got 3/,
  );
  await assert.rejects(
    trainer.accumulate({ batch: 2 }, { target, ids: new BigInt64Array(2), x: target }),
    /the model has no x; expected /,
  );
  trainer.close();
});

test('Polyak averaging moves the target by tau', () => {
  const [target, online] = [Parameters.zeros({ w: [3], b: [1] }), Parameters.zeros({ w: [3], b: [1] })];
  online.get('w').data.set([1, 2, 3]);
  target.get('w').data.set([0, 1, -1]);
  polyak(target, online, 0.25);
  assert.deepEqual([...target.get('w').data], [0.25, 1.25, 0]);
  assert.deepEqual([...online.get('w').data], [1, 2, 3]);
  assert.throws(
    () => polyak(target, Parameters.zeros({ w: [3] }), 0.1),
    /expected 2 parameters of the same names, got 1/,
  );
  assert.throws(() => polyak(target, Parameters.zeros({ w: [4], b: [1] }), 0.1), /w: shapes \[3\] and \[4\] differ/);
});
