/** The settings of a run stay with it: a later command needs only what it changes. */
import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Display } from '../../src/runner/display.js';
import { inspectRun } from '../../src/runner/inspect.js';
import { loadRegistry } from '../../src/runner/registry.js';
import { commandSettings, loadRunSettings } from '../../src/runner/run-settings.js';
import { readRunRecord } from '../../src/runner/run-record.js';
import { runStage, type RunOptions } from '../../src/runner/run.js';
import { describeDifferences } from '../../src/settings/differences.js';
import type { StoredSettings } from '../../src/settings/stored.js';
import { valueAt } from '../../src/settings/changes.js';
import { contents, emptyFolder } from '../rigs/process.js';
import { registry } from '../rigs/stages.js';

const loaded = await loadRegistry(registry);

/** A run in an empty folder, with the commands of a user. */
class Run {
  readonly folder: string;
  private readonly data: string;

  constructor(t: TestContext) {
    this.data = emptyFolder(t);
    this.folder = join(this.data, 'pocket');
  }

  /** Writes a settings file. */
  file(text: string, name = 'mine.yaml'): string {
    const file = join(this.data, name);
    writeFileSync(file, text);
    return file;
  }

  settings(stage: string, overrides: readonly string[] = [], file?: string, unset: readonly string[] = []) {
    const sources = { overrides: [`data=${this.data}`, ...overrides], file, unset };
    return loadRunSettings(loaded, sources, loaded.stages.get(stage));
  }

  /** Runs a stage. @returns the shards built by each instance */
  async make(
    stage: string,
    overrides: readonly string[] = [],
    file?: string,
    options: RunOptions & { unset?: string[] } = {},
  ) {
    const { config } = this.settings(stage, overrides, file, options.unset);
    const summaries = await runStage(loaded, stage, config, options);
    return Object.fromEntries(summaries.map(({ instance, made }) => [instance, made]));
  }

  value(path: string, overrides: readonly string[] = [], file?: string): unknown {
    return valueAt(this.settings('', overrides, file).config, path.split('.'));
  }

  /** What the command says about a named file. */
  says(file: string, overrides: readonly string[] = []): string[] {
    return describeDifferences(this.settings('', overrides, file).differences, 'mine.yaml', 'pocket');
  }

  get stored(): StoredSettings {
    return (JSON.parse(readFileSync(join(this.folder, 'run.json'), 'utf8')) as { set: StoredSettings }).set;
  }

  async states(): Promise<Record<string, string>> {
    const rows = await inspectRun(loaded, this.settings('').config);
    return Object.fromEntries(rows.map(({ instance, state }) => [instance, state]));
  }
}

const NOTHING = { numbers: 0, squares: 0, 'total/all': 0 };

test('a setting of one command counts in the next, and nothing is built again', async (t) => {
  const run = new Run(t);
  await run.make('squares', ['squares.power=3', 'numbers.count=4']);
  const before = contents(run.folder);
  assert.deepEqual(await run.make('squares'), { numbers: 0, squares: 0 });
  assert.deepEqual(await run.make('total'), { numbers: 0, squares: 0, 'total/all': 1 });
  assert.deepEqual(await run.make('total', ['numbers.count=4']), NOTHING);
  for (const [name, digest] of Object.entries(before)) assert.equal(contents(run.folder)[name], digest, name);
  assert.deepEqual(run.stored.command, { 'squares.power': 3, 'numbers.count': 4 });
  assert.equal((await run.states()).squares, 'up to date');
});

test('a command that stops, or has nothing to do, leaves what the run stores', async (t) => {
  const run = new Run(t);
  await run.make('squares', ['squares.power=3']);
  const before = readFileSync(join(run.folder, 'run.json'), 'utf8');
  await assert.rejects(
    run.make('squares', ['squares.power=4']),
    /would rebuild 6 finished shards.*squares\.power 3 -> 4/,
  );
  await run.make('squares', ['total.lr=0.25']);
  assert.equal(readFileSync(join(run.folder, 'run.json'), 'utf8'), before);
  assert.deepEqual(await run.make('squares', ['squares.power=4'], undefined, { redo: true }), {
    numbers: 0,
    squares: 6,
  });
  assert.deepEqual(await run.make('squares'), { numbers: 0, squares: 0 });
});

