import { Random } from '../../../random.js';

/** The part of the phone's world that only the hard tasks have: working filters, sizes, a cart, nested settings, forms. */

export const SIZES = ['small', 'medium', 'large'] as const;
export type Size = (typeof SIZES)[number];

/** Price limits of the filter, in dollars. */
export const LIMITS = [20, 40, 60, 80] as const;
export type Limit = (typeof LIMITS)[number];

export const PEOPLE = ['anna', 'ben', 'clara', 'david', 'emma', 'felix', 'grace', 'henry'] as const;
export type Person = (typeof PEOPLE)[number];

export const LABELS = ['home', 'work', 'mobile'] as const;
export type Label = (typeof LABELS)[number];

/** The pages of the settings, each with its switches. */
export const SETTINGS_GROUPS = {
  network: ['wifi', 'bluetooth', 'hotspot', 'mobile data', 'airplane mode'],
  display: ['dark mode', 'rotation', 'battery saver'],
  privacy: ['location', 'sync'],
} as const;
export type SettingsGroup = keyof typeof SETTINGS_GROUPS;

/** Something in a cart. `variant`: its position in the shop's unsorted results. */
export interface CartItem {
  readonly shop: string;
  readonly query: string;
  readonly variant: number;
  readonly size: Size;
}

export interface Contact {
  readonly name: string;
  readonly number: string;
  readonly label: Label;
}

/** Pages of the hard world. */
export type HardPage =
  | { kind: 'sort'; shop: string; query: string }
  | { kind: 'limit'; shop: string; query: string }
  | { kind: 'item'; shop: string; query: string; variant: number | 'sponsored'; size?: Size; notice?: 'size' | 'added' }
  | { kind: 'cart'; shop: string }
  | { kind: 'ordered'; shop: string }
  | { kind: 'group'; group: SettingsGroup }
  | { kind: 'people' }
  | { kind: 'contact'; name: string; number: string; label?: Label; notice?: boolean }
  | { kind: 'mails' }
  | { kind: 'mail'; from: Person }
  | { kind: 'chats' }
  | { kind: 'chat'; to: Person; message: string };

/** Text fields of forms. What is typed into one stays in it. */
export type FormField = 'name' | 'number' | 'message';

/** Effects of taps in the hard world. */
export type HardEffect =
  | { do: 'sort'; by: 'match' | 'price' }
  | { do: 'limit'; to: Limit | undefined }
  | { do: 'size'; size: Size }
  | { do: 'add-item' }
  | { do: 'buy-now' }
  | { do: 'remove'; index: number }
  | { do: 'undo' }
  | { do: 'label'; label: Label }
  | { do: 'save-contact' }
  | { do: 'copy'; text: string }
  | { do: 'paste' }
  | { do: 'send' };

/** What actions change in the hard world. */
export interface HardState {
  cart: CartItem[];
  /** what was removed last, and where it was, until the next action on the cart */
  removed?: { readonly item: CartItem; readonly index: number };
  /** an order was placed: nothing takes it back */
  ordered: boolean;
  contacts: Contact[];
  sent: { readonly to: Person; readonly message: string }[];
  clipboard: string;
}

/** Number of results of a search. */
export const VARIANT_COUNT = 6;

/** Prices of a shop's results by their unsorted position: all different, the first one always the highest. */
export function variantPrices(seed: number, shop: string, query: string): readonly number[] {
  const random = new Random(seed, 'phone-prices', shop, query);
  const rest = random.shuffled([5, 12, 25, 45, 65].map((low) => low + random.int(7)));
  return [84 + random.int(14), ...rest];
}

/** The code in a person's mail: three digits. */
export function mailCode(seed: number, from: Person): string {
  return String(100 + new Random(seed, 'phone-mail', from).int(900));
}

/** The people whose mails and chats the phone shows, in order. */
export function peopleOf(seed: number): readonly Person[] {
  return new Random(seed, 'phone-people').shuffled(PEOPLE);
}
