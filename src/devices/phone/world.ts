import { Random } from '../../random.js';
import { SWITCHES, type AppName, type Page, type SwitchName } from './state.js';
import { SETTINGS_GROUPS, type SettingsGroup } from './hard/state.js';
import { goods, shopAddresses } from './words.js';

/** Icon slots on a page of the launcher: 4 columns × 5 rows. */
export const LAUNCHER_SLOTS = 20;

/** Pages that load over the network. */
const SLOW_KINDS: ReadonlySet<Page['kind']> = new Set(['shop', 'results', 'product', 'web', 'missing']);

/** Probabilities of the phone's seeded surprises. */
export interface Surprises {
  /** a web page shows a loading screen first */
  readonly slowPage: number;
  /** a shop asks about cookies on the first visit */
  readonly cookieBanner: number;
  /** there is a sponsored entry above the results */
  readonly sponsored: number;
  /** the browser shows a dialog when it is opened */
  readonly dialog: number;
}

export const DEFAULT_SURPRISES: Surprises = { slowPage: 0.2, cookieBanner: 0.45, sponsored: 0.5, dialog: 0.12 };

/** The layout of a shop's pages in one episode. */
export interface ShopLayout {
  /** position of the search box, one of 4 */
  readonly searchPlace: number;
  readonly searchWidth: number;
  readonly columns: 2 | 3;
  readonly promos: readonly string[];
  readonly banner: { readonly place: number; readonly acceptFirst: boolean } | undefined;
  readonly sponsored: string | undefined;
  /** height of the strip between the search box and the results, in pixels; 0: none */
  readonly strip: number;
  readonly price: number;
}

/** Everything about an episode's phone that actions do not change; it depends only on the seed. */
export class World {
  /** apps by launcher page and slot (4 columns × 5 rows); undefined for an empty slot */
  readonly icons: readonly (readonly (AppName | undefined)[])[];
  readonly wallpaper: number;
  /** position of the start page's address bar, one of 3 */
  readonly addressPlace: number;
  readonly popularShops: readonly string[];
  readonly dialog: boolean;
  /** minutes since midnight on the status bar */
  readonly time: number;
  readonly battery: number;
  /** switches in the order of the settings list */
  readonly switches: readonly SwitchName[];
  /** pages of the hard settings, in their order */
  readonly groups: readonly SettingsGroup[];
  private readonly shops = new Map<string, ShopLayout>();

  constructor(
    readonly seed: number,
    private readonly surprises: Surprises = DEFAULT_SURPRISES,
    /** whether it is the world of the hard tasks, with a cart, working filters, nested settings and forms */
    readonly hard = false,
  ) {
    const random = new Random(seed, 'phone-world');
    const first: AppName[] = ['browser', 'settings', 'clock', 'camera', 'music', 'maps', 'mail', 'messages', 'gallery'];
    const second: AppName[] = ['calculator', 'calendar', 'contacts'];
    this.icons = [first, second].map((apps) => {
      const slots = new Array<AppName | undefined>(LAUNCHER_SLOTS).fill(undefined);
      const places = random.shuffled(slots.keys());
      apps.forEach((app, i) => (slots[places[i]] = app));
      return slots;
    });
    this.wallpaper = random.int(6);
    this.addressPlace = random.int(3);
    this.popularShops = random.shuffled(shopAddresses('train')).slice(0, 4);
    this.dialog = random.chance(surprises.dialog);
    this.time = random.int(24 * 60);
    this.battery = 0.2 + 0.8 * random.next();
    this.switches = random.shuffled(SWITCHES);
    const groups = Object.keys(SETTINGS_GROUPS) as SettingsGroup[];
    this.groups = new Random(seed, 'phone-groups').shuffled(groups);
  }

  /** The layout of the shop at an address. */
  shop(address: string): ShopLayout {
    let layout = this.shops.get(address);
    if (!layout) {
      const random = new Random(this.seed, 'phone-shop', address);
      const wares = random.shuffled(goods('train'));
      layout = {
        searchPlace: random.int(4),
        searchWidth: 180 + 10 * random.int(7),
        columns: random.chance(0.5) ? 2 : 3,
        promos: wares.slice(0, 9),
        banner: random.chance(this.surprises.cookieBanner)
          ? { place: random.int(3), acceptFirst: random.chance(0.5) }
          : undefined,
        sponsored: random.chance(this.surprises.sponsored) ? wares[9] : undefined,
        strip: random.pick([0, 0, 30, 50]),
        price: 5 + random.int(90),
      };
      this.shops.set(address, layout);
    }
    return layout;
  }

  /** Whether this page shows a loading screen first. */
  slow(page: Page): boolean {
    if (!SLOW_KINDS.has(page.kind)) return false;
    const { scroll: _scroll, ...address } = { scroll: 0, ...page };
    return new Random(this.seed, 'phone-slow', JSON.stringify(address)).chance(this.surprises.slowPage);
  }
}
