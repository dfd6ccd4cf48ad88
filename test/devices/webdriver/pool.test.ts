/** Episodes on a pool of WebDriver devices equal those in process, even if the server fails; no action or session is left over. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { formatAction } from '../../../src/agents/grammar.js';
import { rollout, type Agent, type EpisodePlan, type RolloutOptions } from '../../../src/agents/rollout.js';
import { endsEpisode, type Action } from '../../../src/data/action.js';
import type { Device } from '../../../src/devices/device.js';
import { DEFAULT_GRID, expert, Phone } from '../../../src/devices/phone/index.js';
import { DevicePool, type PoolOptions } from '../../../src/devices/pool/pool.js';
import type { WebDriverDevice } from '../../../src/devices/webdriver/webdriver.js';
import { stateJudge } from '../../../src/judges/state.js';
import { Random } from '../../../src/random.js';
import { BY_COMMANDS, fleetOf, TASKS, until } from '../../rigs/webdriver/rig.js';
import { ScriptedServer, type Call, type Fault } from '../../rigs/webdriver/server.js';

const UDIDS = ['emulator-5554', 'emulator-5556', 'emulator-5558'];
const planOf = (count: number): EpisodePlan[] =>
  Array.from({ length: count }, (_, i) => ({
    episode: `e${String(i).padStart(4, '0')}`,
    task: TASKS[i % TASKS.length],
    seed: 1000 + i,
  }));

/** An expert that sometimes makes mistakes; it reads the phone's state directly. */
const agentFor = (phoneOf: (device: Device) => Phone, sent: Action[] = []): Agent => ({
  act: async ({ device, key }) => {
    const random = new Random(1, key);
    const mistake = random.chance(0.15);
    const action: Action = mistake ? { type: 'PRESS_HOME' } : expert(phoneOf(device), { grid: DEFAULT_GRID, random });
    sent.push(action);
    return { text: formatAction(action), action };
  },
});

const common = { judge: stateJudge(), maxSteps: 8 } as const;

async function inProcess(episodes: readonly EpisodePlan[]) {
  const pool = new DevicePool({ count: 1, open: async () => new Phone(), seed: 0 });
  const agent = agentFor((device) => device as Phone);
  const { rollouts } = await rollout({ pool, agent, episodes, deadlineMs: 30_000, ...common });
  await pool.close();
  return rollouts;
}

/** Runs episodes on a server's phones. */
async function overWire(
  t: TestContext,
  server: ScriptedServer,
  episodes: readonly EpisodePlan[],
  {
    patience = {},
    settings = {},
    sent = [],
    ...options
  }: Partial<Omit<RolloutOptions, 'pool'>> & {
    patience?: Partial<PoolOptions>;
    settings?: object;
    sent?: Action[];
  } = {},
) {
  const fleet = fleetOf(t, server, { ...BY_COMMANDS, typing: 'type', udids: UDIDS, ...settings });
  const events: string[] = [];
  const pool = new DevicePool({
    count: UDIDS.length,
    open: (slot) => fleet.open(slot),
    seed: 3,
    restMs: 20,
    graceMs: 5000,
    onEvent: ({ kind }) => void events.push(kind),
    ...patience,
  });
  const agent = agentFor(
    (device) => server.phones.get((device as WebDriverDevice).id.replace('webdriver-', ''))!,
    sent,
  );
  try {
    return { ...(await rollout({ pool, agent, episodes, deadlineMs: 30_000, ...common, ...options })), events };
  } finally {
    await pool.close();
  }
}

const outcomes = (rollouts: Awaited<ReturnType<typeof inProcess>>) =>
  rollouts.map(({ episode: { faults: _, ...episode }, verdict }) => ({ ...episode, verdict }));

test('on three devices, episodes equal those in process, action for action', async (t) => {
  const episodes = planOf(12);
  const server = await ScriptedServer.start(t);
  const { rollouts, lost, events } = await overWire(t, server, episodes);
  assert.deepEqual(outcomes(rollouts), outcomes(await inProcess(episodes)));
  const successes = rollouts.filter(({ verdict }) => verdict === 'success').length;
  assert.ok(successes > 0 && successes < 12, `${successes} successes; the test needs both verdicts`);
  assert.deepEqual([lost, events], [[], []]);
  assert.deepEqual([server.made, server.ended, server.killed, server.sessions.size], [3, 3, 0, 0]);
});

