import assert from 'node:assert/strict';
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { writeAtomic } from '../../../src/data/store/atomic.js';
import { recordFile } from '../../../src/data/store/integrity.js';
import { encodeLine } from '../../../src/data/formats/jsonl.js';
import { fingerprint, openDataset } from '../../../src/data/store/manifest.js';
import { RepresentationWriter } from '../../../src/data/representations.js';
import { writeTable } from '../../../src/data/tables.js';
import { CANDIDATES, type CandidateRow } from '../../../src/data/transitions.js';
import { RunError } from '../../../src/errors.js';
import { Random } from '../../../src/random.js';
import { eachTruncation, flipByte, rejectsWithLine, tempFolder } from '../../rigs/files.js';

const origin = { inputs: 'i1', settings: 's1' };

function* candidates(count: number): Generator<CandidateRow> {
  for (let tid = 0; tid < count; tid++) {
    yield { tid, actions: ['a'], counts: [1], valid: [true], logProbs: [-1] };
  }
}

/** A data set with a table and a shard of representations. */
async function sample(t: TestContext): Promise<string> {
  const folder = join(tempFolder(t), 'set');
  const set = await openDataset(folder, { stage: 'represent' });
  const table = await writeTable(set.path('a.parquet'), CANDIDATES, candidates(20));
  await set.commit({ shard: '0', files: [{ file: 'a.parquet', ...table }], ...origin });
  const writer = await RepresentationWriter.open(set.path('b.arrow'), 8);
  for (let tid = 0; tid < 10; tid++) await writer.append(tid, new Float32Array(16).fill(tid));
  await set.commit({
    shard: '1',
    files: [{ file: 'b.arrow', ...(await writer.commit()) }],
    ...origin,
    facts: { n: 10 },
  });
  return folder;
}

test('a committed shard is up to date only for the same inputs and settings', async (t) => {
  const set = await openDataset(await sample(t));
  assert.deepEqual(
    set.shards.map(({ shard }) => shard),
    ['0', '1'],
  );
  assert.ok(set.has('0', origin));
  assert.ok(!set.has('0', { ...origin, inputs: 'i2' }));
  assert.ok(!set.has('0', { ...origin, settings: 's2' }));
  assert.ok(!set.has('2', origin));
  assert.deepEqual(set.get('1')!.facts, { n: 10 });
  assert.deepEqual(set.files('.arrow'), [set.path('b.arrow')]);
});

test('a later line replaces an earlier one, and a removed shard is gone', async (t) => {
  const folder = await sample(t);
  const set = await openDataset(folder);
  await set.commit({ ...set.get('0')!, inputs: 'i2' });
  await set.remove('1');
  await set.remove('never there');
  const again = await openDataset(folder);
  assert.deepEqual(again.shards, set.shards);
  assert.deepEqual(
    again.shards.map(({ shard, inputs }) => [shard, inputs]),
    [['0', 'i2']],
  );
});

test('the fingerprint depends only on the content of the files', async (t) => {
  const folder = await sample(t);
  const set = await openDataset(folder);
  const before = set.fingerprint();
  await set.commit({ ...set.get('0')!, inputs: 'other', settings: 'other' });
  assert.equal(set.fingerprint(), before);
  const [file] = set.get('0')!.files;
  await set.commit({ ...set.get('0')!, files: [{ ...file, crc32: file.crc32 + 1 }] });
  assert.notEqual(set.fingerprint(), before);
  assert.equal(fingerprint({ a: 1, b: [2] }), fingerprint({ b: [2], a: 1 }));
  assert.notEqual(fingerprint({ a: [1, 2] }), fingerprint({ a: [2, 1] }));
});

test('a truncated file gives an error with the expected size and what to do', async (t) => {
  const folder = await sample(t);
  const random = new Random(5, 'truncate');
  for (const name of ['a.parquet', 'b.arrow']) {
    const file = join(folder, name);
    const { length } = readFileSync(file);
    const lengths = [0, 1, length - 1, ...Array.from({ length: 6 }, () => random.int(length))];
    await eachTruncation(file, lengths, (cut) =>
      rejectsWithLine(
        () => openDataset(folder, { stage: 'represent', verify: 'structure' }),
        new RegExp(`${name}: ${cut === 0 ? 'empty' : 'truncated'}: expected ${length} bytes, got ${cut}; `),
        /run `critiq represent` again after deleting/,
      ),
    );
  }
});

test('a flipped byte anywhere is noticed', async (t) => {
  const folder = await sample(t);
  const random = new Random(6, 'flip');
  for (const name of ['a.parquet', 'b.arrow']) {
    const file = join(folder, name);
    const whole = readFileSync(file);
    for (const at of [0, whole.length - 1, ...Array.from({ length: 12 }, () => random.int(whole.length))]) {
      flipByte(file, at);
      await rejectsWithLine(() => openDataset(folder, { verify: 'full' }), new RegExp(`${name}: `));
      writeFileSync(file, whole);
    }
  }
  await openDataset(folder, { verify: 'full' });
});

