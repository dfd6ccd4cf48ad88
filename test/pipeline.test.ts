/** The whole loop on the embedded phone, tiny: every stage from nothing, repeated, changed, and killed. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Random } from '../src/random.js';
import { contents, critiq, emptyFolder, start, succeed } from './runner-process.js';

const program = fileURLToPath(new URL('../src/cli.js', import.meta.url));

/** Sizes at which nothing is learned and everything is done. */
const TINY = [
  'device.count=4',
  'tasks.max_steps=4',
  'demos.episodes=6',
  'demos.shard=4',
  'sft.epochs=2',
  'sft.batch=8',
  'sft.width=16',
  'sft.heads=2',
  'sft.layers=1',
  'sft.feed_forward=16',
  'collect.episodes=8',
  'collect.shard=5',
  'candidates.samples=3',
  'vlm.transitions=20',
  'vlm.epochs=1',
  'vlm.batch=4',
  'critic.text_width=8',
  'critic.q_hidden=[16]',
  'critic.v_hidden=[16]',
  'critic.batch_size=8',
  'critic.iterations=2',
  'critic.epochs=2',
  'actor.loss=sft',
  'actor.batch_size=4',
  'actor.iterations=2',
  'eval.episodes=6',
  'eval.shard=4',
];

const DIGIQ = ['eval', 'eval.policy=digiq', 'eval.best_of_q=3', ...TINY];

test('one command makes everything it needs; repeated, it changes nothing; a setting redoes what it touches', async (t) => {
  const cwd = emptyFolder(t);
  const first = await succeed(DIGIQ, { cwd, program });
  for (const stage of ['demos', 'sft', 'collect', 'candidates', 'vlm', 'represent', 'critic', 'actor/digiq']) {
    assert.match(first.stdout + first.stderr, new RegExp(`${stage}: done`));
  }
  const made = contents(join(cwd, 'data/pocket'));
  const again = await succeed(DIGIQ, { cwd, program });
  assert.doesNotMatch(again.stdout + again.stderr, /: done/);
  assert.deepEqual(contents(join(cwd, 'data/pocket')), made);

  const changed = await succeed([...DIGIQ, 'critic.lr=0.002'], { cwd, program });
  const text = changed.stdout + changed.stderr;
  for (const stage of ['critic', 'actor/digiq']) assert.match(text, new RegExp(`${stage}: done`));
  for (const stage of ['demos', 'sft', 'collect', 'candidates', 'vlm', 'represent']) {
    assert.match(text, new RegExp(`${stage}: up to date`));
  }
  await succeed(DIGIQ, { cwd, program });
  assert.deepEqual(contents(join(cwd, 'data/pocket')), made, 'the old settings make the old bytes again');
});

test('kill -9 at random moments of all stages leaves the same bytes as an undisturbed run', async (t) => {
  const calm = emptyFolder(t);
  await succeed(DIGIQ, { cwd: calm, program });
  const cwd = emptyFolder(t);
  const random = new Random(0, 'kill the pipeline');
  let kills = 0;
  while (kills < 12) {
    const { child, ended } = start(DIGIQ, { cwd, program });
    // later and later, so that slow machines get on as well
    const timer = setTimeout(() => child.kill('SIGKILL'), 600 + 150 * kills + random.int(1200));
    const { killed, code, stderr } = await ended;
    clearTimeout(timer);
    if (!killed) {
      assert.equal(code, 0, stderr);
      break;
    }
    kills++;
  }
  assert.ok(kills >= 4, `killed ${kills} times only`);
  await succeed(DIGIQ, { cwd, program });
  assert.deepEqual(contents(join(cwd, 'data/pocket')), contents(join(calm, 'data/pocket')));
});

test('an evaluation stores what it prints', async (t) => {
  const cwd = emptyFolder(t);
  const { stdout, stderr } = await succeed(['eval', ...TINY], { cwd, program });
  const result = JSON.parse(readFileSync(join(cwd, 'data/pocket/eval/base-test/result.json'), 'utf8'));
  assert.equal(result.episodes, 6);
  assert.match(stdout + stderr, new RegExp(`${result.successes} of 6 succeed`));
});

test('--no-deps: what is missing is named with the command that makes it', async (t) => {
  const cwd = emptyFolder(t);
  const missing = await critiq(['collect', '--no-deps', ...TINY], { cwd, program });
  assert.equal(missing.code, 2);
  assert.match(missing.stderr, /policy\/base: .* run `critiq sft` first/);
  assert.equal(missing.stderr.trim().split('\n').length, 1);
});
