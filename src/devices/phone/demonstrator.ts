import type { Random } from '../../random.js';
import { isTap, tap, type Action } from '../../data/action.js';
import { elementAt, type View } from './element.js';
import { expert, pointsOf, tapOn } from './expert.js';
import { DEFAULT_GRID, gridPoints, SCREEN, type Grid } from './geometry.js';
import { goalOf, type Goal } from './goal.js';
import { believed } from './hard/gaps.js';
import { isHard } from './hard/goal.js';
import type { Phone } from './phone.js';
import { CLOCK_TABS, shown, SWITCHES, type AppName, type ClockTab, type SwitchName } from './state.js';
import { goods, shopAddresses } from './words.js';

/**
 * The person's error rates: each is a probability at every step where the error is possible, scaled by `noise`. With the
 * defaults about half of the demonstrations fail, for all of these causes.
 */
export interface Habits {
  /** opens another app from the launcher */
  readonly wrongIcon: number;
  /** taps the wrong switch, tab, hour or entry */
  readonly wrongTarget: number;
  /** taps beside the target */
  readonly nearMiss: number;
  /** types another shop or other goods */
  readonly mistype: number;
  /** does not notice a wrong icon, target, entry or text, and carries on as if it were right (not scaled) */
  readonly unnoticed: number;
  /** acts as if the cookie banner were not there */
  readonly ignoreBanner: number;
  /** takes the sponsored entry for the first one */
  readonly tapSponsored: number;
  /** declares the task complete when only part of it is done: on the shop's page, on the results, while a page loads */
  readonly stopShort: number;
  /** declares the task complete, or impossible, anywhere */
  readonly giveUp: number;
  /** presses back or home for no reason */
  readonly needlessKey: number;
}

export const DEFAULT_HABITS: Habits = {
  wrongIcon: 0.1,
  wrongTarget: 0.15,
  nearMiss: 0.05,
  mistype: 0.13,
  unnoticed: 0.6,
  ignoreBanner: 0.45,
  tapSponsored: 0.5,
  stopShort: 0.13,
  giveUp: 0.02,
  needlessKey: 0.03,
};

export type Fault = Exclude<keyof Habits, 'unnoticed'>;

export interface DemonstratorSettings {
  /** factor on all habits: 0 makes a faultless expert, 1 keeps the habits unchanged */
  readonly noise: number;
  readonly habits: Habits;
  /** factor on the skills that people of the hard tasks lack (hard/gaps.ts): 0 for none */
  readonly gaps: number;
  readonly grid: Grid;
}

/** A person doing one task, with a memory of what it believes to have done. */
export interface Demonstrator {
  /** The next action, and its fault if it has one. */
  next(phone: Phone): { action: Action; fault?: Fault };
}

/**
 * A scripted, imperfect person. It reads the phone's state, which agents never do.
 *
 * @returns a function that makes the person of one episode from the episode's own random stream
 */
