/** Online fine-tuning on the embedded phone with tiny settings: every mode and algorithm, killed at random moments. */
import assert from 'node:assert/strict';
import { cpSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { FILES } from '../../pipelines/datasets.js';
import { CURVE, ONLINE_STEPS, TOKEN_INFLUENCE } from '../../src/data/online-tables.js';
import { readTable } from '../../src/data/tables.js';
import { TRANSITIONS } from '../../src/data/transitions.js';
import { Parameters } from '../../src/graph/index.js';
import { Random } from '../../src/random.js';
import { contents, critiq, emptyFolder, killedAgainAndAgain, succeed, timed } from '../rigs/process.js';
import { TINY_ONLINE } from '../rigs/tiny-settings.js';

const program = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

const TINY = [
  'device.count=4',
  'tasks.max_steps=4',
  'demos.episodes=60',
  'demos.shard=60',
  // enough for some of its outputs to be valid actions
  'sft.epochs=40',
  'sft.batch=16',
  'sft.grad_accum_steps=1',
  'sft.lr=0.005',
  'sft.warmup=20',
  'sft.width=32',
  'sft.heads=2',
  'sft.layers=1',
  'sft.feed_forward=64',
  'collect.episodes=6',
  'online.iterations=3',
  'online.rollout_size=4',
  'online.capacity=60',
  'online.actor_steps=2',
  'online.grad_accum_steps=2',
  'online.eval_episodes=3',
  'online.coso.pretrain_rounds=2',
  ...TINY_ONLINE,
];

/** A run with a base policy and collected trajectories. */
let prepared: string;
before(async (t) => {
  prepared = emptyFolder(t as TestContext);
  await succeed(['collect', ...TINY], { cwd: prepared, program });
});

function runFolder(t: TestContext): string {
  const cwd = emptyFolder(t);
  cpSync(prepared, cwd, { recursive: true });
  return cwd;
}

const COSO = ['online', 'online.mode=off2on', 'online.entropy=causal', ...TINY];

async function tables(cwd: string, name: string) {
  const at = (file: string) => join(cwd, 'data/pocket/online', name, file);
  return {
    transitions: await readTable(at(FILES.transitions('live')), TRANSITIONS),
    steps: await readTable(at(FILES.onlineSteps), ONLINE_STEPS),
    curve: await readTable(at(FILES.curve), CURVE),
    influence: await readTable(at(FILES.tokenInfluence), TOKEN_INFLUENCE),
  };
}

test('CoSo from offline to online: all its data is written, and its policy can be evaluated', async (t) => {
  const cwd = runFolder(t);
  await succeed(['eval', 'eval.policy=coso', 'eval.episodes=2', ...COSO.slice(1)], { cwd, program });
  const { transitions, steps, curve, influence } = await tables(cwd, 'coso');
  assert.equal(new Set(transitions.map(({ trajectory }) => trajectory)).size, 12);
  assert.deepEqual(
    steps.map(({ tid }) => tid),
    transitions.map(({ tid }) => tid),
  );
  // the policy of iteration k had been trained k - 1 times
  assert.ok(steps.every(({ iteration, version }) => version === iteration - 1));
  assert.deepEqual([...new Set(steps.map(({ iteration }) => iteration))], [2, 3, 4]);
  assert.deepEqual(
    curve.map(({ iteration, phase, evaluated }) => [iteration, phase, evaluated]),
    [
      [0, 'start', 3],
      [1, 'offline', 3],
      [2, 'live', 3],
      [3, 'live', 0],
      [4, 'live', 3],
    ],
  );
  assert.equal(curve.at(-1)!.environmentSteps, transitions.length);
  assert.ok(influence.length > 0 && influence.length % 4 === 0);
  for (const { action, tokens, weights } of influence) {
    assert.equal(tokens.length, weights.length);
    assert.equal(tokens.join(''), action);
    assert.ok(weights.every((weight) => weight >= 0 && weight <= 1));
    assert.equal(weights.at(-1), 0, 'the end token has no influence');
  }
  assert.ok(
    influence.some(({ weights }) => Math.max(...weights) === 1),
    'scaled within the action',
  );
  const trained = Parameters.load(join(cwd, 'data/pocket/policy/coso/model.safetensors'));
  const base = Parameters.load(join(cwd, 'data/pocket/policy/base/model.safetensors'));
  assert.notDeepEqual(trained.get('shared.weight').data, base.get('shared.weight').data);
  const metrics = readFileSync(join(cwd, 'data/pocket/metrics/online/coso.jsonl'), 'utf8').trim().split('\n');
  const last = JSON.parse(metrics.at(-1)!) as Record<string, number>;
  for (const name of ['value_loss', 'causal_loss', 'entropy', 'weighted_entropy', 'grad_norm', 'test_success']) {
    assert.ok(Number.isFinite(last[name]), `${name}: ${last[name]}`);
  }
  assert.equal(existsSync(join(cwd, 'data/pocket/scratch/online')), false, 'the commit removes the checkpoints');
});

test('kill -9 at random moments: every finished episode counts once, and the bytes match an uninterrupted run', async (t) => {
  const calm = runFolder(t);
  const calmMs = await timed(COSO, { cwd: calm, program });
  const cwd = runFolder(t);
  const kills = await killedAgainAndAgain(
    COSO,
    { cwd, program },
    { most: 10, calmMs, random: new Random(0, 'kill online') },
  );
  assert.ok(kills >= 3, `killed only ${kills} times`);
  await succeed(COSO, { cwd, program });
  const of = (folder: string) => {
    const all = contents(join(folder, 'data/pocket'));
    // a killed episode may leave an unreferenced screen
    return Object.fromEntries(Object.entries(all).filter(([file]) => !file.startsWith('images/')));
  };
  assert.deepEqual(of(cwd), of(calm));
  t.diagnostic(`killed ${kills} times`);
});

test('the other modes and algorithms', async (t) => {
  const cwd = runFolder(t);
  const run = (...settings: string[]) => succeed(['online', ...TINY, ...settings], { cwd, program });
  await run('online.entropy=naive', 'online.digirl.advantage=released', 'online.eval_every=0');
  const naive = await tables(cwd, 'naive');
  assert.deepEqual(naive.influence, []);
  assert.deepEqual(
    naive.curve.map(({ evaluated }) => evaluated),
    [3, 0, 0, 3],
  );
  await run(
    'online.algorithm=filteredbc',
    'online.name=fbc',
    'online.warmup=2',
    'recordings.keep=all',
    'recordings.fps=0',
  );
  const videos = readdirSync(join(cwd, 'data/pocket/recordings/online/fbc'));
  assert.equal(videos.filter((name) => name.endsWith('.webm')).length, 12);
  await run('online.mode=offline', 'online.name=off', 'online.eval_every=0');
  const offline = await tables(cwd, 'off');
  assert.deepEqual([offline.transitions.length, offline.curve.length], [0, 2]);
  const { stdout, stderr } = await run('online.mode=eval', 'online.from=naive');
  assert.match(stdout + stderr, /iteration 0: \d of 3 test episodes succeeded/);
  assert.equal((await tables(cwd, 'naive-tested')).curve.length, 1);
  await run('online.async_rollouts=true', 'online.name=async', 'online.entropy=causal');
  const ahead = await tables(cwd, 'async');
  assert.equal(new Set(ahead.transitions.map(({ trajectory }) => trajectory)).size, 12);
  assert.ok(ahead.steps.every(({ iteration, version }) => version < iteration));
});

test('as released: one network after the other offline, without a bonus, then live among all trajectories', async (t) => {
  const cwd = runFolder(t);
  const released = [
    'online.mode=off2on',
    'online.offline_phases=[1,2,1]',
    'online.offline_entropy=false',
    'online.entropy=causal',
    'online.name=released',
    'online.iterations=2',
    'online.capacity=12',
    'online.digirl.ties=keep',
    'online.digirl.rank=all',
    'online.digirl.next_value=network',
    'online.digirl.instruction_value=encoder',
    'online.digirl.instruction_batch=2',
    'online.coso.pretrain_rounds=3',
    'online.coso.dropout=0.1',
    'online.coso.max_grad_norm=0.01',
    'online.coso.invalid=left_out',
  ];
  await succeed(['online', ...TINY, ...released], { cwd, program });
  const text = readFileSync(join(cwd, 'data/pocket/metrics/online/released.jsonl'), 'utf8').trim();
  const lines = text.split('\n').map((line) => JSON.parse(line) as Record<string, number>);
  const trains = ({ instruction_loss, value_loss, imitation, causal_loss }: Record<string, number>) =>
    [instruction_loss, value_loss, imitation, causal_loss].map((value) => value !== undefined);
  assert.deepEqual(lines.map(trains), [
    [true, false, false, true],
    [false, true, false, false],
    [false, true, false, false],
    [false, false, true, false],
    [true, true, true, true],
    [true, true, true, true],
  ]);
  assert.equal(lines[3].loss, lines[3].imitation, 'no bonus offline');
  assert.notEqual(lines[4].loss, lines[4].imitation);
  const kept = lines[5].lessons;
  assert.ok(kept > 0 && kept <= 12, `at most capacity steps are imitated, got ${kept}`);
});

test('a wrong setting is reported in one line', async (t) => {
  const cwd = runFolder(t);
  const wrong = await critiq(['online', ...TINY, 'online.coso.width=9'], { cwd, program });
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /^critiq: [^\n]*online\.coso[^\n]*\n$/m);
});
