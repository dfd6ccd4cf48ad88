/** A judge that needs only screenshots does not hold the device: it judges while the next episode runs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatAction } from '../../src/agents/grammar.js';
import { rollout, type Agent } from '../../src/agents/rollout.js';
import { DevicePool } from '../../src/devices/pool/pool.js';
import { createPhones, DEFAULT_GRID, expert, phoneTasks, type Phone } from '../../src/devices/phone/index.js';
import type { EpisodeEnd, Judge } from '../../src/judges/judge.js';
import { Random } from '../../src/random.js';

const tasks = phoneTasks({ set: 'webshop', split: 'train', count: 3, seed: 1 });
const episodes = tasks.map((task, i) => ({ episode: `e${i}`, task, seed: 100 + i }));

async function run(judge: Judge, order: string[] = []) {
  const agent: Agent = {
    act: async ({ device, key }) => {
      if (key.endsWith('/0')) order.push(`begin ${key.slice(0, 2)}`);
      const action = expert(device as Phone, { grid: DEFAULT_GRID, random: new Random(1, key) });
      return { text: formatAction(action), action };
    },
  };
  const pool = new DevicePool({ count: 1, open: async () => createPhones(1)[0], seed: 0 });
  try {
    const told: string[] = [];
    const onEpisode = ({ episode }: { episode: { episode: string } }) => void told.push(episode.episode);
    const { rollouts } = await rollout({ pool, agent, judge, episodes, maxSteps: 20, deadlineMs: 5000, onEpisode });
    assert.deepEqual(told, ['e0', 'e1', 'e2']);
    return rollouts;
  } finally {
    await pool.close();
  }
}

const nameOf = ({ task }: EpisodeEnd): string => `e${tasks.findIndex(({ id }) => id === task.id)}`;

test('with one device, an episode is judged while the next one runs, one at a time', async () => {
  const order: string[] = [];
  const judge: Judge = {
    name: 'looks',
    byScreens: true,
    judge: async (end) => {
      order.push(`judge ${nameOf(end)}`);
      assert.equal(end.device.achieved, undefined, 'the device already has another task');
      assert.ok(end.completed && end.frame && end.previousFrame);
      // answer only after the next episode has started
      while (nameOf(end) !== 'e2' && !order.includes(`begin e${Number(nameOf(end)[1]) + 1}`)) {
        await new Promise((resolve) => setImmediate(resolve));
      }
      order.push(`judged ${nameOf(end)}`);
      return nameOf(end) === 'e1' ? 'failure' : 'success';
    },
  };
  const rollouts = await run(judge, order);
  assert.deepEqual(
    rollouts.map(({ verdict, episode }) => [verdict, episode.reward]),
    [
      ['success', 1],
      ['failure', 0],
      ['success', 1],
    ],
  );
  assert.ok(order.indexOf('judged e0') < order.indexOf('judge e1'));
  assert.ok(order.indexOf('judged e1') < order.indexOf('judge e2'));
});

test('a judge that needs the device, or that judges each step, holds the device', async () => {
  for (const more of [{}, { byScreens: true, asked: 'step' as const }]) {
    const order: string[] = [];
    const judge: Judge = {
      name: 'asks',
      ...more,
      judge: async ({ device }) => {
        await new Promise((resolve) => setTimeout(resolve, 5));
        order.push('judged');
        return device.achieved!() ? 'success' : 'failure';
      },
    };
    const rollouts = await run(judge, order);
    assert.ok(rollouts.every(({ verdict }) => verdict === 'success'));
    for (const begin of ['begin e1', 'begin e2']) assert.equal(order[order.indexOf(begin) - 1], 'judged');
  }
});

test('a failing judge ends the rollout with its error, and nothing continues afterwards', async () => {
  let judged = 0;
  const judge: Judge = {
    name: 'fails',
    byScreens: true,
    judge: async () => {
      judged++;
      await new Promise((resolve) => setImmediate(resolve));
      throw new Error('no judge');
    },
  };
  await assert.rejects(run(judge), /no judge/);
  const before = judged;
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(judged, before);
});
