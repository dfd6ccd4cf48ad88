import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tap, type Action } from '../../../src/data/action.js';
import {
  DEFAULT_GRID,
  demonstrator,
  expert,
  goalOf,
  Phone,
  phoneTasks,
  Remaining,
} from '../../../src/devices/phone/index.js';
import { pointsOf } from '../../../src/devices/phone/expert.js';
import { stateText } from '../../../src/devices/phone/state.js';
import { Random } from '../../../src/random.js';

const TASKS = phoneTasks({ set: 'all', split: 'train', count: 60, seed: 5 });

test("each step of a faultless person shortens the way by one, and a copy leaves the phone's state alone", () => {
  const person = demonstrator({ noise: 0 });
  for (const [seed, task] of TASKS.entries()) {
    const phone = new Phone();
    phone.begin(task, seed);
    const remaining = new Remaining(DEFAULT_GRID);
    const { next } = person(new Random(seed, 'person'));
    for (let before = remaining.of(phone); ; before--) {
      const text = stateText(phone.state);
      assert.equal(remaining.of(phone), before, `${task.text}: ${text}`);
      assert.equal(stateText(phone.state), text);
      const { action } = next(phone);
      if (action.type === 'STATUS_TASK_COMPLETE') {
        assert.equal(before, 1);
        break;
      }
      phone.apply(action);
    }
  }
});

/** What a finger can do here: a tap on each element, the keys, the texts of the goal, swipes. */
function possible(phone: Phone, random: Random): Action[] {
  const goal = goalOf(phone.task);
  const view = phone.view();
  const ids = [...new Set(view.elements.filter(({ tap }) => tap).map(({ id }) => id))];
  const taps = ids.flatMap((id) => pointsOf(view, id, DEFAULT_GRID).slice(0, 1).map(tap));
  const texts = [...('shop' in goal ? [goal.shop] : []), ...('query' in goal ? [goal.query] : [])];
  const swipe = (touch: [number, number], lift: [number, number]): Action => ({ type: 'DUAL_POINT', touch, lift });
  return random.shuffled([
    ...taps,
    ...texts.map((text): Action => ({ type: 'TYPE', text })),
    { type: 'PRESS_BACK' },
    { type: 'PRESS_HOME' },
    { type: 'PRESS_ENTER' },
    swipe([0.7, 0.5], [0.4, 0.5]),
    swipe([0.4, 0.5], [0.7, 0.5]),
    swipe([0.5, 0.8], [0.5, 0.2]),
  ] as Action[]);
}

test('from wherever an aimless person gets to, some action shortens the way by one, and none by more than the way is long', () => {
  const random = new Random(1, 'walk');
  for (const [seed, task] of TASKS.entries()) {
    const phone = new Phone();
    phone.begin(task, 100 + seed);
    const remaining = new Remaining(DEFAULT_GRID);
    for (let step = 0; step < 12; step++) {
      const before = remaining.of(phone);
      assert.ok(before >= 1);
      assert.equal(before === 1, phone.achieved(), stateText(phone.state));
      const ways: Action[] = [
        expert(phone, { grid: DEFAULT_GRID, random }),
        { type: 'PRESS_HOME' },
        { type: 'PRESS_BACK' },
      ];
      const after = ways.map((action) => {
        if (action.type === 'STATUS_TASK_COMPLETE') return 0;
        const copy = phone.copy();
        copy.apply(action);
        return remaining.of(copy);
      });
      assert.equal(Math.min(...after), before - 1, `${task.text}: ${stateText(phone.state)}`);
      phone.apply(random.pick(possible(phone, random)));
    }
  }
});

test('the way is the shortest that a search through everything a finger can do finds, in settings and clock', () => {
  const random = new Random(2, 'search');
  const tasks = phoneTasks({ set: 'general', split: 'train', count: 24, seed: 9 });
  let compared = 0;
  for (const [seed, task] of tasks.entries()) {
    if (['web', 'open'].includes(goalOf(task).kind)) continue;
    const phone = new Phone();
    phone.begin(task, 200 + seed);
    for (let step = 0; step < 2; step++) phone.apply(random.pick(possible(phone, random)));
    const found = shortest(phone, 4, random);
    const way = new Remaining(DEFAULT_GRID).of(phone);
    if (found === undefined) {
      assert.ok(way > 4);
      continue;
    }
    compared++;
    assert.equal(way, found, `${task.text}: ${stateText(phone.state)}`);
  }
  assert.ok(compared > 3, `only ${compared} compared`);
});

/** Actions to the goal and its declaration, by a search in breadth; undefined if it takes more than `most`. */
function shortest(from: Phone, most: number, random: Random): number | undefined {
  let front = [from];
  const seen = new Set([stateText(from.state)]);
  for (let length = 1; length <= most; length++) {
    if (front.some((phone) => phone.achieved())) return length;
    const next: Phone[] = [];
    for (const phone of front) {
      for (const action of possible(phone, random)) {
        const copy = phone.copy();
        copy.apply(action);
        const text = stateText(copy.state);
        if (seen.has(text)) continue;
        seen.add(text);
        next.push(copy);
      }
    }
    front = next;
  }
  return undefined;
}
