/** Stages with a VLM judge: its verdicts are rewards; episodes without a verdict are listed and not counted. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readTransitions } from '../../../pipelines/datasets.js';
import { wilson95 } from '../../../src/data/interval.js';
import { openDataset } from '../../../src/data/store/manifest.js';
import { KEY, KEY_ENV } from '../../rigs/judge/settings.js';
import { JudgeServer, MODEL, type Asked } from '../../rigs/judge/server.js';
import { critiq, emptyFolder, failedInOneLine, succeed } from '../../rigs/process.js';

const program = fileURLToPath(new URL('../../../src/cli/main.js', import.meta.url));

const TINY = [
  'device.count=4',
  'tasks.max_steps=4',
  'demos.episodes=6',
  'demos.shard=4',
  'sft.epochs=1',
  'sft.batch=8',
  'sft.width=16',
  'sft.heads=2',
  'sft.layers=1',
  'sft.feed_forward=16',
  'collect.episodes=9',
  'collect.shard=5',
  'eval.episodes=8',
  'eval.shard=4',
];

const asking = (server: JudgeServer, ...more: string[]) => [
  ...TINY,
  'judge.kind=openai',
  `judge.model=${MODEL}`,
  `judge.url=${server.url}`,
  `judge.api_key_env=${KEY_ENV}`,
  'judge.declare=ignored',
  'judge.backoff_ms=1',
  'judge.retries=1',
  ...more,
];

/** A number from 0 to 11 for a task: the same for all its screens. */
const lot = ({ task }: Asked) => createHash('sha1').update(task).digest()[1] % 12;
/** All screens of some tasks are successes; for other tasks the server gives no valid answer. */
const success = (asked: Asked) => lot(asked) < 5;
const silent = (asked: Asked) => lot(asked) >= 9;

/** A server whose answers about the silent tasks are not verdicts. */
function moody(t: { after(fn: () => unknown): void }) {
  return JudgeServer.start(t, {
    decide: (asked) => (success(asked) ? 'success' : 'failure'),
    behave: (asked) =>
      !silent(asked) ? 'well' : lot(asked) === 9 ? 'refusal' : lot(asked) === 10 ? 'maybe' : 'broken',
  });
}

const lotOf = (task: string) => lot({ task } as Asked);

async function ends(folder: string) {
  const { shards } = await openDataset(folder);
  const rows = await readTransitions(folder, 'collect');
  const unknown = shards.flatMap(({ facts }) => facts!.unknown as string[]);
  const counted = shards.map(({ facts }) => [facts!.episodes, facts!.successes] as [number, number]);
  return { rows: rows.filter(({ done }) => done), unknown, counted };
}

