/** Faults on the real Appium, driver and Grid: the run ends, nobody else waits, nothing is done twice, nothing remains. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TestContext } from 'node:test';
import { formatAction } from '../src/agents/grammar.js';
import { rollout, type Agent, type EpisodePlan, type LostEpisode, type Rollout } from '../src/agents/rollout.js';
import { tap, type Action } from '../src/devices/action.js';
import type { Device, Frame } from '../src/devices/device.js';
import { createPhones, phoneTasks, SCREEN } from '../src/devices/phone/index.js';
import { DevicePool, type PoolOptions } from '../src/devices/pool.js';
import { WebDriverFleet } from '../src/devices/webdriver-fleet.js';
import { stateJudge } from '../src/judges/state.js';
import { appiumTest, shared } from './appium-rig.js';
import { FaultProxy, type Call, type Injected } from './rig/fault-proxy.js';
import { rigSettings } from './rig/rig-settings.js';
import { Rig, until, type Appium } from './rig/rig.js';
import type { ServedPhone } from './rig/served-phone.js';

const TAPS = 5;
const EPISODES = 10;
const PATIENCE_MS = 60_000;

const rig = shared(() => Rig.start({ phones: 2 }));
let server: Promise<Appium> | undefined;
/** The Appium that the tests share which do it no harm. */
const appium = () => (server ??= rig().then((rig) => rig.appium()));

const episodes: EpisodePlan[] = phoneTasks({ set: 'general', split: 'train', count: EPISODES, seed: 4 }).map(
  (task, i) => ({ episode: `e${i}`, task, seed: 70 + i }),
);

/** The pixel that an episode taps at a step: no two are the same, so that one can tell what was done, and how often. */
function pixelOf(episode: number, step: number): { x: number; y: number } {
  return { x: 30 + 40 * step, y: 40 + 45 * episode };
}

function actionOf(episode: number, step: number): Action {
  if (step >= TAPS) return { type: 'STATUS_TASK_COMPLETE' };
  const { x, y } = pixelOf(episode, step);
  return tap([(y + 0.5) / SCREEN.height, (x + 0.5) / SCREEN.width]);
}

/** What a test sees and does while the agent acts. */
type Watch = (at: { device: string; episode: number; step: number }) => void | Promise<void>;

/** An agent that taps its way. @param told how many steps each device has begun */
function tapper(watch: Watch, told: Map<string, number>): Agent {
  return {
    act: async ({ key, device }) => {
      const [episode, step] = key.slice(1).split('/').map(Number);
      told.set(device.id, (told.get(device.id) ?? 0) + 1);
      await watch({ device: device.id, episode, step });
      const action = actionOf(episode, step);
      return { text: formatAction(action), action };
    },
  };
}

interface Run {
  readonly rollouts: readonly Rollout[];
  readonly lost: readonly LostEpisode[];
  readonly told: readonly string[];
  /** steps that each device has begun */
  readonly steps: ReadonlyMap<string, number>;
}

async function play(
  open: (slot: number) => Promise<Device>,
  {
    watch = () => undefined,
    steps = new Map<string, number>(),
    deadlineMs = 30_000,
    ...options
  }: Partial<PoolOptions> & {
    watch?: Watch;
    steps?: Map<string, number>;
    deadlineMs?: number;
  } = {},
): Promise<Run> {
  const told: string[] = [];
  const onEvent = ({ line }: { line: string }) => void told.push(line);
  const pool = new DevicePool({
    count: 2,
    open,
    seed: 0,
    restMs: 100,
    longestRestMs: 2000,
    giveUpAfter: 50,
    onEvent,
    ...options,
  });
  try {
    const keep = async ({ rgba }: Frame) => String(hash(rgba));
    const agent = tapper(watch, steps);
    const judge = stateJudge();
    const { rollouts, lost } = await rollout({
      pool,
      agent,
      judge,
      episodes,
      maxSteps: 8,
      deadlineMs,
      attempts: 5,
      keep,
    });
    return { rollouts, lost, told, steps };
  } finally {
    await pool.close();
  }
}

