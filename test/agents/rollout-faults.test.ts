/** Episodes on failing devices: none is dropped silently, none suffers from another's device, no action is sent twice. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { formatAction } from '../../src/agents/grammar.js';
import { rollout, type Agent, type EpisodePlan, type RolloutOptions } from '../../src/agents/rollout.js';
import type { Action } from '../../src/data/action.js';
import type { Device } from '../../src/devices/device.js';
import { DEFAULT_GRID, expert, Phone, phoneTasks } from '../../src/devices/phone/index.js';
import { DevicePool, type PoolOptions } from '../../src/devices/pool/pool.js';
import { stateJudge } from '../../src/judges/state.js';
import { Random } from '../../src/random.js';
import { FakeClock } from '../rigs/fake-clock.js';
import { FAULTS, FaultyDevice, faultsBySeed, Happenings, type FaultPlan } from '../rigs/faulty-device.js';

const tasks = phoneTasks({ set: 'general', split: 'train', count: 40, seed: 1 });
const planOf = (count: number): EpisodePlan[] =>
  Array.from({ length: count }, (_, i) => ({
    episode: `e${String(i).padStart(4, '0')}`,
    task: tasks[i % tasks.length],
    seed: 1000 + i,
  }));

/** An expert that makes mistakes in some episodes, so that episodes end with both verdicts. */
const scripted: Agent = {
  act: async ({ device, key }) => {
    // yield, as any agent that takes time does
    await new Promise((resolve) => setImmediate(resolve));
    const phone = device instanceof FaultyDevice ? device.phone : (device as Phone);
    const random = new Random(1, key);
    const mistake = random.chance(0.1);
    const action: Action = mistake ? { type: 'PRESS_HOME' } : expert(phone, { grid: DEFAULT_GRID, random });
    return { text: formatAction(action), action };
  },
};

function poolOf(count: number, open: PoolOptions['open'], options: Partial<PoolOptions> = {}) {
  const clock = new FakeClock();
  return { clock, pool: new DevicePool({ count, open, seed: 5, clock, ...options }) };
}

const common = { agent: scripted, judge: stateJudge(), maxSteps: 8, deadlineMs: 1000 } as const;

function run(pool: DevicePool, episodes: readonly EpisodePlan[], options: Partial<RolloutOptions> = {}) {
  return rollout({ pool, episodes, ...common, ...options });
}

/** Rollouts of the same episodes on phones that never fail. */
async function undisturbed(episodes: readonly EpisodePlan[], screen: 'painted' | 'blank' = 'painted') {
  const { pool } = poolOf(2, async () => new FaultyDevice('calm', new Happenings(), () => undefined, screen));
  const { rollouts } = await run(pool, episodes);
  await pool.close();
  return rollouts;
}

for (const kind of FAULTS) {
  test(`${kind}: the episode restarts from its seed on another device and records the fault`, async () => {
    const happenings = new Happenings();
    const episodes = planOf(6);
    const fails: FaultPlan = ({ seed }) =>
      seed === 1002 && happenings.faults.length === 0 ? { kind, call: kind === 'reset fails' ? 0 : 3 } : undefined;
    const { pool, clock } = poolOf(2, async (slot) => new FaultyDevice(`faulty-${slot}`, happenings, fails));
    const { rollouts, lost } = await clock.until(run(pool, episodes));
    await pool.close();
    const calm = await undisturbed(episodes);
    assert.deepEqual(lost, []);
    assert.deepEqual(happenings.faults, [kind]);
    const { faults = [], ...episode } = rollouts[2].episode;
    assert.deepEqual(episode, calm[2].episode);
    for (const i of [0, 1, 3, 4, 5]) assert.deepEqual(rollouts[i], calm[i], 'the other episodes are identical');
    const call = kind.startsWith('act') ? 'act' : kind === 'reset fails' ? 'reset' : /screenshot|act/;
    assert.equal(faults.length, 1);
    assert.match(faults[0].call, new RegExp(call));
    assert.match(faults[0].device, /^faulty-[01]$/);
    assert.equal(faults[0].applied, faults[0].call === 'act' ? 'unknown' : undefined);
    assert.equal(faults[0].step, kind === 'reset fails' ? 0 : faults[0].step || 1);
    assert.match(faults[0].reason, kind === 'hangs' ? /no answer/ : kind === 'dies' ? /gone/ : /HTTP 500|hang up/);
    const attempts = happenings.attempts.filter(({ seed }) => seed === 1002);
    assert.equal(attempts.length, 2);
    // the actions of the failed attempt are a prefix of those of the restarted one; none is repeated within an attempt
    assert.deepEqual(attempts[0].sent, attempts[1].sent.slice(0, attempts[0].sent.length));
    assert.equal(attempts[1].sent.length, calm[2].episode.steps.length);
    assert.equal(happenings.closed, happenings.made);
    assert.equal(clock.pending, 0);
  });
}

