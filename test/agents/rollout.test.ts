/** Episodes on many devices: asynchronous, and independent of each device's speed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { formatAction } from '../../src/agents/grammar.js';
import { rollout, type Agent } from '../../src/agents/rollout.js';
import { tap, type Action } from '../../src/data/action.js';
import type { Device } from '../../src/devices/device.js';
import type { Frame } from '../../src/data/formats/frame.js';
import { DevicePool } from '../../src/devices/pool/pool.js';
import { createPhones, expert, phoneTasks, type Phone } from '../../src/devices/phone/index.js';
import { stateJudge } from '../../src/judges/state.js';
import { DEFAULT_GRID } from '../../src/devices/phone/index.js';
import { Random } from '../../src/random.js';

const tasks = phoneTasks({ set: 'webshop', split: 'train', count: 9, seed: 1 });
const episodes = tasks.map((task, i) => ({ episode: `e${i}`, task, seed: 100 + i }));
const flawless: Agent = {
  act: async ({ device, key }) => {
    const action = expert(device as Phone, { grid: DEFAULT_GRID, random: new Random(1, key) });
    return { text: formatAction(action), action };
  },
};

async function run(devices: readonly Device[], agent: Agent, maxSteps = 20) {
  const pool = new DevicePool({ count: devices.length, open: async (slot) => devices[slot], seed: 0 });
  const { rollouts, lost } = await rollout({
    pool,
    agent,
    judge: stateJudge(),
    episodes,
    maxSteps,
    deadlineMs: 1000,
    keep: async ({ rgba }: Frame) => String(rgba.length),
  });
  await pool.close();
  assert.deepEqual(lost, []);
  return rollouts;
}

test('a flawless agent succeeds in every episode with any number of devices', async () => {
  const alone = await run(createPhones(1), flawless);
  const together = await run(createPhones(4), flawless);
  assert.deepEqual(together, alone);
  for (const { episode, verdict } of alone) {
    assert.equal(verdict, 'success');
    assert.equal(episode.reward, 1);
    assert.equal(episode.truncated, false);
    assert.match(episode.steps.at(-1)!.action, /STATUS_TASK_COMPLETE/);
  }
});

test('an episode that reaches the step limit is truncated and gets no reward', async () => {
  for (const { episode, verdict } of await run(createPhones(2), flawless, 3)) {
    assert.equal(episode.steps.length, 3);
    assert.equal(episode.truncated, true);
    assert.equal(verdict, 'failure');
  }
});

test('an invalid action costs a step and never reaches the device', async () => {
  const sent: Action[] = [];
  const [phone] = createPhones(1);
  const watched: Device = Object.assign(Object.create(phone) as Phone, {
    act: async (action: Action) => {
      sent.push(action);
      return { applied: 'yes' as const };
    },
  });
  const nonsense: Agent = {
    act: async ({ key }) => (key.endsWith('/0') ? { text: 'hello' } : { text: 'tap', action: tap([0.5, 0.5]) }),
  };
  const [{ episode }] = await run([watched], nonsense, 2);
  assert.deepEqual(
    episode.steps.map(({ applied }) => applied),
    ['no', 'yes'],
  );
  assert.equal(sent.length, episodes.length);
});

test('a slow device delays only its own episode', async () => {
  const [fast, slow] = createPhones(2) as [Phone, Phone];
  let slowSteps = 0;
  const late: Device = Object.assign(Object.create(slow) as Phone, {
    act: async (action: Action) => {
      slowSteps++;
      await sleep(60);
      (late as unknown as Phone).apply(action);
      return { applied: 'yes' as const };
    },
  });
  const results = await run([late, fast], flawless);
  assert.deepEqual(
    results.map(({ verdict }) => verdict),
    episodes.map(() => 'success'),
  );
  const steps = results.reduce((sum, { episode }) => sum + episode.steps.length, 0);
  assert.ok(slowSteps < steps / 2, `the slow device executed ${slowSteps} of ${steps} steps`);
});
