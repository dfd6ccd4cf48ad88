/** Each stage is rebuilt exactly when its inputs or settings change, and never otherwise. */
import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { writeAtomic } from '../../src/data/store/atomic.js';
import { openDataset } from '../../src/data/store/manifest.js';
import { Display } from '../../src/runner/display.js';
import { loadRegistry } from '../../src/runner/registry.js';
import { runStage, type RunOptions } from '../../src/runner/run.js';
import { inspectRun } from '../../src/runner/inspect.js';
import { loadSettings } from '../../src/settings/settings.js';
import { contents, emptyFolder } from '../rigs/process.js';
import { registry } from '../rigs/stages.js';

const loaded = await loadRegistry(registry);

function config(data: string, ...overrides: string[]) {
  return loadSettings(loaded.schema, { overrides: [`data=${data}`, ...overrides], aliases: loaded.aliases });
}

const REDO: RunOptions = { redo: true };

/** Shards built by each instance. */
async function made(
  data: string,
  stage: string,
  overrides: string[] = [],
  options: RunOptions = {},
): Promise<Record<string, number>> {
  const summaries = await runStage(loaded, stage, config(data, ...overrides), options);
  return Object.fromEntries(summaries.map((summary) => [summary.instance, summary.made]));
}

async function states(data: string, ...overrides: string[]): Promise<Record<string, string>> {
  const rows = await inspectRun(loaded, config(data, ...overrides));
  return Object.fromEntries(rows.map((row) => [row.instance, row.state]));
}

test('missing inputs are built first, and nothing is built twice', async (t) => {
  const data = emptyFolder(t);
  assert.deepEqual(await made(data, 'total'), { numbers: 6, squares: 6, 'total/all': 1 });
  const before = contents(join(data, 'pocket'));
  const manifest = join(data, 'pocket/numbers/_manifest.jsonl');
  const { mtimeMs, ino } = statSync(manifest);
  assert.deepEqual(await made(data, 'total'), { numbers: 0, squares: 0, 'total/all': 0 });
  assert.deepEqual(contents(join(data, 'pocket')), before);
  assert.deepEqual([statSync(manifest).mtimeMs, statSync(manifest).ino], [mtimeMs, ino], 'not even rewritten');
});

test('with --redo a changed setting rebuilds its stage and what depends on it, and nothing else', async (t) => {
  const data = emptyFolder(t);
  await made(data, 'total');
  assert.deepEqual(await made(data, 'total', ['total.lr=0.25'], REDO), { numbers: 0, squares: 0, 'total/all': 1 });
  assert.deepEqual(await made(data, 'total', ['total.lr=0.25', 'squares.power=3'], REDO), {
    numbers: 0,
    squares: 6,
    'total/all': 1,
  });
  assert.deepEqual(await made(data, 'total', ['total.lr=0.25', 'squares.power=3', 'seed=1'], REDO), {
    numbers: 6,
    squares: 6,
    'total/all': 1,
  });
  const { shards } = await openDataset(join(data, 'pocket/squares'), { verify: 'full' });
  assert.equal(shards.length, 6);
});

test('the log says how many shards are rebuilt or removed, and why', async (t) => {
  const data = emptyFolder(t);
  await made(data, 'numbers');
  const logged = async (overrides: string[], options: RunOptions = REDO, stage = 'numbers'): Promise<string> => {
    let text = '';
    const display = new Display('normal', { write: (piece: string) => (text += piece) });
    await made(data, stage, overrides, { ...options, display });
    // a line of its own says where the replaced result is
    return text.replace(/^[\w/]+: kept the replaced result: .*\n/gm, '');
  };
  assert.equal(await logged([], { force: true }), 'numbers: rebuilding 6 outdated shards: --force\n');
  assert.equal(await logged(['numbers.count=3']), 'numbers: rebuilding 6 outdated shards: numbers.count 50 -> 3\n');
  assert.equal(
    await logged(['numbers.count=3', 'numbers.shards=5']),
    'numbers: keeping 1 shard that the plan does not need in .spare\n',
  );
  rmSync(join(data, 'pocket/numbers/n1.json'));
  assert.equal(
    await logged(['numbers.count=3', 'numbers.shards=4']),
    'numbers: keeping 1 shard that the plan does not need in .spare\n' +
      'numbers: rebuilding 1 outdated shard: files are missing or incomplete\n',
  );
  assert.equal(await logged(['numbers.count=3', 'numbers.shards=5']), 'numbers: taking back 1 shard from .spare\n');
  assert.equal(await logged(['numbers.count=3', 'numbers.shards=5']), '');
  await made(data, 'squares', ['numbers.count=3', 'numbers.shards=5']);
  assert.equal(
    await logged(['numbers.count=3', 'numbers.shards=5', 'seed=1'], REDO, 'squares'),
    'numbers: rebuilding 5 outdated shards: seed 0 -> 1\nsquares: rebuilding 5 outdated shards: inputs changed\n',
  );
});

