import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { readTorchStateDict } from '../../../src/data/formats/torch-state.js';
import { TorchFile } from '../../../src/data/formats/torch.js';
import { rejectsWithLine, storedZip, tempFolder } from '../../rigs/files.js';

/** A pickle of protocol 2 to 4 from its opcodes, as text and numbers; see Lib/pickletools.py. */
function pickle(...parts: (string | number)[]): Buffer {
  return Buffer.concat(parts.map((part) => (typeof part === 'number' ? Buffer.of(part) : Buffer.from(part, 'latin1'))));
}

const le = (value: number) => String.fromCharCode(value & 255, (value >> 8) & 255, (value >> 16) & 255, value >>> 24);
const text = (value: string) => `X${le(value.length)}${value}`;
const storage = (count: string, key = '0') =>
  pickle('((', text('storage'), 'ctorch\nFloatStorage\n', text(key), text('cpu'), count, 'tQ').toString('latin1');

function torchFile(t: TestContext, pkl: Buffer, entries: Record<string, Uint8Array> = {}, method = 0): string {
  const file = join(tempFolder(t), 'hostile.pt');
  writeFileSync(file, storedZip({ 'x/data.pkl': pkl, ...entries }, method));
  return file;
}

async function readAll(file: string) {
  const source = await TorchFile.open(file);
  try {
    const numbers = (value: unknown): unknown =>
      Array.isArray(value) ? value.map(numbers) : (source.numbers(value) ?? value);
    return numbers([...source.items()]);
  } finally {
    source.close();
  }
}

test('a global that is not allowed is an error that names it, with every opcode', async (t) => {
  const calls = {
    GLOBAL: pickle(0x80, 2, 'cposix\nsystem\n', text('touch was-here'), 0x85, 'R.'),
    STACK_GLOBAL: pickle(0x80, 4, text('posix'), text('system'), 0x93, text('touch was-here'), 0x85, 'R.'),
    NEWOBJ: pickle(0x80, 2, 'cposix\nsystem\n', text('touch was-here'), 0x85, 0x81, '.'),
    'in an item': pickle(0x80, 2, ']](cposix\nsystem\n', text('touch was-here'), 0x85, 'Rea.'),
  };
  for (const [name, pkl] of Object.entries(calls)) {
    await rejectsWithLine(() => readAll(torchFile(t, pkl)), /hostile\.pt: refused: .*"posix\.system"/, /check where/);
    assert.ok(name);
  }
});

test('globals similar to allowed ones are errors', async (t) => {
  for (const [module, name] of [
    ['builtins', 'eval'],
    ['builtins', 'getattr'],
    ['numpy', 'load'],
    ['numpy', '__dict__'],
    ['torch', 'load'],
    ['torch._utils', '_rebuild_tensor_v2.__globals__'],
    ['_codecs', 'decode'],
    ['__proto__', 'constructor'],
    ['', 'toString'],
  ]) {
    const pkl = pickle(0x80, 2, `c${module}\n${name}\n`, ')R.');
    await rejectsWithLine(() => readAll(torchFile(t, pkl)), /refused: the global "\S*" is not allowed/);
  }
});

test('other opcodes that create objects are errors', async (t) => {
  for (const pkl of [
    pickle('(', text('x'), 'iposix\nsystem\n.'),
    pickle('(cposix\nsystem\no.'),
    pickle(0x80, 2, 0x82, 1, '.'),
    pickle('Ppersistent\n.'),
  ]) {
    await rejectsWithLine(() => readAll(torchFile(t, pkl)), /refused: /);
  }
});

test('allowed globals accept only the expected arguments', async (t) => {
  for (const pkl of [
    pickle(0x80, 2, 'ccollections\nOrderedDict\n', ']', 0x85, 'R.'),
    pickle(0x80, 2, 'c_codecs\nencode\n', text('a'), text('zlib'), 0x86, 'R.'),
    pickle(0x80, 2, 'cnumpy\ndtype\n', text('V8'), 0x85, 'R.'),
    pickle(0x80, 2, 'cnumpy\nndarray\n', ')R.'),
    pickle(0x80, 2, 'K', 1, ')R.'),
    pickle(0x80, 2, ']K', 1, 'b.'),
  ]) {
    await rejectsWithLine(() => readAll(torchFile(t, pkl)), /refused: /);
  }
});

