/** Further features of emulators: snapshots by the console, new sessions, and recordings of the screen. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { tap } from '../../../src/data/action.js';
import type { Device } from '../../../src/devices/device.js';
import { Phone, phoneTasks } from '../../../src/devices/phone/index.js';
import { WebDriverFleet } from '../../../src/devices/webdriver/fleet.js';
import { appiumTest, shared } from '../../rigs/appium/shared-rig.js';
import { rigSettings } from '../../rigs/appium/rig-settings.js';
import { Rig, until } from '../../rigs/appium/rig.js';

const PATIENT = { deadlineMs: 60_000 };
const rig = shared(() => Rig.start({ phones: 1 }));
const appium = shared(async () => {
  const server = await (await rig()).appium();
  return { url: server.url, close: () => server.stop() };
});
const tasks = phoneTasks({ set: 'general', split: 'train', count: 2, seed: 9 });

/** Asserts that three taps in each of two episodes give the same screens as in process. */
async function same(device: Device): Promise<void> {
  const phone = new Phone();
  for (const [seed, task] of tasks.entries()) {
    await device.reset('app', { task, seed, ...PATIENT });
    phone.begin(task, seed);
    for (const action of [tap([0.55, 0.4]), tap([0.3, 0.3]), tap([0.7, 0.6])]) {
      assert.deepEqual(await device.act(action, PATIENT), { applied: 'yes' });
      phone.apply(action);
      assert.deepEqual((await device.screenshot(PATIENT)).rgba, phone.frame().rgba);
      assert.equal(device.achieved!(), phone.achieved());
    }
  }
}

async function open(t: TestContext, more: Readonly<Record<string, unknown>>): Promise<Device> {
  const fleet = new WebDriverFleet(rigSettings(await rig(), (await appium()).url, more));
  const device = await fleet.open(0);
  t.after(() => closed(device));
  return device;
}

async function closed(device: Device): Promise<void> {
  await device.close();
  const [{ processes }] = (await rig()).phones;
  await until('no session', () => !processes.instrumented, 30_000);
}

appiumTest('a snapshot is loaded by the console for each episode, which ends the session', async (t) => {
  const device = await open(t, { reset: 'snapshot', snapshot: 'default_boot' });
  await same(device);
  const loads = (await rig()).consoleLines.flat().filter((line) => line === 'avd snapshot load default_boot');
  assert.equal(loads.length, tasks.length);
});

appiumTest('a missing snapshot is a one-line error', async (t) => {
  const device = await open(t, { reset: 'snapshot', snapshot: 'nowhere' });
  const reset = device.reset('app', { task: tasks[0], seed: 0, ...PATIENT });
  await assert.rejects(reset, {
    name: 'UserError',
    message: /avd snapshot load nowhere: .*refused.*device\.webdriver\.snapshot=nowhere/,
  });
});

appiumTest('recreate opens a session for each episode', async (t) => {
  const device = await open(t, { reset: 'recreate' });
  await same(device);
});

appiumTest('the device films itself from the first action to the last', async (t) => {
  const device = await open(t, { recording: 'screenrecord' });
  const [phone] = (await rig()).phones;
  await device.reset('app', { task: tasks[0], seed: 0, ...PATIENT });
  await device.startRecording!(PATIENT);
  const from = phone.taken.length;
  await device.act(tap([0.5, 0.5]), PATIENT);
  const film = Buffer.from(await device.stopRecording!(PATIENT)).toString('latin1');
  assert.match(film, new RegExp(`^....ftyp[^]*inputs ${from} to ${from + 1}$`));
  assert.deepEqual((await rig()).unknown, [], 'the phone knew all requests of the driver');
});
