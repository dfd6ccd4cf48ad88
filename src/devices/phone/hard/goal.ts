import type { SwitchName } from '../switches.js';
import {
  mailCode,
  SIZES,
  type CartItem,
  type HardPage,
  type HardState,
  type Label,
  type Limit,
  type Person,
  type Size,
} from './state.js';

/** Goals of the hard tasks. */
export type HardGoal =
  | { kind: 'first'; shop: string; query: string }
  | { kind: 'cheapest'; shop: string; query: string }
  | { kind: 'under'; shop: string; query: string; limit: Limit }
  | { kind: 'buy'; shop: string; query: string; size: Size; cheapest: boolean }
  | { kind: 'buy-two'; shop: string; query: string; other: string; size: Size }
  | { kind: 'take-out'; shop: string; query: string; cart: readonly string[] }
  | { kind: 'switches'; first: SwitchName; firstOn: boolean; second: SwitchName; secondOn: boolean }
  | { kind: 'contact'; name: Person; number: string; label: Label }
  | { kind: 'message'; to: Person; message: string }
  | { kind: 'forward'; from: Person; to: Person };

export const HARD_KINDS = ['first', 'cheapest', 'under', 'buy', 'buy-two', 'take-out', 'switches', 'contact', 'message', 'forward'] satisfies HardGoal['kind'][]; // prettier-ignore

/** Whether a goal belongs to the hard world. */
export function isHard(goal: { readonly kind: string }): goal is HardGoal {
  return (HARD_KINDS as readonly string[]).includes(goal.kind);
}

/** The hard world before an episode. */
export function initialHard(goal: HardGoal): HardState {
  const cart: CartItem[] = [];
  if (goal.kind === 'take-out') {
    goal.cart.forEach((query, i) => cart.push({ shop: goal.shop, query, variant: 0, size: SIZES[i % SIZES.length] }));
  }
  return { cart, ordered: false, contacts: [], sent: [], clipboard: '' };
}

/** The variant that a task asks for, by the prices of the unsorted results. */
export function wantedVariant(goal: HardGoal, prices: readonly number[]): number {
  switch (goal.kind) {
    case 'cheapest':
      return prices.indexOf(Math.min(...prices));
    case 'under':
      return prices.findIndex((price) => price < goal.limit);
    case 'buy':
      return goal.cheapest ? prices.indexOf(Math.min(...prices)) : 0;
    default:
      return 0;
  }
}

/** The cart that a goal asks for, without regard to its order; undefined if it asks for none. */
export function wantedCart(goal: HardGoal, prices: (query: string) => readonly number[]): CartItem[] | undefined {
  switch (goal.kind) {
    case 'buy': {
      const { shop, query, size } = goal;
      return [{ shop, query, variant: wantedVariant(goal, prices(query)), size }];
    }
    case 'buy-two': {
      const { shop, size } = goal;
      return [goal.query, goal.other].map((query) => ({ shop, query, variant: 0, size }));
    }
    case 'take-out':
      return initialHard(goal).cart.filter(({ query }) => query !== goal.query);
    default:
      return undefined;
  }
}

/** Whether two carts hold the same, in any order. */
export function sameCart(a: readonly CartItem[], b: readonly CartItem[]): boolean {
  const text = (items: readonly CartItem[]) => JSON.stringify(items.map(itemText).sort());
  return text(a) === text(b);
}

export function itemText({ shop, query, variant, size }: CartItem): string {
  return `${shop} ${query} ${variant} ${size}`;
}

/** Whether the current page reaches a goal of the hard world; the switches are the caller's. */
export function hardAchieved(
  goal: Exclude<HardGoal, { kind: 'switches' }>,
  page: HardPage | { readonly kind: string },
  state: HardState,
  { seed, prices }: { readonly seed: number; readonly prices: (shop: string, query: string) => readonly number[] },
): boolean {
  if (state.ordered) return false;
  const at = page as HardPage;
  switch (goal.kind) {
    case 'first':
    case 'cheapest':
    case 'under':
      return (
        at.kind === 'item' &&
        at.shop === goal.shop &&
        at.query === goal.query &&
        at.variant === wantedVariant(goal, prices(goal.shop, goal.query))
      );
    case 'buy':
    case 'buy-two':
      return (
        (at.kind === 'item' || at.kind === 'cart') &&
        at.shop === goal.shop &&
        sameCart(
          state.cart,
          wantedCart(goal, (query) => prices(goal.shop, query))!,
        )
      );
    case 'take-out':
      return (
        at.kind === 'cart' &&
        at.shop === goal.shop &&
        sameCart(
          state.cart,
          wantedCart(goal, () => [])!,
        )
      );
    case 'contact':
      return (
        at.kind === 'people' &&
        state.contacts.length === 1 &&
        state.contacts.some(
          ({ name, number, label }) => name === goal.name && number === goal.number && label === goal.label,
        )
      );
    case 'message':
    case 'forward': {
      const message = goal.kind === 'message' ? goal.message : mailCode(seed, goal.from);
      return (
        at.kind === 'chat' &&
        at.to === goal.to &&
        state.sent.length === 1 &&
        state.sent[0].to === goal.to &&
        state.sent[0].message === message
      );
    }
  }
}
