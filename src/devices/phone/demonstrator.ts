import type { Random } from '../../random.js';
import { tap, type Action } from '../action.js';
import { expert, tapOn } from './expert.js';
import { DEFAULT_GRID, gridPoints, SCREEN, type Grid } from './geometry.js';
import { goalOf, type Goal } from './goal.js';
import type { Phone } from './phone.js';
import { shown } from './state.js';
import { goods, shopAddresses } from './words.js';

/**
 * How often the person errs, each a probability at every step where the error can be made; `noise` scales them all.
 * The defaults make about half of the demonstrations fail, from every one of these causes.
 */
export interface Habits {
  /** opens another app from the launcher */
  readonly wrongIcon: number;
  /** taps beside the target */
  readonly nearMiss: number;
  /** types another shop or other goods; does not notice `unnoticed` of the time, and carries on with what was typed */
  readonly mistype: number;
  readonly unnoticed: number;
  /** acts as if the cookie banner were not there */
  readonly ignoreBanner: number;
  /** takes the sponsored entry for the first; half of the time believes to have arrived */
  readonly tapSponsored: number;
  /** declares the task complete when part of it is done: on the shop's page, on the results, while a page loads */
  readonly stopShort: number;
  /** declares the task complete, or impossible, anywhere */
  readonly giveUp: number;
  /** presses back or home for no reason */
  readonly needlessKey: number;
}

export const DEFAULT_HABITS: Habits = {
  wrongIcon: 0.1,
  nearMiss: 0.05,
  mistype: 0.1,
  unnoticed: 0.6,
  ignoreBanner: 0.4,
  tapSponsored: 0.45,
  stopShort: 0.12,
  giveUp: 0.015,
  needlessKey: 0.03,
};

export type Fault = Exclude<keyof Habits, 'unnoticed'>;

export interface DemonstratorSettings {
  /** factor on all habits: 0 a faultless expert, 1 the habits as they are */
  readonly noise: number;
  readonly habits: Habits;
  readonly grid: Grid;
}

/** One person doing one task; remembers what it believes to have done. */
export interface Demonstrator {
  /** The next action, and the fault in it if there is one. */
  next(phone: Phone): { action: Action; fault?: Fault };
}

/**
 * A scripted, imperfect person. It looks at the phone's state, which an agent never may.
 *
 * @returns a function that makes the person of one episode from the episode's own stream of random numbers
 */
