import { z } from 'zod';
import { UserError } from '../../errors.js';
import type { Task } from '../../data/task.js';
import type { Goal } from './goal.js';
import { LABELS, LIMITS, PEOPLE, SIZES } from './hard/state.js';
import { CLOCK_TABS, PLAIN_APPS, SWITCHES, TIMER_MINUTES } from './state.js';
import { goodsOf, normalise, shopAt } from './words.js';

const Shop = z
  .string()
  .refine(
    (text) => shopAt(text)?.address === text,
    'expected the address of a shop of the phone, such as bestmart.com',
  );
const Goods = z
  .string()
  .refine(
    (text) => goodsOf(text) !== undefined && normalise(text) === text,
    'expected a colour and a noun of the phone, such as red lamp',
  );
const Words = z.string().regex(/^[a-z0-9]+( [a-z0-9]+)*$/, 'expected lower-case words with one space between them');

const Size = z.enum(SIZES);

/** Goals on the phone of the hard tasks. */
const HARD_GOALS = [
  z.strictObject({ kind: z.literal('first'), shop: Shop, query: Goods }),
  z.strictObject({ kind: z.literal('cheapest'), shop: Shop, query: Goods }),
  z.strictObject({
    kind: z.literal('under'),
    shop: Shop,
    query: Goods,
    limit: z.union(LIMITS.map((limit) => z.literal(limit))),
  }),
  z.strictObject({ kind: z.literal('buy'), shop: Shop, query: Goods, size: Size, cheapest: z.boolean() }),
  z.strictObject({ kind: z.literal('buy-two'), shop: Shop, query: Goods, other: Goods, size: Size }),
  z.strictObject({ kind: z.literal('take-out'), shop: Shop, query: Goods, cart: z.array(Goods).min(1).max(3) }),
  z.strictObject({
    kind: z.literal('switches'),
    first: z.enum(SWITCHES),
    firstOn: z.boolean(),
    second: z.enum(SWITCHES),
    secondOn: z.boolean(),
  }),
  z.strictObject({
    kind: z.literal('contact'),
    name: z.enum(PEOPLE),
    number: z.string().regex(/^[0-9]+$/, 'expected digits'),
    label: z.enum(LABELS),
  }),
  z.strictObject({ kind: z.literal('message'), to: z.enum(PEOPLE), message: Words }),
  z.strictObject({ kind: z.literal('forward'), from: z.enum(PEOPLE), to: z.enum(PEOPLE) }),
] as const;

/** A goal in a list of tasks for the embedded phone (docs/phone.md). */
const PhoneGoal: z.ZodType<Goal> = z.discriminatedUnion(
  'kind',
  [
    z.strictObject({ kind: z.literal('shop'), shop: Shop }),
    z.strictObject({ kind: z.literal('results'), shop: Shop, query: Goods }),
    z.strictObject({ kind: z.literal('product'), shop: Shop, query: Goods }),
    z.strictObject({ kind: z.literal('open'), app: z.enum(['browser', 'settings', 'clock', ...PLAIN_APPS]) }),
    z.strictObject({ kind: z.literal('web'), query: Words }),
    z.strictObject({ kind: z.literal('switch'), name: z.enum(SWITCHES), on: z.boolean() }),
    z.strictObject({ kind: z.literal('tab'), tab: z.enum(CLOCK_TABS) }),
    z.strictObject({ kind: z.literal('stopwatch') }),
    z.strictObject({
      kind: z.literal('timer'),
      minutes: z.union(TIMER_MINUTES.map((minutes) => z.literal(minutes))),
    }),
    ...HARD_GOALS,
    z.strictObject({ kind: z.literal('alarm'), hour: z.int().min(1).max(12), half: z.enum(['am', 'pm']) }),
  ],
  {
    error:
      'expected shop, results, product, open, web, switch, tab, stopwatch, timer, alarm, or a goal of the hard sets',
  },
) as unknown as z.ZodType<Goal>;

/**
 * Checks that the embedded phone can be set up for every task of a user's list.
 * @param file the list's file, for messages
 * @throws UserError that names the task and what is wrong with its goal
 */
export function checkPhoneTasks(tasks: readonly Task[], file: string): void {
  for (const { id, goal } of tasks) {
    if (goal === undefined) {
      throw new UserError(
        `${file}: task ${id} has no goal; the embedded phone needs a .jsonl list of tasks with goals (docs/phone.md)`,
      );
    }
    const { success, error } = PhoneGoal.safeParse(goal);
    if (success) continue;
    const [issue] = error.issues;
    const where = ['goal', ...issue.path].join('.');
    throw new UserError(`${file}: task ${id}: ${where}: ${issue.message}; docs/phone.md lists the goals`);
  }
}
