import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { registry } from '../../pipelines/index.js';
import { readResult } from '../../pipelines/eval.js';
import { readTransitions } from '../../pipelines/datasets.js';
import { playedEpisodes } from '../../pipelines/episodes/played.js';
import { imageId } from '../../src/data/images.js';
import { Phone } from '../../src/devices/phone/index.js';
import { loadRegistry } from '../../src/runner/registry.js';
import { loadSettings } from '../../src/settings/settings.js';
import { JudgeServer, MODEL } from '../rigs/judge/server.js';
import { run, withPolicy } from '../rigs/tiny-runs.js';

const settings = loadSettings((await loadRegistry(registry)).schema, { file: 'vem-eval', library: registry.library });
const of = (path: string): unknown => path.split('.').reduce<unknown>((at, key) => (at as Record<string, unknown>)[key], settings); // prettier-ignore
const PRESET = ['tasks.max_steps', 'judge.kind', 'judge.ask', 'judge.declare', 'eval.protocol'];

const task = (id: string, text: string, app: string) => JSON.stringify({ id, text, goal: { kind: 'open', app } });

test("VEM's protocol: each distinct task once from the home screen, at most 11 actions, a judge after each, which ends it", async (t) => {
  const data = await withPolicy(t);
  const tasks = join(data, 'tasks.jsonl');
  writeFileSync(
    tasks,
    [
      task('1', 'Open the clock', 'clock'),
      task('2', 'Open maps', 'maps'),
      task('3', 'Open the clock', 'clock'),
      task('4', 'Open music', 'music'),
    ].join('\n'),
  );
  // maps is done on the third screen after an action; the others never are
  const shown = new Map<string, number>();
  const server = await JudgeServer.start(t, {
    decide: ({ task }) => {
      shown.set(task, (shown.get(task) ?? 0) + 1);
      return task === 'Open maps' && shown.get(task) === 3 ? 'success' : 'failure';
    },
  });
  await run(data, 'eval', [
    ...PRESET.map((path) => `${path}=${String(of(path))}`),
    ...[`tasks.test_file=${tasks}`, `judge.model=${MODEL}`, `judge.url=${server.url}`, 'judge.same_screen=0'],
    // a policy that learned nothing may do nothing: the judge is then not asked about an equal screen
    'eval.temperature=1',
    ...['run=vem-eval', 'eval.policy=pocket:base'],
  ]);
  const folder = join(data, 'vem-eval/eval/pocket++base-test-distinct');
  const steps = await readTransitions(folder, 'eval');
  const ends = steps.filter(({ done }) => done);
  assert.deepEqual(ends.map(({ goal }) => goal), ['Open the clock', 'Open maps', 'Open music']); // prettier-ignore
  assert.ok(ends.every(({ step }) => step < 11));
  assert.ok(ends.some(({ step, truncated }) => truncated && step === 10));
  const { episodes, successes, protocol } = readResult(folder);
  assert.deepEqual([episodes, protocol], [3, 'distinct']);
  // the success ends the episode; questions about the same screen are not sent again
  const maps = ends.find(({ goal }) => goal === 'Open maps')!;
  assert.equal(successes, maps.trajectoryReward);
  assert.equal(maps.trajectoryReward === 1, shown.get('Open maps') === 3);
  assert.ok(server.asked.length >= 3 && server.asked.length <= steps.length);
  // each begins at home
  const played = playedEpisodes(folder, { ...settings, data, run: 'vem-eval' });
  for (const { trajectory, image } of steps.filter(({ step }) => step === 0)) {
    const { task, seed } = played(Number(trajectory));
    const phone = new Phone();
    phone.begin(task, seed);
    assert.equal(imageId(phone.frame()), image);
    assert.equal(phone.state.stack.length, 1);
  }
});
