/** A fork shares files with its original, and no work in one changes a byte of the other. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Lock } from '../../src/data/store/lock.js';
import { readSealed, sealed } from '../../src/data/store/sealed.js';
import { UserError } from '../../src/errors.js';
import { readCommands, type CommandRecord } from '../../src/runner/log/commands.js';
import { shardTimes } from '../../src/runner/log/shards.js';
import { loadRegistry } from '../../src/runner/registry.js';
import { runStage, underLock, writeRunRecord } from '../../src/runner/run.js';
import { Display } from '../../src/runner/display.js';
import { Trash } from '../../src/runner/trash.js';
import { forkRun } from '../../src/runs/fork.js';
import { listRuns } from '../../src/runs/listing.js';
import { loadSettings } from '../../src/settings/settings.js';
import { contents, emptyFolder, start, until } from '../rigs/process.js';
import { registry } from '../rigs/stages.js';

const loaded = await loadRegistry(registry);

function config(data: string, run: string, ...overrides: string[]) {
  return loadSettings(loaded.schema, { overrides: [`data=${data}`, `run=${run}`, ...overrides] });
}

async function build(data: string, run: string, ...overrides: string[]): Promise<number> {
  const summaries = await runStage(loaded, 'total', config(data, run, ...overrides), { redo: true });
  return summaries.reduce((sum, { made }) => sum + made, 0);
}

/** The files of a run with their bytes, without those that each run has for itself. */
function results(data: string, run: string): Record<string, string> {
  return contents(join(data, run));
}

/** Every change that the commands of critiq can make to a run. */
async function work(data: string, run: string): Promise<void> {
  const own = config(data, run);
  await build(data, run, 'total.lr=0.25');
  await build(data, run, 'seed=3', 'squares.power=3');
  await build(data, run, 'numbers.shards=4');
  const trash = new Trash(join(data, run));
  await underLock(own, new Display('quiet'), async () => {
    await trash.restore(trash.list()[0].id);
    trash.collect(0, Date.now());
  });
  await runStage(loaded, 'numbers', own, { force: true });
  await writeRunRecord(config(data, run, 'seed=9'), loaded.schema);
}

test('a fork has everything, builds nothing again, and says where it comes from', async (t) => {
  const data = emptyFolder(t);
  await build(data, 'a');
  const forked = await forkRun({ data, from: 'a', to: 'b' });
  assert.ok(forked.shared > 0);
  assert.equal(forked.copied, 0);
  assert.deepEqual(results(data, 'b'), results(data, 'a'));
  const log = (run: string): CommandRecord[] => readCommands(join(data, run), join(data, run, 'lock'));
  assert.deepEqual(
    log('b').map(({ id, state }) => [id, state]),
    [...log('a').map(({ id, state }) => [id, state]), [log('b').at(-1)!.id, 'done']],
    'the commands that made the data, and the one that forked',
  );
  assert.deepEqual(shardTimes(join(data, 'b')), shardTimes(join(data, 'a')));
  const file = 'numbers/n0.json';
  assert.equal(statSync(join(data, 'a', file)).ino, statSync(join(data, 'b', file)).ino, 'one file with two names');
  const manifest = 'numbers/_manifest.jsonl';
  assert.notEqual(
    statSync(join(data, 'a', manifest)).ino,
    statSync(join(data, 'b', manifest)).ino,
    'it is appended to',
  );
  assert.equal(await build(data, 'b'), 0);
  assert.equal(await build(data, 'b', 'total.lr=0.25'), 1);
  const listed = listRuns(loaded, data, new Map([['defaults', config(data, 'a')]]));
  const b = listed.find(({ run }) => run === 'b')!;
  assert.equal(b.forked_from, 'a');
  assert.deepEqual(b.differs, { 'total.lr': 0.25 });
  assert.deepEqual(new Set(b.stages.map(({ state }) => state)), new Set(['finished']));
  assert.equal(readdirSync(data).filter((name) => name.startsWith('.')).length, 0);
});

test('no work in the fork changes a byte of the original', async (t) => {
  const data = emptyFolder(t);
  await build(data, 'a');
  await forkRun({ data, from: 'a', to: 'b' });
  const before = results(data, 'a');
  await work(data, 'b');
  assert.deepEqual(results(data, 'a'), before);
  assert.equal(await build(data, 'a'), 0);
});