test('collect and eval: verdicts are rewards; episodes without a verdict are listed and not counted', async (t) => {
  const server = await moody(t);
  const cwd = emptyFolder(t);
  const { stderr } = await succeed(['collect', ...asking(server)], { cwd, program });
  const run = join(cwd, 'data/pocket');
  const collected = await ends(join(run, 'trajectories'));
  assert.ok(collected.unknown.length > 0 && collected.rows.length > 0, 'both kinds occur');
  assert.equal(collected.rows.length + collected.unknown.length, 9);
  for (const { goal, trajectoryReward } of collected.rows) {
    assert.ok(lotOf(goal) < 9, 'episodes without a verdict are left out');
    assert.equal(trajectoryReward, lotOf(goal) < 5 ? 1 : 0);
  }
  assert.deepEqual(collected.unknown, [...collected.unknown].sort());
  const successes = collected.rows.filter(({ trajectoryReward }) => trajectoryReward > 0).length;
  assert.equal(
    collected.counted.reduce((sum, [n]) => sum + n, 0),
    collected.rows.length,
  );
  assert.equal(
    collected.counted.reduce((sum, [, n]) => sum + n, 0),
    successes,
  );
  assert.match(
    stderr,
    new RegExp(
      `warning: collect: ${collected.unknown.length} of 9 episodes not judged and not counted: ${collected.unknown.join(', ')}\n`,
    ),
  );
  assert.match(stderr, /judge openai tiny-vlm: \d+ new answers?, \d+ from the cache; /);

  const said = await succeed(['eval', ...asking(server)], { cwd, program });
  const folder = join(run, 'eval/base-test');
  const evaluated = await ends(folder);
  const result = JSON.parse(readFileSync(join(folder, '_result.json'), 'utf8')) as Record<string, unknown>;
  assert.ok(evaluated.unknown.length > 0 && evaluated.rows.length > 0, 'both kinds occur');
  const won = evaluated.rows.filter(({ goal }) => lotOf(goal) < 5).length;
  assert.equal(result.judge, `openai ${MODEL}`);
  assert.deepEqual(result.unknown, evaluated.unknown);
  assert.equal(result.episodes, 8 - evaluated.unknown.length);
  assert.equal(result.successes, won);
  assert.equal(result.rate, won / evaluated.rows.length);
  assert.deepEqual(result.ci95, wilson95(won, evaluated.rows.length));
  assert.match(
    said.stderr,
    new RegExp(
      `${evaluated.unknown.length} of 8 episodes not judged and not counted: ${evaluated.unknown.join(', ')}\n`,
    ),
  );
  assert.match(said.stderr, new RegExp(`${won} of ${evaluated.rows.length} succeed`));
  assert.doesNotMatch(stderr + said.stderr, new RegExp(KEY));

  // repeated: nothing to do, even with other retries and budget; with another judge, everything
  const asked = server.asked.length;
  const again = await succeed(['eval', ...asking(server, 'judge.retries=4', 'judge.budget_calls=1')], { cwd, program });
  assert.doesNotMatch(again.stderr, /: done/);
  assert.equal(server.asked.length, asked);
  const state = await succeed(['eval', '--redo', 'judge.kind=state', ...TINY], { cwd, program });
  assert.match(state.stderr, /eval\/base-test: done/);
  assert.match(state.stderr, /sft: up to date/);
  const exact = JSON.parse(readFileSync(join(folder, '_result.json'), 'utf8')) as Record<string, unknown>;
  assert.equal(exact.judge, 'state');
  assert.deepEqual(exact.unknown, []);
  assert.equal(exact.episodes, 8);
});

test('with judge.ask=step a success ends its episode; equal screens are not sent twice', async (t) => {
  const server = await JudgeServer.start(t, { decide: (asked) => (success(asked) ? 'success' : 'failure') });
  const cwd = emptyFolder(t);
  await succeed(['collect', ...asking(server, 'judge.ask=step', 'judge.concurrency=1')], { cwd, program });
  const { rows, unknown } = await ends(join(cwd, 'data/pocket/trajectories'));
  assert.deepEqual(unknown, []);
  assert.equal(rows.length, 9);
  for (const { goal, step, trajectoryReward, truncated } of rows) {
    assert.equal(trajectoryReward, lotOf(goal) < 5 ? 1 : 0);
    if (trajectoryReward === 1) assert.deepEqual([step, truncated], [0, false], 'it ended after its first step');
  }
  assert.ok(
    rows.some(({ step }) => step > 0),
    'failures continue',
  );
  const steps = rows.reduce((sum, { step }) => sum + step + 1, 0);
  assert.ok(server.asked.length <= steps);
  const sent = server.asked.map(({ task, parts }) => `${task} ${parts.at(-2)}`);
  assert.equal(new Set(sent).size, sent.length, 'no screen was sent twice for a task');
});

