import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import {
  Parameters,
  Runtime,
  Trainer,
  adamW,
  add,
  allocate,
  chain,
  input,
  mean,
  mul,
  openRuntime,
  scaleByLearningRate,
  square,
  toOnnx,
} from '../../src/graph/index.js';
import { OrtDevice, SECOND_HOST } from '../../src/graph/ort/device.js';
import { openFfi } from '../../src/graph/ort/ffi.js';
import { loadLibrary } from '../../src/graph/ort/library.js';
import {
  DeviceMemory,
  addInto,
  discard,
  evacuate,
  reside,
  residenceOf,
  snapshot,
  writable,
} from '../../src/graph/residence.js';

// The device of these tests is the CPU with memory of its own: everything about residence but CUDA itself.
const openDevice = () => openFfi(2, () => SECOND_HOST);
let device: Runtime;
before(async () => {
  device = await openDevice();
});
after(() => device.close());

test('a cache stays on the device while runs write parts of it in place', async () => {
  const [rows, width] = [4, 16];
  const cache = allocate('float32', [rows, width]) as Float32Array;
  device.resident(cache, false);
  const old = input('cache', [width]);
  const session = await device.session(toOnnx({ 'new cache': add(mul(old, 2), input('step', [])) }));
  const step = new Float32Array(1);
  const bindings = Array.from({ length: rows }, (_, row) => {
    const part = cache.subarray(row * width, (row + 1) * width);
    return session.bind({ cache: part, 'new cache': part, step });
  });
  for (let i = 1; i <= 3; i++) {
    step[0] = i; // fed from the host, anew at each run
    for (const [row, binding] of bindings.entries()) if (row !== 2) await binding.run();
  }
  assert.deepEqual(
    [...cache],
    [...new Float32Array(cache.length)],
    'the host has not seen anything of it, and is not NaN',
  );
  assert.deepEqual([...snapshot(cache.subarray(width, width + 2))], [11, 11]); // ((0·2 + 1)·2 + 2)·2 + 3
  const now = writable(cache);
  for (let row = 0; row < rows; row++) assert.equal(now[row * width + 3], row === 2 ? 0 : 11);
  now.fill(1);
  await bindings[2].run();
  assert.deepEqual([...writable(cache).subarray(2 * width - 1, 2 * width + 1)], [1, 5]);
  session.close();
});

test('every element type can live on a device, and views start anywhere', async () => {
  const arrays = {
    float32: Float32Array.of(1.5, -2, 3, 4),
    float64: Float64Array.of(1.5, -2, 3, 4),
    float16: Uint16Array.of(0x3e00, 0xc000, 1, 2),
    int64: BigInt64Array.of(5n, -(2n ** 40n), 1n, 2n),
    int32: Int32Array.of(7, -8, 9, 10),
    bool: Uint8Array.of(1, 0, 1, 1),
  } as const;
  for (const [dtype, whole] of Object.entries(arrays) as [keyof typeof arrays, Float32Array][]) {
    const want = [...whole];
    device.resident(whole);
    const session = await device.session(toOnnx({ y: input('x', [3], dtype) }));
    assert.deepEqual([...(await session.run({ x: whole.subarray(1) })).y], want.slice(1), dtype);
    assert.notDeepEqual([...whole], want, dtype);
    assert.deepEqual([...snapshot(whole.subarray(1, 3))], want.slice(1, 3), dtype);
    assert.deepEqual([...writable(whole)], want, dtype);
    session.close();
  }
  assert.throws(
    () => device.resident(new Uint8Array(3)),
    /resident: expected a buffer of a multiple of 4 bytes, got 3/,
  );
});

test('large arrays go there and back in parts', async () => {
  const memory = await OrtDevice.open(loadLibrary(), SECOND_HOST, 1);
  const length = 2 ** 24 + 5; // more than one chunk
  const [a, b] = [new Float32Array(length), new Float32Array(length)];
  for (let i = 0; i < length; i += 4097) a[i] = b[length - 1 - i] = i;
  const [at, other] = [memory.allocate(a.byteLength), memory.allocate(b.byteLength)];
  memory.upload(a, at);
  memory.upload(b, other);
  memory.add(at, other, length);
  const sum = new Float32Array(length);
  memory.download(at, sum);
  for (let i = 0; i < length; i++) if (sum[i] !== a[i] + b[i]) assert.fail(`${i}: ${sum[i]}`);
  memory.free(at);
  memory.free(other);
  memory.close();
  memory.close();
  assert.throws(() => memory.allocate(4), /second host: the runtime is closed/);
});

