import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadRegistry } from '../../../src/runner/registry.js';
import { loadSettings } from '../../../src/settings/settings.js';
import { registry } from '../../../pipelines/index.js';
import { tasksOf } from '../../../pipelines/episodes/tasks.js';
import { createPhones, demonstrator, goalOf, phoneTasks } from '../../../src/devices/phone/index.js';
import { Random } from '../../../src/random.js';
import { emptyFolder } from '../../rigs/process.js';

const { schema } = await loadRegistry(registry);

/** The training tasks of a list with these lines. */
function read(t: Parameters<typeof emptyFolder>[0], lines: readonly object[], name = 'mine.jsonl') {
  const file = join(emptyFolder(t), name);
  writeFileSync(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  return tasksOf(loadSettings(schema, { overrides: [`tasks.train_file=${file}`] }), 'train', { seed: 0 });
}

const GOALS = [
  { kind: 'shop', shop: 'bestmart.com' },
  { kind: 'results', shop: 'foxhub.com', query: 'red lamp' },
  { kind: 'product', shop: 'foxhub.com', query: 'white shoe' },
  { kind: 'open', app: 'calculator' },
  { kind: 'web', query: 'weather in paris' },
  { kind: 'switch', name: 'airplane mode', on: true },
  { kind: 'tab', tab: 'timer' },
  { kind: 'stopwatch' },
  { kind: 'timer', minutes: 1 },
  { kind: 'timer', minutes: 15 },
  { kind: 'alarm', hour: 7, half: 'am' },
];

test('a list of tasks of every kind is read, and the expert achieves each of them', async (t) => {
  const lines = GOALS.map((goal, i) => ({ id: `mine-${i}`, text: `Task ${i}`, goal }));
  const tasks = read(t, lines);
  assert.deepEqual(new Set(tasks.map(({ id }) => id)), new Set(lines.map(({ id }) => id)));
  const [phone] = createPhones(1);
  for (const task of tasks) {
    const person = demonstrator({ noise: 0 })(new Random(1, task.id));
    phone.begin(task, 5);
    assert.equal(phone.achieved(), false, task.id);
    for (let step = 0; step < 20 && !phone.achieved(); step++) phone.apply(person.next(phone).action);
    assert.equal(phone.achieved(), true, JSON.stringify(task.goal));
  }
  await phone.close();
});

test("the goals of the phone's own tasks are goals that a list may have", (t) => {
  const own = (['train', 'test'] as const).flatMap((split) => phoneTasks({ set: 'all', split, count: 300, seed: 3 }));
  const tasks = read(t, own);
  assert.equal(tasks.length, own.length);
  for (const task of tasks) assert.ok(goalOf(task).kind);
});

const MISTAKES: [name: string, goal: object | undefined, reason: RegExp][] = [
  ['no goal', undefined, /mine.jsonl: task x has no goal; the embedded phone needs a .jsonl list/],
  ['an unknown kind', { kind: 'dance' }, /task x: goal.kind: expected shop, results,/],
  ['an unknown shop', { kind: 'shop', shop: 'ebay.com' }, /goal.shop: expected the address of a shop of the phone/],
  ['unknown goods', { kind: 'results', shop: 'bestmart.com', query: 'red car' }, /goal.query: expected a colour/],
  ['a timer that is not offered', { kind: 'timer', minutes: 7 }, /goal.minutes: /],
  ['a field too many', { kind: 'stopwatch', minutes: 2 }, /goal: .*minutes/],
];
for (const [name, goal, reason] of MISTAKES) {
  test(`a list with ${name} is refused in one line`, (t) => {
    assert.throws(
      () => read(t, [{ id: 'x', text: 'Do it', ...(goal ? { goal } : {}) }]),
      (error: Error) => error.name === 'UserError' && reason.test(error.message) && !error.message.includes('\n'),
    );
  });
}
