/** The table of runs: states from metadata alone, and the settings that differ. */
import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadRegistry } from '../../src/runner/registry.js';
import { runStage } from '../../src/runner/run.js';
import { listRuns } from '../../src/runs/listing.js';
import { runsTable } from '../../src/runs/listing-text.js';
import { loadSettings } from '../../src/settings/settings.js';
import { critiq, emptyFolder, succeed } from '../rigs/process.js';
import { registry } from '../rigs/stages.js';

const loaded = await loadRegistry(registry);

function config(data: string, run: string, ...overrides: string[]) {
  return loadSettings(loaded.schema, { overrides: [`data=${data}`, `run=${run}`, ...overrides] });
}

function list(data: string) {
  return listRuns(loaded, data, new Map([['defaults', config(data, 'x')]]));
}

function states(data: string, run: string): Record<string, string> {
  const { stages } = list(data).find((one) => one.run === run)!;
  return Object.fromEntries(stages.map(({ instance, state }) => [instance, state]));
}

test('a stage is outdated when its input or a setting changed, unfinished when shards are missing', async (t) => {
  const data = emptyFolder(t);
  await runStage(loaded, 'total', config(data, 'a'));
  assert.deepEqual(states(data, 'a'), { numbers: 'finished', squares: 'finished', 'total/all': 'finished' });
  await runStage(loaded, 'squares', config(data, 'a', 'squares.power=3'), { redo: true });
  assert.deepEqual(states(data, 'a'), { numbers: 'finished', squares: 'finished', 'total/all': 'outdated' });
  await runStage(loaded, 'numbers', config(data, 'a', 'squares.power=3', 'seed=4'), { redo: true });
  assert.deepEqual(states(data, 'a'), { numbers: 'finished', squares: 'outdated', 'total/all': 'outdated' });
  await assert.rejects(runStage(loaded, 'numbers', config(data, 'b', 'numbers.fail=user', 'numbers.workers=1')));
  const { stages } = list(data).find((one) => one.run === 'b')!;
  assert.deepEqual(stages, [{ instance: 'numbers', state: 'unfinished', done: 2, planned: 6 }]);
});

test('the table shows what differs, a broken run does not hide the others, and --json has everything', async (t) => {
  const data = emptyFolder(t);
  await runStage(loaded, 'numbers', config(data, 'a', 'shared.scale=10', 'workers=2'));
  mkdirSync(join(data, 'broken'));
  writeFileSync(join(data, 'broken/run.json'), '{');
  mkdirSync(join(data, 'no-run'));
  const runs = list(data);
  assert.deepEqual(runs.map(({ run }) => run).sort(), ['a', 'broken']);
  const table = runsTable(runs, new Date()).split('\n');
  assert.match(table[0], /^RUN +CHANGED +STATE +SETTINGS +SUCCESS$/);
  assert.ok(table.some((line) => /^a .*1 finished +defaults/.test(line)));
  assert.ok(table.some((line) => /shared\.scale=10/.test(line)));
  assert.ok(table.some((line) => /^broken .*unreadable/.test(line)));
  const { stdout } = await succeed(['runs', `data=${data}`, '--json'], { cwd: data });
  const json = JSON.parse(stdout) as ReturnType<typeof list>;
  assert.deepEqual(json.find(({ run }) => run === 'a')!.differs, { 'shared.scale': 10 });
});

test('without runs it says so', async (t) => {
  const cwd = emptyFolder(t);
  const { code, stdout } = await critiq(['runs'], { cwd });
  assert.equal(code, 0);
  assert.match(stdout, /no runs in data/);
  rmSync(join(cwd, 'data'), { recursive: true, force: true });
});
