import { Random } from '../../random.js';
import type { Task } from '../../data/task.js';
import type { Goal } from './goal.js';
import { drawHard, HARD_FAMILIES, HARD_TASK_WORDS, HARD_WORDINGS } from './hard/tasks.js';
import { CLOCK_TABS, PLAIN_APPS, SWITCHES, TIMER_MINUTES, type AppName } from './state.js';
import { COLOURS, goods, NOUNS, SHOP_FIRST, SHOP_SECOND, shopAddresses, type Split } from './words.js';

export type TaskSet = 'webshop' | 'general' | 'all' | 'shop-hard' | 'general-hard';

/**
 * Wordings by family: {s} a shop's address, {g} goods, {w} a switch, {a} an app, {t} a tab of the clock, {n} a number of
 * minutes, {h} an hour with am or pm. No wording is in both splits, and every word of a test wording is in a train wording
 * (a test checks this).
 */
const WORDINGS: Record<string, Record<Split, readonly string[]>> = {
  'webshop-1': {
    train: ['Go to {s}', 'Open {s}', 'Open the site {s}', 'Visit {s}'],
    test: ['Go to the site {s}', 'Visit the site {s}'],
  },
  'webshop-2': {
    train: [
      "Go to {s}, search for '{g}'",
      'Open {s} and search for {g}',
      "Visit {s} and find '{g}'",
      "Search {s} for '{g}'",
      'Find {g} on {s}',
    ],
    test: ["Visit {s}, search for '{g}'", 'Go to {s} and find {g}', "Open {s}, find '{g}'", 'Search for {g} on {s}'],
  },
  'webshop-3': {
    train: [
      "Go to {s}, search for '{g}', and select the first entry",
      'Open {s}, find {g}, and open the first entry',
      "Search {s} for '{g}' and select the first result",
      'Visit {s}, search for {g}, and open the first result',
    ],
    test: [
      "Go to {s}, find '{g}', and select the first result",
      'Visit {s}, search for {g}, and select the first entry',
      "Search {s} for '{g}' and open the first entry",
    ],
  },
  'general-open': {
    train: ['Open the {a}', 'Show me the {a} app', 'Go to the {a}', 'Start the {a} app'],
    test: ['Open the {a} app', 'Show me the {a}', 'Go to the {a} app'],
  },
  'general-web': {
    train: ['Search the web for {g}', "Find '{g}' on the web", 'Look for {g} on the web'],
    test: ["Search for '{g}' on the web", 'Look on the web for {g}'],
  },
  'general-on': {
    train: ['Turn on {w}', 'Switch {w} on', 'Go to settings and turn on {w}', 'Open settings and switch on {w}'],
    test: ['Turn {w} on', 'Go to settings and switch {w} on'],
  },
  'general-off': {
    train: ['Turn off {w}', 'Switch {w} off', 'Go to settings and turn off {w}', 'Open settings and switch off {w}'],
    test: ['Turn {w} off', 'Go to settings and switch {w} off'],
  },
  'general-clock': {
    train: ['Show the {t}', 'Open the clock and go to the {t}', 'Go to the {t} of the clock'],
    test: ['Show me the {t} of the clock', 'Open the {t}'],
  },
  'general-stopwatch': {
    train: ['Start the stopwatch', 'Open the stopwatch and start'],
    test: ['Go to the stopwatch and start', 'Open the clock and start the stopwatch'],
  },
  'general-timer': {
    train: [
      'Start a timer for {n} minutes',
      'Set the timer to {n} minutes',
      'Open the clock and set a timer for {n} minutes',
    ],
    test: ['Set a timer for {n} minutes', 'Start the timer for {n} minutes'],
  },
  'general-alarm': {
    train: ['Set an alarm for {h}', 'Open the clock and set an alarm for {h}', 'Set the alarm to {h}'],
    test: ['Go to the clock and set an alarm for {h}', 'Set the alarm for {h}'],
  },
};

/** The families in the order in which they alternate in a list. */
export const FAMILIES: Record<Exclude<TaskSet, 'all'>, readonly string[]> = {
  webshop: ['webshop-1', 'webshop-2', 'webshop-3'],
  general: [
    'general-open',
    'general-on',
    'general-web',
    'general-clock',
    'general-open',
    'general-off',
    'general-web',
    'general-stopwatch',
    'general-timer',
    'general-alarm',
  ],
  ...HARD_FAMILIES,
};

/** The apps that tasks ask to open. */
const OPENED: readonly AppName[] = ['browser', 'settings', 'clock', ...PLAIN_APPS];

/**
 * The values of a split: every third one is a test value, shifted by `offset`, so that each word stays in train with another
 * partner.
 */
function share<T>(values: readonly T[], offset: number, split: Split): T[] {
  return values.filter((_, i) => ((i + offset) % 3 === 0) === (split === 'test'));
}

const HOURS = (['am', 'pm'] as const).flatMap((half, h) =>
  Array.from({ length: 12 }, (_, i) => ({ hour: i + 1, half, test: (i + 2 * h) % 4 === 0 })),
);

