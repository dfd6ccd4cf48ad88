import { tableFromIPC } from 'apache-arrow';
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryName } from '../../src/data/store/atomic.js';
import { ImageVectors, ImageVectorWriter } from '../../src/data/image-vectors.js';
import { Representations, RepresentationWriter, STATE } from '../../src/data/representations.js';
import { Random } from '../../src/random.js';
import { eachTruncation, rejectsWithLine, tempFolder } from '../rigs/files.js';

const DIM = 24;

/** A value that is exact in float16. */
const value = (tid: number, cand: number, i: number) => ((tid * 31 + cand * 7 + i) % 2000) / 4 - 200;

/** Transitions first .. first + count - 1 with 1 to 5 candidates each; every third also has the state. */
async function shard(file: string, first: number, count: number, type: 'float16' | 'float32' = 'float16') {
  const writer = await RepresentationWriter.open(file, DIM, type);
  for (let tid = first; tid < first + count; tid++) {
    const cands = candidatesOf(tid);
    const rows = Float32Array.from({ length: cands.length * DIM }, (_, at) =>
      value(tid, cands[Math.floor(at / DIM)], at % DIM),
    );
    await writer.append(tid, rows, { state: cands.includes(STATE) });
  }
  return writer.commit();
}

function candidatesOf(tid: number): number[] {
  const cands = Array.from({ length: 1 + (tid % 5) }, (_, cand) => cand);
  return tid % 3 === 0 ? [...cands, STATE] : cands;
}

for (const type of ['float16', 'float32'] as const) {
  test(`${type} rows are read by transition and candidate from several shards`, async (t) => {
    const folder = tempFolder(t);
    const files = ['a', 'b', 'c'].map((name) => join(folder, `${name}.arrow`));
    for (const [i, file] of files.entries()) await shard(file, 100 * i, 40, type);
    const reps = Representations.open(files);
    t.after(() => reps.close());
    assert.equal(reps.dim, DIM);
    assert.equal([...reps.tids()].length, 120);
    const random = new Random(4, 'rows');
    for (let i = 0; i < 300; i++) {
      const tid = 100 * random.int(3) + random.int(40);
      const all = candidatesOf(tid);
      assert.equal(reps.candidates(tid), all.filter((cand) => cand !== STATE).length);
      assert.equal(reps.hasState(tid), all.includes(STATE));
      const wanted = i % 2 ? random.shuffled(all).slice(0, 1 + random.int(all.length)) : all;
      const into = new Float32Array(5 + wanted.length * DIM + 5).fill(-7);
      reps.readRows(tid, wanted, into, 5);
      const expected = wanted.flatMap((cand) => Array.from({ length: DIM }, (_, k) => value(tid, cand, k)));
      const margin = new Array<number>(5).fill(-7);
      assert.deepEqual([...into], [...margin, ...expected, ...margin]);
    }
  });
}

test("apache-arrow's reader finds one batch per transition, in order", async (t) => {
  const file = join(tempFolder(t), 'a.arrow');
  const { rows } = await shard(file, 0, 12);
  const table = tableFromIPC(readFileSync(file));
  assert.equal(table.numRows, rows);
  assert.equal(table.batches.length, 12);
  let at = 0;
  for (let tid = 0; tid < 12; tid++) {
    for (const cand of candidatesOf(tid)) {
      const row = table.get(at++)!;
      assert.deepEqual([row.tid, row.cand], [BigInt(tid), cand]);
      const rep: Iterable<number> = row.rep;
      assert.deepEqual(
        [...rep],
        Array.from({ length: DIM }, (_, i) => value(tid, cand, i)),
      );
    }
  }
});

test('a transition may have a representation of the state only', async (t) => {
  const file = join(tempFolder(t), 'a.arrow');
  const writer = await RepresentationWriter.open(file, 2);
  await writer.append(9, Float32Array.of(1, 2), { state: true });
  await writer.commit();
  const reps = Representations.open([file]);
  const into = new Float32Array(2);
  reps.readRows(9, [STATE], into);
  assert.deepEqual([...into, reps.candidates(9)], [1, 2, 0]);
  reps.close();
});

test('an unknown transition or candidate is an error', async (t) => {
  const file = join(tempFolder(t), 'a.arrow');
  await shard(file, 0, 10);
  const reps = Representations.open([file]);
  const into = new Float32Array(10 * DIM);
  assert.throws(() => reps.readRows(99, [0], into), /no representation of tid 99 in 1 shards/);
  assert.throws(() => reps.readRows(1, [2], into), /tid 1: expected one of 2 candidates, got 2/);
  assert.throws(() => reps.readRows(1, [-1], into), /tid 1: expected one of 2 candidates, got -1/);
  assert.throws(() => reps.readRows(1, [NaN], into), /expected one of 2 candidates, got NaN/);
  assert.throws(() => reps.readRows(4, [0, 1], into, 9 * DIM), /do not fit/);
  reps.close();
});