function hash(rgba: Uint8ClampedArray): number {
  // FNV-1a
  return new Uint32Array(rgba.buffer, rgba.byteOffset, rgba.length / 4).reduce(
    (sum, pixel) => Math.imul(sum ^ pixel, 16777619) >>> 0,
    2166136261,
  );
}

let calm: Promise<Run> | undefined;
/** The same episodes on phones in process. */
const undisturbed = () => (calm ??= play(async (slot) => createPhones(2)[slot]));

/** What the phones had taken before a run, so that what came since can be told. */
async function marks(): Promise<number[]> {
  return (await rig()).phones.map(({ taken }) => taken.length);
}

/**
 * The fingers of each attempt at an episode, as the steps that they were: of one episode, each step once at most, in their order.
 * @returns steps by episode
 */
async function attempts(since: readonly number[]): Promise<Map<number, number[][]>> {
  const found = new Map<number, number[][]>();
  for (const [i, phone] of (await rig()).phones.entries()) {
    const begun = new Map<number, { episode: number; step: number }[]>();
    for (const { episode, input } of phone.taken.slice(since[i])) {
      if (input.do !== 'finger') continue;
      const { x, y } = input.from;
      const place = { episode: (y - 40) / 45, step: (x - 30) / 40 };
      begun.set(episode, [...(begun.get(episode) ?? []), place]);
    }
    for (const places of begun.values()) {
      const [{ episode }] = places;
      const steps = places.map(({ step }) => step);
      assert.ok(
        places.every((place) => place.episode === episode),
        'an attempt is of one episode',
      );
      assert.deepEqual(steps, [...new Set(steps)].sort(), 'no step is done twice, or before its turn');
      found.set(episode, [...(found.get(episode) ?? []), steps]);
    }
  }
  return found;
}

/** Every episode came to its end, those without a mark as if nothing had happened; those with one are given. */
async function marked({ rollouts, lost }: Run): Promise<Map<string, Rollout['episode']>> {
  assert.deepEqual(lost, []);
  assert.deepEqual(
    rollouts.map(({ episode }) => episode.episode),
    episodes.map(({ episode }) => episode),
  );
  const expected = (await undisturbed()).rollouts;
  const marks = new Map<string, Rollout['episode']>();
  rollouts.forEach((result, i) => {
    const { faults: _, ...episode } = result.episode;
    const unsure = episode.steps.some(({ applied }) => applied !== 'yes');
    if (!unsure) assert.deepEqual({ ...result, episode }, expected[i]);
    if (unsure || result.episode.faults) marks.set(episode.episode, result.episode);
  });
  return marks;
}

/** No session is left at the devices. */
async function nothingRemains(): Promise<void> {
  for (const { serial, processes } of (await rig()).phones) {
    await until(`no session on ${serial}`, () => !processes.instrumented, PATIENCE_MS);
  }
}

async function openOn(
  url: string,
  more: Readonly<Record<string, unknown>> = {},
): Promise<(slot: number) => Promise<Device>> {
  const fleet = new WebDriverFleet(rigSettings(await rig(), url, more));
  return (slot) => fleet.open(slot);
}

async function phoneOf(device: string): Promise<ServedPhone> {
  return (await rig()).phones.find(({ serial }) => device.endsWith(serial))!;
}

async function proxyTo(t: TestContext, url: string): Promise<FaultProxy> {
  const proxy = await FaultProxy.start(url);
  t.after(() => proxy.close());
  return proxy;
}

/** Resolves when the devices other than one have begun so many more steps. */
function othersGoOn(steps: ReadonlyMap<string, number>, device: string, more: number): Promise<void> {
  const others = () => [...steps].reduce((sum, [id, count]) => sum + (id === device ? 0 : count), 0);
  const from = others();
  return until(`${more} more steps on other devices`, () => others() >= from + more, PATIENCE_MS);
}

