import assert from 'node:assert/strict';
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryName } from '../../../src/data/store/atomic.js';
import { decodeHalf, encodeHalf } from '../../../src/data/formats/half.js';
import { readSafetensors, toFloat32, writeSafetensors, type TensorToStore } from '../../../src/data/formats/safetensors.js';
import { Random } from '../../../src/random.js';
import { eachTruncation, rejectsWithLine, tempFolder } from '../../rigs/files.js';

const sample = (): Record<string, TensorToStore & { data: ArrayBufferView }> => ({
  bytes: { dtype: 'U8', shape: [3], data: Uint8Array.of(1, 2, 255) },
  weight: { dtype: 'F32', shape: [2, 2], data: Float32Array.of(1.5, -2, 0, Infinity) },
  ids: { dtype: 'I64', shape: [2], data: BigInt64Array.of(-1n, 7n) },
  half: { dtype: 'F16', shape: [3], data: Uint16Array.of(0x3c00, 0xc000, 1) },
  brain: { dtype: 'BF16', shape: [2], data: Uint16Array.of(0x3f80, 0xc000) },
  scalar: { dtype: 'F64', shape: [], data: Float64Array.of(0.1) },
  none: { dtype: 'F32', shape: [0, 4], data: new Float32Array(0) },
});

/** Writes a file with the given header (object or text) and number of data bytes. */
function handmade(file: string, header: unknown, dataBytes: number): void {
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  writeFileSync(file, Buffer.concat([length, text, Buffer.alloc(dataBytes)]));
}

test('a tensor can be written in pieces; with a wrong number of bytes no file is left', async (t) => {
  const folder = tempFolder(t);
  const whole = sample();
  const pieces = Object.entries(whole).map(([name, { dtype, shape, data }]) => {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    const half = bytes.length >> 1;
    return [name, { dtype, shape, data: () => [bytes.subarray(0, half), bytes.subarray(half)] }] as const;
  });
  await writeSafetensors(join(folder, 'whole'), whole);
  await writeSafetensors(join(folder, 'pieces'), new Map(pieces));
  assert.deepEqual(readFileSync(join(folder, 'pieces')), readFileSync(join(folder, 'whole')));
  const short = { a: { dtype: 'F32', shape: [2], data: () => [Float32Array.of(1)] } } as const;
  await assert.rejects(
    writeSafetensors(join(folder, 'short'), short),
    /tensor a is F32 \[2\]: expected 8 bytes, got 4/,
  );
  assert.deepEqual(readdirSync(folder).sort(), ['pieces', 'whole']);
});

test('tensors are read back as written', async (t) => {
  const file = join(tempFolder(t), 'a.safetensors');
  await writeSafetensors(file, sample(), { format: 'pt' });
  const { tensors, metadata } = readSafetensors(file);
  assert.deepEqual(metadata, { format: 'pt' });
  assert.equal(tensors.size, 7);
  for (const [name, { dtype, shape, data }] of Object.entries(sample())) {
    const read = tensors.get(name)!;
    assert.deepEqual([read.dtype, read.shape], [dtype, shape]);
    assert.deepEqual(Buffer.from(read.data), Buffer.from(data.buffer), name);
  }
  assert.deepEqual([...toFloat32(tensors.get('half')!)], [1, -2, 2 ** -24]);
  assert.deepEqual([...toFloat32(tensors.get('brain')!)], [1, -2]);
  assert.deepEqual([...toFloat32(tensors.get('ids')!)], [-1, 7]);
  assert.deepEqual([...toFloat32(tensors.get('scalar')!)], [Math.fround(0.1)]);
  assert.equal(toFloat32(tensors.get('weight')!).buffer, tensors.get('weight')!.data.buffer, 'float32 is a view');
});

test('every tensor is aligned, and the file does not depend on the order of the tensors', async (t) => {
  const folder = tempFolder(t);
  await writeSafetensors(join(folder, 'a'), sample());
  await writeSafetensors(join(folder, 'b'), new Map(Object.entries(sample()).reverse()));
  const bytes = readFileSync(join(folder, 'a'));
  assert.deepEqual(readFileSync(join(folder, 'b')), bytes);
  const start = 8 + Number(bytes.readBigUInt64LE());
  const header = JSON.parse(bytes.toString('utf8', 8, start)) as Record<string, { data_offsets: number[] }>;
  const sizes = { ids: 8, scalar: 8, weight: 4, half: 2, brain: 2, bytes: 1 };
  assert.equal(start % 8, 0);
  for (const [name, size] of Object.entries(sizes)) assert.equal(header[name].data_offsets[0] % size, 0, name);
});

test('a truncated or too long file gives a one-line error that names it', async (t) => {
  const file = join(tempFolder(t), 'cut.safetensors');
  await writeSafetensors(file, sample());
  const { length } = readFileSync(file);
  await eachTruncation(file, [0, 4, 8, 9, 100, length - 9, length - 1], () =>
    rejectsWithLine(
      () => readSafetensors(file),
      /cut\.safetensors: /,
      /truncated|not a safetensors/,
      /download or export/,
    ),
  );
  writeFileSync(file, Buffer.concat([readFileSync(file), Buffer.alloc(1)]));
  await rejectsWithLine(() => readSafetensors(file), /too long: expected \d+ bytes by the header, got \d+/);
});

