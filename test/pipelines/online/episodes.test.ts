/** Live episodes for training: each counts once, none blocks the others, and steps record the policy's version. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { LiveEpisodes } from '../../../pipelines/online/episodes.js';
import { OnlineReplay, ofEpisode } from '../../../pipelines/online/replay.js';
import { ScreenVectors } from '../../../pipelines/online/screens.js';
import { Online } from '../../../pipelines/online/settings.js';
import { formatAction } from '../../../src/agents/grammar.js';
import type { Agent } from '../../../src/agents/rollout.js';
import type { Policy } from '../../../src/agents/policy/policy.js';
import type { Episode } from '../../../src/data/store/journal.js';
import { ImageStore } from '../../../src/data/images.js';
import type { Action } from '../../../src/data/action.js';
import { DEFAULT_GRID, expert, phoneTasks } from '../../../src/devices/phone/index.js';
import { DevicePool } from '../../../src/devices/pool/pool.js';
import { stateJudge } from '../../../src/judges/state.js';
import { Random } from '../../../src/random.js';
import type { ShardContext } from '../../../src/runner/stage.js';
import { FaultyDevice, Happenings, type FaultPlan } from '../../rigs/faulty-device.js';
import { emptyFolder } from '../../rigs/process.js';

const TOTAL = 12;
const tasks = phoneTasks({ set: 'general', split: 'train', count: TOTAL, seed: 1 });

/** Acts as an expert, at version 7. */
const scripted: Agent = {
  act: async ({ device, key }) => {
    await new Promise((resolve) => setImmediate(resolve));
    const action: Action = expert((device as FaultyDevice).phone, {
      grid: DEFAULT_GRID,
      random: new Random(1, key),
    });
    return { text: formatAction(action), action, version: 7 };
  },
};

/** Live episodes on three phones, journalled in `folder`. */
function open(
  t: TestContext,
  folder: string,
  settings: Partial<Online>,
  { plan = () => undefined, deadlineMs = 60_000 }: { plan?: FaultPlan; deadlineMs?: number } = {},
) {
  const aborted = new AbortController();
  const happenings = new Happenings();
  const pool = new DevicePool({
    count: 3,
    open: async (slot) => new FaultyDevice(`phone-${slot}`, happenings, plan, 'blank'),
    seed: 0,
    graceMs: 100,
    restMs: 1,
    closeMs: 1000,
  });
  const images = new ImageStore(`${folder}/images`);
  const warned: string[] = [];
  const log = { debug: () => undefined, info: () => undefined, warn: (line: string) => void warned.push(line) };
  const ctx = {
    settings: Online.parse({ rollout_size: 4, ...settings }),
    config: { device: { deadline_ms: deadlineMs, attempts: 3 }, tasks: { max_steps: 8 } },
    signal: aborted.signal,
    scratch: () => folder,
    log,
  } as unknown as ShardContext<Online>;
  const live = new LiveEpisodes({
    ctx,
    pool,
    agent: scripted,
    judge: stateJudge(),
    images,
    screens: new ScreenVectors(images, {} as Policy),
    task: (n) => tasks[n],
    seed: (n) => 1000 + n,
    total: TOTAL,
  });
  t.after(async () => {
    await live.close();
    await pool.close();
  });
  return { live, happenings, warned };
}

const names = (episodes: readonly { episode: string }[]) => episodes.map(({ episode }) => Number(episode));

test('an iteration gets its episodes by number, with versions; another process finds them and replays none', async (t) => {
  const folder = emptyFolder(t);
  const first = open(t, folder, {});
  assert.deepEqual(names(await first.live.take(0)), [0, 1, 2, 3]);
  const second = await first.live.take(1);
  assert.deepEqual(names(second), [4, 5, 6, 7]);
  assert.ok(second.every(({ trajectory }) => trajectory!.steps.every(({ version }) => version === 7)));
  const again = open(t, folder, {});
  assert.deepEqual(await again.live.take(1), second);
  assert.equal(again.happenings.attempts.length, 0);
  assert.deepEqual(again.live.taken(2).map(names), [
    [0, 1, 2, 3],
    [4, 5, 6, 7],
  ]);
});

