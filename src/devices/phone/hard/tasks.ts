import type { Random } from '../../../random.js';
import { SWITCHES } from '../switches.js';
import { goods, shopAddresses, type Split } from '../words.js';
import type { HardGoal } from './goal.js';
import { LABELS, LIMITS, PEOPLE, SETTINGS_GROUPS, SIZES } from './state.js';

/** Families of the hard sets in the order in which they alternate. */
export const HARD_FAMILIES = {
  'shop-hard': [
    'hard-cheapest',
    'hard-buy',
    'hard-under',
    'hard-buy-two',
    'hard-first',
    'hard-take-out',
    'hard-buy-cheapest',
  ],
  'general-hard': ['hard-switches', 'hard-contact', 'hard-forward', 'hard-message'],
} as const;

/**
 * Wordings: {s} a shop, {g} goods, {o} other goods, {z} a size, {p} a price, {w} and {v} switches with {a} and {b} on or off,
 * {n} a person, {m} another person, {d} digits, {l} a label. As in the easy sets, none is in both splits.
 */
export const HARD_WORDINGS: Readonly<Record<string, Record<Split, readonly string[]>>> = {
  'hard-first': {
    train: ["Go to {s}, find '{g}', and open the first entry", 'Search {s} for {g} and open the first result'],
    test: ["Go to {s}, search for '{g}', and open the first result"],
  },
  'hard-cheapest': {
    train: ["Go to {s}, search for '{g}', and open the cheapest entry", 'Find the cheapest {g} on {s} and open it'],
    test: ["Go to {s}, find '{g}', and open the cheapest entry", 'Search {s} for the cheapest {g} and open it'],
  },
  'hard-under': {
    train: [
      'Search {s} for {g} and open the first entry under {p} dollars',
      'Go to {s} and find the first {g} under {p} dollars',
    ],
    test: ['Go to {s}, search for {g}, and open the first entry under {p} dollars'],
  },
  'hard-buy': {
    train: [
      'Go to {s} and add the first {g} in size {z} to the cart',
      "Find '{g}' on {s} and add the first in size {z} to the cart",
    ],
    test: ["Go to {s}, find '{g}', and add the first in size {z} to the cart"],
  },
  'hard-buy-cheapest': {
    train: [
      'Go to {s} and add the cheapest {g} in size {z} to the cart',
      "Find '{g}' on {s} and add the cheapest in size {z} to the cart",
    ],
    test: ["Go to {s}, find '{g}', and add the cheapest in size {z} to the cart"],
  },
  'hard-buy-two': {
    train: [
      'Go to {s} and add the first {g} and the first {o} in size {z} to the cart',
      "Find '{g}' and '{o}' on {s} and add the first of each in size {z} to the cart",
    ],
    test: ["Go to {s}, find '{g}' and '{o}', and add the first of each in size {z} to the cart"],
  },
  'hard-take-out': {
    train: ['Go to {s} and remove the {g} from the cart', 'Open {s}, open the cart, and remove the {g}'],
    test: ['Go to {s}, open the cart, and remove the {g}'],
  },
  'hard-switches': {
    train: ['Turn {w} {a} and {v} {b}', 'Go to settings and turn {w} {a} and {v} {b}'],
    test: ['Go to settings, turn {w} {a} and {v} {b}'],
  },
  'hard-contact': {
    train: ['Add {n} to the contacts with the {l} number {d}', 'Open the contacts and add {n}, {l} number {d}'],
    test: ['Add {n} to the contacts, {l} number {d}'],
  },
  'hard-message': {
    train: ["Send the message '{g}' to {n}", "Open the messages and send '{g}' to {n}"],
    test: ["Open the messages and send the message '{g}' to {n}"],
  },
  'hard-forward': {
    train: ['Send the code in the mail from {n} to {m}', 'Copy the code in the mail from {n} and send it to {m}'],
    test: ['Open the mail from {n} and send the code to {m}', 'Copy the code from {n} and send it to {m}'],
  },
};