/** Warnings of the backend, which tests of faults are full of. */
process.removeAllListeners('warning');

appiumTest('undisturbed, the taps are the same in process and by Appium', async () => {
  const since = await marks();
  const run = await play(await openOn((await appium()).url));
  assert.equal((await marked(run)).size, 0);
  for (const [, tries] of await attempts(since)) assert.deepEqual(tries, [[0, 1, 2, 3, 4]]);
  await nothingRemains();
});

appiumTest('a device that dies in the middle of a tap: the other goes on, the tap is not repeated', async () => {
  const since = await marks();
  const steps = new Map<string, number>();
  const devices = new Map<number, string>();
  let revived: Promise<void> | undefined;
  for (const phone of (await rig()).phones) {
    phone.fault = (what) => {
      const at = phone.taken.slice(since[0]).length;
      if (what !== 'input' || revived || at < 4) return undefined;
      // as long as nobody brings it back it is gone, and the other goes on without it
      revived = othersGoOn(steps, `webdriver-${phone.serial}`, 12).then(async () => (await rig()).revive(phone));
      return 'die';
    };
  }
  const watch: Watch = ({ device, episode }) => void devices.set(episode, device);
  const run = await play(await openOn((await appium()).url), { watch, steps });
  for (const phone of (await rig()).phones) phone.fault = () => undefined;
  assert.ok(revived, 'it died');
  await revived;
  const [[, episode], ...others] = await marked(run);
  assert.deepEqual(others, []);
  assert.equal(episode.faults!.length, 1);
  assert.match(episode.faults![0].call, /act|screenshot/);
  const tries = (await attempts(since)).get(Number(episode.episode.slice(1)))!;
  assert.equal(tries.length, 2);
  await nothingRemains();
});

appiumTest('the server is killed and started again: the run waits for it, and ends', async () => {
  const since = await marks();
  const own = await (await rig()).appium();
  let restarted: Promise<Appium> | undefined;
  const watch: Watch = ({ step, episode }) => {
    if (episode < 3 || step !== 2 || restarted) return;
    restarted = own.stop('SIGKILL').then(async () => (await rig()).appium({ port: own.port }));
  };
  const run = await play(await openOn(own.url), { watch });
  const after = await restarted!;
  const repeated = await marked(run);
  assert.ok(repeated.size >= 1 && repeated.size <= 2, `${repeated.size} episodes were under way`);
  for (const [, { faults }] of repeated) assert.ok(faults!.length >= 1);
  await attempts(since);
  await nothingRemains();
  await after.stop();
});

appiumTest(
  'an action that is never answered: its episode goes on at its deadline, the other device never waits',
  async (t) => {
    const proxy = await proxyTo(t, (await appium()).url);
    const since = await marks();
    const steps = new Map<string, number>();
    const where = new Map<number, string>();
    let hung: { episode: number; others: Promise<void> } | undefined;
    proxy.inject = ({ method, path, body }) => {
      if (method !== 'POST' || path !== '/actions' || hung) return undefined;
      const { episode, step } = tapIn(body);
      if (episode < 2 || step !== 1) return undefined;
      hung = { episode, others: othersGoOn(steps, where.get(episode)!, 6) };
      return { how: 'hang', when: 'after' };
    };
    let others = false;
    const watch: Watch = async ({ device, episode, step }) => {
      where.set(episode, device);
      if (episode === hung?.episode && step === 2)
        others = await Promise.race([hung.others.then(() => true), sleep(0, false)]);
    };
    const run = await play(await openOn(proxy.url), { watch, steps, deadlineMs: 5000 });
    assert.ok(hung);
    assert.ok(others, 'the other device did six steps before the hung one was given up');
    const affected = await marked(run);
    assert.deepEqual([...affected.keys()], [`e${hung.episode}`]);
    const [[, episode]] = affected;
    assert.equal(episode.faults, undefined);
    assert.deepEqual(
      episode.steps.map(({ applied }) => applied),
      ['yes', 'unknown', 'yes', 'yes', 'yes', 'yes'],
    );
    assert.deepEqual((await attempts(since)).get(hung.episode), [[0, 1, 2, 3, 4]]);
    await nothingRemains();
  },
);