test('no work in the original changes a byte of the fork', async (t) => {
  const data = emptyFolder(t);
  await build(data, 'a');
  await forkRun({ data, from: 'a', to: 'b' });
  const before = results(data, 'b');
  await work(data, 'a');
  assert.deepEqual(results(data, 'b'), before);
  assert.equal(await build(data, 'b'), 0);
});

test('a kill -9 in the fork leaves the original as it is', async (t) => {
  const data = emptyFolder(t);
  await build(data, 'a');
  await forkRun({ data, from: 'a', to: 'b' });
  const before = results(data, 'a');
  const args = ['total', `data=${data}`, 'run=b', 'seed=1', '--redo'];
  const { child, ended } = start(args, { cwd: data, delayMs: 60 });
  await until(() => existsSync(join(data, 'b/.trash')), 'the fork replaces its numbers');
  child.kill('SIGKILL');
  await ended;
  assert.deepEqual(results(data, 'a'), before);
  assert.ok((await build(data, 'b', 'seed=1')) > 0);
  assert.deepEqual(results(data, 'a'), before);
  assert.equal(await build(data, 'a'), 0);
});

test('where files cannot have two names, they are copied', async (t) => {
  const data = emptyFolder(t);
  await build(data, 'a');
  for (const code of ['EXDEV', 'EPERM', 'EMLINK']) {
    const link = (): void => {
      throw Object.assign(new Error(code), { code });
    };
    const forked = await forkRun({ data, from: 'a', to: code, link });
    assert.equal(forked.shared, 0);
    assert.ok(forked.copied > 0);
    assert.deepEqual(results(data, code), results(data, 'a'));
    assert.equal(await build(data, code), 0);
  }
});

test('a fork that fails leaves nothing, and one that was killed is cleared away by the next', async (t) => {
  const data = emptyFolder(t);
  await build(data, 'a');
  let count = 0;
  const link = (): void => {
    if (++count > 3) throw Object.assign(new Error('disk full'), { code: 'ENOSPC' });
  };
  await assert.rejects(forkRun({ data, from: 'a', to: 'b', link }), /the disk is full/);
  assert.deepEqual(readdirSync(data), ['a']);
  // what a killed process leaves: no process has such a number
  await forkRun({ data, from: 'a', to: 'b' });
  const { hostname } = await import('node:os');
  const { cpSync } = await import('node:fs');
  cpSync(join(data, 'a'), join(data, `.c.fork-${hostname()}-999999999`), { recursive: true });
  await forkRun({ data, from: 'a', to: 'c' });
  assert.deepEqual(readdirSync(data).sort(), ['a', 'b', 'c']);
});

test('wrong names are refused in one line, and an existing run is never touched', async (t) => {
  const data = emptyFolder(t);
  await build(data, 'a');
  await forkRun({ data, from: 'a', to: 'b' });
  const before = results(data, 'b');
  await assert.rejects(forkRun({ data, from: 'a', to: 'b' }), /exists already; choose another name/);
  assert.deepEqual(results(data, 'b'), before);
  await assert.rejects(forkRun({ data, from: 'c', to: 'd' }), /no such run; .* has a, b$/);
  for (const name of ['../x', 'a/b', '', '.hidden', '..'])
    await assert.rejects(forkRun({ data, from: 'a', to: name }), UserError);
  await assert.rejects(forkRun({ data, from: '../a', to: 'd' }), /expected a folder name/);
});

test('of a run that is at work, a fork takes what is finished', async (t) => {
  const data = emptyFolder(t);
  await build(data, 'a');
  const plan = join(data, 'a/squares/_plan.json');
  writeFileSync(plan, sealed({ ...readSealed(plan, ''), finished: false }, 1));
  const lock = Lock.acquire(join(data, 'a/lock'));
  try {
    const forked = await forkRun({ data, from: 'a', to: 'b' });
    assert.deepEqual(forked.left_out, ['squares']);
    assert.ok(existsSync(join(data, 'b/numbers/n0.json')));
    assert.ok(!existsSync(join(data, 'b/squares')));
    assert.ok(existsSync(join(data, 'a/lock')), 'the lock stays');
  } finally {
    lock.release();
  }
  assert.equal(await build(data, 'b'), 6);
});
