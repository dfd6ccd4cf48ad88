import parquet from '@dsnp/parquetjs';
import { RecordBatchReader } from 'apache-arrow';
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  column,
  listColumn,
  readTable,
  ROW_GROUP,
  streamTable,
  Table,
  writeTable,
  type TableKind,
} from '../../src/data/tables.js';
import { actionColumns } from '../../src/agents/action-columns.js';
import { temporaryName } from '../../src/data/store/atomic.js';
import { CANDIDATES, toTransitions, TRANSITIONS, type CandidateRow } from '../../src/data/transitions.js';
import { Random } from '../../src/random.js';
import { eachTruncation, rejectsWithLine, tempFolder } from '../rigs/files.js';

interface Everything {
  id: number;
  big: bigint;
  small: number;
  single: number;
  double: number;
  yes: boolean;
  text: string;
  texts: string[];
  ids: number[];
  flags: boolean[];
  maybe: number | null;
  camelCase: string | null;
}

const EVERYTHING: TableKind<Everything> = {
  name: 'everything',
  version: 3,
  columns: {
    id: column('int64', 'a safe integer'),
    big: column('bigint64', 'any 64-bit integer'),
    small: column('int32', 'an int32'),
    single: column('float', 'a float32'),
    double: column('double', 'a float64'),
    yes: column('bool', 'a flag'),
    text: column('string', 'a text'),
    texts: listColumn('string', 'texts'),
    ids: listColumn('int64', 'safe integers'),
    flags: listColumn('bool', 'flags'),
    maybe: column('int64', 'a safe integer, or nothing', { name: 'perhaps', optional: true, unit: 'steps', range: [0, null] }),
    camelCase: column('string', 'a text, or nothing', { optional: true }),
  },
};

function row(i: number): Everything {
  const sign = i % 2 ? -1 : 1;
  return {
    id: sign * (Number.MAX_SAFE_INTEGER - i),
    big: sign < 0 ? -(2n ** 63n) + BigInt(i) : 2n ** 63n - 1n - BigInt(i),
    small: sign * (2 ** 31 - 1 - i),
    single: Math.fround(i / 3),
    double: i / 3,
    yes: i % 3 === 0,
    text: i % 5 ? `row ${i} “é” 📱` : '',
    texts: Array.from({ length: i % 4 }, (_, k) => `${i}.${k}`),
    ids: Array.from({ length: i % 3 }, (_, k) => sign * (2 ** 53 - 1 - k)),
    flags: Array.from({ length: i % 20 }, (_, k) => (i + k) % 3 === 0),
    maybe: i % 7 === 0 ? null : i,
    // a row group of nulls only
    camelCase: i < 600 || i % 2 ? null : `c${i}`,
  };
}

function* rows(count: number): Generator<Everything> {
  for (let i = 0; i < count; i++) yield row(i);
}

test('rows are read back exactly, including all digits of 64-bit integers', async (t) => {
  const file = join(tempFolder(t), 'all.parquet');
  const written = await writeTable(file, EVERYTHING, rows(1203));
  assert.equal(written.rows, 1203);
  assert.equal(written.bytes, readFileSync(file).length);
  assert.deepEqual(await readTable(file, EVERYTHING), [...rows(1203)]);
});

test('a part of the rows and columns can be read', async (t) => {
  const file = join(tempFolder(t), 'all.parquet');
  await writeTable(file, EVERYTHING, rows(1203));
  const part = { columns: ['texts', 'id'] as const, rowStart: ROW_GROUP - 1, rowEnd: ROW_GROUP + 2 };
  const expected = [499, 500, 501].map(row).map(({ texts, id }) => ({ texts, id }));
  assert.deepEqual(await readTable(file, EVERYTHING, part), expected);
  const streamed = [];
  for await (const each of streamTable(file, EVERYTHING, { rowStart: 3, columns: ['id'] })) streamed.push(each.id);
  assert.deepEqual(
    streamed,
    Array.from({ length: 1200 }, (_, i) => row(i + 3).id),
  );
  assert.deepEqual(await readTable(file, EVERYTHING, { rowStart: 5000 }), []);
});

test('a table may have no rows', async (t) => {
  const file = join(tempFolder(t), 'none.parquet');
  await writeTable(file, EVERYTHING, []);
  assert.deepEqual(await readTable(file, EVERYTHING), []);
});

