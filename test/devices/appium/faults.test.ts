/** Faults of the real Appium, driver and Grid: the run ends, other devices go on, no action is repeated, no session remains. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { appiumTest } from '../../rigs/appium/shared-rig.js';
import {
  TAPS,
  EPISODES,
  rig,
  appium,
  pixelOf,
  type Watch,
  play,
  marks,
  attempts,
  marked,
  nothingRemains,
  openOn,
  phoneOf,
  proxyTo,
  othersGoOn,
  tapIn,
} from '../../rigs/appium/taps.js';
import type { Call, Injected } from '../../rigs/appium/fault-proxy.js';
import { rigSettings } from '../../rigs/appium/rig-settings.js';
import type { Appium } from '../../rigs/appium/rig.js';
import type { ServedPhone } from '../../rigs/appium/served-phone.js';

// the backend warns about each injected fault
process.removeAllListeners('warning');

appiumTest('without faults, the taps are the same in process and through Appium', async () => {
  const since = await marks();
  const run = await play(await openOn((await appium()).url));
  assert.equal((await marked(run)).size, 0);
  for (const [, tries] of await attempts(since)) assert.deepEqual(tries, [[0, 1, 2, 3, 4]]);
  await nothingRemains();
});

appiumTest('if a device dies during a tap, the other one goes on and the tap is not repeated', async () => {
  const since = await marks();
  const steps = new Map<string, number>();
  const devices = new Map<number, string>();
  let revived: Promise<void> | undefined;
  for (const phone of (await rig()).phones) {
    phone.fault = (what) => {
      const at = phone.taken.slice(since[0]).length;
      if (what !== 'input' || revived || at < 4) return undefined;
      // it stays dead until the other device has made progress without it
      revived = othersGoOn(steps, `webdriver-${phone.serial}`, 12).then(async () => (await rig()).revive(phone));
      return 'die';
    };
  }
  const watch: Watch = ({ device, episode }) => void devices.set(episode, device);
  const run = await play(await openOn((await appium()).url), { watch, steps });
  for (const phone of (await rig()).phones) phone.fault = () => undefined;
  assert.ok(revived, 'the device died');
  await revived;
  const [[, episode], ...others] = await marked(run);
  assert.deepEqual(others, []);
  assert.equal(episode.faults!.length, 1);
  assert.match(episode.faults![0].call, /act|screenshot/);
  const tries = (await attempts(since)).get(Number(episode.episode.slice(1)))!;
  assert.equal(tries.length, 2);
  await nothingRemains();
});

appiumTest('if the server is killed and restarted, the run waits for it and ends well', async () => {
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
  assert.ok(repeated.size >= 1 && repeated.size <= 2, `${repeated.size} episodes were running`);
  for (const [, { faults }] of repeated) assert.ok(faults!.length >= 1);
  await attempts(since);
  await nothingRemains();
  await after.stop();
});

appiumTest(
  'after an action without an answer, the episode continues at the deadline; the other device never waits',
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
    assert.ok(others, 'the other device did six steps before the deadline of the hung call');
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

appiumTest('a fully hung device fails at its deadline; the other device never waits', async () => {
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
});

appiumTest('after 500, 502 or a reset, an action is not sent again and is applied "unknown"', async (t) => {
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
    assert.equal(episode.faults, undefined, 'the device is healthy');
    assert.deepEqual(
      episode.steps.map(({ applied }) => applied),
      ['yes', 'yes', 'unknown', 'yes', 'yes', 'yes'],
    );
    assert.deepEqual(done.get(i), [when === 'after' ? [0, 1, 2, 3, 4] : [0, 1, 3, 4]]);
  }
  assert.equal(affected.size, injections.length);
  await nothingRemains();
});

appiumTest('if newCommandTimeout passes while the agent thinks, the episode restarts in a new session', async () => {
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
  // the lost attempt is recorded
  assert.equal(affected.get('e3')!.faults!.length, 1);
  assert.match(affected.get('e3')!.faults![0].reason, /session/i);
  const tries = (await attempts(since)).get(3)!.sort((a, b) => a.length - b.length);
  assert.deepEqual(tries, [
    [0, 1],
    [0, 1, 2, 3, 4],
  ]);
  await nothingRemains();
});

appiumTest('if a second session ends the first on a device, the episode restarts', async () => {
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

appiumTest('a failed screenshot is retried; a device whose screenshots keep failing is replaced', async () => {
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

appiumTest('if a node of a Grid is killed, its episode restarts on the other, which never waits', async (t) => {
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
    // only the phones know which node it is: the one whose phone had the last tap of this episode
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