test('settings of used sections count; other and neutral ones do not', async (t) => {
  const data = emptyFolder(t);
  await made(data, 'squares');
  assert.deepEqual(await made(data, 'squares', ['shared.label=z', 'numbers.workers=1', 'workers=3', 'threads=1']), {
    numbers: 0,
    squares: 0,
  });
  assert.deepEqual(await made(data, 'squares', ['shared.scale=10'], REDO), { numbers: 6, squares: 6 });
});

test('a longer plan builds only the new shards, a shorter one keeps the others aside', async (t) => {
  const data = emptyFolder(t);
  await made(data, 'squares', ['numbers.shards=3']);
  assert.deepEqual(await made(data, 'squares', ['numbers.shards=5']), { numbers: 2, squares: 2 });
  const fresh = emptyFolder(t);
  await made(fresh, 'squares', ['numbers.shards=5']);
  assert.deepEqual(contents(join(data, 'pocket')), contents(join(fresh, 'pocket')), 'as if built at once');
  await made(data, 'squares', ['numbers.shards=2']);
  assert.equal(existsSync(join(data, 'pocket/numbers/n3.json')), false);
  const short = emptyFolder(t);
  await made(short, 'squares', ['numbers.shards=2']);
  assert.deepEqual(await made(data, 'squares', ['numbers.shards=5']), { numbers: 0, squares: 0 }, 'taken back');
  assert.deepEqual(contents(join(data, 'pocket')), contents(join(fresh, 'pocket')));
  await made(data, 'squares', ['numbers.shards=2']);
  rmSync(join(data, 'pocket/.spare'), { recursive: true });
  assert.deepEqual(contents(join(data, 'pocket')), contents(join(short, 'pocket')));
});

test('touching a file changes nothing; a lost or truncated one is rebuilt', async (t) => {
  const data = emptyFolder(t);
  await made(data, 'squares');
  const before = contents(join(data, 'pocket'));
  utimesSync(join(data, 'pocket/numbers/n1.json'), 1, 1);
  assert.deepEqual(await made(data, 'squares'), { numbers: 0, squares: 0 });
  rmSync(join(data, 'pocket/numbers/n1.json'));
  writeFileSync(join(data, 'pocket/numbers/n2.json'), '[');
  assert.deepEqual(await made(data, 'squares'), { numbers: 2, squares: 0 }, 'same content: squares stay');
  assert.deepEqual(contents(join(data, 'pocket')), before);
});

test('instances live side by side, and a stage finds the one that builds its input', async (t) => {
  const data = emptyFolder(t);
  assert.deepEqual(await made(data, 'total'), { numbers: 6, squares: 6, 'total/all': 1 });
  assert.deepEqual(await made(data, 'versus'), {
    numbers: 0,
    squares: 0,
    'total/all': 0,
    'total/other': 1,
    'versus/all-other': 1,
  });
  assert.deepEqual(JSON.parse(readFileSync(join(data, 'pocket/versus.json'), 'utf8')), { difference: 0 }, 'finish ran');
  assert.deepEqual(await states(data, 'total.name=other'), {
    numbers: 'up to date',
    squares: 'up to date',
    'total/other': 'up to date',
    'total/all': 'up to date',
    'versus/all-other': 'up to date',
  });
});

