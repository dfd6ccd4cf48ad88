import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Sampler } from '../../src/agents/policy/sampler.js';
import {
  Forward,
  Parameters,
  Runtime,
  Tensor,
  Trainer,
  TypedArray,
  adamW,
  add,
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
  scaleByLearningRate,
  square,
  sub,
  toOnnx,
} from '../../src/graph/index.js';
import { SECOND_HOST } from '../../src/graph/ort/device.js';
import { openFfi } from '../../src/graph/ort/ffi.js';
import { snapshot, writable } from '../../src/graph/residence.js';
import { OptimizerState } from '../../src/graph/state.js';
import { autoUISpecs, type AutoUIConfig } from '../../src/models/autoui/config.js';
import { Random } from '../../src/random.js';

// The device here is the CPU with separate memory, which covers all of residence except CUDA itself.
const openDevice = () => openFfi(2, () => SECOND_HOST);
let host: Runtime;
let device: Runtime;
let folder = '';
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'critiq-resident-'));
  host = await openRuntime({ kind: 'ffi', threads: 2 });
  device = await openDevice();
});
after(async () => {
  await device.close();
  await host.close();
  rmSync(folder, { recursive: true });
});

const newNetwork = () =>
  Parameters.init(
    {
      table: { shape: [300, 16], init: { normal: 1 } },
      'first.weight': { shape: [33, 16], init: { uniform: 0.3 } },
      'first.bias': { shape: [33], init: 'zeros' },
      'frozen.scale': { shape: [16], init: 'ones' },
      'second.weight': { shape: [3, 33], init: { uniform: 0.3 } },
    },
    5,
  );

function network(runtime: Runtime, params: Parameters, lanes = 1): Trainer<{ batch: number }> {
  return new Trainer({
    runtime,
    params,
    lanes,
    trainable: (name) => !name.startsWith('frozen'),
    optimizer: chain(clipByGlobalNorm(0.5), ...adamW({ weightDecay: 0.01 }), scaleByLearningRate()),
    loss: (p, { batch }) => {
      const x = mul(gather(p.table, input('ids', [batch], 'int64')), p['frozen.scale']);
      const y = linear(relu(linear(x, p['first.weight'], p['first.bias'])), p['second.weight']);
      const error = square(sub(y, input('target', [batch, 3])));
      return { loss: mean(error), metrics: { worst: error } };
    },
  });
}

function microBatch(trainer: Trainer<{ batch: number }>, micro: number): Promise<Record<string, TypedArray>> {
  const random = new Random(3, 'batch', micro);
  const batch = 5 + (micro % 3);
  const ids = BigInt64Array.from({ length: batch }, () => BigInt(random.int(4)));
  const target = Float32Array.from({ length: batch * 3 }, (_, i) => Number(ids[Math.floor(i / 3)]) - (i % 3));
  return trainer.accumulate({ batch }, { ids, target });
}

/** Trains with five concurrent micro-batches per step. Returns every loss and gradient norm. */
async function train(trainer: Trainer<{ batch: number }>, from: number, to: number): Promise<number[]> {
  const seen: number[] = [];
  for (let step = from; step < to; step++) {
    const asked = Array.from({ length: 5 }, (_, k) => microBatch(trainer, 5 * step + k));
    const applied = trainer.apply(1e-2, 5);
    for (const { loss } of await Promise.all(asked)) seen.push(Number(loss[0]));
    seen.push((await applied).gradNorm);
  }
  return seen;
}

const values = (params: Parameters) =>
  Object.fromEntries(params.names().map((name) => [name, params.get(name).data.slice()]));

/** The array as code with an old reference sees it, without moving its values to the host. */
const held = (params: Parameters, name: string) => params.arrays()[name];

for (const lanes of [1, 2]) {
  test(`training on a device is bit-identical to training in place, lanes: ${lanes}`, async () => {
    const [plain, resident] = [newNetwork(), newNetwork()];
    const [a, b] = [network(host, plain, lanes), network(device, resident, lanes)];
    assert.deepEqual(await train(b, 0, 4), await train(a, 0, 4));
    assert.ok(
      held(resident, 'table').every((value) => Number.isNaN(value)),
      'between steps the values stay on the device',
    );
    assert.deepEqual(values(resident), values(plain));
    // Reading moved the values to the host; the next step moves them back.
    assert.deepEqual(await train(b, 4, 6), await train(a, 4, 6));
    assert.deepEqual(values(resident), values(plain));
    a.close();
    b.close();
  });
}