test('a hung device delays no other episode: all others end before its deadline', async () => {
  const happenings = new Happenings();
  const episodes = planOf(30);
  const { pool, clock } = poolOf(
    3,
    async (slot) =>
      new FaultyDevice(`faulty-${slot}`, happenings, ({ seed }) =>
        seed === 1000 && happenings.faults.length === 0 ? { kind: 'hangs', call: 2 } : undefined,
      ),
  );
  const done: string[] = [];
  const results = run(pool, episodes, { onEpisode: ({ episode }) => void done.push(episode.episode) });
  // the clock stands still until only the hung call is left
  for (let turn = 0; done.length < 29 && turn < 20_000; turn++) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(clock.now(), 0);
  assert.deepEqual(
    [...done].sort(),
    episodes.slice(1).map(({ episode }) => episode),
  );
  await clock.until(results);
  assert.equal(done.at(-1), 'e0000');
  assert.ok(clock.now() >= 1000);
  await pool.close();
});

test('an episode that fails on every device is lost with its reasons; the others are not', async () => {
  const happenings = new Happenings();
  const episodes = planOf(8);
  const { pool, clock } = poolOf(
    3,
    async (slot) =>
      new FaultyDevice(`faulty-${slot}`, happenings, ({ seed }) =>
        seed === 1003 ? { kind: 'act throws after it was applied', call: 1 } : undefined,
      ),
  );
  const told: string[] = [];
  const { rollouts, lost } = await clock.until(
    run(pool, episodes, { attempts: 4, onLost: ({ episode }) => void told.push(episode) }),
  );
  await pool.close();
  assert.deepEqual(told, ['e0003']);
  assert.equal(rollouts.length, 7);
  assert.equal(lost.length, 1);
  assert.equal(lost[0].episode, 'e0003');
  assert.equal(lost[0].task, episodes[3].task.id);
  assert.deepEqual(
    lost[0].faults.map(({ call, step, applied, reason }) => ({ call, step, applied, reason })),
    Array.from({ length: 4 }, () => ({ call: 'act', step: 0, applied: 'unknown', reason: 'socket hang up' })),
  );
  // each of the four attempts executed its action once
  const attempts = happenings.attempts.filter(({ seed }) => seed === 1003);
  assert.deepEqual(
    attempts.map(({ sent, applied }) => [sent.length, applied]),
    Array.from({ length: 4 }, () => [1, 1]),
  );
});

test('an episode restarts if its device dies before the judge has asked it', async () => {
  let dead = false;
  let asked = 0;
  const episodes = planOf(1);
  const { pool, clock } = poolOf(1, async () => {
    const phone = new Phone();
    const achieved = phone.achieved.bind(phone);
    return Object.assign(phone, {
      achieved: () => {
        asked++;
        if (dead) return achieved();
        dead = true;
        throw new Error('the page is closed');
      },
    });
  });
  const { rollouts } = await clock.until(run(pool, episodes, { judge: stateJudge({ declare: 'ignored' }) }));
  assert.equal(asked, 2);
  assert.deepEqual(
    rollouts[0].episode.faults?.map(({ call, reason }) => [call, reason]),
    [['achieved', 'the page is closed']],
  );
  await pool.close();
});

