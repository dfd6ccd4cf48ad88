/** The hard task sets: every task can be solved, mistakes have their consequences, people lack skills, the easy sets stay. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import type { Task } from '../../../src/data/task.js';
import {
  checkPhoneTasks,
  DEFAULT_GRID,
  demonstrator,
  elementAt,
  expert,
  HARD_WORDS,
  Phone,
  PHONE_PUNCTUATION,
  PHONE_WORDS,
  phoneTasks,
  Remaining,
  type Goal,
} from '../../../src/devices/phone/index.js';
import { pointsOf, tapOn } from '../../../src/devices/phone/expert.js';
import { variantPrices } from '../../../src/devices/phone/hard/state.js';
import { Random } from '../../../src/random.js';

const SETS = ['shop-hard', 'general-hard'] as const;
const lists = (split: 'train' | 'test', count = 480) =>
  SETS.flatMap((set) => phoneTasks({ set, split, count, seed: 3 }));

/** The actions that the expert needs from the phone's state to a declared success; undefined if it fails. */
function solved(phone: Phone, random: Random, most = 40): number | undefined {
  for (let n = 1; n <= most; n++) {
    const action = expert(phone, { grid: DEFAULT_GRID, random });
    if (action.type === 'STATUS_TASK_COMPLETE') return phone.achieved() ? n : undefined;
    phone.apply(action);
  }
  return undefined;
}

function begun(goal: Goal, seed = 5): Phone {
  const phone = new Phone();
  phone.begin({ id: 'own', text: 'own', family: 'own', goal: { ...goal } }, seed);
  return phone;
}

/** Does the expert's actions until the page is of a kind. */
function until(phone: Phone, kind: string): Phone {
  const random = new Random(1, 'until');
  for (let n = 0; n < 40 && phone.state.stack.at(-1)!.kind !== kind; n++)
    phone.apply(expert(phone, { grid: DEFAULT_GRID, random }));
  assert.equal(phone.state.stack.at(-1)!.kind, kind);
  while (phone.state.loading) press(phone, 'spinner');
  return phone;
}

const press = (phone: Phone, id: string): void => {
  phone.apply(tapOn(phone.view(), id, DEFAULT_GRID, new Random(2, id)));
};

test('the scripted solver solves every task of the hard sets', () => {
  const steps = new Map<string, number[]>();
  for (const [i, task] of [...lists('test'), ...lists('train', 300)].entries()) {
    const phone = new Phone();
    phone.begin(task, 100 + i);
    assert.ok(!phone.achieved(), `${task.text}: achieved before anything is done`);
    const n = solved(phone, new Random(4, i));
    assert.ok(n !== undefined, `${task.id}: ${task.text}`);
    steps.set(task.family, [...(steps.get(task.family) ?? []), n]);
  }
  const mean = (family: string) => steps.get(family)!.reduce((a, b) => a + b, 0) / steps.get(family)!.length;
  assert.equal(steps.size, 11);
  assert.ok(Math.max(...[...steps.values()].flat()) <= 25);
  assert.ok(mean('hard-buy-two') > 17 && mean('hard-cheapest') > 10 && mean('hard-contact') > 8);
});

test('on every screen of the hard sets, a target that is not covered contains the centre of a grid cell', () => {
  let targets = 0;
  for (const [i, task] of lists('train', 60).entries()) {
    const phone = new Phone();
    phone.begin(task, 200 + i);
    const { next } = demonstrator({ noise: 1 })(new Random(5, i));
    for (let n = 0; n < 25; n++) {
      const view = phone.view();
      for (const { id, rect, tap } of view.elements) {
        const { x, y, w, h } = rect;
        const spots = [0.01, 0.5, 0.99].flatMap((v) => [0.01, 0.5, 0.99].map((u) => [x + u * w, y + v * h]));
        if (!tap || !spots.every(([px, py]) => elementAt(view, px, py)?.id === id)) continue;
        targets++;
        assert.ok(pointsOf(view, id, DEFAULT_GRID).length > 0, `${id} at ${JSON.stringify(rect)}`);
      }
      const { action } = next(phone);
      if (action.type.startsWith('STATUS')) break;
      phone.apply(action);
    }
  }
  assert.ok(targets > 3000);
});

