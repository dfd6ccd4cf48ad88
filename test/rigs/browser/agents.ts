import type { Action } from '../../../src/data/action.js';
import { SWIPE_UP, SWIPED, tapAt } from './rig.js';

/** Scripted agents for the pages of examples/web: they know the layouts and how a seed decides them. */

/** The menu page's layout by its own generator: the order of its menu entries and of its colours. */
export function menuLayout(seed: number): { entries: string[]; colours: string[] } {
  let state = seed >>> 0;
  const next = (n: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 4294967296) * n);
  };
  const shuffled = (items: string[]) => {
    for (let i = items.length - 1; i > 0; i--) {
      const j = next(i + 1);
      [items[i], items[j]] = [items[j], items[i]];
    }
    return items;
  };
  return {
    entries: shuffled(['Colour', 'Switch off', 'About', 'Help']),
    colours: shuffled('red orange gold green teal blue purple pink brown grey black white'.split(' ')),
  };
}

export const OPEN_MENU = tapAt(386, 28);

export function menuEntry(seed: number, entry: string): Action {
  return tapAt(300, 57 + 44 * menuLayout(seed).entries.indexOf(entry) + 22);
}

export function colour(seed: number, name: string): Action {
  const at = menuLayout(seed).colours.indexOf(name);
  return tapAt(24 + 36 * (at % 6) + 12, 332 + 36 * Math.floor(at / 6) + 12);
}

const FIELDS = ['name', 'guests', 'mail'];

/** A tap on a field of the form. */
export function field(seed: number, name: string): Action {
  const at = (FIELDS.indexOf(name) - (seed % 3) + 3) % 3;
  return tapAt(200, 64 + 88 * at + 52);
}

export const BOOK = tapAt(100, 362);

/** A tap on a field, then typing. */
export function fill(seed: number, name: string, text: string): Action[] {
  return [field(seed, name), { type: 'TYPE', text }];
}

/** The row that the list task asks for. */
export function letterOf(seed: number): number {
  return 24 + ((Math.imul((seed >>> 0) ^ 0x9e3779b9, 2654435761) >>> 0) % 30);
}

/** A reader of the list page: tracks the scroll position and the growing length of the list. */
export class Reader {
  private top = 0;
  private rows = 20;

  /** The swipes that bring a row onto the screen, then the tap on its button. */
  keep(row: number): Action[] {
    const actions: Action[] = [];
    const y = 56 + 64 * row + 32;
    while (y - this.top > 880) {
      actions.push(SWIPE_UP);
      const end = 56 + 64 * this.rows;
      this.top = Math.min(this.top + SWIPED, end - 915);
      if (this.top + 915 > end - 300) this.rows += 20;
    }
    return [...actions, tapAt(360, y - this.top)];
  }
}
