/** Failing servers: actions report whether they were applied, or "unknown", and none is sent twice. */
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { test } from 'node:test';
import type { Action } from '../../../src/data/action.js';
import type { Applied } from '../../../src/devices/device.js';
import { deviceOf, EPISODE, fleetOf, PATIENT, tapAt, until, warnings } from '../../rigs/webdriver/rig.js';
import { ScriptedServer, type Call, type Fault } from '../../rigs/webdriver/server.js';

/** A short deadline for servers that never answer. */
const SOON = { deadlineMs: 800 };

const KINDS: readonly { action: Action; sent: (call: Call) => boolean }[] = [
  { action: tapAt(135, 300), sent: ({ path }) => path === '/actions' },
  { action: { type: 'PRESS_ENTER' }, sent: ({ script, args }) => script === 'mobile: pressKey' && args.keycode === 66 },
  { action: { type: 'TYPE', text: 'x' }, sent: ({ script }) => script === 'mobile: type' },
];

/** For each fault: the reported `applied`, whether the action was really done, and whether the session is lost. */
const FAULTS: readonly { fault: Fault; applied: Applied; done: boolean; lost?: true; deadline?: typeof SOON }[] = [
  { fault: 'well', applied: 'yes', done: true },
  { fault: '500', applied: 'unknown', done: true },
  { fault: '502', applied: 'unknown', done: true },
  { fault: 'reset', applied: 'unknown', done: false },
  { fault: 'done, reset', applied: 'unknown', done: true },
  { fault: 'half', applied: 'unknown', done: true },
  { fault: 'no json', applied: 'unknown', done: true },
  { fault: 'hang', applied: 'unknown', done: true, deadline: SOON },
  { fault: 'busy', applied: 'no', done: false },
  { fault: 'lost', applied: 'no', done: false, lost: true },
  { fault: 'lost in the middle', applied: 'unknown', done: true, lost: true },
];

for (const { fault, applied, done, lost, deadline = PATIENT } of FAULTS) {
  test(`${fault}: an action is sent once and reported as applied: ${applied}`, async (t) => {
    for (const { action, sent } of KINDS) {
      const server = await ScriptedServer.start(t, { behave: (call) => (sent(call) ? fault : 'well') });
      const device = await deviceOf(t, server, { typing: 'type' });
      const before = server.done.length;
      const warned = await warnings(async () => {
        assert.deepEqual(await device.act(action, deadline), { applied });
      });
      assert.equal(server.calls.filter(sent).length, 1, 'it arrived once');
      assert.equal(server.done.length - before, done ? 1 : 0);
      assert.equal(warned.length, fault === 'well' ? 0 : 1);
      for (const line of warned) assert.doesNotMatch(line, /\n|at UiAutomator2|x\.js/, 'no stack traces');
      if (lost) {
        assert.equal(await device.health(), 'dead');
        await assert.rejects(device.screenshot(PATIENT), {
          name: 'RunError',
          message: /^webdriver-0: screenshot: the session has ended: http.*POST/,
        });
      } else {
        assert.equal((await device.screenshot(PATIENT)).width, 270);
      }
      // the action is not sent again after the next reset either
      await device.reset('app', EPISODE);
      assert.equal(server.calls.filter(sent).length, 1);
      assert.equal(server.sessions.size, 1);
      await device.close();
      assert.equal(server.sessions.size, 0);
    }
  });
}

test('an action that could not be sent was not applied', async (t) => {
  const server = await ScriptedServer.start(t);
  const device = await deviceOf(t, server);
  await server.down();
  await warnings(async () => {
    assert.deepEqual(await device.act(tapAt(135, 300), PATIENT), { applied: 'no' });
  });
  await assert.rejects(device.screenshot(PATIENT), {
    message:
      /^webdriver-0: screenshot: http.*GET \/session\/\.\.\.\/screenshot: nothing listens there \(ECONNREFUSED\)$/,
  });
});

test('text without a focused field was not applied, and causes no warning', async (t) => {
  const server = await ScriptedServer.start(t);
  const device = await deviceOf(t, server);
  const warned = await warnings(async () => {
    assert.deepEqual(await device.act({ type: 'TYPE', text: 'x' }, PATIENT), { applied: 'no' });
  });
  assert.deepEqual(warned, []);
  assert.equal(server.count('POST /element/focused/value'), 0);
});

test('a command that the server does not support ends the run with a hint', async (t) => {
  const server = await ScriptedServer.start(t, {
    behave: ({ script }) =>
      script === 'mobile: shell' ? 'insecure' : script === 'mobile: type' ? 'unknown command' : 'well',
  });
  const shell = { prepare: [{ script: 'mobile: shell', args: { command: 'true' } }] };
  const device = await fleetOf(t, server, shell).open(0);
  t.after(() => device.close());
  await assert.rejects(device.reset('app', EPISODE), {
    name: 'UserError',
    message: /insecure feature 'adb_shell'.*; start Appium with --allow-insecure uiautomator2:adb_shell$/,
  });
  await device.close();
  const typist = await deviceOf(t, server, { typing: 'type' });
  await assert.rejects(typist.act({ type: 'TYPE', text: 'x' }, PATIENT), {
    name: 'UserError',
    message: /TYPE: .*the server does not know this command: check/,
  });
});