test('train and test tasks share no text, shop, goods, pair of switches or number; every test word is known', () => {
  const [train, testing] = [lists('train', 2000), lists('test')];
  const texts = new Set(train.map(({ text }) => text));
  assert.deepEqual(
    testing.filter(({ text }) => texts.has(text)).map(({ text }) => text),
    [],
  );
  const values = (tasks: readonly Task[], of: (goal: Goal) => unknown) =>
    new Set(tasks.map(({ goal }) => of(goal as unknown as Goal)).filter((value) => value !== undefined));
  const pair = (goal: Goal) =>
    goal.kind === 'switches'
      ? `${goal.first} ${goal.second}`
      : goal.kind === 'forward'
        ? `${goal.from} ${goal.to}`
        : undefined;
  for (const of of [
    (goal: Goal) => ('shop' in goal ? goal.shop : undefined),
    (goal: Goal) => ('query' in goal ? goal.query : undefined),
    (goal: Goal) => (goal.kind === 'contact' ? goal.number : undefined),
    pair,
  ]) {
    const known = values(train, of);
    const asked = values(testing, of);
    assert.ok(asked.size >= 12, `${asked.size}`);
    assert.deepEqual(
      [...asked].filter((value) => known.has(value)),
      [],
    );
  }
  const words = (tasks: readonly Task[]) =>
    new Set(tasks.flatMap(({ text }) => text.replace(/[a-z]+\.com/g, '').match(/[A-Za-z]+/g) ?? []));
  const learned = words(train);
  for (const word of words(testing)) assert.ok(learned.has(word), word);
  const vocabulary = new Set([...PHONE_WORDS, ...HARD_WORDS, ...PHONE_PUNCTUATION]);
  for (const word of learned) assert.ok(vocabulary.has(word), word);
  assert.equal(vocabulary.size, PHONE_WORDS.length + HARD_WORDS.length + PHONE_PUNCTUATION.length);
});

test('goals of the hard sets can be in a list of tasks', () => {
  const tasks = lists('test', 60);
  checkPhoneTasks(tasks, 'own.jsonl');
  const [wrong] = tasks.filter(({ family }) => family === 'hard-under');
  assert.throws(
    () => checkPhoneTasks([{ ...wrong, goal: { ...wrong.goal, limit: 30 } }], 'own.jsonl'),
    /own\.jsonl: task .*: goal\.limit: /,
  );
});

const SHOP = { shop: 'bestmart.com', query: 'red lamp' } as const;

test('an advertisement and the first entry look right and are not the cheapest', () => {
  const cheapest = { kind: 'cheapest', ...SHOP } as const;
  const prices = variantPrices(5, SHOP.shop, SHOP.query);
  assert.equal(Math.max(...prices), prices[0]);
  assert.equal(new Set(prices).size, 6);
  const first = until(begun({ kind: 'first', ...SHOP }), 'item');
  assert.ok(first.achieved());
  const wrong = until(begun(cheapest), 'results');
  press(wrong, 'entry:0');
  assert.ok(!wrong.achieved());
  assert.ok(solved(wrong, new Random(1)) !== undefined, 'one can go back');
  const ad = Array.from({ length: 20 }, (_, seed) => until(begun(cheapest, seed), 'results')).find((phone) =>
    phone.view().elements.some(({ id }) => id === 'sponsored'),
  )!;
  press(ad, 'sponsored');
  assert.ok(!ad.achieved());
});

test('a wrong thing in the cart can be taken out, a removed one put back; an order is final', () => {
  const buy = until(begun({ kind: 'buy', ...SHOP, size: 'large', cheapest: false }), 'item');
  press(buy, 'add-item');
  assert.deepEqual(buy.state.hard!.cart, [], 'not without a size');
  press(buy, 'size:small');
  press(buy, 'add-item');
  assert.ok(!buy.achieved());
  const ordered = buy.copy();
  assert.ok(solved(buy, new Random(2)) !== undefined, 'the wrong size comes out again');
  press(ordered, 'buy-now');
  assert.equal(solved(ordered, new Random(3)), undefined);
  assert.equal(new Remaining(DEFAULT_GRID).of(ordered), Infinity, 'and a search for a way out ends');

  const cart = ['red lamp', 'blue cup', 'green tent'];
  const out = until(begun({ kind: 'take-out', shop: SHOP.shop, query: 'blue cup', cart }), 'cart');
  press(out, 'remove:0');
  assert.ok(!out.achieved());
  press(out, 'undo');
  press(out, 'remove:1');
  assert.ok(out.achieved());
});