/** The device of episode 1 hangs in the first attempt. */
function hangsOnce(): FaultPlan {
  let hung = false;
  return ({ seed }) => {
    if (seed !== 1001 || hung) return undefined;
    hung = true;
    return { kind: 'hangs', call: 2 };
  };
}

test('a hung device delays an iteration by its step timeout, and its episode is restarted', async (t) => {
  const { live, happenings } = open(t, emptyFolder(t), {}, { plan: hangsOnce(), deadlineMs: 500 });
  const episodes = await live.take(0);
  assert.deepEqual(names(episodes), [0, 1, 2, 3]);
  assert.deepEqual(happenings.faults, ['hangs']);
  const { faults } = episodes[1].trajectory!;
  assert.match(faults![0].reason, /no answer in 500 ms/);
  assert.ok(episodes.every(({ trajectory }) => trajectory!.reward === 1));
});

test("with async_rollouts a hung device delays nothing: iterations continue with the other devices' episodes", async (t) => {
  // it would answer in an hour
  const ahead = { async_rollouts: true, max_age: 1 };
  const { live, happenings } = open(t, emptyFolder(t), ahead, { plan: hangsOnce(), deadlineMs: 3_600_000 });
  const [one, two] = [await live.take(0), await live.take(1)];
  const taken = [...names(one), ...names(two)];
  assert.equal(new Set(taken).size, 8);
  assert.ok(!taken.includes(1));
  assert.deepEqual(happenings.faults, ['hangs']);
});

test('episodes start ahead only as far as max_age permits, and each is journalled once', async (t) => {
  const { live, happenings } = open(t, emptyFolder(t), { async_rollouts: true, max_age: 1 });
  await live.take(0);
  // iteration 1 may be played meanwhile, 2 not yet
  while (live.count < 8) await new Promise((resolve) => setTimeout(resolve, 5));
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(live.count, 8);
  assert.equal(happenings.attempts.length, 8);
  await live.take(1);
  const last = await live.take(2);
  assert.equal(last.length, 4);
  const all = live.taken(3).flatMap(names);
  assert.deepEqual(
    all.sort((a, b) => a - b),
    Array.from({ length: TOTAL }, (_, n) => n),
  );
});

test('a lost episode is counted, logged and not used for training', async (t) => {
  const plan: FaultPlan = ({ seed }) => (seed === 1002 ? { kind: 'act throws', call: 1 } : undefined);
  const { live, warned } = open(t, emptyFolder(t), {}, { plan });
  const episodes = await live.take(0);
  assert.deepEqual(
    episodes.map(({ outcome }) => outcome),
    ['judged', 'judged', 'lost', 'judged'],
  );
  assert.equal(episodes[2].trajectory, undefined);
  assert.equal(episodes[2].faults!.length, 3);
  assert.match(warned[0], /^episode 000002 lost: phone-\d: act: HTTP 500/);
});

const episode = (id: string, length: number, reward: number): Episode => ({
  episode: id,
  task: 't',
  family: 'f',
  goal: 'g',
  seed: 0,
  steps: Array.from({ length }, (_, i) => ({
    image: `${id}${i}`,
    prompt: 'p',
    action: 'a',
    applied: 'yes',
    version: 2,
  })),
  finalImage: 'end',
  finalPrompt: '',
  reward,
  truncated: false,
});

test('the replay keeps the newest complete trajectories; returns are discounted', () => {
  const replay = new OnlineReplay(5);
  const of = (id: string, length: number) => ofEpisode(episode(id, length, 1), 0.5);
  replay.add([of('a', 2), of('b', 3)]);
  assert.equal(replay.trajectories.length, 2);
  replay.add([of('c', 2)]);
  assert.deepEqual(
    replay.trajectories.map(({ id }) => id),
    ['b', 'c'],
  );
  assert.deepEqual([...replay.trajectories[0].returns], [0.25, 0.5, 1]);
  assert.deepEqual([...replay.screens()].sort(), ['b0', 'b1', 'b2', 'c0', 'c1']);
  replay.add([of('d', 9)]);
  assert.deepEqual(
    replay.trajectories.map(({ id }) => id),
    ['d'],
    'even one that is longer than the capacity',
  );
});