test('by default, a changed small file is noticed on the next open, even with the same size', async (t) => {
  const folder = await sample(t);
  await openDataset(folder);
  const file = join(folder, 'b.arrow');
  flipByte(file, readFileSync(file).length >> 1);
  await rejectsWithLine(() => openDataset(folder), /b\.arrow: damaged: expected crc32 \d+, got \d+/);
});

test('a missing shard, a file of another format and a wrong number of rows give different errors', async (t) => {
  const folder = await sample(t);
  const set = await openDataset(folder);
  const table = set.get('0')!;
  const [record] = table.files;
  await set.commit({ ...table, files: [{ ...record, rows: 21 }] });
  await rejectsWithLine(() => openDataset(folder), /a\.parquet: changed: expected 21 rows, got 20/);
  writeFileSync(set.path('a.parquet'), Buffer.alloc(record.bytes, 'x'));
  await rejectsWithLine(() => openDataset(folder), /a\.parquet: damaged: expected crc32/);
  await rejectsWithLine(
    () => openDataset(folder, { verify: 'structure' }),
    /a\.parquet: expected a Parquet file \(PAR1 at both ends\), got "xxxx"/,
  );
  rmSync(set.path('a.parquet'));
  await rejectsWithLine(() => openDataset(folder), /a\.parquet: cannot be read \(ENOENT\)/);
  mkdirSync(set.path('a.parquet'));
  await rejectsWithLine(() => openDataset(folder), /a\.parquet: expected a file, got a folder/);
});

test('paths outside the folder are errors, both in the manifest and on commit', async (t) => {
  const folder = await sample(t);
  const set = await openDataset(folder);
  for (const file of ['../set/a.parquet', '/etc/passwd', 'x/../../y', '']) {
    const shard = { shard: '2', files: [{ file, bytes: 1, crc32: 0 }], ...origin };
    await rejectsWithLine(() => set.commit(shard), /expected files with a path below/);
    const manifest = join(folder, '_manifest.jsonl');
    const whole = readFileSync(manifest);
    appendFileSync(manifest, encodeLine(shard));
    await rejectsWithLine(() => openDataset(folder), /_manifest\.jsonl: expected files with a path below/);
    writeFileSync(manifest, whole);
  }
});

test('an incomplete line of the manifest does not count as a committed shard', async (t) => {
  const folder = await sample(t);
  const manifest = join(folder, '_manifest.jsonl');
  const whole = readFileSync(manifest, 'utf8');
  writeFileSync(manifest, whole.slice(0, -5));
  const set = await openDataset(folder);
  assert.deepEqual(
    set.shards.map(({ shard }) => shard),
    ['0'],
  );
  await set.commit({
    shard: '1',
    files: [await recordFile(set.path('b.arrow'), 'b.arrow')],
    ...origin,
    facts: { n: 10 },
  });
  assert.equal((await openDataset(folder)).fingerprint(), set.fingerprint());
  assert.deepEqual((await openDataset(folder)).get('1')!.files[0].rows, 20);
});

test('a failed atomic write keeps the old file', async (t) => {
  const file = join(tempFolder(t), 'a.txt');
  await writeAtomic(file, 'old');
  await assert.rejects(
    writeAtomic(file, async (out) => {
      await out.write(Buffer.from('new'));
      throw new Error('no more');
    }),
    /no more/,
  );
  assert.equal(readFileSync(file, 'utf8'), 'old');
  await rejectsWithLine(() => writeAtomic(join(file, 'b.txt'), 'x'), /b\.txt: cannot be written \((ENOTDIR|EEXIST)\)/);
});

test('a full disk gives a one-line error and leaves no file', async (t) => {
  const folder = tempFolder(t);
  const handle = await open(join(folder, 'x'), 'w');
  await handle.close();
  rmSync(join(folder, 'x'));
  const prototype = Object.getPrototypeOf(handle) as { write: unknown };
  t.mock.method(prototype as { write: () => Promise<never> }, 'write', () =>
    Promise.reject(Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })),
  );
  const full = (error: Error) =>
    error instanceof RunError && /the disk is full \(ENOSPC\); free some space and run/.test(error.message);
  const table = join(folder, 'a.parquet');
  await assert.rejects(writeTable(table, CANDIDATES, candidates(600)), full);
  const shard = join(folder, 'b.arrow');
  const writer = await RepresentationWriter.open(shard, 8);
  await assert.rejects(writer.append(0, new Float32Array(8)), full);
  await writer.abort();
  assert.deepEqual(readdirSync(folder), []);
});

test('a folder without write permission gives a one-line error', async (t) => {
  // root can write everywhere except in the kernel's folders
  const root = process.getuid?.() === 0;
  const folder = root ? '/sys' : tempFolder(t);
  if (!root) chmodSync(folder, 0o500);
  await rejectsWithLine(() => writeAtomic(join(folder, 'a.txt'), 'x'), /a\.txt: cannot be written \(EACCES\)/);
  if (!root) chmodSync(folder, 0o700);
});