/** Draws a task of a family: its goal and the values for the wording. */
function draw(family: string, split: Split, random: Random): { goal: Goal; fill: Record<string, string> } {
  const shop = random.pick(shopAddresses(split));
  const query = random.pick(goods(split));
  switch (family) {
    case 'webshop-1':
      return { goal: { kind: 'shop', shop }, fill: { s: shop } };
    case 'webshop-2':
      return { goal: { kind: 'results', shop, query }, fill: { s: shop, g: query } };
    case 'webshop-3':
      return { goal: { kind: 'product', shop, query }, fill: { s: shop, g: query } };
    case 'general-web':
      return { goal: { kind: 'web', query }, fill: { g: query } };
    case 'general-open': {
      const app = random.pick(OPENED);
      return { goal: { kind: 'open', app }, fill: { a: app } };
    }
    case 'general-on':
    case 'general-off': {
      // a switch that test tasks turn on is only turned off in train tasks, and vice versa
      const on = family === 'general-on';
      const name = random.pick(share(SWITCHES, on ? 0 : 1, split));
      return { goal: { kind: 'switch', name, on }, fill: { w: name } };
    }
    case 'general-clock': {
      const tab = random.pick(CLOCK_TABS);
      return { goal: { kind: 'tab', tab }, fill: { t: tab } };
    }
    case 'general-stopwatch':
      return { goal: { kind: 'stopwatch' }, fill: {} };
    case 'general-timer': {
      const minutes = random.pick(TIMER_MINUTES.slice(1));
      return { goal: { kind: 'timer', minutes }, fill: { n: String(minutes) } };
    }
    default: {
      const { hour, half } = random.pick(HOURS.filter(({ test }) => test === (split === 'test')));
      return { goal: { kind: 'alarm', hour, half }, fill: { h: `${hour} ${half}` } };
    }
  }
}

/** Number of tasks in a fixed test list. */
export const TEST_TASKS = 480;

/**
 * Tasks for the embedded phone, with alternating families. The test list of a set is fixed: `seed` does not change it, and
 * `count` takes its first tasks, at most TEST_TASKS. A train list depends on its seed. Ids are unique in a list. As in Android
 * in the Wild, a text can occur more than once (webshop-1 has only 96 test texts).
 *
 * @param options.count defaults to 480 test or 1000 train tasks
 */
export function phoneTasks(options: { set: TaskSet; split: Split; count?: number; seed: number }): Task[] {
  const { set, split } = options;
  const test = split === 'test';
  const count = test ? Math.min(options.count ?? TEST_TASKS, TEST_TASKS) : (options.count ?? 1000);
  if (!Number.isInteger(count) || count < 0) {
    throw new RangeError(`phoneTasks: expected count to be a whole number >= 0, got ${options.count}`);
  }
  const seed = test ? 0 : options.seed;
  return Array.from({ length: count }, (_, i): Task => {
    const family = familyAt(set, i);
    const random = new Random(seed, 'phone-task', set, split, i);
    const hard = Object.hasOwn(HARD_WORDINGS, family);
    const { goal, fill } = (hard ? drawHard : draw)(family, split, random);
    const wording = random.pick((hard ? HARD_WORDINGS : WORDINGS)[family][split]);
    const text = wording.replace(/\{(\w)\}/g, (_, key: string) => fill[key]);
    const id = `${set}-${split}-${test ? '' : `${seed}-`}${String(i).padStart(4, '0')}`;
    return { id, text, family, goal: { ...goal } };
  });
}

function familyAt(set: TaskSet, index: number): string {
  if (set !== 'all') return FAMILIES[set][index % FAMILIES[set].length];
  return familyAt(index % 2 === 0 ? 'webshop' : 'general', Math.floor(index / 2));
}

/** Punctuation in task texts. */
export const PHONE_PUNCTUATION: readonly string[] = [',', "'"];

/**
 * All words and pieces of task texts and typed texts. A tokenizer with a token for each (with and without a space before it)
 * splits shops into best|mart|.com and goods into red|lamp.
 */
export const PHONE_WORDS: readonly string[] = [
  ...new Set([
    ...SHOP_FIRST,
    ...SHOP_SECOND,
    '.com',
    ...COLOURS,
    ...NOUNS,
    ...Object.values(WORDINGS).flatMap(({ train, test }) => [...train, ...test].flatMap(wordsOf)),
    ...[...SWITCHES, ...OPENED, ...CLOCK_TABS].flatMap(wordsOf),
    ...Array.from({ length: 12 }, (_, i) => String(i + 1)),
    ...TIMER_MINUTES.map(String),
    'am',
    'pm',
  ]),
];

/** The words that the hard sets add. */
export const HARD_WORDS: readonly string[] = [
  ...new Set(HARD_TASK_WORDS.filter((word) => !PHONE_WORDS.includes(word))),
];

function wordsOf(text: string): string[] {
  return text.match(/(?<!\{)\b[a-z]+\b(?!\})/gi) ?? [];
}

/** All wordings of a split by family, unfilled. */
export function wordings(split: Split): Record<string, readonly string[]> {
  return Object.fromEntries(
    Object.entries({ ...WORDINGS, ...HARD_WORDINGS }).map(([family, both]) => [family, both[split]]),
  );
}
