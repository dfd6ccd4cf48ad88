import type { Action } from '../../../data/action.js';
import type { PhoneState, Page, SwitchName } from '../state.js';
import { itemText, wantedCart, wantedVariant, type HardGoal } from './goal.js';
import {
  mailCode,
  SETTINGS_GROUPS,
  variantPrices,
  type CartItem,
  type FormField,
  type SettingsGroup,
} from './state.js';

/** What the expert's hand can do on the current screen. */
export interface Hand {
  readonly press: (id: string) => Action;
  readonly canTap: (id: string) => boolean;
  readonly scroll: (direction: 1 | -1) => Action;
  readonly has: (id: string) => boolean;
}

export interface Seen {
  readonly state: PhoneState;
  readonly page: Page;
  /** seed of the phone's world */
  readonly seed: number;
}

const BACK: Action = { type: 'PRESS_BACK' };
const HOME: Action = { type: 'PRESS_HOME' };
const ENTER: Action = { type: 'PRESS_ENTER' };

/** The app that a hard goal needs next. */
export function hardApp(
  goal: HardGoal,
  { hard }: PhoneState,
): 'browser' | 'settings' | 'contacts' | 'mail' | 'messages' {
  switch (goal.kind) {
    case 'switches':
      return 'settings';
    case 'contact':
      return 'contacts';
    case 'message':
      return 'messages';
    case 'forward':
      return hard!.clipboard === '' ? 'mail' : 'messages';
    default:
      return 'browser';
  }
}

/** The right next action for a hard goal, outside the launcher; the goal is not reached, and no dialog is open. */
export function hardExpert(goal: HardGoal, seen: Seen, hand: Hand): Action {
  if (hopeless(goal, seen)) return { type: 'STATUS_TASK_IMPOSSIBLE' };
  switch (goal.kind) {
    case 'switches':
      return setSwitches(goal, seen, hand);
    case 'contact':
      return fillContact(goal, seen, hand);
    case 'message':
    case 'forward':
      return write(goal, seen, hand);
    default:
      return shopFor(goal, seen, hand);
  }
}

/** Whether nothing leads to the goal any more: an order was placed, or something wrong was sent or saved. */
function hopeless(goal: HardGoal, { state: { hard }, seed }: Seen): boolean {
  const { ordered, sent, contacts } = hard!;
  if (ordered) return true;
  const only = <T>(all: readonly T[], right: (one: T) => boolean) => all.length > 1 || all.some((one) => !right(one));
  switch (goal.kind) {
    case 'contact':
      return only(contacts, ({ name, number, label }) => name === goal.name && number === goal.number && label === goal.label); // prettier-ignore
    case 'message':
    case 'forward': {
      const right = goal.kind === 'message' ? goal.message : mailCode(seed, goal.from);
      return only(sent, ({ to, message }) => to === goal.to && message === right);
    }
    default:
      return false;
  }
}

/** The next action for filling in a field. */
function fill({ state }: Seen, hand: Hand, field: FormField | 'address' | 'search', text: string): Action {
  if (state.focus !== field) return hand.press(`field:${field}`);
  return state.text === text ? ENTER : { type: 'TYPE', text };
}

function shopFor(goal: Extract<HardGoal, { shop: string }>, seen: Seen, hand: Hand): Action {
  const { page, state, seed } = seen;
  if (page.kind === 'start' || page.kind === 'missing' || page.kind === 'web')
    return fill(seen, hand, 'address', goal.shop);
  if (!('shop' in page)) return HOME;
  if (page.shop !== goal.shop) return state.focus === 'address' ? fill(seen, hand, 'address', goal.shop) : BACK;
  if (hand.has('banner')) return hand.press('banner:accept');
  if (page.kind === 'privacy' || page.kind === 'sort' || page.kind === 'limit' || page.kind === 'product') {
    if (page.kind === 'sort' && sorts(goal)) return hand.press('sort:price');
    if (page.kind === 'limit' && goal.kind === 'under') return hand.press(`limit:${goal.limit}`);
    return BACK;
  }
  if (page.kind === 'ordered') return BACK;
  const prices = (query: string) => variantPrices(seed, goal.shop, query);
  const wanted = wantedCart(goal, prices);
  const cart = state.hard!.cart;
  // something that must not be in the cart comes out first
  const extra = wanted === undefined ? -1 : surplus(cart, wanted);
  if (extra >= 0) {
    if (page.kind === 'cart')
      return hand.canTap(`remove:${extra}`) ? hand.press(`remove:${extra}`) : hand.press('remove:0');
    return hand.has('field:search') && state.focus !== undefined ? BACK : hand.press('cart-icon');
  }
  if (goal.kind === 'take-out') {
    // the wrong one was removed
    if (page.kind === 'cart') return hand.has('undo') ? hand.press('undo') : HOME;
    return state.focus !== undefined ? BACK : hand.press('cart-icon');
  }
  const next = wanted === undefined ? undefined : lacking(cart, wanted);
  if (wanted !== undefined && next === undefined) return page.kind === 'cart' ? HOME : state.focus !== undefined ? BACK : hand.press('cart-icon'); // prettier-ignore
  const query = next?.query ?? goal.query;
  const variant = next?.variant ?? wantedVariant(goal, prices(query));
  if (page.kind === 'cart') return BACK;
  if (page.kind === 'item') {
    if (page.query !== query || page.variant !== variant || next === undefined) return BACK;
    return page.size === next.size ? hand.press('add-item') : hand.press(`size:${next.size}`);
  }
  if (page.kind !== 'results' || page.query !== query) return fill(seen, hand, 'search', query);
  if (state.focus !== undefined) return BACK;
  return choose(goal, page, variant, seen, hand);
}