export function demonstrator(settings: Partial<DemonstratorSettings> = {}): (random: Random) => Demonstrator {
  const { noise, habits, gaps, grid } = {
    noise: 1,
    habits: DEFAULT_HABITS,
    gaps: 1,
    grid: DEFAULT_GRID,
    ...settings,
  };
  return (random) => {
    /** the goal that the person believes in, once it differs from the real one */
    let belief: Goal | undefined;
    /** whether the person believes that its last tap reached the goal */
    let arrived = false;
    const errs = (fault: keyof Habits) => random.chance(noise * habits[fault]);
    return {
      next(phone) {
        const own = goalOf(phone.task);
        if (isHard(own)) belief ??= believed(own, random, gaps);
        const goal = belief ?? own;
        if (arrived && !phone.state.loading) return { action: COMPLETE };
        const action = expert(phone, { grid, random, goal });
        const slip = fault(phone, goal, action);
        return slip ?? { action };
      },
    };

    function fault(phone: Phone, goal: Goal, right: Action): { action: Action; fault: Fault } | undefined {
      const { state } = phone;
      const page = shown(state);
      const view = phone.view();
      const has = (id: string) => view.elements.some((element) => element.id === id);

      if (has('banner') && errs('ignoreBanner')) {
        return { action: behindBanner(phone, goal), fault: 'ignoreBanner' };
      }
      if (target(view, right) === 'entry:0' && has('sponsored') && pointsOf(view, 'sponsored', grid).length > 0) {
        if (errs('tapSponsored')) {
          arrived = random.chance(habits.unnoticed);
          return { action: tapOn(view, 'sponsored', grid, random), fault: 'tapSponsored' };
        }
      }
      if (right.type !== 'STATUS_TASK_COMPLETE' && partlyDone(phone, goal) && errs('stopShort')) {
        return { action: COMPLETE, fault: 'stopShort' };
      }
      if (right.type === 'TYPE' && errs('mistype')) {
        const wrong = mistyped(goal, right.text);
        if (random.chance(habits.unnoticed)) belief = wrong.belief;
        return { action: { type: 'TYPE', text: wrong.text }, fault: 'mistype' };
      }
      if (right.type === 'DUAL_POINT') {
        const [kind] = target(view, right)?.split(':') ?? [];
        if (errs(kind === 'icon' ? 'wrongIcon' : 'wrongTarget')) {
          const action = besideTarget(view, goal, target(view, right));
          if (action) return { action, fault: kind === 'icon' ? 'wrongIcon' : 'wrongTarget' };
        }
        if (errs('nearMiss')) return { action: near(right), fault: 'nearMiss' };
      }
      if (errs('giveUp')) {
        return { action: random.chance(0.5) ? COMPLETE : { type: 'STATUS_TASK_IMPOSSIBLE' }, fault: 'giveUp' };
      }
      if (right.type !== 'STATUS_TASK_COMPLETE' && page.kind !== 'launcher' && errs('needlessKey')) {
        return { action: { type: random.chance(0.7) ? 'PRESS_BACK' : 'PRESS_HOME' }, fault: 'needlessKey' };
      }
      return undefined;
    }

    /** Id of the element that a tap hits. */
    function target(view: View, action: Action): string | undefined {
      if (!isTap(action)) return undefined;
      return elementAt(view, action.touch[1] * SCREEN.width, action.touch[0] * SCREEN.height)?.id;
    }

    /** Taps another element of the same kind: icon, switch, tab, hour, entry. If unnoticed, the person believes in it. */
    function besideTarget(view: View, goal: Goal, id: string | undefined): Action | undefined {
      const [kind, name] = id?.split(':') ?? [];
      if (!KINDS_OF_TARGET.includes(kind)) return undefined;
      const others = view.elements
        .filter((element) => element.id.startsWith(`${kind}:`) && element.id !== `${kind}:${name}`)
        .filter((element) => pointsOf(view, element.id, grid).length > 0);
      if (others.length === 0) return undefined;
      const other = random.pick(others).id;
      if (random.chance(habits.unnoticed)) {
        if (kind === 'entry') arrived = true;
        else belief = misunderstood(goal, other.slice(kind.length + 1));
      }
      return tapOn(view, other, grid, random);
    }

    /** The action as if there were no banner: declare completion, or tap where the page's field is. */
    function behindBanner(phone: Phone, goal: Goal): Action {
      const field = phone.view().elements.find(({ id }) => id === 'field:search');
      if (goal.kind === 'shop' || !field) return COMPLETE;
      const { x, y, w, h } = field.rect;
      const points = gridPoints(grid, (px, py) => px >= x && px < x + w && py >= y && py < y + h);
      return tap(random.pick(points));
    }

    /** Another shop, or goods that share a word with the right ones; both from the train split. */
    function mistyped(goal: Goal, text: string): { text: string; belief: Goal } {
      if ('shop' in goal && text === goal.shop) {
        const shop = random.pick(shopAddresses('train').filter((address) => address !== text));
        return { text: shop, belief: { ...goal, shop } };
      }
      const word = random.pick(text.split(' '));
      const near = goods('train').filter((thing) => thing !== text && thing.split(' ').includes(word));
      // a number, a name, a code: a letter is missing, and one sees it
      if (near.length === 0) return { text: text.slice(0, -1), belief: goal };
      const query = random.pick(near);
      return { text: query, belief: 'query' in goal && !isHard(goal) ? { ...goal, query } : goal };
    }

    /** A grid point one or two cells away from the right one, on the screen. */
    function near(right: Extract<Action, { type: 'DUAL_POINT' }>): Action {
      const [y, x] = right.touch;
      const points = gridPoints(grid, (px, py) => {
        const rows = Math.round(Math.abs(py / SCREEN.height - y) * grid.rows);
        const columns = Math.round(Math.abs(px / SCREEN.width - x) * grid.columns);
        return rows + columns > 0 && rows <= 2 && columns <= 2;
      });
      return tap(random.pick(points));
    }
  };
}

const COMPLETE: Action = { type: 'STATUS_TASK_COMPLETE' };

/** Kinds with several elements, which can be confused. */
const KINDS_OF_TARGET = ['icon', 'switch', 'tab', 'hour', 'half', 'timer', 'entry'];

/** The goal of a person who confused the goal's element with `name`; unchanged if that makes no sense. */
function misunderstood(goal: Goal, name: string): Goal {
  switch (goal.kind) {
    case 'open':
      return { kind: 'open', app: name as AppName };
    case 'switch':
      return SWITCHES.includes(name as SwitchName) ? { ...goal, name: name as SwitchName } : goal;
    case 'tab':
      return CLOCK_TABS.includes(name as ClockTab) ? { kind: 'tab', tab: name as ClockTab } : goal;
    case 'timer':
      return Number(name) > 0 ? { kind: 'timer', minutes: Number(name) } : goal;
    case 'alarm':
      if (name === 'am' || name === 'pm') return { ...goal, half: name };
      return Number(name) > 0 ? { ...goal, hour: Number(name) } : goal;
    default:
      return goal;
  }
}

/** Whether a hasty person could believe that the task is complete on this screen. */
function partlyDone(phone: Phone, goal: Goal): boolean {
  const page = shown(phone.state);
  if (phone.state.focus !== undefined) return false;
  switch (goal.kind) {
    case 'shop':
    case 'results':
    case 'product':
      return 'shop' in page && page.shop === goal.shop && page.kind !== 'privacy';
    case 'open':
      return false;
    case 'web':
      return phone.state.loading;
    case 'switch':
      return page.kind === 'settings';
    default:
      return page.kind === 'clock';
  }
}
