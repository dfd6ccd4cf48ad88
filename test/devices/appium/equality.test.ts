/** The same episodes on the phone in process, and behind the real adb, UiAutomator2 driver, Appium and Grid. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { formatAction } from '../../../src/agents/grammar.js';
import { rollout, type Agent, type Decision, type Rollout } from '../../../src/agents/rollout.js';
import type { Device } from '../../../src/devices/device.js';
import type { Frame } from '../../../src/data/formats/frame.js';
import {
  createPhones,
  demonstrator,
  phoneTasks,
  type Demonstrator,
  type Phone,
} from '../../../src/devices/phone/index.js';
import { DevicePool } from '../../../src/devices/pool/pool.js';
import { WebDriverFleet } from '../../../src/devices/webdriver/fleet.js';
import type { WebDriverSettings } from '../../../src/devices/webdriver/settings.js';
import { stateJudge } from '../../../src/judges/state.js';
import { Random } from '../../../src/random.js';
import { appiumTest, shared } from '../../rigs/appium/shared-rig.js';
import { rigSettings } from '../../rigs/appium/rig-settings.js';
import { Rig } from '../../rigs/appium/rig.js';

const rig = shared(() => Rig.start({ phones: 2 }));
const tasks = phoneTasks({ set: 'all', split: 'train', count: 24, seed: 3 });
const episodes = tasks.map((task, i) => ({ episode: `e${i}`, task, seed: 50 + i }));

async function play(count: number, open: (slot: number) => Promise<Device>, agent: Agent): Promise<Rollout[]> {
  const pool = new DevicePool({ count, open, seed: 0 });
  try {
    const keep = async ({ rgba }: Frame) => createHash('sha256').update(rgba).digest('hex');
    const options = { pool, agent, judge: stateJudge(), episodes, maxSteps: 16, deadlineMs: 30_000, keep };
    const { rollouts, lost } = await rollout(options);
    assert.deepEqual(lost, []);
    return rollouts;
  } finally {
    await pool.close();
  }
}

/** The episodes of an error-prone person on phones in process, and an agent that repeats their actions on any device. */
async function demonstrated(): Promise<{ rollouts: Rollout[]; again: Agent }> {
  const person = demonstrator({ noise: 1 });
  const people = new Map<Device, Demonstrator>();
  const decisions = new Map<string, Decision>();
  const agent: Agent = {
    act: async ({ device, key }) => {
      if (key.endsWith('/0')) people.set(device, person(new Random(3, key)));
      const { action } = people.get(device)!.next(device as Phone);
      decisions.set(key, { text: formatAction(action), action });
      return decisions.get(key)!;
    },
  };
  const rollouts = await play(2, async (slot) => createPhones(2)[slot], agent);
  return { rollouts, again: { act: async ({ key }) => decisions.get(key) ?? { text: 'nothing was done here' } } };
}

async function overTheWire(settings: WebDriverSettings, agent: Agent): Promise<Rollout[]> {
  const fleet = new WebDriverFleet(settings);
  return play(2, (slot) => fleet.open(slot), agent);
}

appiumTest(
  'through Appium and a Grid, a demonstration has the same screens, actions and verdicts as in process',
  async (t) => {
    const { rollouts, again } = await demonstrated();
    const successes = rollouts.filter(({ verdict }) => verdict === 'success').length;
    assert.ok(successes > 4 && successes < episodes.length - 4, `${successes} successes`);
    const kinds = new Set(
      rollouts.flatMap(({ episode }) => episode.steps.map(({ action }) => action.match(/\[(\w+)\]/)?.[1])),
    );
    for (const kind of ['DUAL_POINT', 'TYPE', 'PRESS_BACK', 'PRESS_ENTER']) assert.ok(kinds.has(kind), kind);

    const appium = await (await rig()).appium();
    t.after(() => appium.stop());
    assert.deepEqual(await overTheWire(rigSettings(await rig(), appium.url), again), rollouts);

    const grid = await (await rig()).grid();
    assert.deepEqual(await overTheWire(rigSettings(await rig(), grid, { udids: [] }), again), rollouts);
    assert.deepEqual((await rig()).unknown, []);
  },
);