test('gradients of several lanes can be read between micro-batches', async () => {
  const [a, b] = [network(host, newNetwork(), 2), network(device, newNetwork(), 2)];
  for (let k = 0; k < 3; k++) await Promise.all([microBatch(a, k), microBatch(b, k)]);
  for (const name of ['table', 'second.weight']) assert.deepEqual(b.gradient(name), a.gradient(name), name);
  assert.throws(() => b.gradient('frozen.scale'), /frozen\.scale is not a trained parameter/);
  a.close();
  b.close();
});

test('a device can resume a state saved on the host in the middle of a step, and vice versa', async () => {
  const straight = newNetwork();
  const whole = network(host, straight, 2);
  const saved: Record<string, string[]> = {};
  const resumed: Record<string, Parameters> = {};
  for (const [name, runtime] of Object.entries({ device, host })) {
    const params = newNetwork();
    const trainer = network(runtime, params, 2);
    await train(trainer, 0, 2);
    await Promise.all([0, 1, 2].map((k) => microBatch(trainer, 10 + k)));
    saved[name] = [join(folder, `${name}-params`), join(folder, `${name}-state`)];
    await params.save(saved[name][0]);
    await trainer.save(saved[name][1]);
    trainer.close();
  }
  for (const [name, runtime] of Object.entries({ device: host, host: device })) {
    const params = Parameters.load(saved[name][0]);
    const trainer = network(runtime, params, 2);
    await trainer.load(saved[name][1]);
    assert.equal(trainer.step, 2);
    await Promise.all([3, 4].map((k) => microBatch(trainer, 10 + k)));
    await trainer.apply(1e-2, 5);
    await train(trainer, 3, 4);
    resumed[name] = params;
    trainer.close();
  }
  await train(whole, 0, 4);
  whole.close();
  // Saving adds up the gradients of both lanes, which changes the order of summation.
  for (const name of straight.names()) {
    const [want, one, two] = [straight, resumed.device, resumed.host].map((params) => params.get(name).data);
    assert.deepEqual(one, two, name);
    for (let i = 0; i < want.length; i++) assert.ok(Math.abs(one[i] - want[i]) < 1e-5, name);
  }
});

test('saving, cloning and copying parameters read their values on the device and leave them there', async () => {
  const [plain, resident] = [newNetwork(), newNetwork()];
  const [a, b] = [network(host, plain), network(device, resident)];
  await train(a, 0, 2);
  await train(b, 0, 2);
  const want = values(plain);
  const file = join(folder, 'params');
  await resident.save(file);
  assert.deepEqual(values(Parameters.load(file)), want);
  assert.deepEqual(values(resident.clone()), want);
  const copy = newNetwork();
  copy.copyFrom(resident);
  assert.deepEqual(values(copy), want);
  assert.deepEqual(values(resident.select((name) => name === 'table')), { table: want.table });
  assert.ok(Number.isNaN(held(resident, 'table')[0]), 'the values are still on the device');
  resident.copyFrom(newNetwork());
  assert.deepEqual(values(resident), values(newNetwork()));
  a.close();
  b.close();
});

test('Polyak averaging on the device is bit-identical and leaves the values there', async () => {
  const run = async (runtime: Runtime) => {
    const online = newNetwork();
    const target = online.clone();
    const trainer = network(runtime, online);
    const forward = new Forward<null>(runtime, target, (p) => ({ y: linear(input('x', [1, 16]), p['first.weight']) }));
    const seen: TypedArray[] = [];
    for (let step = 0; step < 3; step++) {
      await train(trainer, step, step + 1);
      seen.push((await forward.run(null, { x: new Float32Array(16).fill(1) })).y);
      polyak(target, online, 0.3);
      if (runtime === device)
        assert.ok(Number.isNaN(held(target, 'table')[0]) && Number.isNaN(held(online, 'table')[0]));
    }
    seen.push((await forward.run(null, { x: new Float32Array(16).fill(1) })).y);
    trainer.close();
    forward.close();
    return { seen, target: values(target), online: values(online) };
  };
  assert.deepEqual(await run(device), await run(host));
});