test('a form is saved only when it is complete, and a copied code goes to another app', () => {
  const form = until(begun({ kind: 'contact', name: 'anna', number: '482', label: 'work' }), 'contact');
  press(form, 'save-contact');
  assert.equal(form.state.stack.at(-1)!.kind, 'contact');
  press(form, 'field:name');
  form.apply({ type: 'TYPE', text: 'Anna' });
  press(form, 'field:number');
  form.apply({ type: 'TYPE', text: '482' });
  form.apply({ type: 'PRESS_ENTER' });
  press(form, 'label:work');
  press(form, 'save-contact');
  assert.ok(form.achieved());

  const forward = until(begun({ kind: 'forward', from: 'ben', to: 'emma' }), 'mail');
  const other = forward.copy();
  const sent = begun({ kind: 'message', to: 'emma', message: 'red lamp' });
  until(sent, 'chat');
  press(sent, 'field:message');
  sent.apply({ type: 'TYPE', text: 'red cup' });
  press(sent, 'send');
  assert.equal(new Remaining(DEFAULT_GRID).of(sent), Infinity, 'what was sent is sent');
  press(forward, 'copy');
  assert.ok(solved(forward, new Random(4)) !== undefined);
  other.apply({ type: 'PRESS_HOME' });
  const guessed = until(other, 'mails');
  assert.ok(!guessed.achieved());
});

test('people lack skills as often as demos.gaps says; without gaps and noise none fails', () => {
  const rate = (gaps: number, set: (typeof SETS)[number], family?: string) => {
    const tasks = phoneTasks({ set, split: 'train', count: 280, seed: 8 }).filter(
      (task) => family === undefined || task.family === family,
    );
    const wins = tasks.filter((task, i) => {
      const phone = new Phone();
      phone.begin(task, 300 + i);
      const { next } = demonstrator({ noise: 0, gaps })(new Random(9, i));
      for (let n = 0; n < 28; n++) {
        const { action } = next(phone);
        if (action.type.startsWith('STATUS')) return action.type === 'STATUS_TASK_COMPLETE' && phone.achieved();
        phone.apply(action);
      }
      return false;
    });
    return wins.length / tasks.length;
  };
  for (const set of SETS) {
    assert.equal(rate(0, set), 1, set);
    assert.ok(rate(1, set) > 0.4 && rate(1, set) < 0.7, `${set} ${rate(1, set)}`);
  }
  assert.ok(rate(1, 'shop-hard', 'hard-cheapest') < 0.5, 'most take the first entry for the cheapest');
  assert.equal(rate(1, 'shop-hard', 'hard-first'), 1);
  assert.ok(rate(1.6, 'shop-hard') < rate(1, 'shop-hard'));
});

test('the tasks, words and people of the easy sets are those of before', () => {
  const all = createHash('sha256').update(PHONE_WORDS.join());
  const person = demonstrator({});
  for (const set of ['webshop', 'general', 'all'] as const)
    for (const split of ['train', 'test'] as const) {
      const tasks = phoneTasks({ set, split, count: 120, seed: 5 });
      all.update(JSON.stringify(tasks));
      tasks.forEach((task, i) => {
        const phone = new Phone();
        phone.begin(task, 40 + i);
        const { next } = person(new Random(6, set, i));
        for (let n = 0; n < 20; n++) {
          const { action } = next(phone);
          all.update(JSON.stringify(action));
          phone.apply(action);
          if (action.type.startsWith('STATUS')) break;
        }
        all.update(String(phone.achieved()));
      });
    }
  assert.equal(all.digest('hex').slice(0, 32), '8a0d8a4380709b555b939eb618501947');
});
