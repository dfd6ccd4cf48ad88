/** More of the same extends the results of the real stages, less uses a part of them: the bytes are those of a run made at once. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { readTable } from '../../src/data/tables.js';
import { CANDIDATES } from '../../src/data/transitions.js';
import { emptyFolder } from '../rigs/process.js';
import { files, played, run, withData, withPolicy } from '../rigs/tiny-runs.js';
import { TINY_ONLINE } from '../rigs/tiny-settings.js';

/** Asserts that data sets have the bytes that a fresh run gives them. */
async function asFresh(
  t: TestContext,
  data: string,
  stage: string,
  overrides: string[],
  names: string[],
): Promise<void> {
  const fresh = await withPolicy(t);
  await run(fresh, stage, overrides);
  assert.deepEqual(files(data, ...names), files(fresh, ...names), `${stage} ${overrides.join(' ')}`);
}

const COLLECTED = ['trajectories', 'image-vectors', 'candidates'];

test('more and fewer demonstrations', async (t) => {
  const data = await withPolicy(t);
  for (const count of [7, 3, 6]) {
    await run(data, 'demos', [`demos.episodes=${count}`]);
    const fresh = emptyFolder(t);
    await run(fresh, 'demos', [`demos.episodes=${count}`]);
    assert.deepEqual(files(data, 'demos'), files(fresh, 'demos'), `${count}`);
  }
});

test('more and fewer episodes and candidates: only missing episodes are played', async (t) => {
  const data = await withPolicy(t);
  await run(data, 'candidates', ['collect.episodes=4']);
  const walk: [string[], number[]][] = [
    [['collect.episodes=7'], [4, 5, 6]],
    [
      ['collect.episodes=12', 'candidates.samples=5'],
      [7, 8, 9, 10, 11],
    ],
    [['collect.episodes=6', 'candidates.samples=5'], []],
    [['collect.episodes=6', 'candidates.samples=2'], []],
    [['collect.episodes=12'], []],
  ];
  for (const [settings, wanted] of walk) {
    played.length = 0;
    const said = await run(data, 'candidates', settings);
    assert.doesNotMatch(said, /rebuilding|replaced/, said);
    assert.deepEqual(
      [...played].sort(),
      wanted.map((n) => String(n).padStart(6, '0')),
      settings.join(' '),
    );
    await asFresh(t, data, 'candidates', settings, COLLECTED);
  }
});

test('more candidates keep those that are there', async (t) => {
  const data = await withPolicy(t);
  const file = join(data, 'pocket/candidates/candidates-00000.parquet');
  await run(data, 'candidates', ['collect.episodes=5', 'candidates.samples=4']);
  const few = await readTable(file, CANDIDATES);
  await run(data, 'candidates', ['collect.episodes=5', 'candidates.samples=9']);
  const many = await readTable(file, CANDIDATES);
  few.forEach(({ tid, actions, counts }, i) => {
    assert.equal(many[i].tid, tid);
    for (const [k, action] of actions.entries()) {
      const at = many[i].actions.indexOf(action);
      assert.ok(at >= 0 && many[i].counts[at] >= counts[k], `tid ${tid}: ${action}`);
    }
    assert.equal(
      many[i].counts.reduce((sum, count) => sum + count, 0),
      9,
    );
  });
});

test('a longer and a shorter evaluation, with its result', async (t) => {
  const data = await withPolicy(t);
  await run(data, 'eval', ['eval.episodes=6']);
  for (const count of [9, 5, 8]) {
    await run(data, 'eval', [`eval.episodes=${count}`]);
    await asFresh(t, data, 'eval', [`eval.episodes=${count}`], ['eval/base-test']);
    const result = JSON.parse(readFileSync(join(data, 'pocket/eval/base-test/_result.json'), 'utf8')) as {
      episodes: number;
    };
    assert.equal(result.episodes, count);
  }
});

/**
 * Trains to `iterations`, goes on to more, back to fewer and to a number in between, and compares each with a training made
 * at once.
 */