test('Forward sees parameters changed on the host or by a trainer', async () => {
  const params = newNetwork();
  const trainer = network(device, params);
  const forward = new Forward<{ rows: number }>(device, params, (p, { rows }) => ({
    y: linear(input('x', [rows, 16]), p['first.weight'], p['first.bias']),
  }));
  const x = Float32Array.from({ length: 32 }, (_, i) => Math.sin(i));
  const expected = () => {
    const [w, b] = [snapshot(held(params, 'first.weight')), snapshot(held(params, 'first.bias'))];
    return Array.from({ length: 66 }, (_, i) => {
      const [row, n] = [Math.floor(i / 33), i % 33];
      let sum = b[n];
      for (let k = 0; k < 16; k++) sum += x[row * 16 + k] * w[n * 16 + k];
      return sum;
    });
  };
  const close = (got: TypedArray, want: number[]) =>
    want.forEach((value, i) => assert.ok(Math.abs(Number(got[i]) - value) < 1e-5, `${i}: ${got[i]} and ${value}`));
  close((await forward.run({ rows: 2 }, { x })).y, expected());
  params.get('first.weight').data.fill(0.25);
  close((await forward.run({ rows: 2 }, { x })).y, expected());
  const before = expected();
  await train(trainer, 0, 2);
  const [after, { y }] = [expected(), await forward.run({ rows: 2 }, { x })];
  close(y, after);
  assert.notDeepEqual(after, before, 'the trainer changed them');
  forward.close();
  trainer.close();
});

test('sampling on a device draws the same samples as on the host, before and after training', async () => {
  const config: AutoUIConfig = {
    vocabulary: 6,
    width: 12,
    headWidth: 5,
    heads: 2,
    feedForward: 16,
    encoderLayers: 1,
    decoderLayers: 2,
    buckets: 8,
    maxDistance: 20,
    gated: true,
    epsilon: 1e-6,
    image: 4,
    tied: true,
    pad: 0,
    eos: 1,
    start: 0,
  };
  // The states finish at different times, so that the caches of the remaining ones are compacted.
  const states = Array.from({ length: 9 }, (_, i) => {
    const random = new Random(5, 'state', i);
    const ids = Array.from({ length: 3 + i }, () => random.int(config.vocabulary));
    return {
      key: `state ${i}`,
      ids,
      image: Float32Array.from({ length: 4 }, () => random.normal()),
      count: 1 + (i % 4),
    };
  });
  const samples = async (runtime: Runtime) => {
    const params = Parameters.init(autoUISpecs(config), 7);
    const sampler = new Sampler(runtime, params, config, { maxTokens: 40 });
    const before = await sampler.sample(states, { seed: 1 });
    const optimizer = chain(...adamW(), scaleByLearningRate());
    const loss = (p: Record<string, Tensor>) => ({ loss: mean(square(p['shared.weight'])) });
    const trainer = new Trainer<null>({ runtime, params, optimizer, loss });
    for (let step = 0; step < 3; step++) {
      await trainer.accumulate(null, {});
      await trainer.apply(0.3, 1);
    }
    const after = await sampler.sample(states, { seed: 1 });
    if (runtime === device)
      assert.ok(Number.isNaN(held(params, 'shared.weight')[0]), 'the parameters stayed on the device');
    await sampler.close();
    trainer.close();
    return { before, after };
  };
  const [here, there] = [await samples(host), await samples(device)];
  assert.deepEqual(there, here);
  assert.notDeepEqual(here.after, here.before);
});

test('an old reference to an array on a device reads NaN, and writing through it is an error', async () => {
  const params = newNetwork();
  const before = params.get('first.bias').data;
  const forward = new Forward<null>(device, params, (p) => ({ y: add(p['first.bias'], input('x', [])) }));
  const x = Float32Array.of(1);
  assert.equal((await forward.run(null, { x })).y[0], 1);
  assert.ok(before.every((value) => Number.isNaN(value)));
  before[0] = 3;
  assert.throws(
    () => params.get('first.bias').data,
    /^RunError: an array was written while its values were on second host; read `data` again before writing to it$/,
  );
  before[0] = NaN; // has other bits than the NaN that fills the array
  assert.throws(() => params.get('first.bias').data, /an array was written/);
  new Int32Array(before.buffer, before.byteOffset, 1)[0] = -1;
  params.get('first.bias').data[0] = 3;
  assert.equal((await forward.run(null, { x })).y[0], 4);
  forward.close();
});