test('lengths beyond the file and inconsistent stacks are errors, without large allocations', async (t) => {
  const huge = '\xff\xff\xff\xff\xff\xff\xff\x7f';
  for (const pkl of [
    pickle(0x80, 4, 0x8d, huge, 'x.'),
    pickle(0x80, 4, 0x8e, huge, 'x.'),
    pickle(0x80, 2, `X${le(0x7fffffff)}x.`),
    pickle(0x80, 2, 0x8b, le(0x7fffffff), 'x.'),
    pickle(0x80, 2, `c${'a'.repeat(5000)}\n`),
    pickle(0x80, 2, ']'),
    pickle(0x80, 2, 'h', 7, '.'),
    pickle('t.'),
    pickle('0.'),
    pickle('s.'),
    pickle('.'),
  ]) {
    await rejectsWithLine(() => readAll(torchFile(t, pkl)), /refused: at byte \d+: /);
  }
});

test('a tensor that does not fit into its storage is an error', async (t) => {
  const floats = new Uint8Array(16);
  const tensor = (offset: string, shape: string, stride: string, count = 'K\x04') =>
    pickle(
      0x80,
      2,
      'ctorch._utils\n_rebuild_tensor_v2\n(',
      storage(count).slice(1),
      offset,
      shape,
      stride,
      0x89,
      'NtR.',
    );
  const good = torchFile(t, tensor('K\x00', '(K\x04t', '(K\x01t'), { 'x/data/0': floats });
  assert.deepEqual(await readAll(good), [{ shape: [4], values: new Float32Array(4) }]);
  for (const pkl of [
    tensor('K\x01', '(K\x04t', '(K\x01t'),
    tensor('K\x00', '(K\x05t', '(K\x01t'),
    tensor('K\x00', '(K\x02K\x03t', '(K\x03K\x01t'),
    tensor('K\x00', `(J${le(0x7fffffff)}t`, '(K\x00t'),
    tensor('K\x00', `(J${le(-4)}t`, '(K\x01t'),
    tensor('K\x00', '(K\x04t', '(K\x01K\x01t'),
    tensor('K\x00', '(K\x08t', '(K\x01t', 'K\x08'),
    tensor(`J${le(-1)}`, '(K\x01t', '(K\x01t'),
  ]) {
    await rejectsWithLine(() => readAll(torchFile(t, pkl, { 'x/data/0': floats })), /refused: |expected \d+ bytes/);
  }
});

test('a storage missing in the zip is an error that names it', async (t) => {
  const pkl = pickle(0x80, 2, '}', text('w'), 'ctorch._utils\n_rebuild_tensor_v2\n(', storage('K\x04', '3').slice(1));
  const rest = pickle('K\x00(K\x04t(K\x01t', 0x89, 'NtRs.');
  const file = torchFile(t, Buffer.concat([pkl, rest]));
  await rejectsWithLine(() => readTorchStateDict(file), /the storage data\/3 is missing/);
});

test('compressed entries and zips without a pickle are errors', async (t) => {
  await rejectsWithLine(() => TorchFile.open(torchFile(t, pickle(']', '.'), {}, 8)), /but data\.pkl is compressed or encrypted/);
  const file = join(tempFolder(t), 'other.zip');
  writeFileSync(file, storedZip({ 'x/readme.txt': Buffer.from('hello') }));
  await rejectsWithLine(() => TorchFile.open(file), /a zip without data\.pkl/);
});

test('a list that contains itself is an error, not an endless recursion', async (t) => {
  const source = await TorchFile.open(torchFile(t, pickle(0x80, 2, ']q', 0, 'h', 0, 'a.')));
  const list = source.value();
  await rejectsWithLine(() => source.numbers(list), /refused: lists of numbers are nested more than 32 deep/);
  source.close();
});

test('lists that expand to more numbers than the file has bytes are errors', async (t) => {
  // 30 levels, each ten times the one below, expand to 10^30 numbers
  const level = (i: number) =>
    pickle('](', ...new Array<string>(10).fill(`h${String.fromCharCode(i)}`), 'eq', i + 1, '0');
  const levels = Array.from({ length: 30 }, (_, i) => level(i));
  const pkl = Buffer.concat([
    pickle(0x80, 2, ']K', 1, 'aq', 0, '0'),
    ...levels,
    pickle(0x80, 2, '}', text('w'), 'h', 30, 's.'),
  ]);
  const source = await TorchFile.open(torchFile(t, pkl));
  const nest = (source.value() as Map<string, unknown>).get('w');
  await rejectsWithLine(() => source.numbers(nest), /refused: .* to more numbers than the file has bytes/);
  source.close();
});

test('a storage with a huge number is refused at once', async (t) => {
  const entries = { 'x/data/99999999': new Uint8Array(4) };
  const file = torchFile(t, pickle(0x80, 2, '].'), entries);
  await rejectsWithLine(() => readAll(file), /refused: a storage has the number 99999999, but there are 2 files/);
});
