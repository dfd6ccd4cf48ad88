import { RunError } from '../../errors.js';
import type { Random } from '../../random.js';
import { tap, type Action } from '../../data/action.js';
import { elementAt, type View } from './element.js';
import { gridPoint, gridPoints, SCREEN, type Grid } from './geometry.js';
import { goalOf, type Goal } from './goal.js';
import { hardApp, hardExpert } from './hard/expert.js';
import { isHard, type HardGoal } from './hard/goal.js';
import type { Phone } from './phone.js';
import { shown, type AppName } from './state.js';

/** A tap on the element, at the centre of a random grid cell at which a finger hits it. */
export function tapOn(view: View, id: string, grid: Grid, random: Random): Action {
  const points = pointsOf(view, id, grid);
  if (points.length === 0) {
    throw new RunError(
      `phone: no cell of the ${grid.rows} x ${grid.columns} grid has its centre on ${id}; use a finer grid, or scroll the element into view`,
    );
  }
  return tap(random.pick(points));
}

/** The grid points at which a finger hits the element, not something that covers it. */
export function pointsOf(view: View, id: string, grid: Grid) {
  return gridPoints(grid, (x, y) => elementAt(view, x, y)?.id === id);
}

/** A swipe along the middle of the screen that moves a list down (`1`) or up (`-1`), between grid points. */
export function scrollBy(direction: 1 | -1, grid: Grid, random: Random): Action {
  const column = Math.floor(grid.columns / 2) - random.int(2);
  const [low, high] = [Math.floor(grid.rows * 0.72), Math.floor(grid.rows * 0.38)];
  const [from, to] = direction === 1 ? [low, high] : [high, low];
  return { type: 'DUAL_POINT', touch: gridPoint(from, column, grid), lift: gridPoint(to, column, grid) };
}

/** A swipe to the next page of the launcher. */
export function nextLauncherPage(grid: Grid, random: Random): Action {
  const row = Math.floor(grid.rows / 2) + random.int(3);
  const [from, to] = [Math.floor(grid.columns * 0.8), Math.floor(grid.columns * 0.15)];
  return { type: 'DUAL_POINT', touch: gridPoint(row, from, grid), lift: gridPoint(row, to, grid) };
}

/**
 * The right next action by the phone's state; among several equally right points one is drawn at random.
 *
 * @param goal the goal to reach; the task's own unless a person has misunderstood it
 */
export function expert(phone: Phone, options: { grid: Grid; random: Random; goal?: Goal }): Action {
  const { grid, random } = options;
  const goal = options.goal ?? goalOf(phone.task);
  const { state } = phone;
  const page = shown(state);
  const view = phone.view();
  const press = (id: string) => tapOn(view, id, grid, random);
  const canTap = (id: string) => pointsOf(view, id, grid).length > 0;
  if (state.loading) return press('spinner');
  if (phone.reached(goal)) return { type: 'STATUS_TASK_COMPLETE' };
  if (state.dialog) return press(random.chance(0.5) ? 'dialog:no' : 'dialog:yes');

  if (page.kind === 'launcher') {
    const app = isHard(goal) ? hardApp(goal, state) : appFor(goal);
    const has = (id: string) => view.elements.some((element) => element.id === id);
    return has(`icon:${app}`) ? press(`icon:${app}`) : nextLauncherPage(grid, random);
  }
  if (isHard(goal)) {
    const has = (id: string) => view.elements.some((element) => element.id === id);
    const scroll = (direction: 1 | -1) => scrollBy(direction, grid, random);
    return hardExpert(goal, { state, page, seed: phone.world.seed }, { press, canTap, has, scroll });
  }
  switch (goal.kind) {
    case 'open':
      return { type: 'PRESS_HOME' };
    case 'shop':
    case 'results':
    case 'product':
    case 'web':
      return browse(phone, goal, { press, canTap, scrollUp: () => scrollBy(-1, grid, random) });
    case 'switch': {
      if (page.kind !== 'settings') return { type: 'PRESS_HOME' };
      const id = `switch:${goal.name}`;
      if (canTap(id) && phone.state.switches[goal.name] !== goal.on) return press(id);
      const row = view.elements.find((element) => element.id === id)!;
      return scrollBy(row.rect.y > SCREEN.height / 2 ? 1 : -1, grid, random);
    }
    default:
      return useClock(phone, goal, press);
  }
}

function appFor(goal: Exclude<Goal, HardGoal>): AppName {
  switch (goal.kind) {
    case 'open':
      return goal.app;
    case 'switch':
      return 'settings';
    case 'shop':
    case 'results':
    case 'product':
    case 'web':
      return 'browser';
    default:
      return 'clock';
  }
}

/** The next action for filling in a field: focus it, type, press ENTER. */
function fill(phone: Phone, field: 'address' | 'search', text: string, press: (id: string) => Action): Action {
  if (phone.state.focus !== field) return press(`field:${field}`);
  return phone.state.text === text ? { type: 'PRESS_ENTER' } : { type: 'TYPE', text };
}

function browse(
  phone: Phone,
  goal: Extract<Goal, { kind: 'shop' | 'results' | 'product' | 'web' }>,
  hand: { press: (id: string) => Action; canTap: (id: string) => boolean; scrollUp: () => Action },
): Action {
  const { press, canTap, scrollUp } = hand;
  const page = shown(phone.state);
  const back: Action = { type: 'PRESS_BACK' };
  switch (page.kind) {
    case 'start':
    case 'missing':
    case 'web':
      return fill(phone, 'address', goal.kind === 'web' ? goal.query : goal.shop, press);
    case 'shop':
    case 'results':
    case 'product':
      if (goal.kind === 'web' || page.shop !== goal.shop) return back;
      if (phone.view().elements.some(({ id }) => id === 'banner')) return press('banner:accept');
      if (page.kind === 'product' || goal.kind === 'shop') return back;
      if (page.kind === 'results' && page.query === goal.query && phone.state.focus === undefined) {
        return canTap('entry:0') ? press('entry:0') : scrollUp();
      }
      if (page.kind === 'results' && page.query === goal.query) return back;
      return fill(phone, 'search', goal.query, press);
    case 'privacy':
      return back;
    default:
      return { type: 'PRESS_HOME' };
  }
}

function useClock(
  phone: Phone,
  goal: Extract<Goal, { kind: 'tab' | 'stopwatch' | 'timer' | 'alarm' }>,
  press: (id: string) => Action,
): Action {
  const page = shown(phone.state);
  if (page.kind === 'new-alarm') {
    if (goal.kind !== 'alarm') return { type: 'PRESS_BACK' };
    if (page.hour !== goal.hour) return press(`hour:${goal.hour}`);
    return press(page.half === goal.half ? 'save-alarm' : `half:${goal.half}`);
  }
  if (page.kind !== 'clock') return { type: 'PRESS_HOME' };
  const tab = goal.kind === 'tab' ? goal.tab : goal.kind;
  if (page.tab !== tab) return press(`tab:${tab}`);
  switch (goal.kind) {
    case 'alarm': {
      const index = phone.state.alarms
        .slice(0, 4)
        .findIndex(({ hour, half }) => hour === goal.hour && half === goal.half);
      return press(index >= 0 ? `alarm:${index}` : 'new-alarm');
    }
    case 'timer':
      return press(`timer:${goal.minutes}`);
    default:
      return press('stopwatch');
  }
}
