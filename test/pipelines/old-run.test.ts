/** A run folder recorded by an early version (test/fixtures/run-v1) opens, is up to date, and goes on. */
import assert from 'node:assert/strict';
import { cpSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openDataset } from '../../src/data/store/manifest.js';
import { readTable, type Column } from '../../src/data/tables.js';
import { TRANSITIONS, type Transition } from '../../src/data/transitions.js';
import { readPlan } from '../../src/runner/outputs.js';
import type { StageStatus } from '../../src/runner/inspect.js';
import type { EvaluationList, RunInfo, State, TokenPage, Trajectory } from '../../src/viewer/api.js';
import { fixture } from '../rigs/files.js';
import { contents, emptyFolder, succeed } from '../rigs/process.js';
import { viewing } from '../rigs/viewer/rig.js';

const program = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const SETTINGS = JSON.parse(readFileSync(fixture('run-v1', 'settings.json'), 'utf8')) as string[];
const MADE = ['demos', 'sft', 'collect', 'candidates', 'vlm', 'represent', 'critic', 'online/coso', 'eval/base-test'];

/** A copy of the run as `data/pocket`. */
function oldRun(t: TestContext): { cwd: string; run: string } {
  const cwd = emptyFolder(t);
  const run = join(cwd, 'data/pocket');
  cpSync(fixture('run-v1', 'run'), run, { recursive: true });
  return { cwd, run };
}

async function upToDate(cwd: string): Promise<string[]> {
  const { stdout } = await succeed(['status', '--json', ...SETTINGS], { cwd, program });
  const stages = JSON.parse(stdout) as StageStatus[];
  return stages.filter(({ state }) => state === 'up to date').map(({ instance }) => instance);
}

test('an old run is up to date, and reading it changes nothing', async (t) => {
  const { cwd, run } = oldRun(t);
  const before = contents(run);
  assert.deepEqual(await upToDate(cwd), MADE);
  await succeed(['online', ...SETTINGS], { cwd, program });
  assert.deepEqual(contents(run), before, 'a stage with nothing to do leaves the old names');
});

test('an old run knows its settings: no command needs them again, and a later one keeps what an earlier one set', async (t) => {
  const { cwd, run } = oldRun(t);
  const critic = (): string[] =>
    Object.entries(contents(run)).flatMap(([name, digest]) =>
      /^(critic|values)\//.test(name) ? [`${name} ${digest}`] : [],
    );
  const { stdout } = await succeed(['status', '--json'], { cwd, program });
  const rows = JSON.parse(stdout) as StageStatus[];
  assert.deepEqual(
    rows.filter(({ state }) => state === 'up to date').map(({ instance }) => instance),
    MADE,
  );
  const before = critic();
  await succeed(['critic', 'critic.lr=1e-4', '--redo'], { cwd, program });
  const after = critic();
  assert.notDeepEqual(after, before);
  await succeed(['report'], { cwd, program });
  assert.deepEqual(critic(), after, 'the report leaves the critic of the other learning rate alone');
});

/** That all that was expected is there; more may be. */
function holds(made: unknown, expected: unknown, where: string): void {
  if (typeof expected !== 'object' || expected === null) return assert.equal(made, expected, where);
  for (const [key, value] of Object.entries(expected))
    holds((made as Record<string, unknown>)[key], value, `${where}.${key}`);
}

test('an old run gets a report', async (t) => {
  const { cwd, run } = oldRun(t);
  const before = contents(run);
  await succeed(['report', ...SETTINGS], { cwd, program });
  const made = JSON.parse(readFileSync(join(run, 'report.json'), 'utf8')) as Record<string, unknown>;
  const expected = JSON.parse(readFileSync(fixture('run-v1', 'report.json'), 'utf8')) as Record<string, unknown>;
  holds(made, expected, 'report.json');
  const page = readFileSync(join(run, 'report.html'), 'utf8');
  assert.match(page, /data:image\/[a-z]+;base64/, 'with the screenshot that is there');
  for (const [name, digest] of Object.entries(before)) assert.equal(contents(run)[name], digest, name);
  assert.deepEqual(await upToDate(cwd), [...MADE, 'report']);
});

