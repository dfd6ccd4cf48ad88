/** No result is lost as a side effect: replacing one needs --redo, and the replaced one can be brought back. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { encodeLine } from '../../src/data/formats/jsonl.js';
import { readSealed } from '../../src/data/store/sealed.js';
import { Random } from '../../src/random.js';
import { loadRegistry } from '../../src/runner/registry.js';
import { runStage, type RunOptions } from '../../src/runner/run.js';
import { Trash } from '../../src/runner/trash.js';
import { loadSettings } from '../../src/settings/settings.js';
import { contents, critiq, emptyFolder, failedInOneLine, start, succeed } from '../rigs/process.js';
import { registry } from '../rigs/stages.js';

const loaded = await loadRegistry(registry);

function config(data: string, ...overrides: string[]) {
  return loadSettings(loaded.schema, { overrides: [`data=${data}`, ...overrides], aliases: loaded.aliases });
}

const run = (data: string, stage: string, overrides: string[] = [], options: RunOptions = {}) =>
  runStage(loaded, stage, config(data, ...overrides), options);

const restore = (data: string, id: string) => new Trash(join(data, 'pocket')).restore(id);

/** The files of a run but for its trash, its lock, what is half made, and run.json. */
function results(data: string): Record<string, string> {
  const files = Object.entries(contents(join(data, 'pocket')));
  return Object.fromEntries(files.filter(([name]) => !/^(\.trash|scratch)\//.test(name) && name !== 'lock'));
}

test('a changed setting of a finished result stops in one line, and changes nothing', async (t) => {
  const cwd = emptyFolder(t);
  await succeed(['total', 'total.lr=0.25'], { cwd });
  const before = contents(join(cwd, 'data'));
  const record = readFileSync(join(cwd, 'data/pocket/run.json'), 'utf8');
  const forgotten = await critiq(['versus', 'versus.a=all', 'total.lr=0.5'], { cwd });
  failedInOneLine(
    forgotten,
    2,
    /total\/all: this would rebuild 1 finished shard .*total\.lr 0\.25 -> 0\.5.*--redo.*run=NAME/,
  );
  assert.deepEqual(contents(join(cwd, 'data')), before);
  assert.equal(readFileSync(join(cwd, 'data/pocket/run.json'), 'utf8'), record, 'run.json is as it was');
});

test('with --redo, or yes in the settings, the result is replaced and the old one kept; restore brings it back', async (t) => {
  const data = emptyFolder(t);
  await run(data, 'total', ['total.lr=0.25']);
  const first = results(data);
  const second = await run(data, 'total', ['total.lr=0.5'], { redo: true });
  assert.equal(second.at(-1)!.made, 1);
  const replaced = results(data);
  assert.notDeepEqual(replaced, first);
  const [entry] = new Trash(join(data, 'pocket')).list();
  assert.equal(entry.id, '0001-total,all');
  assert.match(entry.why, /total\.lr 0\.25 -> 0\.5/);
  await restore(data, entry.id);
  assert.deepEqual(results(data), first, 'every byte is back, metrics and plan too');
  assert.equal((await run(data, 'total', ['total.lr=0.25'])).at(-1)!.made, 0, 'and counts as up to date');
  const [other] = new Trash(join(data, 'pocket')).list();
  await restore(data, other.id);
  assert.deepEqual(results(data), replaced, 'what made way is restorable as well');
  await run(data, 'total', ['total.lr=0.125', 'yes=true']);
  await assert.rejects(restore(data, '0099-nothing'), {
    name: 'UserError',
    message: /has no entry 0099-nothing; it has/,
  });
});

test('after a --redo that fails, the old result is named and comes back whole', async (t) => {
  const cwd = emptyFolder(t);
  await succeed(['total'], { cwd });
  const before = results(join(cwd, 'data'));
  const failed = await critiq(['numbers', 'numbers.count=9', 'numbers.fail=run', '--redo'], { cwd });
  assert.equal(failed.code, 1);
  assert.match(failed.stderr, /not finished; the old result is in \.trash\/0001-numbers: critiq restore 0001-numbers/);
  const again = await critiq(['numbers', 'numbers.count=9', 'numbers.fail=run'], { cwd });
  assert.equal(again.code, 1);
  await succeed(['restore', '0001-numbers'], { cwd });
  const { stderr } = await succeed(['total'], { cwd });
  assert.match(stderr, /total\/all: up to date/);
  assert.deepEqual(results(join(cwd, 'data')), before);
});

test('the commands list, restore and remove replaced results', async (t) => {
  const cwd = emptyFolder(t);
  await succeed(['total'], { cwd });
  const { stderr } = await succeed(['total', 'total.lr=0.1', '--redo'], { cwd });
  assert.match(stderr, /critiq restore 0001-total,all run=pocket brings it back/);
  const list = await succeed(['restore', 'run=pocket'], { cwd });
  assert.match(list.stderr, /0001-total,all: replaced \d{4}-\d\d-\d\d .*1 shard.*total\.lr 0\.5 -> 0\.1/);
  const back = await succeed(['restore', '0001-total,all', '--json'], { cwd });
  assert.deepEqual(JSON.parse(back.stdout), { restored: '0001-total,all' });
  const { stdout } = await succeed(['total', '--json'], { cwd });
  assert.deepEqual(
    (JSON.parse(stdout) as { made: number }[]).map(({ made }) => made),
    [0, 0, 0],
    'the run has the settings of the restored result',
  );
  const young = await succeed(['gc', '--older-than', '30', '--json'], { cwd });
  assert.deepEqual((JSON.parse(young.stdout) as { removed: string[] }).removed, []);
  const all = await succeed(['gc', '--json'], { cwd });
  assert.deepEqual((JSON.parse(all.stdout) as { removed: string[] }).removed, ['0002-total,all']);
  assert.equal(existsSync(join(cwd, 'data/pocket/.trash')), false);
});

test('a command that fails before it works leaves no folder', async (t) => {
  const cwd = emptyFolder(t);
  const failed = await critiq(['total', '--no-deps', 'run=new'], { cwd });
  assert.equal(failed.code, 2);
  assert.deepEqual(readdirSync(cwd), []);
});

test('a kill while a result goes to the trash loses nothing', async (t) => {
  const cwd = emptyFolder(t);
  const random = new Random(7, 'trash kills');
  await succeed(['total'], { cwd });
  const first = results(join(cwd, 'data'));
  let kills = 0;
  for (let n = 0; n < 12; n++) {
    const { child, ended } = start(['total', '--redo', `numbers.count=${40 + n}`], { cwd });
    const timer = setTimeout(() => child.kill('SIGKILL'), 250 + random.int(450));
    if ((await ended).killed) kills += 1;
    clearTimeout(timer);
  }
  assert.ok(kills > 0, 'some were killed');
  await succeed(['total', '--redo', '--unset', 'numbers.count'], { cwd });
  assert.deepEqual(results(join(cwd, 'data')), first, 'the first result is rebuilt bit by bit');
  for (const { id } of new Trash(join(cwd, 'data/pocket')).list()) {
    const entry = JSON.parse(readFileSync(join(cwd, 'data/pocket/.trash', id, 'entry.json'), 'utf8')) as {
      complete: boolean;
      sets: { lines: { files: { file: string; bytes: number }[] }[] }[];
    };
    assert.equal(entry.complete, true);
    entry.sets.forEach(({ lines }, i) => {
      for (const { file, bytes } of lines.flatMap((line) => line.files))
        assert.equal(readFileSync(join(cwd, 'data/pocket/.trash', id, String(i), file)).length, bytes, `${id} ${file}`);
    });
  }
});

test('a move that a kill cut off is finished by the next command', async (t) => {
  const data = emptyFolder(t);
  await run(data, 'squares');
  await run(data, 'squares', ['squares.power=3'], { redo: true });
  const entry = join(data, 'pocket/.trash/0001-squares');
  const record = readSealed(join(entry, 'entry.json'), '') as unknown as { sets: { lines: object[] }[] };
  const [{ lines }] = record.sets;
  // as if the process had died after the first file: the others are still in place, and the manifest names them all
  const folder = join(data, 'pocket/squares');
  for (const name of readdirSync(join(entry, '0')).slice(1)) renameSync(join(entry, '0', name), join(folder, name));
  writeFileSync(join(folder, manifestName(data)), lines.map(encodeLine).join(''));
  writeFileSync(join(entry, 'entry.json'), JSON.stringify({ ...record, complete: false }));
  await run(data, 'squares', ['squares.power=5'], { redo: true });
  assert.equal(readdirSync(join(entry, '0')).length, lines.length, 'all its files are in the entry');
  assert.match(readFileSync(join(entry, 'entry.json'), 'utf8'), /"complete": true/);
});

test('a manifest that names a file outside its folder moves and removes nothing there', async (t) => {
  const data = emptyFolder(t);
  await run(data, 'squares');
  const outside = join(data, 'precious.txt');
  writeFileSync(outside, 'x');
  const file = join(data, 'pocket/squares', manifestName(data));
  const line = {
    shard: 's-n0',
    files: [{ file: '../../precious.txt', bytes: 1, crc32: 0 }],
    inputs: 'x',
    settings: 'y',
  };
  writeFileSync(file, readFileSync(file, 'utf8') + encodeLine(line));
  await assert.rejects(run(data, 'squares', ['squares.power=3'], { redo: true }), {
    name: 'UserError',
    message: /outside of it/,
  });
  assert.equal(readFileSync(outside, 'utf8'), 'x');
});

/** The manifest's name in this version. */
function manifestName(data: string): string {
  return readdirSync(join(data, 'pocket/numbers')).find((name) => name.endsWith('manifest.jsonl'))!;
}

test('a trash that is a link is not followed', async (t) => {
  const data = emptyFolder(t);
  await run(data, 'squares');
  const elsewhere = emptyFolder(t);
  symlinkSync(elsewhere, join(data, 'pocket/.trash'));
  await assert.rejects(run(data, 'squares', ['squares.power=3'], { redo: true }), {
    name: 'UserError',
    message: /link/,
  });
  assert.deepEqual(readdirSync(elsewhere), []);
});
