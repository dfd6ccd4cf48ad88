import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after } from 'node:test';
import type { CDPSession, Page } from 'playwright-core';
import type { BrowserHook } from '../../../src/devices/browser/hook.js';
import type { BrowserDevice } from '../../../src/devices/browser/browser.js';
import { BrowserSettings } from '../../../src/devices/browser/settings.js';
import { BrowserDevice as Device } from '../../../src/devices/browser/browser.js';
import { RunError } from '../../../src/errors.js';
import { stateJudge } from '../../../src/judges/state.js';
import {
  browserTest,
  folderOf,
  openDevice,
  page,
  PATIENT,
  runs,
  taskAt,
  tapAt,
  until,
} from '../../rigs/browser/rig.js';

const folder = folderOf({
  'plain.html': page('<script>critiq = { reward: 0 }</script><button onclick="critiq.reward = 1">x</button>'),
  'hang.html': page('<script>critiq = { reward: 1 }</script><button ontouchstart="for (;;);">x</button>'),
  'alerts.html': page('<button onclick="for (;;) alert(1)">x</button>'),
  'silent.html': page('no reward here'),
  'broken.html': page('<script>critiq = { reward() { throw new Error("broken contract") } }</script>'),
  'words.html': page('<script>critiq = { reward: "much" }</script>'),
});
const judge = stateJudge({ declare: 'ignored' });
const SHORT = { deadlineMs: 1500 };
const TAP = tapAt(200, 50);

async function at(device: BrowserDevice, url: string): Promise<void> {
  await device.reset('app', { task: taskAt(url), seed: 0, ...PATIENT });
}