async function goesOn(t: TestContext, stage: string, setting: string, more: string[], names: string[]): Promise<void> {
  const own = await withData(t);
  const fresh = async (count: number) => {
    const once = await withData(t);
    await run(once, stage, [...more, `${setting}=${count}`]);
    return files(once, ...names);
  };
  const wanted = { 2: await fresh(2), 3: await fresh(3), 4: await fresh(4) };
  await run(own, stage, [...more, `${setting}=2`]);
  assert.deepEqual(files(own, ...names), wanted[2]);
  const said = await run(own, stage, [...more, `${setting}=4`]);
  assert.match(said, /extending 1 finished shard: .*iterations 2 -> 4\n[\s\S]*going on from step \d+/);
  assert.deepEqual(files(own, ...names), wanted[4], '2 -> 4');
  assert.match(await run(own, stage, [...more, `${setting}=2`]), /taking back 1 shard/);
  assert.deepEqual(files(own, ...names), wanted[2], '4 -> 2');
  await run(own, stage, [...more, `${setting}=3`]);
  assert.deepEqual(files(own, ...names), wanted[3], '2 -> 3');
}

const CONSTANT = [
  'critic.log_every=2',
  'actor.log_every=2',
  'critic.lr_schedule=constant',
  'actor.lr_schedule=constant',
];

test('a critic goes on, with its target network, validation at its own rhythm and the best weights', async (t) => {
  await goesOn(t, 'critic', 'critic.iterations', CONSTANT, ['critic', 'values', 'metrics']);
  const best = ['critic.keep_best=true', 'critic.validate_every=3', 'critic.target_update_every=2'];
  await goesOn(t, 'critic', 'critic.iterations', [...CONSTANT, ...best], ['critic', 'values', 'metrics']);
});

test('an actor goes on', async (t) => {
  await goesOn(t, 'actor', 'actor.iterations', CONSTANT, ['policy/digiq', 'metrics/actor']);
});

test('what depends on the number of all steps is another training, and one line says so', async (t) => {
  const own = await withData(t);
  await assert.rejects(run(own, 'sft', ['sft.epochs=3']), {
    message: /sft.epochs 2 -> 3; the learning rate falls over all epochs\)/,
  });
  const linear = ['critic.lr_schedule=linear'];
  await run(own, 'critic', [...linear, 'critic.iterations=1']);
  await assert.rejects(run(own, 'critic', [...linear, 'critic.iterations=2']), {
    message:
      /critic.iterations 1 -> 2; with lr_schedule=linear the learning rate depends on the number of all iterations/,
  });
});

test('without training.keep_state more iterations need --redo', async (t) => {
  const own = await withData(t);
  await run(own, 'critic', [...CONSTANT, 'critic.iterations=1', 'training.keep_state=false']);
  await assert.rejects(run(own, 'critic', [...CONSTANT, 'critic.iterations=2']), {
    message: /critic.iterations 1 -> 2; there is no state to go on from\)/,
  });
});

test('fine-tuning on live devices goes on: nothing is played again, and the curve is that of a longer run', async (t) => {
  const settings = [...TINY_ONLINE, 'online.mode=off2on', 'online.entropy=causal', 'online.rollout_size=3'];
  const small = [...settings, 'online.actor_steps=2', 'online.grad_accum_steps=2', 'online.eval_episodes=2'];
  const names = ['policy/coso', 'online/coso', 'metrics/online'];
  const wanted = await withData(t);
  await run(wanted, 'online', [...small, 'online.iterations=4']);
  const own = await withData(t);
  await run(own, 'online', [...small, 'online.iterations=2']);
  const short = files(own, ...names);
  played.length = 0;
  const said = await run(own, 'online', [...small, 'online.iterations=4']);
  assert.match(said, /going on from iteration 3/);
  assert.equal(played.filter((episode) => Number(episode) >= 6).length, 6, 'two more iterations of 3 episodes');
  assert.deepEqual(files(own, ...names), files(wanted, ...names));
  await run(own, 'online', [...small, 'online.iterations=2']);
  assert.deepEqual(files(own, ...names), short, 'the shorter run is taken back');
});
