import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shopAddresses } from '../../../src/devices/phone/index.js';
import { stateJudge } from '../../../src/judges/state.js';
import { phoneWith, taskFor } from '../../rigs/phone/hand.js';

const [shop, other] = shopAddresses('test');
const query = 'red lamp';

test("webshop-1: the right shop's home page, uncovered", () => {
  const hand = phoneWith({ kind: 'shop', shop }, { cookieBanner: 1 });
  assert.equal(hand.phone.achieved(), false);
  hand.visit(shop);
  assert.equal(hand.phone.achieved(), false, 'the banner covers it');
  hand.touch('banner:accept');
  assert.equal(hand.phone.achieved(), true);
  hand.search(query);
  assert.equal(hand.phone.achieved(), false);
  hand.visit(other);
  hand.touch('banner:accept');
  assert.equal(hand.phone.achieved(), false);
});

test('webshop-2: the results of the right search in the right shop', () => {
  const hand = phoneWith({ kind: 'results', shop, query });
  hand.visit(shop);
  hand.search('red chair');
  assert.equal(hand.phone.achieved(), false);
  hand.search('Red  LAMP ');
  assert.equal(hand.phone.achieved(), true, 'case and spaces do not matter');
  hand.touch('entry:0');
  assert.equal(hand.phone.achieved(), false);
  hand.visit(other);
  hand.search(query);
  assert.equal(hand.phone.achieved(), false);
  hand.visit(query);
  assert.equal(hand.phone.achieved(), false, 'web results are not results of the shop');
});

test('webshop-3: only the first unsponsored entry', () => {
  const hand = phoneWith({ kind: 'product', shop, query }, { sponsored: 1 });
  hand.visit(shop);
  hand.search(query);
  for (const [entry, right] of [
    ['sponsored', false],
    ['entry:0', true],
    ['entry:1', false],
  ] as const) {
    hand.touch(entry);
    assert.equal(hand.phone.achieved(), right, entry);
    if (right) {
      hand.touch('add-to-cart');
      assert.equal(hand.phone.achieved(), true, 'adding it to the cart stays on the page');
    }
    hand.press('BACK');
  }
  hand.visit(shop);
  hand.search('red chair');
  hand.touch('entry:0');
  assert.equal(hand.phone.achieved(), false);
});

test('a product opened from a promo tile is not the first entry', () => {
  const hand = phoneWith({ kind: 'shop', shop });
  hand.visit(shop);
  hand.touch('promo:0');
  const page = hand.page();
  assert.ok(page.kind === 'product');
  assert.equal(hand.phone.reached({ kind: 'product', shop, query: page.query }), false);
});

test('switches: in the right state and visible', () => {
  for (const on of [true, false]) {
    for (let seed = 0; seed < 12; seed++) {
      const hand = phoneWith({ kind: 'switch', name: 'bluetooth', on }, {}, seed);
      assert.equal(hand.phone.state.switches.bluetooth, !on, 'starts in the other state');
      hand.touch('icon:settings');
      assert.equal(hand.phone.achieved(), false);
      const row = hand.phone.view().elements.find(({ id }) => id === 'switch:bluetooth')!.rect;
      const low = row.y > 400;
      if (low) hand.swipe([0.8, 0.5], [0.2, 0.5]);
      hand.touch('switch:bluetooth');
      assert.equal(hand.phone.achieved(), true);
      hand.touch('switch:bluetooth');
      assert.equal(hand.phone.achieved(), false);
      hand.touch('switch:bluetooth');
      hand.press('HOME');
      assert.equal(hand.phone.achieved(), false, 'no longer visible');
    }
  }
});

test('a switch that is scrolled out of view does not count', () => {
  for (let seed = 0; seed < 20; seed++) {
    const hand = phoneWith({ kind: 'switch', name: 'sync', on: true }, {}, seed);
    hand.touch('icon:settings');
    const rows = hand.phone.view().elements.filter(({ id }) => id.startsWith('switch:'));
    if (rows[0].id !== 'switch:sync') continue;
    hand.touch('switch:sync');
    assert.equal(hand.phone.achieved(), true);
    hand.swipe([0.8, 0.5], [0.2, 0.5]);
    assert.equal(hand.phone.achieved(), false);
    return;
  }
  assert.fail('no seed has the switch on top');
});

test('clock: tabs, stopwatch, timer', () => {
  const stopwatch = phoneWith({ kind: 'stopwatch' });
  stopwatch.touch('icon:clock', 'tab:stopwatch');
  assert.equal(stopwatch.phone.reached({ kind: 'tab', tab: 'stopwatch' }), true);
  assert.equal(stopwatch.phone.reached({ kind: 'tab', tab: 'alarm' }), false);
  assert.equal(stopwatch.phone.achieved(), false);
  stopwatch.touch('stopwatch');
  assert.equal(stopwatch.phone.achieved(), true);
  stopwatch.touch('stopwatch');
  assert.equal(stopwatch.phone.achieved(), false);
  const timer = phoneWith({ kind: 'timer', minutes: 5 });
  timer.touch('icon:clock', 'tab:timer', 'timer:10');
  assert.equal(timer.phone.achieved(), false);
  timer.touch('timer:5');
  assert.equal(timer.phone.achieved(), true);
  timer.touch('timer-stop');
  assert.equal(timer.phone.achieved(), false);
});

test('alarms: the right hour, am or pm, saved and on', () => {
  for (let seed = 0; seed < 10; seed++) {
    const hand = phoneWith({ kind: 'alarm', hour: 6, half: 'am' }, {}, seed);
    hand.touch('icon:clock');
    assert.equal(hand.phone.achieved(), false, 'no such alarm at the start');
    hand.touch('new-alarm', 'hour:6', 'save-alarm');
    assert.equal(hand.page().kind, 'new-alarm', 'cannot be saved without am or pm');
    hand.touch('half:pm', 'save-alarm');
    assert.equal(hand.phone.achieved(), false);
    hand.touch('new-alarm', 'hour:6', 'half:am');
    assert.equal(hand.phone.achieved(), false);
    hand.touch('save-alarm');
    assert.equal(hand.phone.achieved(), true);
    hand.touch('alarm:0');
    assert.equal(hand.phone.achieved(), false, 'switched off again');
  }
});

test('apps: the requested app, without its dialog', () => {
  const hand = phoneWith({ kind: 'open', app: 'browser' }, { dialog: 1 });
  hand.touch('icon:music');
  assert.equal(hand.phone.achieved(), false);
  hand.press('HOME');
  hand.touch('icon:browser');
  assert.equal(hand.phone.achieved(), false);
  hand.press('BACK');
  assert.equal(hand.phone.achieved(), true);
});

test('the state judge requires a declaration unless declare=ignored; a device without state gives unknown', async () => {
  const { phone, touch } = phoneWith({ kind: 'open', app: 'music' });
  const task = taskFor({ kind: 'open', app: 'music' });
  const judge = stateJudge();
  const lenient = stateJudge({ declare: 'ignored' });
  const verdicts = async (completed: boolean) => [
    await judge.judge({ device: phone, task, completed }),
    await lenient.judge({ device: phone, task, completed }),
  ];
  assert.deepEqual(await verdicts(true), ['failure', 'failure']);
  touch('icon:music');
  assert.deepEqual(await verdicts(true), ['success', 'success']);
  assert.deepEqual(await verdicts(false), ['failure', 'success']);
  assert.equal(await judge.judge({ device: { id: 'real' }, task, completed: true }), 'unknown');
});
