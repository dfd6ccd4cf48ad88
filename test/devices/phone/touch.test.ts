import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tap } from '../../../src/data/action.js';
import { contains, SCREEN } from '../../../src/devices/phone/geometry.js';
import { phoneTasks, Phone, shopAddresses } from '../../../src/devices/phone/index.js';
import { KEYBOARD } from '../../../src/devices/phone/screens/chrome.js';
import { phoneWith } from '../../rigs/phone/hand.js';

const [shop, other] = shopAddresses('train');
const goal = { kind: 'shop', shop } as const;

test('an address in any spelling opens its shop; an unknown one is not found; words search the web', () => {
  const hand = phoneWith(goal);
  for (const typed of [shop, shop.toUpperCase(), ` www.${shop} `, `https://${shop}`]) {
    hand.visit(typed);
    assert.deepEqual(hand.page(), { kind: 'shop', shop }, typed);
  }
  hand.visit('nosuchplace.com');
  assert.deepEqual(hand.page(), { kind: 'missing', address: 'nosuchplace.com' });
  hand.visit('red  Lamp');
  assert.deepEqual(hand.page(), { kind: 'web', query: 'red lamp', scroll: 0 });
});

test("a web search for a shop's name lists that shop first", () => {
  const hand = phoneWith(goal);
  hand.visit(shop.replace('.com', ''));
  const links = hand.phone.view().elements.filter(({ id }) => id.startsWith('link:'));
  assert.equal(links[0].id, `link:${shop}`);
  hand.touch(links[0].id);
  assert.deepEqual(hand.page(), { kind: 'shop', shop });
});

test('TYPE and ENTER do nothing without a focused field; TYPE replaces the typed text', () => {
  const hand = phoneWith(goal);
  hand.touch('icon:browser');
  const before = Buffer.from(hand.phone.frame().rgba);
  hand.type(shop);
  hand.press('ENTER');
  assert.deepEqual(Buffer.from(hand.phone.frame().rgba), before);
  hand.touch('field:address');
  hand.press('ENTER');
  assert.equal(hand.page().kind, 'start', 'nothing to submit');
  hand.type(other);
  hand.type(shop);
  assert.equal(hand.phone.state.text, shop);
  hand.press('ENTER');
  assert.deepEqual(hand.page(), { kind: 'shop', shop });
});

test('the keyboard covers the lower part of the screen; BACK only closes it', () => {
  for (let seed = 0; seed < 40; seed++) {
    const hand = phoneWith(goal, {}, seed);
    hand.visit(shop);
    const low = hand.phone
      .view()
      .elements.filter(({ rect, tap: effect }) => effect?.do === 'open' && rect.y + rect.h / 2 > KEYBOARD.y + 5)
      .filter(({ rect }) => rect.y + rect.h / 2 < KEYBOARD.y + KEYBOARD.h);
    const under = low.map(({ id }) => hand.middle(id));
    hand.touch('field:search');
    assert.ok(hand.has('keyboard'));
    for (const action of under) {
      hand.phone.apply(action);
      assert.equal(hand.page().kind, 'shop');
      assert.ok(hand.has('keyboard'), 'a tap on a key keeps the focus');
    }
    hand.press('BACK');
    assert.ok(!hand.has('keyboard'));
    assert.equal(hand.page().kind, 'shop');
  }
});

test('text fields are never under the keyboard', () => {
  for (let seed = 0; seed < 60; seed++) {
    const hand = phoneWith(goal, {}, seed);
    hand.touch('icon:browser');
    const fields = () => hand.phone.view().elements.filter(({ id }) => id.startsWith('field:'));
    for (const { rect } of fields()) assert.ok(rect.y + rect.h <= KEYBOARD.y);
    hand.visit(shopAddresses('test')[seed % 16]);
    for (const { rect } of fields()) assert.ok(rect.y + rect.h <= KEYBOARD.y);
  }
});

test('a tap on the background removes the focus', () => {
  const hand = phoneWith(goal);
  hand.touch('icon:browser', 'field:address');
  hand.type('half an addr');
  hand.phone.apply(tap([KEYBOARD.y / SCREEN.height - 0.01, 0.99]));
  assert.ok(!hand.has('keyboard'));
});

test('until the cookie banner is accepted, nothing else on the shop can be touched', () => {
  for (let seed = 0; seed < 30; seed++) {
    const hand = phoneWith(goal, { cookieBanner: 1 }, seed);
    hand.visit(shop);
    const banner = hand.phone.view().elements.find(({ id }) => id === 'banner')!.rect;
    for (const id of ['field:search', 'field:address', 'promo:0']) {
      const action = hand.middle(id);
      if (action.type !== 'DUAL_POINT') continue;
      if (contains(banner, action.touch[1] * SCREEN.width, action.touch[0] * SCREEN.height)) continue;
      hand.phone.apply(action);
      assert.equal(hand.page().kind, 'shop');
      assert.ok(!hand.has('keyboard'), `${id} behind the banner`);
    }
    hand.touch('banner:manage');
    assert.equal(hand.page().kind, 'privacy');
    hand.press('BACK');
    assert.ok(hand.has('banner'), 'Manage does not accept');
    hand.touch('banner:accept');
    assert.ok(!hand.has('banner'));
    hand.search('red lamp');
    assert.ok(!hand.has('banner'), 'each shop asks once');
    hand.visit(other);
    assert.ok(hand.has('banner'), 'another shop asks again');
  }
});

