/** What the command line says to somebody who does not know it yet. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { registry } from '../../pipelines/index.js';
import { formatStatus } from '../../pipelines/commands/status.js';
import { main } from '../../src/cli/main.js';
import { withResult } from '../../src/cli/command.js';
import { loadRegistry } from '../../src/runner/registry.js';
import { inspectRun } from '../../src/runner/inspect.js';
import { loadSettings } from '../../src/settings/settings.js';
import { runStage } from '../../src/runner/run.js';
import { emptyFolder } from '../rigs/process.js';
import { registry as stages } from '../rigs/stages.js';

/** What a command prints to stderr, without the process around it, and its exit code. */
async function says(args: readonly string[], cwd: string): Promise<{ code: number; stderr: string }> {
  const [folder, write] = [process.cwd(), process.stderr.write];
  let stderr = '';
  process.chdir(cwd);
  process.stderr.write = (text: string | Uint8Array) => {
    stderr += String(text);
    return true;
  };
  try {
    return { code: await main(args, registry), stderr };
  } finally {
    process.stderr.write = write;
    process.chdir(folder);
  }
}

test('settings written as options, and options before the command: how to write them', async (t) => {
  const cwd = emptyFolder(t);
  for (const [args, hint] of [
    [['critic', '--critic.lr=1e-4'], 'settings are written without dashes: critic.lr=1e-4'],
    [['critic', '--lr', '1e-4'], 'settings are written without dashes: critic.lr=1e-4'],
    [['critic', '--batch-size=8'], 'settings are written without dashes: critic.batch_size=8'],
    [['critic', '--seed', '3'], 'settings are written without dashes: seed=3'],
    [['eval', '--lr', '--json'], 'settings are written without dashes: sft.lr=VALUE or '],
    [['--quiet', 'critic', 'seed=1'], 'options follow the command: critiq critic --quiet seed=1'],
    [['--config', 'pocket', 'critic'], 'options follow the command: critiq critic --config pocket'],
    [['critic', 'critic.lr', '1e-4'], 'write critic.lr=1e-4'],
  ] as const) {
    const { code, stderr } = await says(args, cwd);
    assert.equal(code, 2, args.join(' '));
    assert.ok(stderr.includes(hint), stderr);
    assert.equal(stderr.split('\n').length, 2, `one line: ${stderr}`);
  }
  assert.match(
    (await says(['critic', '--forse'], cwd)).stderr,
    /unknown option '--forse' \(Did you mean --force\?\)\n/,
  );
  assert.deepEqual(readdirSync(cwd), []);
});

test('all mistakes are told at once, in our words', async (t) => {
  const cwd = emptyFolder(t);
  writeFileSync(join(cwd, 'bad.yaml'), 'critic:\n  lr: 1\n  lr: 2\nseed: 1\nseed: 2\n');
  const yaml = await says(['config', '--config', 'bad.yaml', 'critic.foo=1', 'seed=-1'], cwd);
  assert.deepEqual(yaml.stderr.trim().split('\n'), [
    'critiq: bad.yaml:3:3: not valid YAML: Map keys must be unique',
    'critiq: bad.yaml:5:1: not valid YAML: Map keys must be unique',
    'critiq: command line: unknown setting critic.foo; did you mean critic.tau?',
    'critiq: command line: seed: expected integer >= 0, got -1 (number)',
  ]);
  const inner = await says(['config', 'report.compare=[1,2]'], cwd);
  assert.equal(inner.stderr, 'critiq: command line: report.compare: expected [string, string], got [1,2] (list)\n');
});

test('an empty folder is answered with how to begin, and a folder with other runs with their names', async (t) => {
  const cwd = emptyFolder(t);
  const empty = await says(['critic'], cwd);
  assert.equal(empty.code, 2);
  assert.match(
    empty.stderr,
    /^critiq: there is no run here yet: `critiq demo`.*`critiq init`.*`critiq critic --config pocket`[^\n]*\n$/,
  );
  assert.deepEqual(readdirSync(cwd), []);
  mkdirSync(join(cwd, 'data/exp7'), { recursive: true });
  writeFileSync(join(cwd, 'data/exp7/run.json'), '{"settings": {}}');
  assert.match((await says(['critic'], cwd)).stderr, /which run\? data has exp7: critiq critic run=NAME/);
  // whoever names something knows what to do
  assert.match((await says(['critic', '--no-deps', 'seed=0'], cwd)).stderr, /run `critiq collect` first|missing/);
});

test('an unknown policy is answered with those that exist', async (t) => {
  const cwd = emptyFolder(t);
  mkdirSync(join(cwd, 'data/exp7/policy/cautious'), { recursive: true });
  writeFileSync(join(cwd, 'data/exp7/run.json'), '{"settings": {}}');
  writeFileSync(
    join(cwd, 'data/exp7/policy/cautious/_plan.json'),
    JSON.stringify({ stage: 'actor', instance: 'actor/cautious', settings: {}, shards: [], finished: true }),
  );
  const { code, stderr } = await says(['eval', 'run=exp7', 'eval.policy=cautios'], cwd);
  assert.equal(code, 2);
  assert.match(stderr, /policy\/cautios: .*; run exp7 has cautious below policy\/, and stages can build base, digiq/);
});

test('status says why, and JSON of a stage has the numbers of its result', async (t) => {
  const data = emptyFolder(t);
  const loaded = await loadRegistry(stages);
  const config = (...overrides: string[]) => loadSettings(loaded.schema, { overrides: [`data=${data}`, ...overrides] });
  const [summary] = await runStage(loaded, 'numbers', config());
  await runStage(loaded, 'squares', config());
  const rows = await inspectRun(loaded, config('numbers.count=3', 'squares.power=3'));
  const text = formatStatus(rows, true);
  assert.match(text, /^numbers +outdated .*\n {2}because numbers\.count 50 -> 3\nsquares/m);
  assert.match(text, /^squares +outdated .*\n {2}because numbers is outdated\n {2}because squares\.power 2 -> 3\n/m);
  assert.doesNotMatch(formatStatus(rows), /because/);
  assert.deepEqual(withResult(summary), summary);
  writeFileSync(join(summary.outputs[0], '_result.json'), '{"rate": 0.5, "ci95": [0.4, 0.6]}');
  assert.deepEqual(withResult(summary).result, { rate: 0.5, ci95: [0.4, 0.6] });
});
