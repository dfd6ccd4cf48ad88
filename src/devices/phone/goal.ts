import { UserError } from '../../errors.js';
import type { Task } from '../../data/task.js';
import { viewOf } from './view.js';
import { elementAt } from './element.js';
import { shown, type AppName, type ClockTab, type PhoneState, type SwitchName } from './state.js';
import { firstPage } from './screens/launcher.js';
import type { World } from './world.js';

/** What a task asks for, as states of the phone. */
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
  | { kind: 'alarm'; hour: number; half: 'am' | 'pm' };

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
] satisfies Goal['kind'][];

/** The goal a task carries. Throws UserError for a task that was not made for the embedded phone. */
export function goalOf(task: Task): Goal {
  const kind = task.goal?.kind;
  if (typeof kind !== 'string' || !KINDS.includes(kind)) {
    throw new UserError(
      `phone: task ${task.id} has no goal this device knows (goal.kind ${String(kind)}); use tasks from phoneTasks() or a list as in docs/phone.md`,
    );
  }
  return task.goal as unknown as Goal;
}

/** Put the phone's state where the goal is not reached yet: a switch to be turned on starts off, and so on. */
export function prepare(state: PhoneState, goal: Goal): void {
  if (goal.kind === 'switch') state.switches[goal.name] = !goal.on;
  if (goal.kind === 'alarm') {
    state.alarms = state.alarms.filter((alarm) => alarm.hour !== goal.hour || alarm.half !== goal.half);
  }
}

/**
 * Whether the goal is reached on the screen shown now: the right page has arrived and neither a question nor a cookie
 * banner covers it. A shop's home page is reached only as such; entries count from the first that is not sponsored.
 */
export function isAchieved(world: World, state: PhoneState, goal: Goal): boolean {
  const page = shown(state);
  if (state.loading || state.dialog) return false;
  if ('shop' in page && world.shop(page.shop).banner && !state.accepted.has(page.shop)) return false;
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

/** Whether the middle of a switch's row is on the screen. */
function canSee(world: World, state: PhoneState, name: SwitchName): boolean {
  const view = viewOf(world, state);
  const row = view.elements.find(({ id }) => id === `switch:${name}`)!;
  return elementAt(view, row.rect.x + row.rect.w / 2, row.rect.y + row.rect.h / 2) === row;
}