test('any action ends a loading screen and does nothing else; BACK leaves the page', () => {
  const arrive = [
    tap([0.5, 0.5]),
    tap([0.08, 0.5]),
    { type: 'TYPE', text: 'x' } as const,
    { type: 'PRESS_ENTER' } as const,
    { type: 'DUAL_POINT', touch: [0.8, 0.5], lift: [0.3, 0.5] } as const,
  ];
  for (const action of arrive) {
    const hand = phoneWith(goal, { slowPage: 1 });
    hand.visit(shop);
    assert.ok(hand.has('spinner'));
    assert.equal(hand.phone.achieved(), false);
    hand.phone.apply(action);
    assert.ok(!hand.has('spinner'));
    assert.ok(!hand.has('keyboard'));
    assert.equal(hand.phone.achieved(), true);
  }
  const hand = phoneWith(goal, { slowPage: 1 });
  hand.visit(shop);
  hand.press('BACK');
  assert.equal(hand.page().kind, 'start');
  assert.ok(!hand.has('spinner'));
});

test('the browser dialog covers the start page until it is answered or closed by BACK', () => {
  for (const leave of ['dialog:no', 'dialog:yes', 'BACK'] as const) {
    const hand = phoneWith(goal, { dialog: 1 });
    hand.touch('icon:browser');
    const field = hand.middle('field:address');
    hand.phone.apply(field);
    assert.ok(!hand.has('keyboard'));
    if (leave === 'BACK') hand.press('BACK');
    else hand.touch(leave);
    assert.equal(hand.page().kind, 'start');
    hand.phone.apply(field);
    assert.ok(hand.has('keyboard'));
  }
});

test('lists follow the finger and stop at their ends; rows that scrolled away cannot be touched', () => {
  const hand = phoneWith({ kind: 'switch', name: 'sync', on: true });
  hand.touch('icon:settings');
  const ids = hand.phone
    .view()
    .elements.filter(({ id }) => id.startsWith('switch:'))
    .map(({ id }) => id);
  const first = hand.middle(ids[0]);
  hand.swipe([0.3, 0.5], [0.7, 0.5]);
  assert.equal((hand.page() as { scroll: number }).scroll, 0, 'already at the top');
  hand.swipe([0.8, 0.5], [0.3, 0.5]);
  hand.swipe([0.8, 0.5], [0.3, 0.5]);
  const { maxScroll } = hand.phone.view();
  assert.ok(maxScroll > 0);
  assert.equal((hand.page() as { scroll: number }).scroll, maxScroll);
  const name = ids[0].slice('switch:'.length) as 'wifi';
  const before = hand.phone.state.switches[name];
  hand.phone.apply(first);
  assert.equal(hand.phone.state.switches[name], before, 'the first row is no longer at that position');
  const last = ids[ids.length - 1].slice('switch:'.length) as 'wifi';
  const was = hand.phone.state.switches[last];
  hand.touch(ids[ids.length - 1]);
  assert.equal(hand.phone.state.switches[last], !was);
});

test('the header covers results that scrolled under it', () => {
  const hand = phoneWith(goal);
  hand.visit(shop);
  hand.search('red lamp');
  hand.swipe([0.7, 0.5], [0.55, 0.5]);
  assert.ok((hand.page() as { scroll: number }).scroll > 0);
  hand.touch('field:search');
  assert.ok(hand.has('keyboard'), 'the tap hits the search box, not the entry under it');
});

test("swipes turn the launcher's pages, and HOME returns to the first", () => {
  const hand = phoneWith({ kind: 'open', app: 'calculator' });
  assert.ok(hand.has('icon:browser') && !hand.has('icon:calculator'));
  hand.swipe([0.5, 0.9], [0.5, 0.1]);
  assert.ok(hand.has('icon:calculator'));
  hand.swipe([0.5, 0.9], [0.5, 0.1]);
  assert.ok(hand.has('icon:calculator'), 'there is no third page');
  hand.press('HOME');
  assert.ok(hand.has('icon:browser'));
});

test('BACK returns page by page to the launcher and stays there; the navigation bar does the same', () => {
  const hand = phoneWith(goal);
  hand.visit(shop);
  hand.search('red lamp');
  hand.touch('entry:1');
  const kinds = ['product', 'results', 'shop', 'start', 'launcher', 'launcher'];
  for (const kind of kinds) {
    assert.equal(hand.page().kind, kind);
    hand.touch('key:back');
  }
  hand.visit(shop);
  hand.touch('key:home');
  assert.equal(hand.page().kind, 'launcher');
});

test("a phone without an episode and another device's task are one-line errors", () => {
  assert.throws(() => new Phone('p').frame(), /phone p: no episode is running; call begin or reset first/);
  const foreign = { id: 'aitw-3', text: 'x', family: 'y' };
  assert.throws(
    () => new Phone().begin(foreign, 1),
    /task aitw-3: goal\.kind: expected one of shop, .*, got undefined/,
  );
});

test('the phone implements Device: reset, act, screenshot, health, close', async () => {
  const [task] = phoneTasks({ set: 'general', split: 'test', count: 1, seed: 0 });
  const phone = new Phone();
  await phone.reset('app', { task, seed: 3, deadlineMs: 1000 });
  const frame = await phone.screenshot({ deadlineMs: 1000 });
  assert.equal(frame.rgba.length, 270 * 585 * 4);
  assert.deepEqual(await phone.act({ type: 'PRESS_HOME' }, { deadlineMs: 1000 }), { applied: 'yes' });
  assert.equal(await phone.health(), 'ok');
  await phone.close();
  assert.throws(() => phone.frame(), /no episode/);
});
