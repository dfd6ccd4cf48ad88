/** The commands to a device behind a WebDriver server, and their effect. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Action } from '../../../src/data/action.js';
import { Phone } from '../../../src/devices/phone/index.js';
import { deviceOf, EPISODE, PATIENT, tapAt } from '../../rigs/webdriver/rig.js';
import { ScriptedServer } from '../../rigs/webdriver/server.js';

test('every action is a single call with the same effect on the phone as in process', async (t) => {
  const server = await ScriptedServer.start(t);
  const device = await deviceOf(t, server, { typing: 'type' });
  const phone = new Phone();
  phone.begin(EPISODE.task, EPISODE.seed);
  assert.deepEqual(await device.screenshot(PATIENT), plain(phone));
  const swipe: Action = { type: 'DUAL_POINT', touch: [0.8, 0.5], lift: [0.2, 0.5] };
  const actions: Action[] = [
    tapAt(40, 500),
    { type: 'PRESS_BACK' },
    swipe,
    { type: 'PRESS_HOME' },
    tapAt(135, 60),
    { type: 'TYPE', text: 'weather — "zürich"' },
    { type: 'PRESS_ENTER' },
    { type: 'STATUS_TASK_COMPLETE' },
  ];
  const before = server.done.length;
  for (const action of actions) {
    assert.deepEqual(await device.act(action, PATIENT), { applied: 'yes' });
    phone.apply(action);
    assert.deepEqual(await device.screenshot(PATIENT), plain(phone), JSON.stringify(action));
  }
  assert.deepEqual(
    server.done.slice(before).map(({ what }) => what),
    [
      'tap 40,500',
      'PRESS_BACK',
      'swipe 135,468 135,117',
      'PRESS_HOME',
      'tap 135,60',
      'type weather — "zürich"',
      'PRESS_ENTER',
    ],
  );
  assert.equal(device.achieved(), phone.achieved());
});

/** A phone's frame as decoded from a PNG. */
function plain(phone: Phone) {
  const { width, height, rgba } = phone.frame();
  return { width, height, rgba: new Uint8ClampedArray(rgba) };
}