appiumTest(
  'a device that hangs, screenshots and all: given up at its deadline, the other device never waits',
  async () => {
    const since = await marks();
    const steps = new Map<string, number>();
    let others: Promise<void> | undefined;
    for (const [i, phone] of (await rig()).phones.entries()) {
      let hangs = false;
      phone.fault = (what) => {
        if (what === 'input' && !others && phone.taken.length > since[i] + 4) {
          hangs = true;
          others = othersGoOn(steps, `webdriver-${phone.serial}`, 6).then(() => void (hangs = false));
        }
        return hangs ? 'hang' : undefined;
      };
    }
    const run = await play(await openOn((await appium()).url), { steps, deadlineMs: 6000, graceMs: 500 });
    for (const phone of (await rig()).phones) phone.fault = () => undefined;
    await others!;
    const affected = await marked(run);
    assert.equal(affected.size, 1);
    await attempts(since);
    await nothingRemains();
  },
);

appiumTest('500, 502 and a reset on an action: it is sent once, and what is not known is marked', async (t) => {
  const proxy = await proxyTo(t, (await appium()).url);
  const injections: readonly Injected[] = ([500, 502, 'reset'] as const).flatMap((how) => [
    { how, when: 'before' },
    { how, when: 'after' },
  ]);
  const sent: Call[] = [];
  proxy.inject = (call) => {
    if (call.method !== 'POST' || call.path !== '/actions') return undefined;
    sent.push(call);
    const { episode, step } = tapIn(call.body);
    return step === 2 ? injections[episode] : undefined;
  };
  const since = await marks();
  const run = await play(await openOn(proxy.url));
  const affected = await marked(run);
  assert.equal(sent.length, EPISODES * TAPS, 'no action is sent again');
  const done = await attempts(since);
  for (const [i, { when }] of injections.entries()) {
    const episode = affected.get(`e${i}`)!;
    assert.equal(episode.faults, undefined, 'the device is fine');
    assert.deepEqual(
      episode.steps.map(({ applied }) => applied),
      ['yes', 'yes', 'unknown', 'yes', 'yes', 'yes'],
    );
    assert.deepEqual(done.get(i), [when === 'after' ? [0, 1, 2, 3, 4] : [0, 1, 3, 4]]);
  }
  assert.equal(affected.size, injections.length);
  await nothingRemains();
});

appiumTest('newCommandTimeout passes while the agent thinks: a new session, and the episode anew', async () => {
  const since = await marks();
  const steps = new Map<string, number>();
  let thought: Promise<void> | undefined;
  const watch: Watch = async ({ device, episode, step }) => {
    if (episode !== 3 || step !== 2 || thought) return;
    thought = Promise.all([sleep(3000), othersGoOn(steps, device, 6)]).then(() => undefined);
    await thought;
  };
  const more = { capabilities: { 'appium:newCommandTimeout': 1 } };
  const run = await play(await openOn((await appium()).url, more), { watch, steps });
  const affected = await marked(run);
  assert.deepEqual([...affected.keys()], ['e3']);
  // what was lost is known to have been lost
  assert.equal(affected.get('e3')!.faults!.length, 1);
  assert.match(affected.get('e3')!.faults![0].reason, /session/i);
  const tries = (await attempts(since)).get(3)!.sort((a, b) => a.length - b.length);
  assert.deepEqual(tries, [
    [0, 1],
    [0, 1, 2, 3, 4],
  ]);
  await nothingRemains();
});

