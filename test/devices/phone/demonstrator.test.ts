import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isTap } from '../../../src/data/action.js';
import type { Task } from '../../../src/data/task.js';
import {
  DEFAULT_GRID,
  DEFAULT_HABITS,
  demonstrator,
  elementAt,
  Phone,
  phoneTasks,
  SCREEN,
  type DemonstratorSettings,
  type Habits,
} from '../../../src/devices/phone/index.js';
import { pointsOf } from '../../../src/devices/phone/expert.js';
import { Random } from '../../../src/random.js';

const NO_HABITS: Habits = Object.fromEntries(Object.keys(DEFAULT_HABITS).map((key) => [key, 0])) as unknown as Habits;

/** Runs a demonstration of each task and calls `visit` on every screen. */
function demonstrate(
  tasks: Task[],
  settings: Partial<DemonstratorSettings>,
  limit: number,
  visit: (phone: Phone) => void = () => undefined,
) {
  const phone = new Phone();
  const person = demonstrator(settings);
  return tasks.map((task, i) => {
    phone.begin(task, 500 + i);
    const { next } = person(new Random(11, 'person', i));
    const faults = new Set<string>();
    for (let steps = 1; steps <= limit; steps++) {
      visit(phone);
      const { action, fault } = next(phone);
      if (fault) faults.add(fault);
      phone.apply(action);
      if (action.type === 'STATUS_TASK_IMPOSSIBLE') return { task, success: false, steps, faults };
      if (action.type === 'STATUS_TASK_COMPLETE') return { task, success: phone.achieved(), steps, faults };
    }
    return { task, success: false, steps: limit, faults };
  });
}

const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

test('the faultless expert solves every task of both splits within the step limit', () => {
  for (const split of ['train', 'test'] as const) {
    for (const [set, limit] of [
      ['webshop', 20],
      ['general', 10],
    ] as const) {
      const runs = demonstrate(phoneTasks({ set, split, count: 480, seed: 2 }), { noise: 0 }, limit);
      for (const { task, success, faults } of runs) {
        assert.ok(success, `${task.id} ${task.text}`);
        assert.equal(faults.size, 0);
      }
    }
  }
});

test('expert episodes are as long as those of Android in the Wild', () => {
  const runs = demonstrate(phoneTasks({ set: 'webshop', split: 'train', count: 300, seed: 3 }), { noise: 0 }, 20);
  const length = (family: string) => mean(runs.filter(({ task }) => task.family === family).map(({ steps }) => steps));
  assert.ok(length('webshop-1') > 4.9 && length('webshop-1') < 7);
  assert.ok(length('webshop-2') > 8 && length('webshop-2') < 10);
  assert.ok(length('webshop-3') > 9 && length('webshop-3') < 11.5);
});

test('on every screen, each fully visible target contains the centre of a grid cell', () => {
  let targets = 0;
  const check = (phone: Phone) => {
    const view = phone.view();
    for (const { id, rect, tap } of view.elements) {
      if (!tap) continue;
      const { x, y, w, h } = rect;
      // points at the corners and thirds of the target: a partly covered one may be out of reach until it is scrolled
      const spots = [0.01, 0.33, 0.67, 0.99].flatMap((v) =>
        [0.01, 0.33, 0.67, 0.99].map((u) => [x + u * w, y + v * h]),
      );
      if (!spots.every(([px, py]) => elementAt(view, px, py)?.id === id)) continue;
      targets++;
      assert.ok(pointsOf(view, id, DEFAULT_GRID).length > 0, `${id} at ${JSON.stringify(rect)}`);
    }
  };
  demonstrate(phoneTasks({ set: 'all', split: 'train', count: 150, seed: 5 }), { noise: 1 }, 15, check);
  assert.ok(targets > 5000);
});

test('all taps and swipes are on the grid, with four decimals', () => {
  const phone = new Phone();
  const { rows, columns } = DEFAULT_GRID;
  phoneTasks({ set: 'all', split: 'train', count: 100, seed: 6 }).forEach((task, i) => {
    phone.begin(task, i);
    const { next } = demonstrator()(new Random(1, i));
    for (let step = 0; step < 15; step++) {
      const { action } = next(phone);
      if (action.type === 'DUAL_POINT') {
        for (const [y, x] of [action.touch, action.lift]) {
          assert.ok(Math.abs(((y * rows) % 1) - 0.5) < 2e-3 && Math.abs(((x * columns) % 1) - 0.5) < 2e-3);
          assert.equal(y, Number(y.toFixed(4)));
        }
      }
      phone.apply(action);
      if (action.type.startsWith('STATUS')) break;
    }
  });
});

test('on equal screens, the expert taps at varying points of the right target', () => {
  const phone = new Phone();
  const [task] = phoneTasks({ set: 'webshop', split: 'train', count: 1, seed: 1 });
  const places = new Set<string>();
  for (let i = 0; i < 60; i++) {
    phone.begin(task, 5);
    const { action } = demonstrator({ noise: 0 })(new Random(i)).next(phone);
    assert.ok(isTap(action));
    const id = elementAt(phone.view(), action.touch[1] * SCREEN.width, action.touch[0] * SCREEN.height)?.id;
    assert.equal(id, 'icon:browser');
    places.add(action.touch.join());
  }
  assert.ok(places.size >= 3);
});

test('each habit causes its own fault and no other', () => {
  const tasks = phoneTasks({ set: 'all', split: 'train', count: 120, seed: 8 });
  for (const fault of Object.keys(DEFAULT_HABITS).filter((key) => key !== 'unnoticed')) {
    const runs = demonstrate(tasks, { habits: { ...NO_HABITS, unnoticed: 0.6, [fault]: 0.5 } }, 15);
    const seen = new Set(runs.flatMap(({ faults }) => [...faults]));
    assert.deepEqual([...seen], [fault]);
  }
});

test('with the default habits 35 to 55 % of webshop demonstrations succeed, and the others fail for many causes', () => {
  const runs = demonstrate(phoneTasks({ set: 'webshop', split: 'train', count: 600, seed: 9 }), {}, 20);
  const rate = mean(runs.map(({ success }) => Number(success)));
  assert.ok(rate > 0.35 && rate < 0.55, `rate ${rate}`);
  const causes = new Set(runs.filter(({ success }) => !success).flatMap(({ faults }) => [...faults]));
  assert.ok(causes.size >= 8, [...causes].join());
  const recovered = runs.filter(({ success, faults }) => success && faults.size > 0).length;
  assert.ok(recovered > 60, `${recovered} demonstrations recovered from a fault`);
});

test('less noise means more success', () => {
  const tasks = phoneTasks({ set: 'all', split: 'train', count: 300, seed: 10 });
  const rates = [0, 0.5, 1, 2].map((noise) =>
    mean(demonstrate(tasks, { noise }, 20).map(({ success }) => Number(success))),
  );
  for (let i = 1; i < rates.length; i++) assert.ok(rates[i] < rates[i - 1], rates.join());
});

test('the same random stream gives the same demonstration', () => {
  const tasks = phoneTasks({ set: 'all', split: 'train', count: 30, seed: 12 });
  assert.deepEqual(demonstrate(tasks, {}, 20), demonstrate(tasks, {}, 20));
});

test('a grid that is too coarse for a target is an error that names the target', () => {
  const tasks = phoneTasks({ set: 'webshop', split: 'train', count: 20, seed: 1 });
  assert.throws(
    () => demonstrate(tasks, { noise: 0, grid: { rows: 5, columns: 2 } }, 20),
    /no cell of the 5 x 2 grid has its centre on/,
  );
});