test('only what was set is stored, with where it came from; place and speed never are', async (t) => {
  const run = new Run(t);
  const file = run.file('numbers: {count: 3}\nworkers: 2\nshared: {label: b}\n');
  await run.make('numbers', ['threads=1', 'shared.label=c', 'yes=true', 'seed=7'], file);
  const { files, command, results } = run.stored;
  assert.deepEqual(Object.keys(files), ['numbers.count', 'shared.label']);
  assert.equal(files['numbers.count'].value, 3);
  assert.match(files['numbers.count'].from, /mine\.yaml$/);
  assert.deepEqual([command, results], [{ 'shared.label': 'c', seed: 7 }, {}]);
  const { config, origins } = run.settings('');
  assert.deepEqual([config.workers, config.threads, config.yes, config.seed], [0, 0, false, 7]);
  assert.match(origins.get('numbers.count')!, /^run: .*mine\.yaml$/);
  assert.equal(origins.get('shared.label'), 'run: command line');
  const again = run.settings('', ['shared.label=d'], file);
  assert.match(again.origins.get('numbers.count')!, /^[^:]*mine\.yaml$/);
  assert.equal(again.origins.get('shared.label'), 'command line');
});

test('a file named again changes the run only where it says something else than before', async (t) => {
  const run = new Run(t);
  const text = 'numbers: {count: 3, shards: 2}\nsquares: {power: 3}\n';
  const file = run.file(text);
  await run.make('squares', ['shared.scale=10'], file);
  assert.deepEqual(run.says(file), []);
  run.file(text.replace('power: 3', 'power: 4').replace(', shards: 2', '') + 'total: {steps: 7}\n');
  assert.deepEqual(run.says(file), [
    'mine.yaml and run pocket differ:',
    '  squares.power   3 -> 4',
    '  total.steps     20 -> 7',
    '  numbers.shards  2 -> 6 (the file no longer has it)',
  ]);
  assert.equal(run.value('squares.power'), 3, 'without the file the run stays as it is');
  await assert.rejects(run.make('squares', [], file), /squares\.power 3 -> 4|drop|rebuild/);
  await run.make('squares', [], file, { redo: true });
  assert.deepEqual(run.says(file), []);
  assert.equal(run.value('squares.power'), 4);
  // another file adds to what the run has
  const other = run.file('total: {lr: 0.25}\n', 'other.yaml');
  assert.equal(run.value('squares.power', [], other), 4);
  assert.equal(run.value('total.lr', [], other), 0.25);
});

test('the command line of an earlier command stays above an unchanged file, below a changed one, and can be taken back', async (t) => {
  const run = new Run(t);
  const file = run.file('numbers: {count: 3}\n');
  await run.make('numbers', ['numbers.count=5'], file);
  assert.equal(run.value('numbers.count', [], file), 5);
  assert.deepEqual(run.says(file), [
    'mine.yaml and run pocket differ:',
    '  numbers.count  5 of an earlier command line; the file has 3 (--unset numbers.count takes it back)',
  ]);
  assert.deepEqual(await run.make('numbers', [], file), { numbers: 0 });
  run.file('numbers: {count: 4}\n');
  assert.equal(run.value('numbers.count', [], file), 4);
  assert.deepEqual(run.says(file), ['mine.yaml and run pocket differ:', '  numbers.count  5 -> 4 (the file had 3)']);
  run.file('numbers: {count: 3}\n');
  const unset = run.settings('numbers', [], undefined, ['numbers.count']);
  assert.equal(valueAt(unset.config, ['numbers', 'count']), 3, "the file's value of that time");
  await run.make('numbers', [], undefined, { redo: true, unset: ['numbers.count'] });
  assert.deepEqual(run.stored.command, {});
  assert.throws(
    () => run.settings('numbers', [], undefined, ['numbers.cuont']),
    /--unset: unknown setting numbers\.cuont; did you mean/,
  );
});