export function demonstrator(settings: Partial<DemonstratorSettings> = {}): (random: Random) => Demonstrator {
  const { noise, habits, grid } = { noise: 1, habits: DEFAULT_HABITS, grid: DEFAULT_GRID, ...settings };
  return (random) => {
    /** what the person believes the task to be, once that differs from what it is */
    let belief: Goal | undefined;
    const errs = (fault: keyof Habits) => random.chance(noise * habits[fault]);
    return {
      next(phone) {
        const goal = belief ?? goalOf(phone.task);
        const action = expert(phone, { grid, random, goal });
        const slip = fault(phone, goal, action);
        return slip ?? { action };
      },
    };

    function fault(phone: Phone, goal: Goal, right: Action): { action: Action; fault: Fault } | undefined {
      const page = shown(phone.state);
      const view = phone.view();
      const has = (id: string) => view.elements.some((element) => element.id === id);
      const press = (id: string) => tapOn(view, id, grid, random);
      const complete: Action = { type: 'STATUS_TASK_COMPLETE' };

      if (has('banner') && errs('ignoreBanner')) {
        return { action: behindBanner(phone, goal), fault: 'ignoreBanner' };
      }
      if (has('sponsored') && goal.kind === 'product' && page.kind === 'results' && page.query === goal.query) {
        const reachable = !has('banner') && !has('keyboard') && page.scroll === 0 && !phone.state.loading;
        if (reachable && errs('tapSponsored')) return { action: press('sponsored'), fault: 'tapSponsored' };
      }
      if (
        page.kind === 'product' &&
        page.rank === 'sponsored' &&
        goal.kind === 'product' &&
        random.chance(noise * 0.5)
      ) {
        return { action: complete, fault: 'tapSponsored' };
      }
      if (right.type !== 'STATUS_TASK_COMPLETE' && partlyDone(phone, goal) && errs('stopShort')) {
        return { action: complete, fault: 'stopShort' };
      }
      if (right.type === 'TYPE' && errs('mistype')) {
        const wrong = mistyped(goal, right.text);
        if (random.chance(habits.unnoticed)) belief = wrong.belief;
        return { action: { type: 'TYPE', text: wrong.text }, fault: 'mistype' };
      }
      if (right.type === 'DUAL_POINT') {
        const icons = view.elements.filter(({ id, tap: effect }) => id.startsWith('icon:') && effect !== undefined);
        if (page.kind === 'launcher' && icons.length > 1 && errs('wrongIcon')) {
          const others = icons.filter(({ id }) => id !== iconOf(phone, right));
          return { action: press(random.pick(others).id), fault: 'wrongIcon' };
        }
        if (errs('nearMiss')) return { action: beside(right), fault: 'nearMiss' };
      }
      if (errs('giveUp')) {
        return { action: random.chance(0.5) ? complete : { type: 'STATUS_TASK_IMPOSSIBLE' }, fault: 'giveUp' };
      }
      if (right.type !== 'STATUS_TASK_COMPLETE' && page.kind !== 'launcher' && errs('needlessKey')) {
        return { action: { type: random.chance(0.7) ? 'PRESS_BACK' : 'PRESS_HOME' }, fault: 'needlessKey' };
      }
      return undefined;
    }

    /** What one would do were there no banner: say that one has arrived, or tap where the page's field is. */
    function behindBanner(phone: Phone, goal: Goal): Action {
      const field = phone.view().elements.find(({ id }) => id === 'field:search');
      if (goal.kind === 'shop' || !field) return { type: 'STATUS_TASK_COMPLETE' };
      const { x, y, w, h } = field.rect;
      const points = gridPoints(grid, (px, py) => px >= x && px < x + w && py >= y && py < y + h);
      return tap(random.pick(points));
    }

    /** Another shop or other goods of the train split, one piece of the name kept. */
    function mistyped(goal: Goal, text: string): { text: string; belief: Goal } {
      if ('shop' in goal && text === goal.shop) {
        const shop = random.pick(shopAddresses('train').filter((address) => address !== text));
        return { text: shop, belief: { ...goal, shop } };
      }
      const word = random.pick(text.split(' '));
      const near = goods('train').filter((thing) => thing !== text && thing.split(' ').includes(word));
      const query = random.pick(near);
      return { text: query, belief: 'query' in goal ? { ...goal, query } : goal };
    }

    /** A grid point one or two cells away from the right one, still on the screen. */
    function beside(right: Extract<Action, { type: 'DUAL_POINT' }>): Action {
      const [y, x] = right.touch;
      const near = gridPoints(grid, (px, py) => {
        const rows = Math.round(Math.abs(py / SCREEN.height - y) * grid.rows);
        const columns = Math.round(Math.abs(px / SCREEN.width - x) * grid.columns);
        return rows + columns > 0 && rows <= 2 && columns <= 2;
      });
      return tap(random.pick(near));
    }
  };
}

function iconOf(phone: Phone, action: Extract<Action, { type: 'DUAL_POINT' }>): string | undefined {
  const [y, x] = [action.touch[0] * SCREEN.height, action.touch[1] * SCREEN.width];
  return phone
    .view()
    .elements.find(
      ({ rect }) => x >= rect.x && x < rect.x + rect.w && y >= rect.y && y < rect.y + rect.h && rect.w < 100,
    )?.id;
}

/** Whether a hasty person could take this screen for the end of the task. */
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