test('the viewer shows an old run', async (t) => {
  const { cwd, run } = oldRun(t);
  const viewer = await viewing(t, join(cwd, 'data'), 'pocket');
  const of = async <T>(path: string): Promise<T> => (await viewer.get(path)).body as T;
  const info = await of<RunInfo>('/runs/pocket');
  assert.deepEqual(
    info.sets.map(({ name, trajectories }) => [name, trajectories]),
    [
      ['trajectories', 3],
      ['online/coso', 2],
      ['eval/base-test', 2],
      ['demos', 3],
    ],
  );
  assert.deepEqual(info.problems, []);
  const [first] = await readTable(join(run, 'trajectories/transitions-00000.parquet'), TRANSITIONS);
  const shown = await of<Trajectory>('/runs/pocket/trajectory?set=trajectories&id=000000');
  assert.deepEqual(
    [shown.goal, shown.strip[0].action, shown.strip[0].mcReturn],
    [first.goal, first.action, first.mcReturn],
  );
  const state = await of<State>('/runs/pocket/state?set=trajectories&id=000000&step=0');
  assert.equal(state.candidates[0].action, first.action);
  assert.deepEqual(state.problems, []);
  const { evaluations } = await of<EvaluationList>('/runs/pocket/evaluations');
  assert.deepEqual(
    evaluations.map(({ name, episodes }) => [name, episodes]),
    [['eval/base-test', 2]],
  );
  assert.ok((await of<TokenPage>('/runs/pocket/tokens?set=online/coso')).total > 0);
  assert.deepEqual(viewer.complaints, []);
});

/** Takes the last shard of the demonstrations away, as if the process had been killed before it. */
function unfinished(run: string): void {
  const file = (name: string) => join(run, 'demos', name);
  const lines = readFileSync(file('manifest.jsonl'), 'utf8').split('\n');
  writeFileSync(file('manifest.jsonl'), `${lines[0]}\n`);
  writeFileSync(file('plan.json'), JSON.stringify({ ...readPlan(join(run, 'demos')), finished: false }));
  rmSync(file('transitions-00001.parquet'));
}

test('an unfinished old data set resumes: its files get their new names, its shards stay', async (t) => {
  const { cwd, run } = oldRun(t);
  const [kept, remade] = ['transitions-00000.parquet', 'transitions-00001.parquet'].map((name) =>
    join(run, 'demos', name),
  );
  const before = await readTable(remade, TRANSITIONS);
  const bytes = readFileSync(kept);
  unfinished(run);
  const { stdout, stderr } = await succeed(['demos', ...SETTINGS], { cwd, program });
  assert.match(stdout + stderr, /demos: done \(2 shards, 6 rows; 1 built\)/);
  assert.deepEqual(Object.keys(contents(join(run, 'demos'))), [
    '_manifest.jsonl',
    '_plan.json',
    'transitions-00000.parquet',
    'transitions-00001.parquet',
  ]);
  assert.deepEqual(readFileSync(kept), bytes);
  const columns = Object.entries<Column>(TRANSITIONS.columns).filter(([, { since = 1 }]) => since === 1);
  const after = await readTable(remade, TRANSITIONS);
  for (const [field] of columns as [keyof Transition, Column][])
    assert.deepEqual(
      after.map((row) => row[field]),
      before.map((row) => row[field]),
      field,
    );
  assert.ok(before.every(({ actionType, policy }) => actionType === null && policy === null));
  assert.ok(after.every(({ actionType, policy }) => actionType !== null && policy === 'demonstrator'));
  assert.ok((await upToDate(cwd)).includes('demos'));
});

test('a data set still opens and resumes after a kill between two renames', async (t) => {
  const { cwd, run } = oldRun(t);
  const evaluation = join(run, 'eval/base-test');
  for (const name of ['manifest.jsonl', 'plan.json', 'result.json']) {
    renameSync(join(evaluation, name), join(evaluation, `_${name}`));
    assert.deepEqual(await upToDate(cwd), MADE, `after ${name}`);
  }
  unfinished(run);
  renameSync(join(run, 'demos/plan.json'), join(run, 'demos/_plan.json'));
  const { stdout, stderr } = await succeed(['demos', ...SETTINGS], { cwd, program });
  assert.match(stdout + stderr, /1 built/);
  assert.ok(!existsSync(join(run, 'demos/manifest.jsonl')));
});

test('if both names exist, the new one counts, and a commit removes the old one', async (t) => {
  const { run } = oldRun(t);
  const demos = join(run, 'demos');
  const manifest = readFileSync(join(demos, 'manifest.jsonl'), 'utf8');
  writeFileSync(join(demos, '_manifest.jsonl'), manifest);
  writeFileSync(join(demos, 'manifest.jsonl'), 'of another program\n');
  const set = await openDataset(demos);
  assert.equal(set.shards.length, 2);
  await set.commit({ ...set.get('00000')!, facts: { again: true } });
  assert.ok(!existsSync(join(demos, 'manifest.jsonl')) && !existsSync(join(demos, 'plan.json')));
  assert.deepEqual((await openDataset(demos)).get('00000')?.facts, { again: true });
});
