import { Random } from '../../random.js';
import { SWITCHES, type AppName, type Page, type SwitchName } from './state.js';
import { goods, shopAddresses } from './words.js';

/** Places for icons on a page of the launcher: 4 columns × 5 rows. */
export const LAUNCHER_SLOTS = 20;

/** Pages that come over the network. */
const SLOW_KINDS: ReadonlySet<Page['kind']> = new Set(['shop', 'results', 'product', 'web', 'missing']);

/** How often the seeded surprises of the phone happen, each a probability. */
export interface Surprises {
  /** a page of the web shows a loading screen first */
  readonly slowPage: number;
  /** a shop asks about cookies on the first visit */
  readonly cookieBanner: number;
  /** a sponsored entry stands above the results */
  readonly sponsored: number;
  /** the browser asks a question when it is opened */
  readonly dialog: number;
}

export const DEFAULT_SURPRISES: Surprises = { slowPage: 0.2, cookieBanner: 0.45, sponsored: 0.5, dialog: 0.12 };

/** How a shop's pages are laid out in one episode. */
export interface ShopLayout {
  /** the search box stands in this one of 4 places */
  readonly searchPlace: number;
  readonly searchWidth: number;
  readonly columns: 2 | 3;
  readonly promos: readonly string[];
  readonly banner: { readonly place: number; readonly acceptFirst: boolean } | undefined;
  readonly sponsored: string | undefined;
  /** pixels of a strip between the search box and the results */
  readonly strip: number;
  readonly price: number;
}

/** Everything about one episode's phone that actions do not change; it depends on nothing but the seed. */
export class World {
  /** apps by launcher page and slot (4 columns × 5 rows), undefined where the slot is empty */
  readonly icons: readonly (readonly (AppName | undefined)[])[];
  readonly wallpaper: number;
  /** the address bar of the start page stands in this one of 3 places */
  readonly addressPlace: number;
  readonly popularShops: readonly string[];
  readonly dialog: boolean;
  /** minutes since midnight on the status bar */
  readonly time: number;
  readonly battery: number;
  /** switches from the top of the settings list to its end */
  readonly switches: readonly SwitchName[];
  private readonly shops = new Map<string, ShopLayout>();

  constructor(
    readonly seed: number,
    private readonly surprises: Surprises = DEFAULT_SURPRISES,
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

  /** Whether opening this page shows a loading screen first. */
  slow(page: Page): boolean {
    if (!SLOW_KINDS.has(page.kind)) return false;
    const { scroll: _scroll, ...address } = { scroll: 0, ...page };
    return new Random(this.seed, 'phone-slow', JSON.stringify(address)).chance(this.surprises.slowPage);
  }
}