test('closing a runtime moves the values to the host and is final', async () => {
  const runtime = await openDevice();
  const params = newNetwork();
  const trainer = network(runtime, params);
  await train(trainer, 0, 1);
  const want = values(params.clone());
  const again = trainer.accumulate({ batch: 1 }, { ids: new BigInt64Array(1), target: new Float32Array(3) });
  const session = await runtime.session(toOnnx({ y: add(input('x', [1]), 1) }));
  await again;
  await Promise.all([runtime.close(), runtime.close()]);
  await runtime.close();
  assert.ok(!Number.isNaN(held(params, 'table')[0]), 'the values are on the host');
  assert.deepEqual(values(params), want);
  assert.throws(() => runtime.resident(new Float32Array(1)), /the runtime is closed/);
  await assert.rejects(runtime.session(toOnnx({ y: add(input('x', [1]), 1) })), /the runtime is closed/);
  await assert.rejects(session.run({ x: Float32Array.of(1) }), /the session is closed/);
  session.close();
  trainer.close();
  trainer.close();
  await assert.rejects(trainer.apply(1, 1), /trainer: already closed/);
  // Another device may now use the arrays.
  const forward = new Forward<null>(device, params, (p) => ({ y: add(p['first.bias'], 0) }));
  assert.deepEqual((await forward.run(null, {})).y, want['first.bias']);
  forward.close();
});

test('an array can be on one device only, and a run on the host moves its values there', async () => {
  const other = await openDevice();
  const params = newNetwork();
  const ask = (runtime: Runtime) => {
    const forward = new Forward<null>(runtime, params, (p) => ({ y: add(p['first.bias'], 1) }));
    return forward.run(null, {}).finally(() => forward.close());
  };
  params.get('first.bias').data.fill(1);
  assert.equal((await ask(device)).y[0], 2);
  await assert.rejects(ask(other), /resident: the array is on second host; close that runtime first/);
  // A run on the host uses the array itself, so it needs the values there.
  for (const runtime of [host, await openRuntime({ kind: 'node', threads: 1 })]) {
    assert.equal((await ask(device)).y[0], 2);
    assert.ok(Number.isNaN(held(params, 'first.bias')[0]));
    assert.equal((await ask(runtime)).y[0], 2);
    if (runtime !== host) await runtime.close();
  }
  await other.close();
});

test('the optimizer gives the same result with plain operations on parts as with a scan over blocks', async () => {
  const shapes = { bias: [1], large: [3, 1001], odd: [3, 5], wide: [2, 1500] };
  const optimizer = chain(clipByGlobalNorm(0.01), ...adamW({ weightDecay: 0.1 }), scaleByLearningRate());
  const after = await Promise.all(
    [host, device].map(async (runtime) => {
      const params = Parameters.init(
        Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, { shape, init: { normal: 1 } }])),
        4,
      );
      const state = new OptimizerState(runtime, params, params.names(), optimizer, 1, 1024);
      const norms: number[] = [];
      for (let step = 0; step < 3; step++) {
        const random = new Random(step, 'gradient');
        for (const name of params.names()) {
          const gradient = writable(state.gradient(name));
          for (let i = 0; i < gradient.length; i++) gradient[i] = random.normal();
        }
        norms.push(await state.apply(1e-2, 2));
      }
      const slots = [...state.arrays(false)].map(([name, { data }]): [string, Float32Array] => [name, snapshot(data)]);
      const result = { ...values(params), ...Object.fromEntries(slots), norms: Float32Array.from(norms) };
      state.close();
      return result as Record<string, Float32Array>;
    }),
  );
  for (const [name, want] of Object.entries(after[0])) {
    const got = after[1][name];
    want.forEach((value, i) => assert.ok(Math.abs(got[i] - value) <= 1e-6 * Math.abs(value) + 1e-7, `${name} ${i}`));
  }
});
