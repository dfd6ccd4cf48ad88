import { createCanvas } from '@napi-rs/canvas';
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import type { Action } from '../../../src/data/action.js';
import { paintView } from '../../../src/devices/phone/element.js';
import { gridPoint } from '../../../src/devices/phone/geometry.js';
import { DEFAULT_GRID, expert, Phone, phoneTasks, SCREEN } from '../../../src/devices/phone/index.js';
import { Random } from '../../../src/random.js';
import { phoneWith } from '../../rigs/phone/hand.js';

const tasks = phoneTasks({ set: 'all', split: 'train', count: 16, seed: 4 });

function hashes(phone: Phone, seed: number): string[] {
  const random = new Random(seed, 'walk');
  return tasks.slice(0, 8).flatMap((task, i) => {
    phone.begin(task, seed + i);
    const seen: string[] = [];
    for (let step = 0; step < 12; step++) {
      seen.push(createHash('sha256').update(phone.frame().rgba).digest('hex'));
      const action = expert(phone, { grid: DEFAULT_GRID, random });
      phone.apply(action);
      if (action.type.startsWith('STATUS')) break;
    }
    return seen;
  });
}

test('the same seed and actions give the same pixels on a new and on a used phone', () => {
  const used = new Phone('used');
  const first = hashes(used, 7);
  assert.deepEqual(hashes(used, 7), first);
  assert.deepEqual(hashes(new Phone('new'), 7), first);
  assert.ok(new Set(first).size > first.length / 2, 'the screens differ from each other');
});

test('another seed gives another phone', () => {
  const start = (seed: number) => {
    const phone = new Phone();
    phone.begin(tasks[0], seed);
    return createHash('sha256').update(phone.frame().rgba).digest('hex');
  };
  assert.equal(new Set([1, 2, 3, 4, 5, 6, 7, 8].map(start)).size, 8);
});

test('frames are 270 x 585 and opaque, and old frames do not change', () => {
  const { phone, touch } = phoneWith({ kind: 'open', app: 'music' });
  const frame = phone.frame();
  assert.equal(frame.width, SCREEN.width);
  assert.equal(frame.height, SCREEN.height);
  assert.equal(frame.rgba.length, 270 * 585 * 4);
  for (let i = 3; i < frame.rgba.length; i += 4) assert.equal(frame.rgba[i], 255);
  const before = Buffer.from(frame.rgba);
  assert.equal(phone.frame(), frame, 'not painted again without a change');
  touch('icon:music');
  const after = phone.frame();
  assert.notDeepEqual(Buffer.from(after.rgba), before);
  assert.deepEqual(Buffer.from(frame.rgba), before);
});

test('a change of state changes the pixels: switches, typed text, cart, spinner', () => {
  const differs = (hand: ReturnType<typeof phoneWith>, change: () => void) => {
    const before = Buffer.from(hand.phone.frame().rgba);
    change();
    assert.notDeepEqual(Buffer.from(hand.phone.frame().rgba), before);
  };
  const hand = phoneWith({ kind: 'open', app: 'music' });
  hand.touch('icon:settings');
  differs(hand, () => hand.touch(hand.phone.view().elements.find(({ id }) => id.startsWith('switch:'))!.id));
  hand.press('HOME');
  hand.touch('icon:browser');
  differs(hand, () => hand.touch('field:address'));
  differs(hand, () => hand.type('bestmart.com'));
  differs(hand, () => hand.type('megamart.com'));
  differs(hand, () => hand.press('ENTER'));
  hand.touch('promo:0');
  differs(hand, () => hand.touch('add-to-cart'));
});

test('an action that changes nothing keeps the same frame object; every frame shows the current screen', () => {
  const paint = createCanvas(SCREEN.width, SCREEN.height).getContext('2d');
  const random = new Random(5, 'aimless');
  const phone = new Phone();
  const aimless = (): Action => {
    const place = () => gridPoint(random.int(DEFAULT_GRID.rows), random.int(DEFAULT_GRID.columns), DEFAULT_GRID);
    const touch = place();
    if (random.chance(0.6)) return { type: 'DUAL_POINT', touch, lift: touch };
    if (random.chance(0.4)) return { type: 'DUAL_POINT', touch, lift: place() };
    if (random.chance(0.4)) return { type: 'TYPE', text: random.pick(['bestmart.com', 'red lamp']) };
    return { type: random.pick(['PRESS_BACK', 'PRESS_HOME', 'PRESS_ENTER', 'STATUS_TASK_COMPLETE'] as const) };
  };
  let kept = 0;
  for (const task of tasks) {
    phone.begin(task, 11);
    for (let step = 0; step < 15; step++) {
      const before = phone.frame();
      // with aimless actions alone the phone would stay in the launcher
      phone.apply(random.chance(0.5) ? expert(phone, { grid: DEFAULT_GRID, random }) : aimless());
      if (phone.frame() === before) kept++;
      paintView(paint, phone.view());
      const shown = paint.getImageData(0, 0, SCREEN.width, SCREEN.height).data;
      assert.ok(Buffer.from(shown.buffer).equals(Buffer.from(phone.frame().rgba.buffer)), `step ${step} of ${task.id}`);
    }
  }
  assert.ok(kept > 20, `${kept} frames were kept`);
});