test('a value out of range for float16 is an error with its place, and no file is left', async (t) => {
  const file = join(tempFolder(t), 'a.arrow');
  for (const [bad, message] of [
    [
      70000,
      /tid 5, candidate 1: element 2: expected at most 65504 for float16, got 70000; store float32 instead/,
    ],
    [NaN, /tid 5, candidate 1: element 2: expected a finite number, got NaN$/],
    [-Infinity, /element 2: expected a finite number, got -Infinity/],
  ] as const) {
    const writer = await RepresentationWriter.open(file, 4);
    await assert.rejects(writer.append(5, Float32Array.of(0, 0, 0, 0, 0, 0, bad, 0)), message);
    await assert.rejects(writer.append(5, new Float32Array(3)), /tid 5: expected a multiple of 4 floats, got 3/);
    await writer.abort();
    assert.ok(!existsSync(file) && !existsSync(temporaryName(file)));
  }
});

test('a truncated shard gives a one-line error that names it, never 0 rows', async (t) => {
  const file = join(tempFolder(t), 'cut.arrow');
  await shard(file, 0, 20);
  const { length } = readFileSync(file);
  const random = new Random(7, 'truncate');
  const lengths = [0, 5, 23, 100, length - 1, length - 9, ...Array.from({ length: 10 }, () => random.int(length))];
  await eachTruncation(file, lengths, () =>
    rejectsWithLine(
      () => Representations.open([file]),
      /cut\.arrow: .*; run `critiq represent` again after deleting it/,
    ),
  );
});

test('a flipped byte in the structure gives a one-line error that names the file, or does no harm', async (t) => {
  const file = join(tempFolder(t), 'flipped.arrow');
  await shard(file, 0, 10);
  const whole = readFileSync(file);
  const random = new Random(8, 'flip');
  let refused = 0;
  for (let i = 0; i < 300; i++) {
    const bytes = Buffer.from(whole);
    // half of the flips are in the footer, where they change the structure
    const at = i % 2 ? whole.length - 1 - random.int(Math.min(whole.length, 900)) : random.int(whole.length);
    bytes[at] ^= 1 << random.int(8);
    writeFileSync(file, bytes);
    try {
      const reps = Representations.open([file]);
      for (const tid of reps.tids()) {
        const count = reps.candidates(tid);
        assert.ok(count < 100);
        reps.readRows(
          tid,
          Array.from({ length: count }, (_, cand) => cand),
          new Float32Array(count * reps.dim),
        );
      }
      reps.close();
    } catch (error) {
      assert.equal((error as Error).name, 'UserError', (error as Error).stack);
      assert.match((error as Error).message, /flipped\.arrow: /);
      refused++;
    }
  }
  assert.ok(refused > 50, `${refused} of 300 flips were noticed`);
});

test('Arrow files of another kind, other widths and repeated transitions are errors', async (t) => {
  const folder = tempFolder(t);
  const [a, b, vectors] = ['a.arrow', 'b.arrow', 'v.arrow'].map((name) => join(folder, name));
  await shard(a, 0, 3);
  const images = await ImageVectorWriter.open(vectors, 4);
  await images.append('x', new Float32Array(4));
  await images.commit();
  await rejectsWithLine(
    () => Representations.open([vectors]),
    /v\.arrow: expected an Arrow file of kind critiq\.representations \(tid, cand, rep\), got columns id, vector/,
  );
  await rejectsWithLine(
    () => ImageVectors.open([a]),
    /a\.arrow: expected an Arrow file of kind critiq\.image-vectors \(id, vector\), got columns tid, cand, rep/,
  );
  await rejectsWithLine(() => Representations.open([a, a]), /a\.arrow: tid 0 is repeated/);
  const writer = await RepresentationWriter.open(b, 3);
  await writer.append(50, new Float32Array(3));
  await writer.commit();
  await rejectsWithLine(
    () => Representations.open([a, b]),
    /b\.arrow: expected float16\[24\] as in the first shard, got float16\[3\]/,
  );
  writeFileSync(b, 'not an Arrow file, but long enough to be one');
  await rejectsWithLine(
    () => Representations.open([b]),
    /expected an Arrow file \(ARROW1 at both ends\), got "not an"/,
  );
});

test('image vectors are read back exactly by content id, through a cache of limited size', async (t) => {
  const folder = tempFolder(t);
  const files = ['a.arrow', 'b.arrow'].map((name) => join(folder, name));
  const random = new Random(9, 'vectors');
  const expected = new Map<string, Float32Array>();
  for (const [n, file] of files.entries()) {
    const writer = await ImageVectorWriter.open(file, 5);
    for (let i = 0; i < 300; i++) {
      const vector = Float32Array.from({ length: 5 }, () => random.normal());
      expected.set(`image é ${n}-${i}`, vector);
      await writer.append(`image é ${n}-${i}`, vector);
    }
    assert.equal((await writer.commit()).rows, 300);
  }
  const images = ImageVectors.open(files, { cacheBytes: 20 * 10 });
  assert.deepEqual([...images.ids()], [...expected.keys()]);
  const into = new Float32Array(9);
  for (const id of [...random.shuffled(expected.keys()), ...random.shuffled(expected.keys())]) {
    images.read(id, into, 4);
    assert.deepEqual(into.subarray(4), expected.get(id), id);
    images.read(id, into);
    assert.deepEqual(into.subarray(0, 5), expected.get(id), id);
  }
  assert.throws(() => images.read('unknown', into), /no vector of image unknown in 2 shards/);
  images.close();
  await eachTruncation(files[0], [0, 30, 1000, readFileSync(files[0]).length - 3], () =>
    rejectsWithLine(() => ImageVectors.open(files), /a\.arrow: /),
  );
});
