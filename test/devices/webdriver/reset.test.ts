/** Resets, screenshots, rewards and recordings of WebDriver devices. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Phone } from '../../../src/devices/phone/index.js';
import { deviceOf, EPISODE, fleetOf, PATIENT, tapAt, warnings } from '../../rigs/webdriver/rig.js';
import { ScriptedServer, type Fault } from '../../rigs/webdriver/server.js';

const did = (server: ScriptedServer) => server.done.map(({ what }) => what);

test('level app stops and starts the apps of the settings, and prepares the task', async (t) => {
  const server = await ScriptedServer.start(t);
  const device = await deviceOf(t, server, { app: 'org.shop', clear: true, stop: ['org.other'] });
  assert.deepEqual(did(server), [
    'terminateApp org.other',
    'terminateApp org.shop',
    'clearApp org.shop',
    'activateApp org.shop',
  ]);
  const phone = new Phone();
  phone.begin(EPISODE.task, EPISODE.seed);
  assert.deepEqual((await device.screenshot(PATIENT)).rgba, new Uint8ClampedArray(phone.frame().rgba));
  assert.equal(server.made, 1);
  await device.reset('recreate', EPISODE);
  assert.deepEqual([server.made, server.ended, server.killed], [2, 1, 0]);
  assert.equal(device.resetMs, 180_000);
});

test('without an app, an episode starts at the home screen', async (t) => {
  const server = await ScriptedServer.start(t);
  await deviceOf(t, server, { press: 'press_keycode' });
  assert.deepEqual(did(server), ['PRESS_HOME']);
  assert.equal(server.count('POST /appium/device/press_keycode'), 1);
});

test('a snapshot is loaded by the console; a session that does not survive it is replaced', async (t) => {
  let after: Fault = 'well';
  let loaded = false;
  const server = await ScriptedServer.start(t, {
    behave: ({ script, path }) => {
      if (script === 'mobile: execEmuConsoleCommand') loaded = true;
      if (path !== '/screenshot' || !loaded) return 'well';
      loaded = false;
      return after;
    },
  });
  const snapshot = { reset: 'snapshot', snapshot: 'clean', read_retries: 0 };
  const device = await deviceOf(t, server, snapshot);
  assert.deepEqual(did(server), ['execEmuConsoleCommand avd snapshot load clean', 'PRESS_HOME']);
  assert.equal(server.made, 1);
  for (after of ['lost', '500'] as const) {
    const { made } = server;
    await device.reset('app', EPISODE);
    assert.equal(server.made, made + 1, after);
    assert.equal(server.sessions.size, 1);
    assert.equal((await device.screenshot(PATIENT)).width, 270);
  }
});

// UiAutomator2 8.7.0 answers with null if the console refuses a command
for (const [how, message] of [
  [
    'an error',
    /KO: Snapshot 'x' does not exist; check that device.webdriver.snapshot=x is a snapshot of this emulator$/,
  ],
  ['null', /refused the command; check that device.webdriver.snapshot=x is a snapshot of this emulator$/],
] as const) {
  test(`a missing snapshot is a mistake in the settings (the answer is ${how})`, async (t) => {
    const server = await ScriptedServer.start(t, {
      scripts: {
        'mobile: execEmuConsoleCommand': () => {
          if (how === 'null') return null;
          throw Object.assign(new Error("KO: Snapshot 'x' does not exist"), { status: 500, code: 'unknown error' });
        },
      },
    });
    const device = await fleetOf(t, server, { reset: 'snapshot', snapshot: 'x' }).open(0);
    t.after(() => device.close());
    await assert.rejects(device.reset('app', EPISODE), { name: 'UserError', message });
  });
}

test('a reset polls until the device is ready, but at most ready_ms', async (t) => {
  let asked = 0;
  const server = await ScriptedServer.start(t, {
    scripts: { 'test: package': () => (++asked < 4 ? 'boot' : 'launcher') },
  });
  const ready = { script: 'test: package', matches: '^launcher$' };
  await deviceOf(t, server, { ready });
  assert.equal(asked, 4);
  await assert.rejects(deviceOf(t, server, { ready: { ...ready, matches: 'never' }, ready_ms: 250 }), {
    name: 'RunError',
    message: /not ready in 250 ms: test: package: expected an answer that matches \/never\/, got "launcher"$/,
  });
});

test('a hung command of a reset fails after command_ms, long before the whole reset', async (t) => {
  const server = await ScriptedServer.start(t, {
    behave: ({ script }) => (script === 'test: begin' ? 'hang' : 'well'),
  });
  await assert.rejects(deviceOf(t, server, { command_ms: 200 }), { message: /reset: .*no answer in 200 ms$/ });
});

test('a screen of a single colour is taken again for blank_ms, and then accepted', async (t) => {
  let blanks = 0;
  const server = await ScriptedServer.start(t, {
    behave: ({ path }) => (path === '/screenshot' && blanks-- > 0 ? 'blank' : 'well'),
  });
  const device = await deviceOf(t, server, { blank_ms: 20_000 });
  blanks = 3;
  const { rgba } = await device.screenshot(PATIENT);
  assert.ok(rgba.some((value) => value !== 255));
  assert.ok(blanks < 0);
  const hasty = await deviceOf(t, await blank(t), { blank_ms: 250 });
  const { rgba: white } = await hasty.screenshot(PATIENT);
  assert.ok(white.every((value) => value === 255));
  const trusting = await blank(t);
  await (await deviceOf(t, trusting, { blank_ms: 0 })).screenshot(PATIENT);
  // one of them when the session opens
  assert.equal(trusting.count('GET /screenshot'), 2);
});

const blank = (t: { after(fn: () => unknown): void }) =>
  ScriptedServer.start(t, { behave: ({ path }) => (path === '/screenshot' ? 'blank' : 'well') });

test('after an action, screenshots are taken until the screen is at rest', async (t) => {
  let moving = 0;
  const server = await ScriptedServer.start(t, {
    behave: ({ path }) => {
      // a screen that changes with every screenshot
      if (path === '/screenshot' && moving-- > 0)
        server.phones.get('emulator-5554')!.finger({ x: 260, y: 400 }, { x: 10, y: 400 });
      return 'well';
    },
  });
  const device = await deviceOf(t, server, { settle_min_ms: 0, settle_ms: 20_000 });
  const before = () => server.count('GET /screenshot');
  let shots = before();
  await device.screenshot(PATIENT);
  assert.equal(before() - shots, 2, 'two equal screenshots');
  await device.act(tapAt(1, 584), PATIENT);
  moving = 1;
  shots = before();
  await device.screenshot(PATIENT);
  assert.equal(before() - shots, 2);
  const still = await deviceOf(t, server, { settle_ms: 0 });
  shots = before();
  await still.screenshot(PATIENT);
  assert.equal(before() - shots, 1);
});

test('touch coordinates are in pixels of the screenshot or in units of the window', async (t) => {
  for (const [coordinates, expected] of [
    ['screenshot', 'tap 269,584'],
    ['window', 'tap 134,291'],
  ] as const) {
    const server = await ScriptedServer.start(t);
    const device = await deviceOf(t, server, { coordinates });
    await device.act({ type: 'DUAL_POINT', touch: [1, 1], lift: [1, 1] }, PATIENT);
    assert.equal(did(server).at(-1), expected);
  }
});

test('text is typed into the focused element, by the driver, or by keys', async (t) => {
  for (const [typing, sent, done] of [
    ['active', 'POST /element/focused/value', 'type a\u00e9'],
    ['type', 'mobile: type', 'type a\u00e9'],
    ['keys', 'POST /actions', 'keys a\u00e9'],
  ] as const) {
    const server = await ScriptedServer.start(t);
    const device = await deviceOf(t, server, { typing });
    const phone = server.phones.get('emulator-5554')!;
    Object.assign(phone.state, { focus: 'search' });
    assert.deepEqual(await device.act({ type: 'TYPE', text: 'a\u00e9' }, PATIENT), { applied: 'yes' });
    assert.equal(server.count(sent), 1, typing);
    assert.equal(did(server).at(-1), done);
    assert.equal(phone.state.text, 'a\u00e9');
  }
});

test("the reward command's answer decides success and end; without an answer the reward is unknown", async (t) => {
  const answers: unknown[] = [];
  const server = await ScriptedServer.start(t, {
    scripts: {
      'test: stands': ({ task }) => {
        assert.equal(task, EPISODE.task.id);
        const answer = answers.shift();
        if (answer instanceof Error) throw Object.assign(answer, { status: 500, code: 'unknown error' });
        return answer;
      },
    },
  });
  const reward = { script: 'test: stands', args: { task: '{task.id}' }, success: '"reward":1', done: '"done":true' };
  answers.push({ reward: 0 }, { reward: 1 }, 'nothing', new Error('no'), { reward: 1, done: true });
  const device = await deviceOf(t, server, { reward });
  const stands = () => [device.achieved(), device.over()];
  assert.deepEqual(stands(), [false, false]);
  const seen: unknown[] = [];
  const warned = await warnings(async () => {
    for (let step = 0; step < 4; step++) {
      await device.act({ type: 'PRESS_BACK' }, PATIENT);
      seen.push(stands());
    }
  });
  assert.deepEqual(seen, [
    [true, false],
    [false, false],
    [undefined, false],
    [true, true],
  ]);
  assert.equal(warned.length, 1);
  assert.match(warned[0], /webdriver-0: the task's reward is unknown: .*no$/);
  // the task is over: further actions change nothing, and the command is not called again
  await device.act({ type: 'PRESS_BACK' }, PATIENT);
  assert.deepEqual(stands(), [true, true]);
  const plain = await fleetOf(t, server)
    .open(0)
    .catch(() => undefined);
  assert.equal(plain?.achieved?.(), undefined);
  await plain?.close();
});

test('a device films itself by either command, or not at all', async (t) => {
  const server = await ScriptedServer.start(t);
  for (const [recording, begun, ended] of [
    ['media_projection', 'mobile: startMediaProjectionRecording', 'mobile: stopMediaProjectionRecording'],
    ['screenrecord', 'POST /appium/start_recording_screen', 'POST /appium/stop_recording_screen'],
  ] as const) {
    const device = await deviceOf(t, server, { recording });
    await device.startRecording!(PATIENT);
    assert.equal(Buffer.from(await device.stopRecording!(PATIENT)).toString(), 'film');
    // a recording that still runs at the next reset is discarded
    await device.startRecording!(PATIENT);
    await device.reset('app', EPISODE);
    assert.deepEqual([server.count(begun), server.count(ended)], [2, 2]);
    await device.close();
  }
  const device = await deviceOf(t, server);
  assert.deepEqual([device.startRecording, device.stopRecording], [undefined, undefined]);
});
