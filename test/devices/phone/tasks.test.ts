import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  goods,
  PHONE_PUNCTUATION,
  PHONE_WORDS,
  phoneTasks,
  shopAddresses,
  wordings,
  type TaskSet,
} from '../../../src/devices/phone/index.js';

const SETS: TaskSet[] = ['webshop', 'general', 'all'];
const train = SETS.flatMap((set) => phoneTasks({ set, split: 'train', count: 3000, seed: 1 }));
const testing = SETS.flatMap((set) => phoneTasks({ set, split: 'test', seed: 1 }));

/** Pieces of a text: words, with shops split into their two names and .com. */
function pieces(text: string): string[] {
  const names = PHONE_WORDS.filter((word) => /^[a-z]+$/.test(word));
  return (text.match(/[a-z]+\.com|[A-Za-z]+|[0-9]+|[^\sA-Za-z0-9]/g) ?? []).flatMap((word) => {
    if (!word.endsWith('.com')) return [word];
    const name = word.slice(0, -4);
    const splits = names.filter((first) => name.startsWith(first) && names.includes(name.slice(first.length)));
    assert.equal(splits.length, 1, `${word} must split in exactly one way`);
    return [splits[0], name.slice(splits[0].length), '.com'];
  });
}

test('test and train tasks share no text, shop, goods or wording', () => {
  const trainTexts = new Set(train.map(({ text }) => text));
  assert.deepEqual(
    testing.filter(({ text }) => trainTexts.has(text)).map(({ text }) => text),
    [],
  );
  const values = (tasks: typeof train, key: string) => new Set(tasks.map(({ goal }) => goal?.[key]).filter(Boolean));
  for (const key of ['shop', 'query']) {
    const common = [...values(testing, key)].filter((value) => values(train, key).has(value));
    assert.deepEqual(common, [], key);
    assert.ok(values(testing, key).size >= 16);
  }
  const flat = (split: 'train' | 'test') => Object.values(wordings(split)).flat();
  const same = flat('test').filter((wording) => flat('train').some((w) => w.toLowerCase() === wording.toLowerCase()));
  assert.deepEqual(same, []);
});

test('a switch that a test task turns on or off is never turned the same way in train', () => {
  const key = ({ goal }: (typeof train)[number]) => (goal?.kind === 'switch' ? `${goal.name} ${goal.on}` : undefined);
  const seen = new Set(train.map(key));
  const asked = testing.map(key).filter((k) => k !== undefined);
  assert.ok(asked.length > 20);
  for (const k of asked) assert.ok(!seen.has(k), k);
});

test('every word and piece of a test task occurs in train tasks, and all are in PHONE_WORDS', () => {
  for (const set of SETS) {
    const learned = phoneTasks({ set, split: 'train', count: 3000, seed: 2 });
    const known = new Set(learned.flatMap(({ text }) => pieces(text)));
    for (const { text } of phoneTasks({ set, split: 'test', seed: 2 })) {
      for (const piece of pieces(text)) assert.ok(known.has(piece), `${piece} in ${set}: ${text}`);
    }
  }
  const vocabulary = new Set([...PHONE_WORDS, ...PHONE_PUNCTUATION]);
  for (const { text } of train)
    for (const piece of pieces(text)) assert.ok(vocabulary.has(piece), `${piece} in: ${text}`);
  for (const split of ['train', 'test'] as const) {
    for (const typed of [...shopAddresses(split), ...goods(split)]) {
      for (const piece of pieces(typed)) assert.ok(vocabulary.has(piece), piece);
    }
  }
  assert.equal(new Set(PHONE_WORDS).size, PHONE_WORDS.length);
});

test('each split has enough shops and goods', () => {
  assert.ok(shopAddresses('train').length >= 8 && shopAddresses('test').length >= 4);
  assert.equal(shopAddresses('train').length + shopAddresses('test').length, 240);
  assert.equal(goods('train').length + goods('test').length, 120);
});

test('the test list is fixed: at least 400 tasks, the same for every seed, and count takes the first ones', () => {
  for (const set of SETS) {
    const list = phoneTasks({ set, split: 'test', seed: 1 });
    assert.ok(list.length >= 400);
    assert.equal(new Set(list.map(({ id }) => id)).size, list.length, 'unique ids');
    assert.deepEqual(phoneTasks({ set, split: 'test', seed: 2 }), list);
    assert.deepEqual(phoneTasks({ set, split: 'test', count: 96, seed: 3 }), list.slice(0, 96));
  }
});

test('train lists depend on their seed, and a longer list starts with the shorter one', () => {
  const list = phoneTasks({ set: 'all', split: 'train', count: 50, seed: 9 });
  assert.deepEqual(phoneTasks({ set: 'all', split: 'train', count: 50, seed: 9 }), list);
  assert.deepEqual(phoneTasks({ set: 'all', split: 'train', count: 80, seed: 9 }).slice(0, 50), list);
  assert.notDeepEqual(phoneTasks({ set: 'all', split: 'train', count: 50, seed: 10 }), list);
});

test('a negative or fractional count is refused', () => {
  assert.throws(() => phoneTasks({ set: 'all', split: 'train', count: -1, seed: 0 }), /whole number >= 0, got -1/);
  assert.throws(() => phoneTasks({ set: 'all', split: 'train', count: 1.5, seed: 0 }), /got 1.5/);
});
