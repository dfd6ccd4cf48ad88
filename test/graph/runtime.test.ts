import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { RunError } from '../../src/errors.js';
import { LruCache } from '../../src/graph/cache.js';
import {
  Forward,
  Parameters,
  Runtime,
  add,
  allocate,
  constant,
  gather,
  input,
  linear,
  matmul,
  mul,
  openRuntime,
  sub,
  sum,
  toOnnx,
} from '../../src/graph/index.js';

const KINDS = ['ffi', 'node'] as const;
const runtimes: Record<string, Runtime> = {};
before(async () => {
  for (const kind of KINDS) runtimes[kind] = await openRuntime({ kind, threads: 2 });
});
after(async () => {
  for (const kind of KINDS) await runtimes[kind].close();
});

const floats = (...values: number[]) => Float32Array.from(values);

for (const kind of KINDS) {
  test(`a binding reads and writes its arrays in place, in shared memory or not (${kind})`, async () => {
    const [x, y] = [input('x', [2]), input('y', [2])];
    const session = await runtimes[kind].session(toOnnx({ total: add(x, y), twice: mul(y, 2) }));
    const buffers = {
      x: floats(1, 2),
      y: allocate('float32', [2]),
      total: new Float32Array(2),
      twice: allocate('float32', [2]),
    };
    const binding = session.bind(buffers);
    buffers.y.set([10, 20] as never);
    await binding.run();
    assert.deepEqual([...buffers.total], [11, 22]);
    assert.deepEqual([...buffers.twice], [20, 40]);
    buffers.x[0] = -10;
    await binding.run();
    assert.deepEqual([...buffers.total], [0, 22]);
    binding.close();
    await assert.rejects(binding.run(), /the binding is closed/);
    session.close();
  });

  test(`an output may overwrite its input (${kind})`, async () => {
    const state = allocate('float32', [3]) as Float32Array;
    const session = await runtimes[kind].session(toOnnx({ after: add(input('before', [3]), input('step', [])) }));
    const binding = session.bind({ before: state, after: state, step: floats(2) });
    for (let i = 0; i < 5; i++) await binding.run();
    assert.deepEqual([...state], [10, 10, 10]);
    session.close();
  });

  test(`an output may be an input, a constant or another output (${kind})`, async () => {
    const x = input('x', [2]);
    const y = add(x, 1);
    const outputs = { same: x, one: constant([5, 6], [2]), y, again: y };
    const session = await runtimes[kind].session(toOnnx(outputs));
    const got = await session.run({ x: floats(1, 2) });
    assert.deepEqual(
      Object.fromEntries(Object.entries(got).map(([name, data]) => [name, Array.from(data as Float32Array)])),
      {
        same: [1, 2],
        one: [5, 6],
        y: [2, 3],
        again: [2, 3],
      },
    );
    session.close();
  });

  test(`inputs and outputs may have every element type (${kind})`, async () => {
    const types = {
      float32: floats(1.5, -2),
      float64: Float64Array.of(1.5, -2),
      float16: Uint16Array.of(0x3e00, 0xc000),
      int64: BigInt64Array.of(5n, -(2n ** 40n)),
      int32: Int32Array.of(7, -8),
      bool: Uint8Array.of(1, 0),
    } as const;
    for (const [dtype, data] of Object.entries(types) as [keyof typeof types, Float32Array][]) {
      const session = await runtimes[kind].session(toOnnx({ y: input('x', [2], dtype) }));
      assert.deepEqual([...(await session.run({ x: data })).y], [...data], dtype);
      session.close();
    }
  });

  test(`a missing, unknown or wrong array is an error that names it (${kind})`, async () => {
    const session = await runtimes[kind].session(toOnnx({ y: add(input('x', [2, 3]), 1) }));
    const y = new Float32Array(6);
    assert.throws(() => session.bind({ y }), /bind: x is missing/);
    assert.throws(
      () => session.bind({ x: new Float32Array(5), y }),
      /bind: x: expected 6 values for shape \[2,3\], got 5/,
    );
    assert.throws(
      () => session.bind({ x: new Float64Array(6), y }),
      /bind: x: expected a Float32Array for float32, got Float64Array/,
    );
    assert.throws(() => session.bind({ x: y, y, z: y }), /bind: the model has no z; expected x, y/);
    await assert.rejects(session.run({}), /run: x is missing/);
    session.close();
    assert.throws(() => session.bind({ x: y, y }), /closed/);
  });

  test(`a failed run gives a one-line error, and the next run works (${kind})`, async () => {
    const table = constant([1, 2, 3], [3]);
    const session = await runtimes[kind].session(toOnnx({ y: gather(table, input('ids', [1], 'int64')) }));
    const ids = BigInt64Array.of(7n);
    const binding = session.bind({ ids, y: new Float32Array(1) });
    await assert.rejects(
      binding.run(),
      (error: Error) =>
        error instanceof RunError && /^onnxruntime: [^\n]*out of data bounds[^\n]*$/.test(error.message),
    );
    ids[0] = 2n;
    await binding.run();
    session.close();
  });

  test(`a model that can't be loaded gives a one-line error (${kind})`, async () => {
    const model = toOnnx({ y: add(input('x', [1]), 1) });
    const broken = { ...model, bytes: model.bytes.slice(0, -9) };
    await assert.rejects(
      runtimes[kind].session(broken),
      (error: Error) => error instanceof RunError && /^onnxruntime: [^\n]+$/.test(error.message),
    );
  });

  test(`several bindings can run at the same time, one binding only once (${kind})`, async () => {
    const x = input('x', [64, 64]);
    const session = await runtimes[kind].session(toOnnx({ y: sum(matmul(x, x)) }));
    const bound = [1, 2, 3, 4].map((value) => {
      const y = new Float32Array(1);
      return { value, y, binding: session.bind({ x: new Float32Array(64 * 64).fill(value), y }) };
    });
    const runs = bound.map(({ binding }) => binding.run());
    await assert.rejects(bound[0].binding.run(), /is running; wait/);
    session.close(); // current runs still complete
    await Promise.all(runs);
    for (const { value, y } of bound) assert.equal(y[0], value * value * 64 ** 3);
  });
}