/** Faults that end an attempt, and their reported reasons. */
for (const [fault, reason] of [
  ['lost', /the session has ended/],
  ['lost in the middle', /the session has ended.*unexpectedly shut down/],
  ['hang', /no answer in/],
] as const) {
  test(`${fault} in an episode: the attempt ends, is recorded, and the episode restarts in a new session`, async (t) => {
    const episodes = planOf(6);
    let struck: Call | undefined;
    const behave = (call: Call): Fault => {
      const strike = !struck && call.path === '/actions' && call.nth >= 2;
      if (strike) struck = call;
      if (strike) return fault;
      // a hung device no longer answers
      return fault === 'hang' && struck && call.session === struck.session && call.method === 'GET' ? 'hang' : 'well';
    };
    const server = await ScriptedServer.start(t, { behave });
    const { rollouts, lost, events } = await overWire(t, server, episodes, {
      deadlineMs: fault === 'hang' ? 3000 : 30_000,
    });
    assert.deepEqual(lost, []);
    assert.deepEqual(outcomes(rollouts), outcomes(await inProcess(episodes)));
    const faults = rollouts.flatMap(({ episode }) => episode.faults ?? []);
    assert.equal(faults.length, 1);
    assert.match(faults[0].reason, reason);
    assert.equal(faults[0].call, 'screenshot');
    assert.equal(events[0], 'failed');
    // if the other devices finish first, no replacement is opened
    assert.deepEqual([server.made, server.killed, server.sessions.size], [2 + events.length, 0, 0]);
  });
}

test('with faults of every kind in 10 % of calls, no episode is missing, successes are the same and no action is sent twice', async (t) => {
  const kinds: Fault[] = ['500', '502', 'reset', 'done, reset', 'half', 'no json', 'lost', 'lost in the middle'];
  const episodes = planOf(24);
  let calls = 0;
  let faults = 0;
  const struck = new Set<Fault>();
  const behave = ({ path, method, script }: Call): Fault => {
    const random = new Random(11, 'fault', calls++);
    // only screenshots and preparations fail: after a failed action the episode continues differently (tested elsewhere)
    const reading = method === 'GET' && path === '/screenshot';
    const preparing = script === 'test: begin';
    if (!(reading || preparing) || !random.chance(0.1)) return 'well';
    // in turn, so that every kind occurs
    const kind = kinds[faults++ % kinds.length];
    struck.add(kind);
    return kind;
  };
  const server = await ScriptedServer.start(t, { behave });
  const sent: Action[] = [];
  const { rollouts, lost } = await overWire(t, server, episodes, {
    attempts: 8,
    patience: { giveUpAfter: 50 },
    settings: { app: 'org.shop' },
    sent,
  });
  const arrived = server.done.filter(({ what }) => !what.endsWith(' org.shop'));
  assert.equal(arrived.length, sent.filter((action) => !endsEpisode(action)).length);
  assert.deepEqual([...struck].sort(), [...kinds].sort());
  assert.deepEqual(lost, []);
  assert.deepEqual(outcomes(rollouts), outcomes(await inProcess(episodes)));
  assert.ok(rollouts.some(({ episode }) => episode.faults));
  assert.deepEqual([server.killed, server.sessions.size], [0, 0]);
  assert.equal(server.made, server.ended);
});

test('if the server restarts during a rollout, the running episodes restart and all finish', async (t) => {
  const episodes = planOf(9);
  const server = await ScriptedServer.start(t);
  let done = 0;
  const onEpisode = async (): Promise<void> => {
    if (++done !== 2) return;
    await server.down();
    setTimeout(() => void server.up(), 400);
  };
  const { rollouts, lost } = await overWire(t, server, episodes, {
    onEpisode,
    attempts: 10,
    settings: { server_ms: 20_000 },
    patience: { giveUpAfter: 50 },
  });
  assert.deepEqual(lost, []);
  assert.deepEqual(outcomes(rollouts), outcomes(await inProcess(episodes)));
  assert.deepEqual([server.killed, server.sessions.size], [0, 0]);
});

test('Ctrl-C during a rollout ends all sessions', async (t) => {
  const server = await ScriptedServer.start(t, {
    behave: ({ path, nth }) => (path === '/actions' && nth === 3 ? 'hang' : 'well'),
  });
  const stop = new AbortController();
  const fleet = fleetOf(t, server, { ...BY_COMMANDS, typing: 'type', udids: UDIDS });
  const pool = new DevicePool({ count: 3, open: (slot) => fleet.open(slot), seed: 0, signal: stop.signal });
  const agent: Agent = {
    act: async () => ({ text: 'x', action: { type: 'DUAL_POINT', touch: [0.5, 0.5], lift: [0.5, 0.5] } }),
  };
  const running = rollout({ pool, agent, episodes: planOf(9), deadlineMs: 30_000, ...common, signal: stop.signal });
  const ended = assert.rejects(running, /Ctrl-C/);
  const hung = () => server.calls.filter(({ path, nth }) => path === '/actions' && nth === 3).length;
  await until('all hang', () => hung() === 3);
  stop.abort(new Error('Ctrl-C'));
  await ended;
  await pool.close();
  assert.deepEqual([server.made, server.ended, server.sessions.size], [3, 3, 0]);
});