test('an action that the device reports as applied "unknown" is recorded so and not sent again', async () => {
  let sent = 0;
  const { pool } = poolOf(1, async () =>
    Object.assign(new Phone(), {
      act: async () => {
        sent++;
        return { applied: 'unknown' as const };
      },
    }),
  );
  const { rollouts } = await run(pool, planOf(1), { maxSteps: 3 });
  assert.deepEqual(
    rollouts[0].episode.steps.map(({ applied }) => applied),
    ['unknown', 'unknown', 'unknown'],
  );
  assert.equal(sent, 3);
  await pool.close();
});

test('when no device is left, the run ends with one error and has reported its finished episodes', async () => {
  let good = 4;
  const { pool, clock } = poolOf(
    2,
    async (slot) => {
      if (good <= 0) throw new Error('no memory');
      return new FaultyDevice(`faulty-${slot}`, new Happenings(), () =>
        good-- > 0 ? undefined : { kind: 'dies', call: 2 },
      );
    },
    { giveUpAfter: 3 },
  );
  const done: string[] = [];
  await assert.rejects(
    clock.until(run(pool, planOf(20), { onEpisode: ({ episode }) => void done.push(episode.episode) })),
    {
      name: 'RunError',
      message: 'all 2 devices were given up, each after 3 failures in a row: cannot be opened: no memory',
    },
  );
  assert.equal(done.length, 4);
  await pool.close();
  assert.equal(clock.pending, 0);
});

test('a failing agent ends the run and everything in progress, and the devices stay healthy', async () => {
  const devices: Device[] = [];
  const { pool, clock } = poolOf(4, async () => {
    const phone = new Phone();
    devices.push(phone);
    return phone;
  });
  let acts = 0;
  const agent: Agent = {
    act: (observation) => {
      acts++;
      if (acts === 30) throw new Error('out of ideas');
      // this call never answers
      return acts === 7 ? new Promise(() => undefined) : scripted.act(observation);
    },
  };
  await assert.rejects(run(pool, planOf(40), { agent }), /out of ideas/);
  const { length } = devices;
  const before = acts;
  await clock.advance(0);
  assert.equal(acts, before);
  assert.equal(pool.status.working, 0);
  assert.ok(pool.status.resting <= 1, 'all devices are healthy, except for one interrupted in a call');
  await pool.close();
  assert.equal(length, 4);
  assert.equal(clock.pending, 0);
});

test('Ctrl-C during hung calls ends at once and leaves no device or timer behind', async () => {
  const happenings = new Happenings();
  const stop = new AbortController();
  const { signal } = stop;
  const { pool, clock } = poolOf(
    4,
    async (slot) => new FaultyDevice(`faulty-${slot}`, happenings, () => ({ kind: 'hangs', call: 3 })),
    { signal },
  );
  const ended = assert.rejects(run(pool, planOf(40), { signal }), /Ctrl-C/);
  await clock.advance(10);
  assert.equal(happenings.faults.length, 4);
  stop.abort(new Error('Ctrl-C'));
  await ended;
  await pool.close();
  assert.equal(clock.now(), 10);
  assert.equal(happenings.closed, happenings.made);
  assert.equal(clock.pending, 0);
});

