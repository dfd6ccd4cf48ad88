import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import 'koffi'; // must load before the test changes process.arch
import { add, input, openRuntime, toOnnx } from '../../src/graph/index.js';

test('without a library for the platform, kind ffi fails and kind auto falls back to onnxruntime-node', async () => {
  const arch = Object.getOwnPropertyDescriptor(process, 'arch')!;
  Object.defineProperty(process, 'arch', { ...arch, value: 'mips' });
  try {
    await assert.rejects(
      openRuntime({ kind: 'ffi' }),
      /^RunError: onnxruntime: no library for \w+ mips in .*onnxruntime-node.bin$/,
    );
    const warned = once(process, 'warning') as Promise<[Error]>;
    const runtime = await openRuntime({ kind: 'auto', threads: 1 });
    assert.equal(runtime.name, 'node');
    assert.match((await warned)[0].message, /no library for .*; using onnxruntime-node, which is slower/);
    const session = await runtime.session(toOnnx({ y: add(input('x', [1]), 1) }));
    assert.deepEqual([...(await session.run({ x: Float32Array.of(1) })).y], [2]);
    await runtime.close();
    await assert.rejects(session.run({ x: Float32Array.of(1) }), /the runtime is closed/);
  } finally {
    Object.defineProperty(process, 'arch', arch);
  }
});

test('less than 1 thread is an error', async () => {
  await assert.rejects(openRuntime({ threads: 0 }), /expected at least 1 thread, got 0/);
});
