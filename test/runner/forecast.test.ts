/** `--dry-run` says what a command would do, and does nothing. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { formatForecast } from '../../src/cli/forecast.js';
import { forecast, type Forecast, type Step } from '../../src/runner/forecast.js';
import { loadRegistry } from '../../src/runner/registry.js';
import { loadRunSettings } from '../../src/runner/run-settings.js';
import { runStage, type RunOptions } from '../../src/runner/run.js';
import { contents, critiq, emptyFolder, succeed } from '../rigs/process.js';
import { registry } from '../rigs/stages.js';

const loaded = await loadRegistry(registry);

function settings(data: string, stage: string, overrides: readonly string[]) {
  return loadRunSettings(loaded, { overrides: [`data=${data}`, ...overrides] }, loaded.stages.get(stage)).config;
}

async function make(data: string, stage: string, overrides: readonly string[] = [], options: RunOptions = {}) {
  const summaries = await runStage(loaded, stage, settings(data, stage, overrides), options);
  return Object.fromEntries(summaries.map(({ instance, made }) => [instance, made]));
}

/** Every file and folder with its time of change. */
function everything(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .sort()
    .map((name) => `${name} ${statSync(join(folder, name)).mtimeMs}`);
}

/** The forecast of a command, and that it writes nothing. */
async function foretold(data: string, stage: string, overrides: readonly string[] = [], options: RunOptions = {}) {
  const before = [contents(data), everything(data)];
  const plan = await forecast(loaded, stage, settings(data, stage, overrides), options);
  assert.deepEqual([contents(data), everything(data)], before, 'nothing is written');
  return plan;
}

function counts({ steps }: Forecast): Record<string, string> {
  const word = ({ planned, reused, built, replaced, resized, back, dropped }: Step) =>
    planned === null
      ? 'unknown'
      : Object.entries({ reused, built, replaced, resized, back, dropped })
          .filter(([, count]) => count)
          .map(([what, count]) => `${what} ${count}`)
          .join(' ');
  return Object.fromEntries(steps.map((step) => [step.instance, word(step)]));
}

test('a new run: what can be planned, and that no folder appears', async (t) => {
  const data = join(emptyFolder(t), 'data');
  const plan = await forecast(loaded, 'total', settings(data, 'total', []));
  assert.equal(existsSync(data), false);
  assert.deepEqual(counts(plan), { numbers: 'built 6', squares: 'unknown', 'total/all': 'unknown' });
  assert.deepEqual([plan.runs, plan.seconds, plan.bytes], [true, null, null]);
});

test('the plan is what the command then does', async (t) => {
  const data = emptyFolder(t);
  await make(data, 'total', ['numbers.shards=4']);
  assert.deepEqual(counts(await foretold(data, 'total')), {
    numbers: 'reused 4',
    squares: 'reused 4',
    'total/all': 'reused 1',
  });
  assert.equal((await foretold(data, 'total')).seconds, 0);
  rmSync(join(data, 'pocket/squares/n1.json'));
  const lost = await foretold(data, 'squares');
  assert.deepEqual(counts(lost).squares, 'reused 3 built 1');
  assert.deepEqual(lost.steps[1].why, ['files are missing or incomplete']);
  assert.deepEqual(await make(data, 'squares'), { numbers: 0, squares: 1 });
  const other = await foretold(data, 'total', ['squares.power=3'], { redo: true });
  assert.deepEqual(counts(other), { numbers: 'reused 4', squares: 'replaced 4', 'total/all': 'replaced 1' });
  assert.deepEqual(other.steps[1].why, ['squares.power 2 -> 3']);
  assert.deepEqual(other.steps[2].why, ['inputs change (squares)']);
  assert.deepEqual(await make(data, 'total', ['squares.power=3'], { redo: true }), {
    numbers: 0,
    squares: 4,
    'total/all': 1,
  });
  const force = await foretold(data, 'squares', [], { force: true });
  assert.deepEqual([counts(force).squares, force.steps[1].why], ['replaced 4', ['--force']]);
});

test('where the command would stop, the plan says so, with the message of the command', async (t) => {
  const data = emptyFolder(t);
  await make(data, 'total');
  const plan = await foretold(data, 'total', ['squares.power=3']);
  assert.equal(plan.runs, false);
  await assert.rejects(make(data, 'total', ['squares.power=3']), { message: plan.steps[1].stops! });
  const none = await foretold(data, 'total', ['run=new'], { deps: false });
  assert.match(none.steps[0].stops!, /squares: missing, and total\/all needs it/);
});

test('time and disk are estimated from shards of the same stage, in this run or in another one', async (t) => {
  const data = emptyFolder(t);
  await make(data, 'squares');
  const { steps, seconds, bytes } = await foretold(data, 'squares', ['numbers.count=60'], { redo: true });
  assert.ok(steps[0].seconds! > 0 && seconds! >= steps[0].seconds!);
  assert.ok(steps[0].bytes! > 6 * 100 && bytes! > steps[0].bytes!, `${steps[0].bytes} bytes`);
  const [first] = (await foretold(data, 'squares', ['run=another'])).steps;
  assert.ok(first.seconds! > 0 && first.bytes! > 0);
  const text = formatForecast(await foretold(data, 'squares', ['run=another']));
  assert.match(text, /^numbers +build 6 of 6 +\d+ s +\d+ kB$/m);
  assert.match(text, /^squares +build +its inputs are built first +unknown +unknown$/m);
  const more = await foretold(data, 'squares', ['numbers.shards=8']);
  assert.deepEqual([counts(more).numbers, more.steps[1].more], ['reused 6 built 2', true]);
  assert.match(formatForecast(more), /^squares +build what is new, reuse 6 of 6 +inputs change \(numbers\)/m);
});

test('the command line: exit code 0 where it would run, 2 where it would stop, JSON, and nothing written', async (t) => {
  const cwd = emptyFolder(t);
  await succeed(['squares', '--quiet'], { cwd });
  const before = [contents(cwd), everything(cwd)];
  const { stdout } = await succeed(['squares', '--dry-run', '--json'], { cwd });
  assert.deepEqual((JSON.parse(stdout) as Forecast).runs, true);
  const stopped = await critiq(['squares', '--dry-run', 'squares.power=3'], { cwd });
  assert.equal(stopped.code, 2);
  assert.match(stopped.stdout, /squares +stop: would replace 6 of 6 +squares\.power 2 -> 3/);
  assert.match(stopped.stderr, /^critiq: squares: this would rebuild 6 finished shards .*--redo/);
  assert.equal((await critiq(['squares', '--dry-run', '--redo', 'squares.power=3'], { cwd })).code, 0);
  assert.deepEqual([contents(cwd), everything(cwd)], before);
});