test('values that a run is changing are not to be read, those it reads are not to be changed', async () => {
  const [size, state, other] = [[256, 256], new Float32Array(2 ** 16).fill(1), new Float32Array(2 ** 16)];
  device.resident(state);
  const session = await device.session(
    toOnnx({ after: add(input('before', size), mul(input('before', size), input('scale', []))) }),
  );
  const scale = Float32Array.of(1);
  const changes = session.bind({ before: state, after: state, scale });
  const running = changes.run();
  assert.throws(() => writable(state), /a run on second host is using these values; await it before reading them/);
  assert.throws(() => snapshot(state), /await it before reading/);
  await running;
  device.resident(other);
  const reads = session.bind({ before: state, after: other, scale });
  const reading = reads.run();
  assert.equal(snapshot(state)[0], 2);
  assert.throws(() => addInto(state, other), /await it before changing them/);
  writable(state)[0] = 7; // it works with the copy
  await assert.rejects(changes.run(), /await it before changing them/);
  await reading;
  assert.equal(snapshot(other)[0], 4);
  await changes.run();
  assert.deepEqual([...writable(state).subarray(0, 2)], [14, 4]);
  session.close();
});

test('runs that are under way end before their runtime is closed', async () => {
  const runtime = await openDevice();
  const state = new Float32Array(2 ** 16).fill(1);
  runtime.resident(state);
  const session = await runtime.session(toOnnx({ after: mul(input('before', [2 ** 16]), 3) }));
  const running = session.bind({ before: state, after: state }).run();
  const closed = runtime.close();
  await Promise.all([running, closed]);
  assert.ok(state.every((value) => value === 3));
});

/** Collects garbage, so that finalization does not depend on when Node finds it worth while. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}

test('the memory of discarded arrays is free at once, that of lost ones when they are collected', async () => {
  const used = new Map<bigint, number>();
  let next = 1n;
  const memory: DeviceMemory = {
    name: 'ledger',
    allocate: (bytes) => (used.set(next, bytes), next++),
    free: (address) => assert.ok(used.delete(address), 'freed once'),
    upload: () => undefined,
    download: () => assert.fail('nothing was uploaded'),
    add: () => assert.fail(),
    blend: () => assert.fail(),
  };
  const kept = new Float32Array(4);
  const given = new Float32Array(8);
  for (const array of [kept, given, given.subarray(2), kept]) reside(memory, array, true);
  (() => reside(memory, new Float32Array(16), true))();
  assert.deepEqual([...used.values()], [16, 32, 64]);
  const residence = residenceOf(given, memory)!;
  residence.enter(true);
  discard(given);
  assert.equal(used.size, 3, 'a run works with it');
  residence.leave(true);
  assert.deepEqual([...used.values()], [16, 64]);
  assert.throws(() => residence.enter(false), /an array bound on ledger was given up/);
  discard(given);
  for (let i = 0; i < 100 && used.size > 1; i++) {
    collectGarbage();
    await new Promise(setImmediate);
  }
  assert.deepEqual([...used.values()], [16]);
  evacuate(memory);
  assert.equal(used.size, 0);
});

test('trainers give their device memory back', async () => {
  const runtime = await openDevice();
  const cycle = async () => {
    const params = Parameters.init({ w: { shape: [2 ** 20], init: 'ones' } }, 0); // 4 MiB; gradients and state 12
    const trainer = new Trainer<null>({
      runtime,
      params,
      optimizer: chain(...adamW(), scaleByLearningRate()),
      loss: (p) => ({ loss: mean(square(p.w)) }),
    });
    await trainer.accumulate(null, {});
    await trainer.apply(1e-3, 1);
    trainer.close();
    collectGarbage();
    await new Promise(setImmediate);
  };
  for (let i = 0; i < 4; i++) await cycle();
  const before = process.memoryUsage.rss();
  for (let i = 0; i < 30; i++) await cycle();
  const grown = (process.memoryUsage.rss() - before) / 2 ** 20;
  // 480 MiB, were none given back; the allocator may keep some of what was
  assert.ok(grown < 240, `30 trainers with 16 MiB on the device left ${grown.toFixed(0)} MiB behind`);
  await runtime.close();
});

test('without CUDA libraries the choice of provider is one line that says what to do; auto takes the CPU', async (t) => {
  const error =
    /^RunError: provider cuda: no libonnxruntime_providers_shared.so in [^;\n]+; [^\n]*npm rebuild onnxruntime-node[^\n]*provider=cpu$/;
  const runtime = await openRuntime({ provider: 'auto', threads: 1 });
  if (runtime.device !== 'cpu') t.skip('this machine has CUDA');
  else {
    await assert.rejects(openRuntime({ provider: 'cuda' }), error);
    await assert.rejects(openRuntime({ kind: 'ffi', provider: 'cuda' }), error);
  }
  await runtime.close();
  await assert.rejects(
    openRuntime({ kind: 'node', provider: 'cuda' }),
    /onnxruntime-node .* no values that stay on a device/,
  );
  await assert.rejects(
    openRuntime({ provider: 'cuda', deviceId: -1 }),
    /expected a device number of at least 0, got -1/,
  );
});