test('closing sessions frees their memory', async () => {
  const weights = new Float32Array(2 ** 20).fill(0.5); // 4 MiB
  const model = toOnnx({ y: linear(input('x', [1, 2 ** 10]), constant(weights, [2 ** 10, 2 ** 10])) });
  const cycle = async () => {
    const session = await runtimes.ffi.session(model);
    const { y } = await session.run({ x: new Float32Array(2 ** 10).fill(1) });
    assert.equal(y[0], 512);
    session.close();
  };
  for (let i = 0; i < 5; i++) await cycle();
  const before = process.memoryUsage.rss();
  for (let i = 0; i < 60; i++) await cycle();
  const grown = (process.memoryUsage.rss() - before) / 2 ** 20;
  assert.ok(grown < 100, `60 sessions of 4 MiB left ${grown.toFixed(0)} MiB behind`);
});

test('Forward keeps one session per bucket and uses the current parameters', async () => {
  const params = Parameters.init({ w: { shape: [2, 3], init: 'ones' } }, 0);
  let built = 0;
  const forward = new Forward<{ batch: number }>(runtimes.ffi, params, (p, { batch }) => {
    built++;
    return { y: linear(input('x', [batch, 3]), p.w) };
  });
  const x = floats(1, 2, 3);
  assert.deepEqual([...(await forward.run({ batch: 1 }, { x })).y], [6, 6]);
  params.get('w').data.fill(2);
  const [one, two] = await Promise.all([
    forward.run({ batch: 1 }, { x }),
    forward.run({ batch: 2 }, { x: floats(1, 2, 3, 4, 5, 6) }),
  ]);
  assert.deepEqual([...one.y], [12, 12]);
  assert.deepEqual([...two.y], [12, 12, 30, 30]);
  assert.equal(built, 2);
  forward.close();
});

test('both runtimes give the same results', async () => {
  const x = input('x', [7, 33]);
  const model = toOnnx({
    y: matmul(
      x,
      constant(
        Float32Array.from({ length: 33 * 5 }, (_, i) => Math.sin(i)),
        [33, 5],
      ),
    ),
    z: sub(x, 0.25),
  });
  const feeds = { x: Float32Array.from({ length: 7 * 33 }, (_, i) => Math.cos(i)) };
  const [a, b] = await Promise.all(KINDS.map(async (kind) => (await runtimes[kind].session(model)).run(feeds)));
  assert.deepEqual(a, b);
});

test('the cache closes the least recently used value and does not keep failures', async () => {
  const closed: string[] = [];
  const make = (name: string) => async () => ({ close: () => closed.push(name) });
  const cache = new LruCache<{ close(): void }>(2);
  await cache.get('a', make('a'));
  await cache.get('b', make('b'));
  await cache.get('a', make('never'));
  await cache.get('c', make('c'));
  await Promise.resolve();
  assert.deepEqual(closed, ['b']);
  await assert.rejects(
    cache.get('d', () => Promise.reject(new Error('no'))),
    /no/,
  );
  await cache.get('d', make('d'));
  assert.equal(cache.size, 2);
  cache.clear();
  await new Promise(setImmediate);
  assert.deepEqual(closed.sort(), ['a', 'b', 'c', 'd']);
  assert.throws(() => new LruCache(0), /at least 1/);
});