/** A server that accepts connections and never answers, or always answers with `status`. */
async function badServer(status?: number): Promise<string> {
  const server: Server = createServer((_, response) => {
    if (status !== undefined) response.writeHead(status).end();
  });
  await new Promise<void>((started) => server.listen(0, '127.0.0.1', started));
  after(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

/** A hook that exposes the page. */
function spy(): { hook: BrowserHook; page: () => Page } {
  let seen: Page | undefined;
  return {
    hook: {
      reset: (page) => {
        seen = page;
      },
    },
    page: () => seen!,
  };
}

const oneLine = (pattern: RegExp) => (error: unknown) =>
  error instanceof RunError && pattern.test(error.message) && !error.message.includes('\n');

browserTest('a crashed page takes no action and is dead; the next episode works', async (t) => {
  const { hook, page } = spy();
  const { device } = openDevice(t, { folder }, hook);
  await at(device, 'plain.html');
  // wait for the reset's own picture: Chromium itself may not survive a crash during a capture
  await device.screenshot(PATIENT);
  await page()
    .goto('chrome://crash')
    .catch(() => undefined);
  await until('dead', async () => (await device.health()) === 'dead');
  assert.deepEqual(await device.act(TAP, PATIENT), { applied: 'no' });
  await assert.rejects(device.screenshot(PATIENT), oneLine(/browser-0: screenshot: the page crashed/));
  await at(device, 'plain.html');
  await device.act(TAP, PATIENT);
  assert.equal(device.achieved(), true);
});

browserTest(
  'a killed browser fails all its devices; the next reset starts another one, which they share',
  async (t) => {
    const { device, browser } = openDevice(t, { folder });
    const other = new Device('browser-1', browser, BrowserSettings.parse({ folder }));
    t.after(() => other.close());
    await Promise.all([at(device, 'plain.html'), at(other, 'plain.html')]);
    const first = browser.pid!;
    process.kill(first, 'SIGKILL');
    await until('gone', () => !runs(first));
    await until('dead', async () => (await device.health()) === 'dead');
    assert.deepEqual(await device.act(TAP, PATIENT), { applied: 'no' });
    await assert.rejects(other.screenshot(PATIENT), oneLine(/browser-1: screenshot: the browser is gone/));
    await Promise.all([at(device, 'plain.html'), at(other, 'plain.html')]);
    assert.notEqual(browser.pid, first);
    await device.act(TAP, PATIENT);
    assert.equal(device.achieved(), true);
    assert.equal(other.achieved(), false);
  },
);

browserTest('a hung browser is killed and replaced at the next reset', async (t) => {
  const { device, browser } = openDevice(t, { folder });
  await at(device, 'plain.html');
  const first = browser.pid!;
  process.kill(first, 'SIGSTOP');
  assert.deepEqual(await device.act(TAP, SHORT), { applied: 'unknown' });
  assert.equal(await device.health(), 'sick');
  await assert.rejects(device.screenshot(SHORT), oneLine(/no answer in 1500 ms/));
  await assert.rejects(device.reset('app', { task: taskAt('plain.html'), seed: 0, ...SHORT }), oneLine(/no answer/));
  await until('ended', () => !runs(first));
  await at(device, 'plain.html');
});

browserTest(
  'if a page hangs during a touch, the action is applied "unknown", and the next episode works',
  async (t) => {
    const { device, browser } = openDevice(t, { folder });
    await at(device, 'hang.html');
    assert.equal(device.achieved(), true);
    assert.deepEqual(await device.act(TAP, SHORT), { applied: 'unknown' });
    assert.equal(device.achieved(), undefined);
    assert.equal(await judge.judge({ device, task: { id: '', text: '' }, completed: true }), 'unknown');
    await assert.rejects(device.screenshot(SHORT), oneLine(/browser-0: screenshot: no answer in 1500 ms/));
    assert.equal(await device.health(), 'sick');
    const { pid } = browser;
    await at(device, 'plain.html');
    assert.equal(await device.health(), 'ok');
    assert.equal(browser.pid, pid, 'the browser itself was healthy');
  },
);

browserTest('a page with endless alerts fails before the deadline', async (t) => {
  const { device } = openDevice(t, { folder });
  await at(device, 'alerts.html');
  await device.act(TAP, PATIENT);
  assert.equal(await device.health(), 'dead');
  await assert.rejects(
    device.screenshot(PATIENT),
    oneLine(/keeps opening dialogs: more than 50, the last one alert "1"/),
  );
  await at(device, 'plain.html');
});

browserTest('a start page that never loads, is an error page or does not exist is a one-line error', async (t) => {
  const { device } = openDevice(t, { folder });
  const reset = (url: string, deadlineMs = 20_000) => device.reset('app', { task: taskAt(url), seed: 0, deadlineMs });
  await assert.rejects(
    reset(await badServer(), 4000),
    oneLine(/browser-0: reset: no answer in 4000 ms \(opening http/),
  );
  await assert.rejects(reset(await badServer(503)), oneLine(/the server answered 503; expected a page/));
  await assert.rejects(reset('none.html'), oneLine(/none\.html: the server answered 404/));
  await assert.rejects(reset('http://127.0.0.1:1/'), oneLine(/cannot be opened: .*ERR_/));
  await at(device, 'plain.html');
});

browserTest('after a tap on a link to a page that never loads, the agent stays on the same page', async (t) => {
  const { hook, page } = spy();
  const { device } = openDevice(t, { folder, settle_ms: 300 }, hook);
  await at(device, 'plain.html');
  await page().evaluate(`document.querySelector('button').onclick = () => (location.href = '${await badServer()}')`);
  const began = performance.now();
  assert.deepEqual(await device.act(TAP, PATIENT), { applied: 'yes' });
  await device.screenshot(PATIENT);
  assert.ok(performance.now() - began < 10_000);
  assert.equal(device.achieved(), false);
});

browserTest('a page that later navigates to one that never loads can still be captured', async (t) => {
  const { hook, page } = spy();
  const { device } = openDevice(t, { folder }, hook);
  await at(device, 'plain.html');
  const leave = `setTimeout(() => (location.href = '${await badServer()}'), 200)`;
  await page().evaluate(`document.querySelector('button').onclick = () => ${leave}`);
  assert.deepEqual(await device.act(TAP, PATIENT), { applied: 'yes' });
  await new Promise((resolve) => setTimeout(resolve, 500));
  await device.screenshot(PATIENT);
  await device.screenshot(PATIENT);
});

browserTest('a screenshot that fails once is retried; one that fails twice is an error', async (t) => {
  const { device } = openDevice(t, { folder });
  await at(device, 'plain.html');
  await device.screenshot(PATIENT);
  // Chromium's capture cannot be made to fail from outside
  const { input } = (device as unknown as { running: { session: { input: CDPSession } } }).running.session;
  const send = input.send.bind(input) as (method: string, ...more: unknown[]) => Promise<never>;
  let failures = 1;
  input.send = (method: string, ...more: unknown[]) =>
    method === 'Page.captureScreenshot' && failures-- > 0
      ? Promise.reject(new Error('Unable to capture'))
      : send(method, ...more);
  await device.screenshot(PATIENT);
  failures = 2;
  await assert.rejects(device.screenshot(PATIENT), oneLine(/browser-0: screenshot: Unable to capture/));
  await device.screenshot(PATIENT);
  failures = 2; // the picture taken at the end of the action and the screenshot's first try
  await device.act(TAP, PATIENT);
  await device.screenshot(PATIENT);
});

browserTest('only the hosts in the settings can be reached', async (t) => {
  const { device } = openDevice(t, { folder, hosts: ['only.test'] });
  await at(device, 'plain.html');
  const reset = device.reset('app', { task: taskAt('http://localhost:8099/'), seed: 0, ...PATIENT });
  await assert.rejects(reset, oneLine(/ERR_NAME_NOT_RESOLVED|ERR_ADDRESS/));
});

browserTest('a hook that throws or hangs fails the reset, or makes the reward unknown and not 0', async (t) => {
  const warned: string[] = [];
  const listen = (warning: Error) => warned.push(warning.message);
  process.on('warning', listen);
  t.after(() => process.off('warning', listen));
  const never = () => new Promise<never>(() => undefined);
  const fail = () => {
    throw new Error('no\nsuch order');
  };
  const resetWith = (hook: BrowserHook, deadlineMs: number) => {
    const { device } = openDevice(t, { folder }, hook);
    return { device, done: device.reset('app', { task: taskAt('plain.html'), seed: 0, deadlineMs }) };
  };
  await assert.rejects(
    resetWith({ reset: fail }, 20_000).done,
    oneLine(/browser-0: reset: device\.browser\.hook: reset: no such order/),
  );
  await assert.rejects(resetWith({ reset: never }, 4000).done, oneLine(/no answer in 4000 ms \(the hook\)/));
  const hooks: BrowserHook[] = [
    { reward: fail },
    { reward: never },
    { reward: () => Number.NaN },
    { done: () => 1 as unknown as boolean },
  ];
  for (const hook of hooks) {
    const { device, done } = resetWith(hook, 4000);
    await done;
    assert.equal(device.achieved(), undefined);
    assert.equal(await judge.judge({ device, task: { id: '', text: '' }, completed: true }), 'unknown');
    await device.close();
  }
  await until('a warning for each hook', () => warned.length >= hooks.length);
  assert.match(
    warned.join('\n'),
    /hook: reward: no such order[^]*no answer[^]*expected a number[^]*expected true or false/,
  );
});

browserTest('a hook overrides the page, and the reward of a finished task no longer changes', async (t) => {
  let reward = 0.5;
  const { device } = openDevice(t, { folder, success: 0.5 }, { reward: () => reward, done: () => reward === 0.25 });
  await at(device, 'plain.html');
  assert.equal(device.achieved(), true);
  reward = 0.25;
  await device.act(TAP, PATIENT);
  assert.deepEqual([device.achieved(), device.over()], [false, true]);
  reward = 1;
  await device.act(TAP, PATIENT);
  assert.deepEqual([device.achieved(), device.reward], [false, 0.25]);
});

browserTest('a page without a valid reward is not judged', async (t) => {
  const { device } = openDevice(t, { folder });
  for (const url of ['silent.html', 'broken.html', 'words.html']) {
    await at(device, url);
    assert.equal(device.achieved(), undefined, url);
    assert.equal(device.over(), false);
  }
});