/** On the results: sort or filter where the task asks for it, then open the entry. */
function choose(
  goal: Extract<HardGoal, { shop: string }>,
  page: Extract<Page, { kind: 'results' }>,
  variant: number,
  { seed }: Seen,
  hand: Hand,
): Action {
  if (sorts(goal) && page.sort === undefined) return hand.press('chip:sort');
  if (goal.kind === 'under' && page.limit !== goal.limit) return hand.press('chip:limit');
  if (goal.kind === 'under' && page.sort !== undefined) return hand.press('chip:sort');
  const prices = variantPrices(seed, page.shop, page.query);
  const shown = prices.map((_, i) => i).filter((i) => page.limit === undefined || prices[i] < page.limit);
  if (page.sort === 'price') shown.sort((a, b) => prices[a] - prices[b]);
  const at = shown.indexOf(variant);
  // filtered away
  if (at < 0) return hand.press('chip:limit');
  const id = `entry:${at}`;
  return hand.canTap(id) ? hand.press(id) : hand.scroll(page.scroll > 0 && at < 2 ? -1 : 1);
}

const sorts = (goal: HardGoal): boolean => goal.kind === 'cheapest' || (goal.kind === 'buy' && goal.cheapest);

/** Index of a thing in the cart that is not wanted, or wanted less often; -1 if there is none. */
function surplus(cart: readonly CartItem[], wanted: readonly CartItem[]): number {
  const left = wanted.map(itemText);
  return cart.findIndex((item) => {
    const at = left.indexOf(itemText(item));
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
}

/** The first wanted thing that the cart lacks. */
function lacking(cart: readonly CartItem[], wanted: readonly CartItem[]): CartItem | undefined {
  const have = cart.map(itemText);
  return wanted.find((item) => {
    const at = have.indexOf(itemText(item));
    if (at >= 0) have.splice(at, 1);
    return at < 0;
  });
}

function groupOf(name: SwitchName): SettingsGroup {
  const groups = Object.keys(SETTINGS_GROUPS) as SettingsGroup[];
  return groups.find((group) => (SETTINGS_GROUPS[group] as readonly string[]).includes(name))!;
}

function setSwitches(goal: Extract<HardGoal, { kind: 'switches' }>, { state, page }: Seen, { press }: Hand): Action {
  const next = state.switches[goal.first] !== goal.firstOn ? goal.first : goal.second;
  if (page.kind === 'settings') return press(`group:${groupOf(next)}`);
  if (page.kind !== 'group') return HOME;
  return page.group === groupOf(next) ? press(`switch:${next}`) : BACK;
}

function fillContact(goal: Extract<HardGoal, { kind: 'contact' }>, seen: Seen, hand: Hand): Action {
  const { page } = seen;
  if (page.kind === 'people') return hand.press('new-contact');
  if (page.kind !== 'contact') return HOME;
  if (seen.state.hard!.contacts.length > 0) return BACK;
  if (page.name !== goal.name) return fill(seen, hand, 'name', goal.name);
  if (page.number !== goal.number) return fill(seen, hand, 'number', goal.number);
  if (page.label !== goal.label) return hand.press(`label:${goal.label}`);
  return hand.press('save-contact');
}

function write(goal: Extract<HardGoal, { kind: 'message' | 'forward' }>, seen: Seen, hand: Hand): Action {
  const { page, state, seed } = seen;
  const message = goal.kind === 'message' ? goal.message : mailCode(seed, goal.from);
  if (goal.kind === 'forward' && state.hard!.clipboard !== message) {
    if (page.kind === 'mails') return hand.press(`person:${goal.from}`);
    if (page.kind === 'mail') return page.from === goal.from ? hand.press('copy') : BACK;
    return HOME;
  }
  if (page.kind === 'chats') return hand.press(`person:${goal.to}`);
  if (page.kind !== 'chat') return HOME;
  if (page.to !== goal.to) return BACK;
  if (page.message === message) return hand.press('send');
  return goal.kind === 'forward' ? hand.press('paste') : fill(seen, hand, 'message', message);
}
