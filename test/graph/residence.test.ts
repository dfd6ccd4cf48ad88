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

// The device here is the CPU with separate memory, which covers all of residence except CUDA itself.
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
    step[0] = i; // fed from the host at each run
    for (const [row, binding] of bindings.entries()) if (row !== 2) await binding.run();
  }
  assert.deepEqual(
    [...cache],
    [...new Float32Array(cache.length)],
    'the host array is unchanged and not filled with NaN',
  );
  assert.deepEqual([...snapshot(cache.subarray(width, width + 2))], [11, 11]); // ((0·2 + 1)·2 + 2)·2 + 3
  const now = writable(cache);
  for (let row = 0; row < rows; row++) assert.equal(now[row * width + 3], row === 2 ? 0 : 11);
  now.fill(1);
  await bindings[2].run();
  assert.deepEqual([...writable(cache).subarray(2 * width - 1, 2 * width + 1)], [1, 5]);
  session.close();
});

test('arrays of every element type can be on a device, with views at any offset', async () => {
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

test('large arrays are copied to and from the device in chunks', async () => {
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

test('during a run, reading the values it changes and changing the values it reads are errors', async () => {
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
  writable(state)[0] = 7; // the run reads the device's copy
  await assert.rejects(changes.run(), /await it before changing them/);
  await reading;
  assert.equal(snapshot(other)[0], 4);
  await changes.run();
  assert.deepEqual([...writable(state).subarray(0, 2)], [14, 4]);
  session.close();
});

test('closing a runtime waits for current runs', async () => {
  const runtime = await openDevice();
  const state = new Float32Array(2 ** 16).fill(1);
  runtime.resident(state);
  const session = await runtime.session(toOnnx({ after: mul(input('before', [2 ** 16]), 3) }));
  const running = session.bind({ before: state, after: state }).run();
  const closed = runtime.close();
  await Promise.all([running, closed]);
  assert.ok(state.every((value) => value === 3));
});

/** Forces a garbage collection, so that finalizers run. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}

test('device memory is freed at once for discarded arrays, and on garbage collection for lost ones', async () => {
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
  assert.equal(used.size, 3, 'a run still uses it');
  residence.leave(true);
  assert.deepEqual([...used.values()], [16, 64]);
  assert.throws(() => residence.enter(false), /an array bound on ledger was already freed/);
  discard(given);
  for (let i = 0; i < 100 && used.size > 1; i++) {
    collectGarbage();
    await new Promise(setImmediate);
  }
  assert.deepEqual([...used.values()], [16]);
  evacuate(memory);
  assert.equal(used.size, 0);
});

test('closed trainers free their device memory', async () => {
  const runtime = await openDevice();
  const cycle = async () => {
    const params = Parameters.init({ w: { shape: [2 ** 20], init: 'ones' } }, 0); // 4 MiB; gradients and state 12 MiB
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
  // It would be 480 MiB if nothing were freed; the allocator may keep some of the freed memory.
  assert.ok(grown < 240, `30 trainers with 16 MiB on the device left ${grown.toFixed(0)} MiB behind`);
  await runtime.close();
});

test('without CUDA libraries, provider cuda fails with a line that says what to do, and auto uses the CPU', async (t) => {
  const error =
    /^RunError: provider cuda: no libonnxruntime_providers_shared.so in [^;\n]+; [^\n]*ONNXRUNTIME_NODE_INSTALL=cuda12[^\n]*provider=cpu$/;
  const runtime = await openRuntime({ provider: 'auto', threads: 1 });
  if (runtime.device !== 'cpu') t.skip('this machine has CUDA');
  else {
    await assert.rejects(openRuntime({ provider: 'cuda' }), error);
    await assert.rejects(openRuntime({ kind: 'ffi', provider: 'cuda' }), error);
  }
  await runtime.close();
  await assert.rejects(
    openRuntime({ kind: 'node', provider: 'cuda' }),
    /runtime kind node \(onnxruntime-node\) runs on the CPU only; use kind ffi/,
  );
  await assert.rejects(
    openRuntime({ provider: 'cuda', deviceId: -1 }),
    /expected a device number of at least 0, got -1/,
  );
});