for (const fault of ['500', '502', 'reset', 'half', 'no json', 'no png', 'truncated png'] as const) {
  test(`${fault}: a screenshot is retried as often as the settings allow, and then it is a fault`, async (t) => {
    let failures = 0;
    const behave = ({ path, nth }: Call): Fault => {
      if (path !== '/screenshot' || nth === 0 || failures === 0) return 'well';
      failures--;
      return fault;
    };
    const server = await ScriptedServer.start(t, { behave });
    const device = await deviceOf(t, server, { read_retries: 2 });
    failures = 2;
    assert.equal((await device.screenshot(PATIENT)).height, 585);
    assert.equal(failures, 0);
    failures = 100;
    const before = server.count('GET /screenshot');
    await assert.rejects(device.screenshot(PATIENT), { name: 'RunError', message: /^webdriver-0: screenshot: / });
    assert.equal(server.count('GET /screenshot') - before, 3);
    assert.equal(await device.health(), 'sick');
  });
}

test('a screenshot that hangs or has the wrong size is a fault at once', async (t) => {
  let fault: Fault = 'well';
  const server = await ScriptedServer.start(t, { behave: ({ path }) => (path === '/screenshot' ? fault : 'well') });
  const device = await deviceOf(t, server);
  fault = 'hang';
  await assert.rejects(device.screenshot(SOON), { message: /screenshot: http.*: no answer in \d+ ms$/ });
  fault = 'wrong size';
  await assert.rejects(device.screenshot(PATIENT), { message: /expected a screenshot of 270×585 pixels, got 90×90$/ });
});

test('a session that ends while unused is replaced at the reset, without a fault', async (t) => {
  const server = await ScriptedServer.start(t);
  const device = await deviceOf(t, server);
  assert.equal(server.made, 1);
  // as by newCommandTimeout
  server.end('session-0');
  await device.reset('app', EPISODE);
  assert.equal(server.made, 2);
  assert.equal(await device.health(), 'ok');
  assert.equal((await device.screenshot(PATIENT)).width, 270);
  // a restart of the server ends all sessions
  await server.down();
  await server.up();
  await device.reset('app', EPISODE);
  assert.equal(server.made, 3);
  assert.deepEqual(await device.act(tapAt(1, 1), PATIENT), { applied: 'yes' });
});

test('a session that ends twice during a reset is a fault', async (t) => {
  const behave = ({ script, nth }: Call): Fault => (script === 'test: begin' && nth === 0 ? 'lost' : 'well');
  const server = await ScriptedServer.start(t);
  const device = await deviceOf(t, server);
  const failing = await ScriptedServer.start(t, { behave });
  const other = await fleetOf(t, failing, { prepare: [{ script: 'test: begin', args: {} }] }).open(0);
  t.after(() => other.close());
  await assert.rejects(other.reset('app', EPISODE), { name: 'RunError', message: /^webdriver-0: reset: .*terminated/ });
  assert.equal(failing.made, 2);
  assert.equal(await device.health(), 'ok');
});

test('a session that opens too late is deleted when it opens', async (t) => {
  const server = await ScriptedServer.start(t, { sessionMs: 600 });
  const fleet = fleetOf(t, server, { session_ms: 150, udids: ['emulator-5554'] });
  await assert.rejects(fleet.open(0), {
    message: /POST \/session: no session in 150 ms|new session: no session in 150 ms/,
  });
  // as long as it may still open, the device stays reserved
  await assert.rejects(fleet.open(0), {
    name: 'RunError',
    message: /^device emulator-5554 is still in use by this process/,
  });
  await until('it is deleted', () => server.ended > 0);
  assert.deepEqual([server.made, server.sessions.size], [1, 0]);
});

test('a server that never answered is a mistake in the settings; critiq waits for one that restarts', async (t) => {
  const vacant = createServer();
  await new Promise<void>((resolve) => vacant.listen(0, '127.0.0.1', resolve));
  const { port } = vacant.address() as { port: number };
  await new Promise((resolve) => vacant.close(resolve));
  await assert.rejects(fleetOf(t, { url: `http://127.0.0.1:${port}` }).open(0), {
    name: 'UserError',
    message: new RegExp(`^http://127.0.0.1:${port}: GET /status: nothing listens there.*start the server`),
  });
  const server = await ScriptedServer.start(t);
  const fleet = fleetOf(t, server, { server_ms: 20_000 });
  await (await fleet.open(0)).close();
  await server.down();
  setTimeout(() => void server.up(), 500);
  const device = await fleet.open(0);
  await device.close();
  await server.down();
  const impatient = fleetOf(t, server, { server_ms: 300 });
  await assert.rejects(impatient.open(0), { name: 'RunError', message: /GET \/status: nothing listens there/ });
});

test('closing a device ends its own session and no other', async (t) => {
  const server = await ScriptedServer.start(t);
  const fleet = fleetOf(t, server, { udids: ['emulator-5554', 'emulator-5556'] });
  const [one, two] = [await fleet.open(0), await fleet.open(1)];
  await one.close();
  await one.close();
  assert.equal(server.count('DELETE '), 1);
  assert.deepEqual(
    [...server.sessions.values()].map(({ udid }) => udid),
    ['emulator-5556'],
  );
  await assert.rejects(one.screenshot(PATIENT), {
    message: 'webdriver-emulator-5554: screenshot: the device is closed',
  });
  await two.close();
  assert.equal(server.killed, 0);
});

test('if the first screenshot fails, the session is deleted, even if that fails too', async (t) => {
  const server = await ScriptedServer.start(t, {
    behave: ({ path, method }) => (path === '/screenshot' ? '500' : method === 'DELETE' ? '500' : 'well'),
  });
  await assert.rejects(fleetOf(t, server, { read_retries: 0 }).open(0), { message: /screenshot: .*socket hang up$/ });
  assert.equal(server.count('DELETE '), 1, 'its session is deleted');
});
