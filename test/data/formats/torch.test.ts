import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { toFloat32 } from '../../../src/data/formats/safetensors.js';
import { readTorchStateDict } from '../../../src/data/formats/torch-state.js';
import { TorchFile } from '../../../src/data/formats/torch.js';
import { eachTruncation, fixture, flipByte, rejectsWithLine, tempFolder } from '../../rigs/files.js';

test('a state dict has every tensor with its type, shape and values, for all strides', async () => {
  const { tensors } = await readTorchStateDict(fixture('torch', 'state.bin'));
  const expected = JSON.parse(readFileSync(fixture('torch', 'state.json'), 'utf8')) as Record<
    string,
    { shape: number[]; values: number[] }
  >;
  assert.deepEqual([...tensors.keys()].sort(), Object.keys(expected).sort());
  for (const [name, { shape, values }] of Object.entries(expected)) {
    const tensor = tensors.get(name)!;
    assert.deepEqual(tensor.shape, shape, name);
    assert.deepEqual([...toFloat32(tensor)], values.map(Math.fround), name);
  }
  assert.equal(tensors.get('bf16')!.dtype, 'BF16');
  assert.equal(tensors.get('i64')!.dtype, 'I64');
});

test('tied tensors share their bytes', async () => {
  const { tensors } = await readTorchStateDict(fixture('torch', 'state.bin'));
  assert.equal(tensors.get('tied.a')!.data.buffer, tensors.get('tied.b')!.data.buffer);
});

test('a state_dict inside a checkpoint is found', async () => {
  const { tensors } = await readTorchStateDict(fixture('torch', 'checkpoint.pt'));
  assert.deepEqual([...tensors.keys()], ['w']);
  assert.deepEqual(tensors.get('w')!.shape, [3, 5]);
});

test('integers keep their sign and every digit', async () => {
  const file = await TorchFile.open(fixture('torch', 'integers.pt'));
  const expected = [
    -1,
    -128,
    -129,
    -(2 ** 40),
    2n ** 53n,
    2n ** 63n,
    -(2n ** 63n),
    255,
    65535,
    65536,
    2 ** 31,
    -(2 ** 31),
  ];
  assert.deepEqual(file.value(), expected);
  assert.deepEqual([...file.items()], expected);
  file.close();
});

test('streaming a list gives the same items as reading it at once', async () => {
  for (const name of ['digiq-numpy.pt', 'digiq-tensors.pt', 'digiq-lists.pt', 'digiq-short.pt', 'digiq-one.pt']) {
    const file = await TorchFile.open(fixture('torch', name));
    const items = [...file.items()];
    assert.ok(items.length > 0);
    assert.deepEqual(items, file.value(), name);
    file.close();
  }
});

test('a truncated torch file gives a one-line error', async (t) => {
  const file = join(tempFolder(t), 'cut.bin');
  const whole = readFileSync(fixture('torch', 'state.bin'));
  writeFileSync(file, whole);
  const lengths = [0, 1, 3, 100, 1000, whole.length >> 1, whole.length - 30, whole.length - 1];
  await eachTruncation(file, lengths, () => rejectsWithLine(() => readTorchStateDict(file), /cut\.bin: .*check where/));
});

test("a flipped byte in the pickle or in a storage is noticed by the zip's CRC", async (t) => {
  const file = join(tempFolder(t), 'flipped.bin');
  const whole = readFileSync(fixture('torch', 'state.bin'));
  const pickled = whole.indexOf('transposed');
  const stored = whole.indexOf(Buffer.from(Float32Array.of(0, 7 / 8, 14 / 8).buffer));
  assert.ok(pickled > 0 && stored > 0);
  for (const [at, what] of [
    [pickled, /damaged: data\.pkl: expected crc32 \d+, got \d+/],
    [stored + 3, /damaged: storage data\/\d+: expected crc32/],
  ] as const) {
    writeFileSync(file, whole);
    flipByte(file, at);
    await rejectsWithLine(() => readTorchStateDict(file), what);
  }
});

test('a file of another format is an error that says so', async (t) => {
  const file = join(tempFolder(t), 'foreign.pt');
  writeFileSync(file, '{"not": "torch"}');
  await rejectsWithLine(() => TorchFile.open(file), /foreign\.pt: not a torch file in zip format/);
  await rejectsWithLine(() => readTorchStateDict(fixture('torch', 'integers.pt')), /expected a state dict/);
});