test('--no-deps names the command that builds a missing input', async (t) => {
  const data = emptyFolder(t);
  await assert.rejects(made(data, 'total', [], { deps: false }), {
    name: 'UserError',
    message: /squares: missing, and total\/all needs it; run `critiq squares` first/,
  });
  await made(data, 'squares');
  assert.deepEqual(
    await made(data, 'total', ['squares.power=7'], { deps: false }),
    { 'total/all': 1 },
    'uses the existing data',
  );
});

test('--force rebuilds the named stage and leaves the same bytes', async (t) => {
  const data = emptyFolder(t);
  await made(data, 'total');
  const before = contents(join(data, 'pocket'));
  assert.deepEqual(await made(data, 'squares', [], { force: true }), { numbers: 0, squares: 6 });
  rmSync(join(data, 'pocket/.trash'), { recursive: true });
  assert.deepEqual(await made(data, 'total'), { numbers: 0, squares: 0, 'total/all': 0 });
  assert.deepEqual(contents(join(data, 'pocket')), before);
});

test('imported data is used as it is and only overwritten with --force', async (t) => {
  const data = emptyFolder(t);
  const folder = join(data, 'pocket/numbers');
  mkdirSync(folder, { recursive: true });
  const written = await writeAtomic(join(folder, 'n7.json'), '[1,2,3]');
  const dataset = await openDataset(folder);
  await dataset.commit({ shard: 'n7', files: [{ file: 'n7.json', ...written }], inputs: 'import', settings: 'import' });
  assert.deepEqual(await made(data, 'squares'), { squares: 1 });
  assert.equal((await states(data)).numbers, 'imported');
  await assert.rejects(made(data, 'numbers'), {
    name: 'UserError',
    message: /holds data that `critiq numbers` did not build/,
  });
  const only = emptyFolder(t);
  mkdirSync(join(only, 'pocket'));
  cpSync(join(data, 'pocket/squares'), join(only, 'pocket/squares'), { recursive: true });
  rmSync(join(only, 'pocket/squares/_plan.json'));
  await assert.rejects(made(only, 'squares'), { name: 'UserError' });
  assert.equal(existsSync(join(only, 'pocket/numbers')), false, 'refused before its inputs are built');
  assert.deepEqual(await made(data, 'numbers', [], { force: true }), { numbers: 6 });
  assert.equal(existsSync(join(folder, 'n7.json')), false);
});

test('status distinguishes up to date, outdated, incomplete and missing', async (t) => {
  const data = emptyFolder(t);
  assert.deepEqual(await states(data), {
    numbers: 'missing',
    squares: 'missing',
    'total/all': 'missing',
    'versus/all-other': 'missing',
  });
  await made(data, 'total');
  assert.deepEqual(await states(data), {
    numbers: 'up to date',
    squares: 'up to date',
    'total/all': 'up to date',
    'versus/all-other': 'missing',
  });
  assert.deepEqual(await states(data, 'squares.power=3'), {
    numbers: 'up to date',
    squares: 'outdated',
    'total/all': 'outdated',
    'versus/all-other': 'missing',
  });
  assert.equal((await states(data, 'numbers.shards=8')).numbers, 'incomplete');
  rmSync(join(data, 'pocket/numbers/n0.json'));
  assert.equal((await states(data)).squares, 'outdated', 'its input is incomplete');
});

test('a failing shard stops the others, keeps finished ones, and its error is thrown', async (t) => {
  const data = emptyFolder(t);
  for (const [fail, name] of [
    ['user', 'UserError'],
    ['run', 'RunError'],
    ['bug', 'TypeError'],
  ]) {
    await assert.rejects(made(data, 'numbers', [`numbers.fail=${fail}`, 'numbers.workers=1']), { name });
  }
  const { shards } = await openDataset(join(data, 'pocket/numbers'), { verify: 'full' });
  assert.deepEqual(
    shards.map(({ shard }) => shard),
    ['n0', 'n1'],
  );
  assert.deepEqual(await made(data, 'numbers'), { numbers: 4 });
  const fresh = emptyFolder(t);
  await made(fresh, 'numbers');
  assert.deepEqual(contents(join(data, 'pocket')), contents(join(fresh, 'pocket')));
});