test('an independent Parquet reader finds the same rows, lists and metadata', async (t) => {
  const file = join(tempFolder(t), 'all.parquet');
  await writeTable(file, EVERYTHING, rows(700));
  const reader = await parquet.ParquetReader.openFile(file);
  const { 'critiq.columns': described, 'ARROW:schema': arrow, ...metadata } = reader.getMetadata() as Record<string, string>;
  assert.deepEqual(metadata, { 'critiq.table': 'everything', schema_version: '3' });
  const about = JSON.parse(described) as Record<string, object>;
  assert.deepEqual(about.perhaps, { description: 'a safe integer, or nothing', unit: 'steps', minimum: 0, maximum: null });
  assert.deepEqual(about.camel_case, { description: 'a text, or nothing' });
  const { schema } = RecordBatchReader.from(Buffer.from(arrow, 'base64')).open();
  assert.deepEqual(schema.names, Object.keys(about));
  assert.equal(schema.fields[0].metadata.get('description'), 'a safe integer');
  assert.deepEqual(
    schema.fields.filter(({ nullable }) => nullable).map(({ name }) => name),
    ['perhaps', 'camel_case'],
  );
  assert.deepEqual(
    schema.fields.map(({ type }) => String(type)),
    [
      ...['Int64', 'Int64', 'Int32', 'Float32', 'Float64', 'Bool', 'Utf8', 'List<Utf8>', 'List<Int64>', 'List<Bool>'],
      ...['Int64', 'Utf8'],
    ],
  );
  const cursor = reader.getCursor();
  const list = (items: unknown[]) => ({ list: items.length ? items.map((element) => ({ element })) : null });
  for (const expected of rows(700)) {
    const { id, texts, ids, flags, maybe, camelCase, ...rest } = expected;
    assert.deepEqual(await cursor.next(), {
      ...rest,
      perhaps: maybe === null ? null : BigInt(maybe),
      camel_case: camelCase,
      id: BigInt(id),
      texts: list(texts),
      ids: list(ids.map(BigInt)),
      flags: list(flags),
    });
  }
  assert.equal(await cursor.next(), null);
  await reader.close();
});

test('the same rows give the same bytes', async (t) => {
  const folder = tempFolder(t);
  const [a, b] = await Promise.all(['a', 'b'].map((name) => writeTable(join(folder, name), EVERYTHING, rows(600))));
  assert.deepEqual(a, b);
});

test('a value of the wrong type gives an error that names it, and no file is left', async (t) => {
  const file = join(tempFolder(t), 'bad.parquet');
  const wrong: [Partial<Record<keyof Everything, unknown>>, RegExp][] = [
    [{ id: 2 ** 53 }, /table everything, row 1, column id: expected int64, got 9007199254740992/],
    [{ small: 2 ** 31 }, /column small: expected int32/],
    [{ text: null }, /column text: expected string, got null/],
    [{ texts: 'one' }, /column texts: expected a list of string/],
    [{ flags: [true, 1] }, /column flags: expected a list of bool/],
    [{ maybe: 0.5 }, /column maybe: expected int64, got 0\.5/],
    [{ maybe: undefined }, /column maybe: expected int64, got undefined/],
  ];
  for (const [change, message] of wrong) {
    await assert.rejects(() => writeTable(file, EVERYTHING, [row(0), { ...row(1), ...change } as Everything]), message);
    assert.ok(!existsSync(file) && !existsSync(temporaryName(file)));
  }
});

test('a truncated table gives a one-line error that names the file', async (t) => {
  const file = join(tempFolder(t), 'cut.parquet');
  await writeTable(file, EVERYTHING, rows(600));
  const { length } = readFileSync(file);
  const random = new Random(2, 'truncate');
  const lengths = [
    0,
    3,
    11,
    length - 1,
    length - 4,
    length - 8,
    ...Array.from({ length: 8 }, () => random.int(length)),
  ];
  await eachTruncation(file, lengths, () =>
    rejectsWithLine(() => readTable(file, EVERYTHING), /cut\.parquet: .*; delete it and run/),
  );
});

test('a flipped byte gives a one-line error that names the file, or does no harm', async (t) => {
  const file = join(tempFolder(t), 'flipped.parquet');
  await writeTable(file, EVERYTHING, rows(40));
  const whole = readFileSync(file);
  const random = new Random(3, 'flip');
  for (let i = 0; i < 150; i++) {
    const bytes = Buffer.from(whole);
    bytes[random.int(bytes.length)] ^= 1 << random.int(8);
    writeFileSync(file, bytes);
    await readTable(file, EVERYTHING).catch((error: Error) => {
      assert.equal(error.name, 'UserError', error.stack);
      assert.match(error.message, /flipped\.parquet: /);
    });
  }
});

