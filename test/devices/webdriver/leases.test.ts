/** Leases of devices, and the sessions that a killed process leaves behind. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { WebDriverFleet } from '../../../src/devices/webdriver/fleet.js';
import { fleetOf, settingsOf, someLeases, until } from '../../rigs/webdriver/rig.js';
import { ScriptedServer } from '../../rigs/webdriver/server.js';

const OWNER = fileURLToPath(new URL('../../rigs/webdriver/owner.js', import.meta.url));

/** Another process that holds a device. */
async function owner(t: TestContext, url: string, folder: string, udid = '') {
  const child = spawn(process.execPath, [OWNER, url, folder, udid], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  return child;
}

test('each listed device has one session at a time, whatever slot asks for it', async (t) => {
  const server = await ScriptedServer.start(t);
  const fleet = fleetOf(t, server, { udids: ['emulator-5554', 'emulator-5556'] });
  const [b, a] = await Promise.all([fleet.open(1), fleet.open(0)]);
  assert.deepEqual([a.id, b.id], ['webdriver-emulator-5554', 'webdriver-emulator-5556']);
  await assert.rejects(fleet.open(2), {
    name: 'RunError',
    message: /^all remaining devices are still in use by this process/,
  });
  await a.close();
  const c = await fleet.open(1);
  assert.equal(c.id, 'webdriver-emulator-5554', 'its own device is taken, so it gets the free one');
  await Promise.all([b.close(), c.close()]);
  assert.deepEqual([server.killed, server.sessions.size], [0, 0]);
});

test('a device in use by another critiq is not touched; a free one is used', async (t) => {
  const server = await ScriptedServer.start(t);
  const { folder, ...kept } = someLeases(t);
  const other = await owner(t, server.url, folder, 'emulator-5554');
  const fleet = new WebDriverFleet(settingsOf(server, { udids: ['emulator-5554'] }), kept);
  await assert.rejects(fleet.open(0), {
    name: 'LockedError',
    message: new RegExp(
      `^device.webdriver.udids: in use by another critiq: emulator-5554 \\(process ${other.pid}, lock file .*\\); wait until it ends, or list other devices$`,
    ),
  });
  assert.deepEqual([server.made, server.killed], [1, 0]);
  const more = new WebDriverFleet(settingsOf(server, { udids: ['emulator-5554', 'emulator-5556'] }), kept);
  const device = await more.open(0);
  assert.equal(device.id, 'webdriver-emulator-5556');
  await device.close();
});

test('a device named in the capabilities is the same as the listed one of that name', async (t) => {
  const server = await ScriptedServer.start(t);
  const kept = someLeases(t);
  const device = await new WebDriverFleet(settingsOf(server, { udids: ['emulator-5554'] }), kept).open(0);
  for (const capabilities of [{ 'appium:udid': 'emulator-5554' }, { 'appium:options': { udid: 'emulator-5554' } }]) {
    const other = new WebDriverFleet(settingsOf(server, { capabilities }), kept);
    await assert.rejects(other.open(0), { message: /^device emulator-5554 is still in use by this process/ });
  }
  await device.close();
  const listed = { capabilities: { 'appium:options': { udid: '{udid}' } }, udids: ['a'] };
  await (await new WebDriverFleet(settingsOf(server, listed), kept).open(0)).close();
  assert.deepEqual(server.calls.filter(({ path }) => path === '/session').at(-1)!.args, {
    capabilities: { alwaysMatch: { 'appium:options': { udid: 'a' } }, firstMatch: [{}] },
  });
  assert.equal(server.killed, 0);
});

test('localhost and 127.0.0.1 have the same devices, whatever the port', async (t) => {
  const [one, two] = [await ScriptedServer.start(t), await ScriptedServer.start(t)];
  const kept = someLeases(t);
  const udids = ['emulator-5554'];
  const device = await new WebDriverFleet(settingsOf(one, { udids }), kept).open(0);
  const url = two.url.replace('127.0.0.1', 'localhost');
  await assert.rejects(
    new WebDriverFleet(settingsOf({ url }, { udids }), kept).open(0),
    /still in use by this process/,
  );
  assert.equal(two.made, 0);
  await device.close();
});

for (const dialect of ['grid4', undefined] as const) {
  test(`the next critiq ends the session of a killed one, and no other (${dialect ?? 'Appium'})`, async (t) => {
    const server = await ScriptedServer.start(t, { dialect });
    const { folder, ...kept } = someLeases(t);
    const killed = await owner(t, server.url, folder);
    killed.kill('SIGKILL');
    await once(killed, 'exit');
    const other = await fetch(`${server.url}/session`, {
      method: 'POST',
      body: JSON.stringify({ capabilities: { alwaysMatch: { 'appium:udid': 'someone-else' } } }),
    });
    assert.equal(other.status, 200);
    assert.equal(server.sessions.size, 2);
    const device = await new WebDriverFleet(settingsOf(server), kept).open(0);
    const ended = server.calls.filter(({ method }) => method === 'DELETE');
    assert.deepEqual(
      ended.map(({ session }) => session),
      ['session-0'],
    );
    assert.equal(server.killed, 0);
    assert.equal(server.sessions.size, 2);
    await device.close();
    await until('no records', () => readdirSync(join(folder, 'sessions')).length === 0);
    assert.deepEqual(
      [...server.sessions.values()].map(({ udid }) => udid),
      ['someone-else'],
    );
  });
}

test('a single Appium that chooses the device allows only one open session', async (t) => {
  const server = await ScriptedServer.start(t);
  const fleet = fleetOf(t, server);
  const device = await fleet.open(0);
  await assert.rejects(fleet.open(1), {
    name: 'UserError',
    message: /gives all sessions the same device.*set device.count=1, or list the devices in device.webdriver.udids/,
  });
  await device.close();
  // an emulator for each session, started by Appium
  const avds = fleetOf(t, server, {
    capabilities: { 'appium:avd': 'phone-{slot}', 'appium:udid': 'emulator-{slot+5554}' },
  });
  const two = [await avds.open(0), await avds.open(1)];
  assert.deepEqual(
    [...server.sessions.values()].map(({ capabilities }) => capabilities),
    [
      { 'appium:avd': 'phone-0', 'appium:udid': 'emulator-5554' },
      { 'appium:avd': 'phone-1', 'appium:udid': 'emulator-5555' },
    ],
  );
  for (const one of two) await one.close();
  // separate ports do not make separate devices
  const ports = fleetOf(t, server, { capabilities: { 'appium:systemPort': '{slot+8200}' } });
  const only = await ports.open(0);
  await assert.rejects(ports.open(1), { name: 'UserError', message: /the same device/ });
  await only.close();
  for (const dialect of ['grid3', 'grid4'] as const) {
    const grid = await ScriptedServer.start(t, { dialect, base: '/wd/hub' });
    const nodes = fleetOf(t, grid);
    for (const one of [await nodes.open(0), await nodes.open(1)]) await one.close();
    assert.equal(grid.ended, 2);
  }
});