test('on the real clock, a hung device is replaced after its deadline, and no timer is left', async () => {
  const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
  const before = timers();
  const happenings = new Happenings();
  const fails: FaultPlan = ({ seed }) =>
    seed === 1001 && happenings.faults.length === 0 ? { kind: 'hangs', call: 2 } : undefined;
  const pool = new DevicePool({
    count: 2,
    open: async (slot) => new FaultyDevice(`faulty-${slot}`, happenings, fails),
    seed: 5,
    graceMs: 20,
    restMs: 10,
  });
  const { rollouts, lost } = await run(pool, planOf(6), { deadlineMs: 80 });
  await pool.close();
  assert.deepEqual(lost, []);
  assert.deepEqual(
    rollouts.flatMap(({ episode: { faults = [] } }) => faults.map(({ reason }) => reason)),
    ['no answer in 80 ms and 20 ms of grace'],
  );
  assert.equal(happenings.closed, happenings.made);
  assert.equal(timers(), before);
});

test('1,000 episodes on 8 phones with 5 % faults: none missing, the same successes, constant memory', async () => {
  const episodes = planOf(1000);
  const calm = await undisturbed(episodes, 'blank');
  const happenings = new Happenings();
  const fails = faultsBySeed(7, 0.05, 6);
  const devices: WeakRef<Device>[] = [];
  const open = async (slot: number) => {
    const device = new FaultyDevice(`faulty-${slot}`, happenings, fails, 'blank');
    devices.push(new WeakRef(device));
    return device;
  };
  let refilled = 0;
  const { pool, clock } = poolOf(8, open, { onEvent: ({ kind }) => void (kind === 'refilled' && refilled++) });
  const seen = new Map<string, boolean>();
  const heap: number[] = [];
  let repeated = 0;
  const onEpisode: RolloutOptions['onEpisode'] = ({ episode, verdict }) => {
    assert.ok(!seen.has(episode.episode));
    seen.set(episode.episode, verdict === 'success');
    if (episode.faults) repeated++;
    if (seen.size === 200 || seen.size === 990) heap.push(heapAfterCollection());
  };
  const { rollouts, lost } = await clock.until(run(pool, episodes, { onEpisode }));
  collect();
  const alive = devices.filter((device) => device.deref()).length;
  assert.ok(alive <= 8 + 1, `${alive} of ${devices.length} devices are still in memory, hung ones included`);
  await pool.close();
  assert.equal(rollouts.length + lost.length, 1000);
  assert.equal(seen.size, rollouts.length);
  assert.ok(happenings.faults.length >= 30, `${happenings.faults.length} faults`);
  assert.deepEqual([...new Set(happenings.faults)].sort(), [...FAULTS].sort());
  assert.equal(happenings.attempts.length, 1000 + happenings.faults.length);
  assert.deepEqual(lost, [], 'three attempts are enough at this rate and seed');
  assert.equal(
    repeated,
    new Set(happenings.attempts.map(({ seed }) => seed).filter((s, i, all) => all.indexOf(s) < i)).size,
  );
  assert.deepEqual(
    rollouts.map(({ episode: { faults: _, ...episode }, verdict }) => ({ ...episode, verdict })),
    calm.map(({ episode, verdict }) => ({ ...episode, verdict })),
  );
  const successes = calm.filter(({ verdict }) => verdict === 'success').length;
  assert.ok(successes > 300 && successes < 1000, `${successes} successes; the test needs both verdicts`);
  // every attempt sent a prefix of the undisturbed episode's actions, each once
  const actions = new Map(calm.map(({ episode: { seed, steps } }) => [seed, steps.map(({ action }) => action)]));
  for (const { seed, sent } of happenings.attempts) {
    assert.deepEqual(
      sent.map((action) => formatAction(action)),
      actions.get(seed)!.slice(0, sent.length),
    );
  }
  assert.equal(happenings.closed, happenings.made);
  assert.equal(happenings.made, 8 + refilled);
  assert.ok(refilled > 0 && refilled <= happenings.faults.length, 'a failed device is replaced once');
  const grown = (heap[1] - heap[0]) / 790;
  // the returned results take about 5 KB each
  assert.ok(grown < 8000, `the heap grew by ${Math.round(grown)} bytes an episode`);
  assert.equal(clock.pending, 0);
});

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

function heapAfterCollection(): number {
  collect();
  return process.memoryUsage().heapUsed;
}