test('settings of a named result stay with it, and other stages take it as it was built', async (t) => {
  const run = new Run(t);
  await run.make('total', ['total.name=other', 'total.lr=0.25', 'total.steps=5']);
  assert.deepEqual(run.stored.command, {});
  assert.deepEqual(run.stored.results, {
    'total/other': { 'total.name': 'other', 'total.lr': 0.25, 'total.steps': 5 },
  });
  await run.make('total');
  assert.deepEqual(await run.make('total', ['total.name=other']), { numbers: 0, squares: 0, 'total/other': 0 });
  assert.deepEqual(await run.make('versus'), {
    numbers: 0,
    squares: 0,
    'total/all': 0,
    'total/other': 0,
    'versus/all-other': 1,
  });
  // the run's settings change; what is built is taken as it is, and the log says so
  const file = run.file('total: {lr: 0.125}\n');
  await run.make('total', ['total.name=third'], file);
  let log = '';
  const display = new Display('normal', { write: (piece: string) => (log += piece) });
  assert.deepEqual((await run.make('versus', [], undefined, { display }))['total/all'], 0);
  assert.equal(log, 'total/all: used as it was built (total.lr 0.5; the run has 0.125)\n');
  // its own command compares, and so does a command that names the setting
  await assert.rejects(run.make('total'), /total\.lr 0\.5 -> 0\.125/);
  await assert.rejects(run.make('versus', ['total.lr=0.75']), /total\.lr 0\.5 -> 0\.75/);
  assert.deepEqual((await run.states())['total/other'], 'up to date');
  // without a name the settings are the run's
  await run.make('total', ['total.steps=3'], undefined, { redo: true });
  assert.deepEqual(run.stored.command, { 'total.steps': 3 });
});

test('a result that began with other settings goes on with them', async (t) => {
  const run = new Run(t);
  await run.make('squares');
  await assert.rejects(run.make('total', ['total.steps=4', 'seed=0'], undefined, { signal: AbortSignal.abort() }));
  assert.deepEqual(run.stored.command, { 'total.steps': 4, seed: 0 });
  assert.deepEqual(await run.make('total'), { ...NOTHING, 'total/all': 1 });
  assert.equal(
    (JSON.parse(readFileSync(join(run.folder, 'total/all/total.json'), 'utf8')) as { step: number }).step,
    4,
  );
});

test('a run of an earlier version keeps the settings that its results record', async (t) => {
  const run = new Run(t);
  await run.make('squares', ['squares.power=3', 'numbers.count=4', 'numbers.shards=3', 'workers=2']);
  await run.make('total', ['total.name=b', 'total.lr=0.25']);
  const file = join(run.folder, 'run.json');
  const record = readRunRecord(run.folder) as { set?: unknown; settings: { squares: { power: number } } };
  delete record.set;
  record.settings.squares.power = 9; // the last command of an earlier version, which built nothing
  writeFileSync(file, JSON.stringify(record));
  assert.deepEqual(await run.make('squares'), { numbers: 0, squares: 0 });
  assert.deepEqual(await run.make('total', ['total.name=b']), { numbers: 0, squares: 0, 'total/b': 0 });
  assert.equal((await run.states())['total/b'], 'up to date');
  const command = commandSettings(run.settings('').config)!;
  assert.equal(command.config.workers, 0);
  assert.equal(command.origins.get('squares.power'), 'run: run.json');
  const mine = run.file('squares: {power: 5}\nnumbers: {count: 4}\n');
  assert.deepEqual(run.says(mine), ['mine.yaml and run pocket differ:', '  squares.power  3 -> 5']);
  writeFileSync(file, '{');
  assert.throws(() => run.settings(''), /run\.json: damaged: not valid JSON; .*give the settings again/);
  rmSync(file);
  assert.equal(run.value('squares.power'), 2);
});