appiumTest('a second session on the same device ends the first: the episode is begun anew', async () => {
  const since = await marks();
  const { url } = await appium();
  let stolen: Promise<string> | undefined;
  const watch: Watch = async ({ device, episode, step }) => {
    if (episode !== 2 || step !== 3 || stolen) return;
    stolen = phoneOf(device).then(async ({ serial }) => {
      const { capabilities } = rigSettings(await rig(), url, { capabilities: { 'appium:udid': serial } });
      const body = JSON.stringify({ capabilities: { alwaysMatch: capabilities, firstMatch: [{}] } });
      const headers = { 'content-type': 'application/json' };
      const answer = await fetch(`${url}/session`, { method: 'POST', body, headers });
      return ((await answer.json()) as { value: { sessionId: string } }).value.sessionId;
    });
    await stolen;
  };
  const run = await play(await openOn(url), { watch });
  const affected = await marked(run);
  assert.deepEqual([...affected.keys()], ['e2']);
  assert.equal(affected.get('e2')!.faults!.length, 1);
  const tries = (await attempts(since)).get(2)!.sort((a, b) => a.length - b.length);
  assert.deepEqual(tries, [
    [0, 1, 2],
    [0, 1, 2, 3, 4],
  ]);
  await fetch(`${url}/session/${await stolen!}`, { method: 'DELETE' });
  await nothingRemains();
});

appiumTest('screenshots that fail: one is taken again, a device that takes none is given up', async () => {
  const since = await marks();
  const [first, second] = (await rig()).phones;
  let [once, always] = [0, 0];
  const early = (phone: ServedPhone, i: number) => phone.taken.length - since[i] < 6;
  first.fault = (what) => (what === 'screenshot' && !early(first, 0) && once++ === 0 ? 'fail' : undefined);
  second.fault = (what) => (what === 'screenshot' && !early(second, 1) && always++ < 3 ? 'fail' : undefined);
  const run = await play(await openOn((await appium()).url, { read_retries: 2 }));
  for (const phone of (await rig()).phones) phone.fault = () => undefined;
  assert.ok(once > 1 && always > 3);
  const [[, episode], ...others] = await marked(run);
  assert.deepEqual(others, []);
  assert.equal(episode.faults!.length, 1);
  assert.equal(episode.faults![0].call, 'screenshot');
  assert.ok(episode.faults![0].device.endsWith(second.serial));
  await attempts(since);
  await nothingRemains();
});

appiumTest('a node of a Grid is killed: its episode goes to the other, which never waits', async (t) => {
  const since = await marks();
  const hub = await (await rig()).hub();
  t.after(() => hub.stop());
  const { udids } = await rig();
  const nodes = await Promise.all(udids.map(async (udid) => (await rig()).appium({ nodeOf: hub, udids: [udid] })));
  t.after(() => Promise.all(nodes.map((node) => node.stop())));
  await hub.ready(2);
  const steps = new Map<string, number>();
  let killed: Promise<void> | undefined;
  let others: Promise<void> | undefined;
  const watch: Watch = async ({ device, episode, step }) => {
    if (episode < 2 || step !== 2 || killed) return;
    // which node it is only the phones know: it is the one whose last tap is this episode's
    const { phones } = await rig();
    const last = ({ taken }: ServedPhone) => taken.at(-1)?.input;
    const here = phones.findIndex((phone) => {
      const input = last(phone);
      return input?.do === 'finger' && input.from.y === pixelOf(episode, 0).y;
    });
    killed = nodes[here].stop('SIGKILL');
    others = othersGoOn(steps, device, 10);
    await killed;
  };
  const open = await openOn(hub.url, { udids: [], session_ms: 30_000 });
  const run = await play(open, { watch, steps, closeMs: 2000 });
  assert.ok(killed);
  await others;
  const affected = await marked(run);
  assert.equal(affected.size, 1);
  const [[, episode]] = affected;
  assert.ok(episode.faults!.length >= 1);
  await attempts(since);
  await nothingRemains();
});

/** Which tap a body of /actions is. */
function tapIn(body: string): { episode: number; step: number } {
  const { actions } = JSON.parse(body) as { actions: { actions: { x: number; y: number }[] }[] };
  const { x, y } = actions[0].actions[0];
  return { episode: (y - 40) / 45, step: (x - 30) / 40 };
}