test('other formats, other tables and other versions give different errors', async (t) => {
  const folder = tempFolder(t);
  const file = join(folder, 'a.parquet');
  writeFileSync(file, 'this is not a Parquet file at all');
  await rejectsWithLine(() => readTable(file, EVERYTHING), /expected a Parquet file \(PAR1 at both ends\), got "this"/);
  await writeTable(file, EVERYTHING, rows(3));
  await rejectsWithLine(
    () => Table.open(file, CANDIDATES),
    /expected critiq's table candidates, got everything/,
  );
  await rejectsWithLine(
    () => Table.open(file, { ...EVERYTHING, version: 4 }),
    /expected everything schema_version 4, got 3/,
  );
  await rejectsWithLine(
    () => Table.open(join(folder, 'b.parquet'), EVERYTHING),
    /b\.parquet: cannot be read \(ENOENT\)/,
  );
});

test('a file of an older version is read with its own names, and missing columns are null', async (t) => {
  const file = join(tempFolder(t), 'old.parquet');
  interface Row {
    stepNumber: number;
    goal: string;
    later: string | null;
  }
  const now: TableKind<Row> = {
    name: 'steps',
    version: 2,
    reads: [1],
    columns: {
      stepNumber: column('int64', 'a number', { name: 'step' }),
      goal: column('string', 'a goal'),
      later: column('string', 'a text', { since: 2, optional: true }),
    },
  };
  const before: TableKind<Omit<Row, 'later'>> = {
    name: 'steps',
    version: 1,
    columns: { stepNumber: column('int64', 'a number', { name: 'stepNumber' }), goal: column('string', 'a goal') },
  };
  await writeTable(file, before, [{ stepNumber: 3, goal: 'g' }]);
  assert.deepEqual(await readTable(file, now), [{ stepNumber: 3, goal: 'g', later: null }]);
  assert.deepEqual(await readTable(file, now, { columns: ['later'] }), [{ later: null }]);
  await rejectsWithLine(() => readTable(file, { ...now, reads: [] }), /expected steps schema_version 2, got 1/);
  await writeTable(file, now, [{ stepNumber: 4, goal: 'h', later: 'x' }]);
  assert.deepEqual(await readTable(file, now), [{ stepNumber: 4, goal: 'h', later: 'x' }]);
  assert.deepEqual(await readTable(file, now, { columns: ['later', 'stepNumber'] }), [{ later: 'x', stepNumber: 4 }]);
});

test('candidates and transitions are read back exactly, including NaN', async (t) => {
  const folder = tempFolder(t);
  const candidates: CandidateRow = {
    tid: 4,
    actions: ['é', 'b'],
    counts: [2, 1],
    valid: [true, false],
    logProbs: [NaN, -0.5],
  };
  await writeTable(join(folder, 'c.parquet'), CANDIDATES, [candidates]);
  assert.deepEqual(await readTable(join(folder, 'c.parquet'), CANDIDATES), [candidates]);
  const step = (n: number) => ({ image: `i${n}`, prompt: `p${n}`, action: `a${n}`, applied: 'yes' as const });
  const episode = {
    episode: 'e1',
    task: 't1',
    family: 'f',
    goal: 'g',
    seed: 1,
    steps: [step(0), step(1), step(2)],
    finalImage: 'i3',
    finalPrompt: 'p3',
    reward: 1,
    truncated: true,
  };
  const transitions = toTransitions(episode, {
    firstTid: 10,
    gamma: 0.5,
    policy: 'base',
    temperature: 0.7,
    parse: actionColumns,
  });
  assert.deepEqual(
    transitions.map(({ tid, prevImage, image, nextImage, prevAction, reward, done, truncated, mcReturn, nextPrompt }) =>
      [tid, prevImage, image, nextImage, prevAction, reward, done, truncated, mcReturn, nextPrompt].join(' '),
    ),
    ['10 i0 i0 i1  0 false false 0.25 p1', '11 i0 i1 i2 a0 0 false false 0.5 p2', '12 i1 i2 i3 a1 1 true true 1 p3'],
  );
  await writeTable(join(folder, 't.parquet'), TRANSITIONS, transitions);
  assert.deepEqual(await readTable(join(folder, 't.parquet'), TRANSITIONS), transitions);
});