/** Draws a task of a hard family: its goal and the values for the wording. */
export function drawHard(
  family: string,
  split: Split,
  random: Random,
): { goal: HardGoal; fill: Record<string, string> } {
  const shop = random.pick(shopAddresses(split));
  const [query, other, third] = random.shuffled(goods(split));
  const size = random.pick(SIZES);
  const mine = <T>(values: readonly T[], index: (value: T) => number) =>
    values.filter((value) => (index(value) % 4 === 0) === (split === 'test'));
  switch (family) {
    case 'hard-first':
      return { goal: { kind: 'first', shop, query }, fill: { s: shop, g: query } };
    case 'hard-cheapest':
      return { goal: { kind: 'cheapest', shop, query }, fill: { s: shop, g: query } };
    case 'hard-under': {
      const limit = random.pick(LIMITS);
      return { goal: { kind: 'under', shop, query, limit }, fill: { s: shop, g: query, p: String(limit) } };
    }
    case 'hard-buy':
    case 'hard-buy-cheapest': {
      const cheapest = family === 'hard-buy-cheapest';
      return { goal: { kind: 'buy', shop, query, size, cheapest }, fill: { s: shop, g: query, z: size } };
    }
    case 'hard-buy-two':
      return { goal: { kind: 'buy-two', shop, query, other, size }, fill: { s: shop, g: query, o: other, z: size } };
    case 'hard-take-out': {
      const cart = [query, other, third] as const;
      const out = random.pick(cart);
      return { goal: { kind: 'take-out', shop, query: out, cart }, fill: { s: shop, g: out } };
    }
    case 'hard-switches': {
      const groupOf = (name: string) => Object.values(SETTINGS_GROUPS).findIndex((own) => (own as readonly string[]).includes(name)); // prettier-ignore
      const pairs = SWITCHES.flatMap((first, i) =>
        SWITCHES.map((second, j) => ({ first, second, at: 3 * i + j })),
      ).filter(({ first, second }) => groupOf(first) !== groupOf(second));
      const { first, second } = random.pick(mine(pairs, ({ at }) => at));
      const [firstOn, secondOn] = [random.chance(0.5), random.chance(0.5)];
      const word = (on: boolean) => (on ? 'on' : 'off');
      return {
        goal: { kind: 'switches', first, firstOn, second, secondOn },
        fill: { w: first, a: word(firstOn), v: second, b: word(secondOn) },
      };
    }
    case 'hard-contact': {
      const numbers = mine(Array.from({ length: 900 }, (_, i) => 100 + i), (n) => n); // prettier-ignore
      const [name, number, label] = [random.pick(PEOPLE), String(random.pick(numbers)), random.pick(LABELS)];
      return { goal: { kind: 'contact', name, number, label }, fill: { n: name, d: number, l: label } };
    }
    case 'hard-message': {
      const to = random.pick(PEOPLE);
      return { goal: { kind: 'message', to, message: query }, fill: { g: query, n: to } };
    }
    default: {
      const pairs = PEOPLE.flatMap((from, i) => PEOPLE.map((to, j) => ({ from, to, at: 3 * i + j }))).filter(
        ({ from, to }) => from !== to,
      );
      const { from, to } = random.pick(mine(pairs, ({ at }) => at));
      return { goal: { kind: 'forward', from, to }, fill: { n: from, m: to } };
    }
  }
}

/** Words of the hard tasks and of what is typed in them. */
export const HARD_TASK_WORDS: readonly string[] = [
  ...Object.values(HARD_WORDINGS).flatMap(({ train, test }) =>
    [...train, ...test].flatMap((text) => text.match(/(?<!\{)\b[a-z]+\b(?!\})/gi) ?? []),
  ),
  ...SIZES,
  ...LABELS,
  ...PEOPLE,
  ...LIMITS.map(String),
  'off',
];
