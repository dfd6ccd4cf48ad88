import { Random } from '../../random.js';
import type { FormField, HardEffect, HardPage, HardState } from './hard/state.js';
import { SWITCHES, type SwitchName } from './switches.js';

export { SWITCHES, type SwitchName };

export const CLOCK_TABS = ['alarm', 'timer', 'stopwatch'] as const;
export type ClockTab = (typeof CLOCK_TABS)[number];

/** The timer's lengths in minutes. */
export const TIMER_MINUTES = [1, 2, 3, 5, 10, 15] as const;

/** Apps that only open a plain screen; the icons of the first six are on the launcher's first page. */
export const PLAIN_APPS = [
  'camera',
  'music',
  'maps',
  'mail',
  'messages',
  'gallery',
  'calculator',
  'calendar',
  'contacts',
] as const;
export type PlainApp = (typeof PLAIN_APPS)[number];
export type AppName = 'browser' | 'settings' | 'clock' | PlainApp;

/** A page. `rank` of a product: its position among the unsponsored results, or where else it was tapped. */
export type Page =
  | { kind: 'launcher'; page: number }
  | { kind: 'start' }
  | { kind: 'missing'; address: string }
  | { kind: 'web'; query: string; scroll: number }
  | { kind: 'shop'; shop: string }
  | { kind: 'results'; shop: string; query: string; scroll: number; sort?: 'price'; limit?: number }
  | { kind: 'product'; shop: string; query: string; rank: number | 'sponsored' | 'promo' }
  | { kind: 'privacy'; shop: string }
  | { kind: 'settings'; scroll: number }
  | { kind: 'clock'; tab: ClockTab }
  | { kind: 'new-alarm'; hour: number | undefined; half: 'am' | 'pm' | undefined }
  | { kind: 'plain'; app: PlainApp }
  | HardPage;

/** A text field that can have the focus. */
export type Field = 'address' | 'search' | FormField;

/** The effect of a tap. */
export type Effect =
  | { do: 'open'; page: Page }
  | { do: 'focus'; field: Field }
  | { do: 'unfocus' }
  | { do: 'accept'; shop: string }
  | { do: 'dismiss' }
  | { do: 'back' }
  | { do: 'home' }
  | { do: 'toggle'; name: SwitchName }
  | { do: 'tab'; tab: ClockTab }
  | { do: 'pick'; hour?: number; half?: 'am' | 'pm' }
  | { do: 'save-alarm' }
  | { do: 'toggle-alarm'; index: number }
  | { do: 'stopwatch' }
  | { do: 'timer'; minutes: number | undefined }
  | { do: 'add-to-cart' }
  | HardEffect;

export interface Alarm {
  readonly hour: number;
  readonly half: 'am' | 'pm';
  readonly on: boolean;
}

/** Everything that actions change. The current page is the last one in `stack`; `stack[0]` is the launcher. */
export interface PhoneState {
  stack: Page[];
  focus: Field | undefined;
  /** text of the focused field */
  text: string;
  /** whether a slow page shows its loading screen, until the next action */
  loading: boolean;
  dialog: boolean;
  /** shops whose cookies were accepted */
  readonly accepted: Set<string>;
  readonly switches: Record<SwitchName, boolean>;
  alarms: Alarm[];
  stopwatch: boolean;
  timer: number | undefined;
  cart: number;
  /** of the hard tasks */
  hard?: HardState;
}

/** The current page. */
export function shown(state: PhoneState): Page {
  return state.stack[state.stack.length - 1];
}

/** A state as text; on one phone, states with the same text have the same screen. */
export function stateText(state: PhoneState): string {
  return JSON.stringify({ ...state, accepted: [...state.accepted] });
}

/** Probability that a switch starts on, if it is not 0.5. */
const ON: Partial<Record<SwitchName, number>> = { wifi: 0.85, 'mobile data': 0.8, 'airplane mode': 0.1 };

/** A phone's state before an episode: the launcher, with switches and alarms by the seed. */
export function initialState(seed: number): PhoneState {
  const random = new Random(seed, 'phone-state');
  const switches = Object.fromEntries(
    SWITCHES.map((name) => [name, random.chance(ON[name] ?? 0.5)]),
  ) as PhoneState['switches'];
  const alarms = Array.from({ length: 1 + random.int(2) }, (): Alarm => {
    return { hour: 1 + random.int(12), half: random.chance(0.5) ? 'am' : 'pm', on: random.chance(0.5) };
  });
  return {
    stack: [{ kind: 'launcher', page: 0 }],
    focus: undefined,
    text: '',
    loading: false,
    dialog: false,
    accepted: new Set(),
    switches,
    alarms,
    stopwatch: false,
    timer: undefined,
    cart: 0,
  };
}