test('a header that does not match the file is an error', async (t) => {
  const file = join(tempFolder(t), 'bad.safetensors');
  const tensor = (begin: number, end: number, shape: unknown = [(end - begin) / 4], dtype = 'F32') => ({
    dtype,
    shape,
    data_offsets: [begin, end],
  });
  const cases: [unknown, RegExp][] = [
    ['not json', /header is not a JSON object/],
    [[], /header is not a JSON object/],
    [{ a: null }, /tensor a has an unknown type/],
    [{ a: tensor(0, 16, [4], 'toString') }, /tensor a has an unknown type "toString"/],
    [{ a: tensor(0, 16, [-4]) }, /no valid shape/],
    [{ a: tensor(0, 16, [1.5]) }, /no valid shape/],
    [{ a: tensor(0, 16, [5]) }, /F32 \[5\]: expected 20 bytes, got 16/],
    [{ a: tensor(0, 16, [2 ** 40, 2 ** 40]) }, /expected \d\S+ bytes, got 16/],
    [{ a: tensor(0, 12), b: tensor(8, 16) }, /tensor b overlaps or leaves a gap: expected it to begin at 12, got 8/],
    [{ a: tensor(0, 4), b: tensor(8, 16) }, /tensor b overlaps or leaves a gap/],
    [{ a: tensor(0, 12) }, /too long/],
    [{ a: tensor(0, 20) }, /truncated/],
  ];
  for (const [header, message] of cases) {
    handmade(file, header, 16);
    await rejectsWithLine(() => readSafetensors(file), message);
  }
  const huge = Buffer.alloc(64);
  huge.writeBigUInt64LE(2n ** 62n);
  writeFileSync(file, huge);
  await rejectsWithLine(() => readSafetensors(file), /the header's length is 4611686018427387904, expected at most 56;/);
});

test('shards are read through their index, and a missing shard or tensor is an error', async (t) => {
  const folder = tempFolder(t);
  const { weight, ids } = sample();
  await writeSafetensors(join(folder, 'model-00001-of-00002.safetensors'), { weight });
  await writeSafetensors(join(folder, 'model-00002-of-00002.safetensors'), { ids });
  const index = join(folder, 'model.safetensors.index.json');
  const map = { weight: 'model-00001-of-00002.safetensors', ids: 'model-00002-of-00002.safetensors' };
  writeFileSync(index, JSON.stringify({ metadata: {}, weight_map: map }));
  assert.deepEqual([...readSafetensors(folder).tensors.keys()].sort(), ['ids', 'weight']);
  assert.deepEqual([...readSafetensors(index, (name) => name === 'ids').tensors.keys()], ['ids']);
  writeFileSync(index, JSON.stringify({ weight_map: { ...map, bias: map.ids } }));
  await rejectsWithLine(() => readSafetensors(index), /00002-of-00002\.safetensors: tensor bias is missing, although .*index\.json lists it/);
  writeFileSync(index, JSON.stringify({ weight_map: { weight: '../model.safetensors' } }));
  await rejectsWithLine(() => readSafetensors(index), /expected shards in the same folder, got "\.\.\/model\.safetensors"/);
  writeFileSync(index, JSON.stringify({ weight_map: map }));
  rmSync(join(folder, map.ids));
  await rejectsWithLine(() => readSafetensors(folder), /model-00002-of-00002\.safetensors: cannot be read \(ENOENT\)/);
  await rejectsWithLine(() => readSafetensors(tempFolder(t)), /expected model\.safetensors or/);
});

test('a failed write leaves no file and no temporary file', async (t) => {
  const file = join(tempFolder(t), 'a.safetensors');
  const wrong = { weight: { dtype: 'F32' as const, shape: [3], data: new Float32Array(2) } };
  await assert.rejects(() => writeSafetensors(file, wrong), /F32 \[3\]: expected 12 bytes, got 8/);
  assert.ok(!existsSync(file) && !existsSync(temporaryName(file)));
});

test('a file larger than 2 GiB is read tensor by tensor', (t) => {
  const file = join(tempFolder(t), 'large.safetensors');
  const block = 1 << 30;
  const entry = (begin: number, end: number) => ({ dtype: 'U8', shape: [end - begin], data_offsets: [begin, end] });
  const header = { a: entry(0, block), b: entry(block, 3 * block - 4), c: entry(3 * block - 4, 3 * block) };
  handmade(file, header, 0);
  const start = readFileSync(file).length;
  truncateSync(file, start + 3 * block);
  const fd = openSync(file, 'r+');
  writeSync(fd, Uint8Array.of(1, 2, 3, 4), 0, 4, start + 3 * block - 4);
  closeSync(fd);
  const { tensors } = readSafetensors(file, (name) => name === 'c');
  assert.deepEqual([...tensors.get('c')!.data], [1, 2, 3, 4]);
});

test('float16 rounds to nearest even over its whole range, as in IEEE 754', () => {
  const widened = new Float32Array(65536);
  const all = Uint16Array.from({ length: 65536 }, (_, i) => i);
  decodeHalf(all, widened);
  const back = new Uint16Array(65536);
  encodeHalf(widened, back);
  for (let bits = 0; bits < 65536; bits++) {
    if ((bits & 0x7fff) > 0x7c00) assert.equal(back[bits] & 0x7fff, 0x7e00);
    else assert.equal(back[bits], bits);
  }
  const random = new Random(1, 'half');
  const one = new Uint16Array(1);
  for (let i = 0; i < 20000; i++) {
    const bits = random.int(0x7bff);
    const [low, high] = [widened[bits], widened[bits + 1]];
    const middle = (low + high) / 2;
    const cases: [number, number][] = [
      [middle, bits % 2 === 0 ? bits : bits + 1],
      [low + (high - low) * 0.49, bits],
      [low + (high - low) * 0.51, bits + 1],
    ];
    for (const [value, expected] of cases) {
      encodeHalf(Float32Array.of(-value), one);
      assert.equal(one[0], expected | 0x8000, `${value}`);
    }
  }
  encodeHalf(Float32Array.of(65519), one);
  assert.equal(one[0], 0x7bff);
  encodeHalf(Float32Array.of(65520), one);
  assert.equal(one[0], 0x7c00);
});