test('a spent budget: the run continues and says so; with a larger budget the rest is judged', async (t) => {
  const server = await JudgeServer.start(t);
  const cwd = emptyFolder(t);
  const poor = await succeed(['collect', ...asking(server, 'judge.budget_calls=3')], { cwd, program });
  assert.equal(server.asked.length, 3);
  assert.match(poor.stderr, /the run's budget of 3 calls is spent \(judge\.budget_calls\)/);
  const { rows, unknown } = await ends(join(cwd, 'data/pocket/trajectories'));
  assert.equal(rows.length + unknown.length, 9);
  assert.ok(unknown.length > 0);
  await succeed(['collect', ...asking(server, 'judge.budget_calls=50'), '--force', '--no-deps'], { cwd, program });
  const richer = await ends(join(cwd, 'data/pocket/trajectories'));
  assert.deepEqual([richer.rows.length, richer.unknown.length], [9, 0]);
});

test('a shard without verdicts does no harm; a stage without verdicts fails', async (t) => {
  const server = await JudgeServer.start(t);
  const cwd = emptyFolder(t);
  // the first five episodes take the three calls
  const poor = ['candidates.samples=3', 'vlm.transitions=20', 'vlm.epochs=1', 'vlm.batch=4'];
  await succeed(['represent', ...asking(server, ...poor, 'judge.budget_calls=3')], { cwd, program });
  const run = join(cwd, 'data/pocket');
  const { counted } = await ends(join(run, 'trajectories'));
  assert.deepEqual(counted.at(-1), [0, 0], 'the last shard is empty');
  const represented = await openDataset(join(run, 'representations'));
  assert.deepEqual(
    represented.shards.map(({ files }) => files.length),
    [1, 0],
  );
  const silent = await critiq(['eval', '-q', ...asking(server, 'judge.budget_calls=3')], { cwd, program });
  assert.equal(silent.code, 1);
  assert.match(silent.stderr, /critiq: eval\/base-test: none of 8 episodes was judged/);
  assert.ok(!existsSync(join(run, 'eval/base-test/_result.json')), 'no result without verdicts');
  const budget = 'judge.budget_calls=0'; // the evaluation keeps what its first command set
  await succeed(['eval', '--force', '--no-deps', ...asking(server, budget)], { cwd, program });
  assert.ok(existsSync(join(run, 'eval/base-test/_result.json')));
});

test('critiq doctor checks the judge without asking it', async (t) => {
  const server = await JudgeServer.start(t);
  const cwd = emptyFolder(t);
  const look = async (...settings: string[]) => {
    const { stdout } = await critiq(['doctor', '--json', ...asking(server), ...settings], { cwd, program });
    const { state, line } = (JSON.parse(stdout) as { what: string; state: string; line: string }[]).find(
      ({ what }) => what === 'judge',
    )!;
    return `${state}: ${line}`;
  };
  assert.equal(await look(), `fine: ${server.url} serves ${MODEL}`);
  assert.equal(await look('judge.model=big'), `note: ${server.url} serves ${MODEL}, not big: set judge.model`);
  assert.equal(await look('judge.kind=state'), "fine: the device's own state");
  assert.match(await look('judge.kind=gemini'), /^fine: tiny-vlm at http.* with the key in CRITIQ_TEST_JUDGE_KEY$/);
  assert.match(await look('judge.kind=gemini', 'judge.api_key_env=NO_SUCH_KEY'), /^missing: .*variable NO_SUCH_KEY/);
  assert.match(await look('judge.few_shot=none'), /^missing: none\/examples\.json: cannot be read/);
  assert.match(await look('judge.url=http://127.0.0.1:2'), /^missing: .*start the server, or set judge\.url/);
  assert.equal(server.asked.length, 0);
});

test('an unusable judge ends the run with one line', async (t) => {
  const server = await JudgeServer.start(t, { behave: () => 'no key' });
  const cwd = emptyFolder(t);
  await succeed(['sft', ...TINY], { cwd, program });
  const refused = await critiq(['collect', '-q', ...asking(server)], { cwd, program });
  failedInOneLine(refused, 2, new RegExp(`answered 401: bad key .*the environment variable ${KEY_ENV}`));
  assert.doesNotMatch(refused.stderr, new RegExp(KEY));
  const nameless = await critiq(['collect', '-q', ...asking(server), 'judge.model='], { cwd, program });
  failedInOneLine(nameless, 2, /judge\.kind=openai: needs judge\.model/);
});
