import { UserError } from '../../errors.js';
import type { Task } from '../../data/task.js';
import { hardAchieved, HARD_KINDS, isHard, type HardGoal } from './hard/goal.js';
import { variantPrices } from './hard/state.js';
import { viewOf } from './view.js';
import { elementAt } from './element.js';
import { shown, type AppName, type ClockTab, type PhoneState, type SwitchName } from './state.js';
import { firstPage } from './screens/launcher.js';
import type { World } from './world.js';

/** A task's goal as a state of the phone. */
export type Goal =
  | { kind: 'shop'; shop: string }
  | { kind: 'results'; shop: string; query: string }
  | { kind: 'product'; shop: string; query: string }
  | { kind: 'open'; app: AppName }
  | { kind: 'web'; query: string }
  | { kind: 'switch'; name: SwitchName; on: boolean }
  | { kind: 'tab'; tab: ClockTab }
  | { kind: 'stopwatch' }
  | { kind: 'timer'; minutes: number }
  | { kind: 'alarm'; hour: number; half: 'am' | 'pm' }
  | HardGoal;

const KINDS: readonly string[] = [
  'shop',
  'results',
  'product',
  'open',
  'web',
  'switch',
  'tab',
  'stopwatch',
  'timer',
  'alarm',
  ...HARD_KINDS,
] satisfies Goal['kind'][];

/** A task's goal. @throws UserError for a task that was not made for the embedded phone */
export function goalOf(task: Task): Goal {
  const kind = task.goal?.kind;
  if (typeof kind !== 'string' || !KINDS.includes(kind)) {
    throw new UserError(
      `phone: task ${task.id}: goal.kind: expected one of ${KINDS.join(', ')}, got ${JSON.stringify(kind)} (docs/phone.md)`,
    );
  }
  return task.goal as unknown as Goal;
}

/** Changes the phone's state so that the goal is not reached yet: a switch to turn on starts off, and so on. */
export function prepare(state: PhoneState, goal: Goal): void {
  if (goal.kind === 'switch') state.switches[goal.name] = !goal.on;
  if (goal.kind === 'switches') {
    state.switches[goal.first] = !goal.firstOn;
    state.switches[goal.second] = !goal.secondOn;
  }
  if (goal.kind === 'alarm') {
    state.alarms = state.alarms.filter((alarm) => alarm.hour !== goal.hour || alarm.half !== goal.half);
  }
}

/**
 * Whether the current screen reaches the goal: the right page has loaded, and no dialog or cookie banner covers it. For a
 * shop goal only the shop's home page counts; for a product goal only the first entry that is not sponsored.
 */
export function isAchieved(world: World, state: PhoneState, goal: Goal): boolean {
  const page = shown(state);
  if (state.loading || state.dialog) return false;
  if ('shop' in page && world.shop(page.shop).banner && !state.accepted.has(page.shop)) return false;
  if (goal.kind === 'switches') {
    const { switches } = state;
    return page.kind === 'group' && switches[goal.first] === goal.firstOn && switches[goal.second] === goal.secondOn;
  }
  if (isHard(goal)) {
    const prices = (shop: string, query: string) => variantPrices(world.seed, shop, query);
    return hardAchieved(goal, page, state.hard!, { seed: world.seed, prices });
  }
  switch (goal.kind) {
    case 'shop':
      return page.kind === 'shop' && page.shop === goal.shop;
    case 'results':
      return page.kind === 'results' && page.shop === goal.shop && page.query === goal.query;
    case 'product':
      return page.kind === 'product' && page.shop === goal.shop && page.query === goal.query && page.rank === 0;
    case 'open': {
      const first = firstPage(goal.app);
      if (page.kind === 'plain') return page.app === goal.app;
      return page.kind === first.kind;
    }
    case 'web':
      return page.kind === 'web' && page.query === goal.query;
    case 'switch':
      return page.kind === 'settings' && state.switches[goal.name] === goal.on && canSee(world, state, goal.name);
    case 'tab':
      return page.kind === 'clock' && page.tab === goal.tab;
    case 'stopwatch':
      return page.kind === 'clock' && page.tab === 'stopwatch' && state.stopwatch;
    case 'timer':
      return page.kind === 'clock' && page.tab === 'timer' && state.timer === goal.minutes;
    case 'alarm':
      return (
        page.kind === 'clock' &&
        page.tab === 'alarm' &&
        state.alarms.some(({ hour, half, on }) => on && hour === goal.hour && half === goal.half)
      );
  }
}

/** Whether the centre of a switch's row is visible. */
function canSee(world: World, state: PhoneState, name: SwitchName): boolean {
  const view = viewOf(world, state);
  const row = view.elements.find(({ id }) => id === `switch:${name}`)!;
  return elementAt(view, row.rect.x + row.rect.w / 2, row.rect.y + row.rect.h / 2) === row;
}
