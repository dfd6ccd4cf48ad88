/** Episodes of distinct taps, so that tests can tell which taps the rig's phones received, and how often. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { formatAction } from '../../../src/agents/grammar.js';
import { rollout, type Agent, type EpisodePlan, type LostEpisode, type Rollout } from '../../../src/agents/rollout.js';
import { tap, type Action } from '../../../src/data/action.js';
import type { Device } from '../../../src/devices/device.js';
import type { Frame } from '../../../src/data/formats/frame.js';
import { createPhones, phoneTasks, SCREEN } from '../../../src/devices/phone/index.js';
import { DevicePool, type PoolOptions } from '../../../src/devices/pool/pool.js';
import { WebDriverFleet } from '../../../src/devices/webdriver/fleet.js';
import { stateJudge } from '../../../src/judges/state.js';
import { shared } from './shared-rig.js';
import { FaultProxy } from './fault-proxy.js';
import { rigSettings } from './rig-settings.js';
import { Rig, until, type Appium } from './rig.js';
import type { ServedPhone } from './served-phone.js';

export const TAPS = 5;
export const EPISODES = 10;
const PATIENCE_MS = 60_000;

export const rig = shared(() => Rig.start({ phones: 2 }));
let server: Promise<Appium> | undefined;
/** The Appium shared by the tests that do not kill it. */
export const appium = () => (server ??= rig().then((rig) => rig.appium()));

const episodes: EpisodePlan[] = phoneTasks({ set: 'general', split: 'train', count: EPISODES, seed: 4 }).map(
  (task, i) => ({ episode: `e${i}`, task, seed: 70 + i }),
);

/** The pixel that an episode taps at a step; all are distinct. */
export function pixelOf(episode: number, step: number): { x: number; y: number } {
  return { x: 30 + 40 * step, y: 40 + 45 * episode };
}

function actionOf(episode: number, step: number): Action {
  if (step >= TAPS) return { type: 'STATUS_TASK_COMPLETE' };
  const { x, y } = pixelOf(episode, step);
  return tap([(y + 0.5) / SCREEN.height, (x + 0.5) / SCREEN.width]);
}

/** A test's callback before each action of the agent. */
export type Watch = (at: { device: string; episode: number; step: number }) => void | Promise<void>;

/** An agent that taps the episodes' pixels. @param steps counts the steps that each device has started */
function tapper(watch: Watch, steps: Map<string, number>): Agent {
  return {
    act: async ({ key, device }) => {
      const [episode, step] = key.slice(1).split('/').map(Number);
      steps.set(device.id, (steps.get(device.id) ?? 0) + 1);
      await watch({ device: device.id, episode, step });
      const action = actionOf(episode, step);
      return { text: formatAction(action), action };
    },
  };
}

interface Run {
  readonly rollouts: readonly Rollout[];
  readonly lost: readonly LostEpisode[];
  /** lines of the pool's events */
  readonly events: readonly string[];
  /** steps that each device has started */
  readonly steps: ReadonlyMap<string, number>;
}

export async function play(
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
  const events: string[] = [];
  const onEvent = ({ line }: { line: string }) => void events.push(line);
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
    return { rollouts, lost, events, steps };
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

/** The number of inputs of each phone so far, to tell later inputs apart. */
export async function marks(): Promise<number[]> {
  return (await rig()).phones.map(({ taken }) => taken.length);
}

/**
 * The tapped steps of each attempt at an episode. Asserts that an attempt taps only its own episode's pixels, each step at
 * most once and in order.
 * @returns the attempts' steps by episode
 */
export async function attempts(since: readonly number[]): Promise<Map<number, number[][]>> {
  const found = new Map<number, number[][]>();
  for (const [i, phone] of (await rig()).phones.entries()) {
    const started = new Map<number, { episode: number; step: number }[]>();
    for (const { episode, input } of phone.taken.slice(since[i])) {
      if (input.do !== 'finger') continue;
      const { x, y } = input.from;
      const place = { episode: (y - 40) / 45, step: (x - 30) / 40 };
      started.set(episode, [...(started.get(episode) ?? []), place]);
    }
    for (const places of started.values()) {
      const [{ episode }] = places;
      const steps = places.map(({ step }) => step);
      assert.ok(
        places.every((place) => place.episode === episode),
        'an attempt belongs to one episode',
      );
      assert.deepEqual(steps, [...new Set(steps)].sort(), 'no step is repeated or out of order');
      found.set(episode, [...(found.get(episode) ?? []), steps]);
    }
  }
  return found;
}

/**
 * Asserts that every episode ended, and that those without faults or unknown actions equal the undisturbed ones.
 * @returns the episodes with faults or unknown actions
 */
export async function marked({ rollouts, lost }: Run): Promise<Map<string, Rollout['episode']>> {
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

/** Waits until no session is left on the devices. */
export async function nothingRemains(): Promise<void> {
  for (const { serial, processes } of (await rig()).phones) {
    await until(`no session on ${serial}`, () => !processes.instrumented, PATIENCE_MS);
  }
}

export async function openOn(
  url: string,
  more: Readonly<Record<string, unknown>> = {},
): Promise<(slot: number) => Promise<Device>> {
  const fleet = new WebDriverFleet(rigSettings(await rig(), url, more));
  return (slot) => fleet.open(slot);
}

export async function phoneOf(device: string): Promise<ServedPhone> {
  return (await rig()).phones.find(({ serial }) => device.endsWith(serial))!;
}

export async function proxyTo(t: TestContext, url: string): Promise<FaultProxy> {
  const proxy = await FaultProxy.start(url);
  t.after(() => proxy.close());
  return proxy;
}

/** Resolves when the devices other than `device` have started `more` further steps. */
export function othersGoOn(steps: ReadonlyMap<string, number>, device: string, more: number): Promise<void> {
  const others = () => [...steps].reduce((sum, [id, count]) => sum + (id === device ? 0 : count), 0);
  const from = others();
  return until(`${more} more steps on other devices`, () => others() >= from + more, PATIENCE_MS);
}

/** The episode and step of the tap in a body of /actions. */
export function tapIn(body: string): { episode: number; step: number } {
  const { actions } = JSON.parse(body) as { actions: { actions: { x: number; y: number }[] }[] };
  const { x, y } = actions[0].actions[0];
  return { episode: (y - 40) / 45, step: (x - 30) / 40 };
}
