import type { Element, View } from '../element.js';
import { shopColor } from '../icons.js';
import { BLUE, box, card, frame, GREY, INK, LINE, PALE, polygon, stroke, text, type Paint } from '../paint.js';
import type { Rect } from '../geometry.js';
import { PAGE, toolbar } from '../screens/browser.js';
import { button, CONTENT, outlineButton, panel, textField } from '../screens/chrome.js';
import { cookieBanner, header, SMALL_HEADER } from '../screens/shop.js';
import type { Page, PhoneState } from '../state.js';
import { drawWare } from '../wares.js';
import { shopAt } from '../words.js';
import type { World } from '../world.js';
import { LIMITS, SIZES, VARIANT_COUNT, variantPrices, type HardPage } from './state.js';

/** The variants of a search in the order and with the filter of its page. */
export function listed(world: World, page: Extract<Page, { kind: 'results' }>): number[] {
  const prices = variantPrices(world.seed, page.shop, page.query);
  const all = Array.from({ length: VARIANT_COUNT }, (_, i) => i).filter(
    (i) => page.limit === undefined || prices[i] < page.limit,
  );
  return page.sort === 'price' ? all.sort((a, b) => prices[a] - prices[b]) : all;
}

/** The cart in a shop's header, with the number of things in it. */
export function cartIcon(state: PhoneState, shop: string, height: number): Element {
  const rect = { x: 222, y: PAGE.y + (height - 40) / 2, w: 44, h: 40 };
  return {
    id: 'cart-icon',
    rect,
    tap: { do: 'open', page: { kind: 'cart', shop } },
    draw: (paint) => {
      const [x, y] = [rect.x + 8, rect.y + 9];
      const lines = [[x, y], [x + 6, y], [x + 11, y + 15], [x + 24, y + 15], [x + 28, y + 5], [x + 8, y + 5]]; // prettier-ignore
      stroke(paint, lines as [number, number][], '#ffffff', 2.5);
      const count = state.hard!.cart.length;
      if (count > 0) {
        box(paint, { x: rect.x + 28, y: rect.y + 2, w: 16, h: 16 }, '#d93025', 8);
        const style = { size: 12, weight: 700, color: '#ffffff', align: 'center' } as const;
        text(paint, String(count), rect.x + 36, rect.y + 10, style);
      }
    },
  };
}

const ENTRY = 86;

/** Results with a working sort and filter. Sponsored entries look like a bargain and are none. */
export function hardResults(world: World, state: PhoneState, page: Extract<Page, { kind: 'results' }>): View {
  const layout = world.shop(page.shop);
  const { shop } = shopAt(page.shop)!;
  const prices = variantPrices(world.seed, page.shop, page.query);
  const chips = PAGE.y + SMALL_HEADER + 50;
  const clip = { ...PAGE, y: chips + 42, h: CONTENT.y + CONTENT.h - chips - 42 };
  const elements: Element[] = [panel('background', CONTENT, PALE)];
  let y = clip.y + 4 - page.scroll;
  const add = (id: string, variant: number | 'sponsored', draw: (paint: Paint, rect: Rect) => void): void => {
    const open: Page = { kind: 'item', shop: page.shop, query: page.query, variant };
    elements.push({ id, rect: { x: 8, y, w: 254, h: ENTRY - 6 }, clip, tap: { do: 'open', page: open }, draw });
    y += ENTRY;
  };
  const entry = (paint: Paint, rect: Rect, title: string, price: number, color: string): void => {
    drawWare(paint, page.query, rect.x + 8, rect.y + 8, 64);
    text(paint, title, rect.x + 84, rect.y + 24, { size: 17, weight: 700, maxWidth: 162 });
    text(paint, `$${price}`, rect.x + 84, rect.y + 56, { size: 20, weight: 700, color });
  };
  if (layout.sponsored) {
    add('sponsored', 'sponsored', (paint, rect) => {
      card(paint, rect, '#fff8d6');
      frame(paint, rect, '#f9ab00', 8, 2);
      entry(paint, rect, page.query, sponsoredPrice(prices), '#b06000');
      text(paint, 'Ad', rect.x + 226, rect.y + 56, { size: 14, weight: 700, color: '#b06000' });
    });
  }
  listed(world, page).forEach((variant, i) =>
    add(`entry:${i}`, variant, (paint, rect) => {
      card(paint, rect);
      entry(paint, rect, `${page.query} ${VARIANT_NAMES[variant]}`.trim(), prices[variant], shopColor(shop));
    }),
  );
  const chip = (id: string, x: number, label: string, on: boolean, open: Page): Element => {
    const rect = { x, y: chips + 4, w: 122, h: 34 };
    return {
      id,
      rect,
      tap: { do: 'open', page: open },
      draw: (paint) => {
        box(paint, rect, on ? '#d2e3fc' : '#ffffff', 17);
        frame(paint, rect, on ? BLUE : '#9aa0a6', 17, 1.5);
        text(paint, label, rect.x + 56, rect.y + 17, {
          size: 14,
          weight: 500,
          align: 'center',
          color: on ? BLUE : GREY,
        });
        polygon(paint, [[rect.x + 104, rect.y + 14], [rect.x + 112, rect.y + 14], [rect.x + 108, rect.y + 20]], GREY); // prettier-ignore
      },
    };
  };
  const { shop: address, query } = page;
  elements.push(
    panel('search-band', { x: 0, y: PAGE.y + SMALL_HEADER, w: 270, h: 92 }, '#ffffff'),
    chip('chip:sort', 8, page.sort ? 'Lowest price' : 'Best match', page.sort !== undefined, { kind: 'sort', shop: address, query }), // prettier-ignore
    chip('chip:limit', 138, page.limit ? `Under $${page.limit}` : 'Any price', page.limit !== undefined, { kind: 'limit', shop: address, query }), // prettier-ignore
    header(address, SMALL_HEADER),
    cartIcon(state, address, SMALL_HEADER),
    textField('search', { x: 10, y: PAGE.y + SMALL_HEADER + 6, w: 250, h: 38 }, state, query, 'Search', PALE),
    ...toolbar(state, address),
    ...cookieBanner(layout, state, address),
  );
  return { elements, maxScroll: Math.max(0, y + page.scroll - (clip.y + clip.h)) };
}

const VARIANT_NAMES = ['', 'mini', 'plus', 'pro', 'max', 'set'];

/** The price of an advertisement: below all others. */
function sponsoredPrice(prices: readonly number[]): number {
  return Math.min(...prices) - 1;
}

/** A list of choices over the whole page. */
function choices(
  state: PhoneState,
  shop: string,
  title: string,
  rows: readonly Omit<Element, 'rect' | 'draw'>[],
  labels: readonly string[],
): View {
  const top = PAGE.y + SMALL_HEADER;
  return {
    elements: [
      panel('background', CONTENT, '#ffffff'),
      {
        id: 'title',
        rect: { x: 0, y: top, w: 270, h: 50 },
        draw: (paint) => text(paint, title, 16, top + 26, { size: 20, weight: 700 }),
      },
      ...rows.map((row, i): Element => {
        const rect = { x: 0, y: top + 52 + i * 52, w: 270, h: 52 };
        return {
          ...row,
          rect,
          draw: (paint) => {
            text(paint, labels[i], 24, rect.y + 26, { size: 18, weight: 500 });
            box(paint, { x: 16, y: rect.y + 51, w: 238, h: 1 }, LINE);
          },
        };
      }),
      header(shop, SMALL_HEADER),
      ...toolbar(state, shop),
    ],
    maxScroll: 0,
  };
}

export function sortPage(state: PhoneState, { shop }: Extract<HardPage, { kind: 'sort' }>): View {
  const rows = (['match', 'price'] as const).map((by) => ({ id: `sort:${by}`, tap: { do: 'sort', by } as const }));
  return choices(state, shop, 'Sort by', rows, ['Best match', 'Lowest price']);
}

export function limitPage(state: PhoneState, { shop }: Extract<HardPage, { kind: 'limit' }>): View {
  const limits = [undefined, ...LIMITS];
  const rows = limits.map((to) => ({ id: `limit:${to ?? 'any'}`, tap: { do: 'limit', to } as const }));
  return choices(state, shop, 'Price', rows, ['Any price', ...LIMITS.map((limit) => `Under $${limit}`)]);
}

/** A product with its sizes. "Buy now" orders at once, and nothing takes that back. */
export function itemPage(world: World, state: PhoneState, page: Extract<HardPage, { kind: 'item' }>): View {
  const { shop } = shopAt(page.shop)!;
  const prices = variantPrices(world.seed, page.shop, page.query);
  const sponsored = page.variant === 'sponsored';
  const price = page.variant === 'sponsored' ? sponsoredPrice(prices) : prices[page.variant];
  const name = page.variant === 'sponsored' ? page.query : `${page.query} ${VARIANT_NAMES[page.variant]}`.trim();
  const top = PAGE.y + SMALL_HEADER;
  return {
    elements: [
      panel('background', CONTENT, sponsored ? '#fff8d6' : '#ffffff'),
      {
        id: 'picture',
        rect: { x: 65, y: top + 10, w: 140, h: 140 },
        draw: (paint) => drawWare(paint, page.query, 65, top + 10, 140),
      },
      {
        id: 'description',
        rect: { x: 0, y: top + 152, w: 270, h: 70 },
        draw: (paint) => {
          text(paint, name, 16, top + 170, { size: 22, weight: 700, maxWidth: 240 });
          text(paint, `$${price}`, 16, top + 200, { size: 22, weight: 500, color: shopColor(shop) });
        },
      },
      ...SIZES.map((size, i): Element => {
        const rect = { x: 12 + i * 83, y: top + 224, w: 80, h: 38 };
        const on = page.size === size;
        return {
          id: `size:${size}`,
          rect,
          tap: { do: 'size', size },
          draw: (paint) => {
            box(paint, rect, on ? '#d2e3fc' : '#ffffff', 8);
            frame(paint, rect, on ? BLUE : '#9aa0a6', 8, on ? 2.5 : 1.5);
            text(paint, size, rect.x + 40, rect.y + 19, {
              size: 15,
              weight: on ? 700 : 500,
              align: 'center',
              color: on ? BLUE : INK,
            });
          },
        };
      }),
      {
        id: 'notice',
        rect: { x: 0, y: top + 264, w: 270, h: 40 },
        draw: (paint) => {
          if (page.notice === 'size') text(paint, 'Choose a size first', 135, top + 284, { size: 16, weight: 700, color: '#d93025', align: 'center' }); // prettier-ignore
          if (page.notice === 'added') text(paint, 'Added to your cart', 135, top + 284, { size: 16, weight: 700, color: '#188038', align: 'center' }); // prettier-ignore
        },
      },
      button('add-item', { x: 16, y: top + 308, w: 238, h: 46 }, 'Add to cart', { do: 'add-item' }, '#e8710a'),
      outlineButton('buy-now', { x: 16, y: top + 364, w: 238, h: 46 }, 'Buy now', { do: 'buy-now' }),
      header(page.shop, SMALL_HEADER),
      cartIcon(state, page.shop, SMALL_HEADER),
      ...toolbar(state, page.shop),
    ],
    maxScroll: 0,
  };
}

/** The cart of the phone, the same in all shops. A removed thing can be put back until something else is done there. */
export function cartPage(state: PhoneState, { shop }: Extract<HardPage, { kind: 'cart' }>): View {
  const top = PAGE.y + SMALL_HEADER;
  const { cart, removed } = state.hard!;
  return {
    elements: [
      panel('background', CONTENT, PALE),
      { id: 'title', rect: { x: 0, y: top, w: 270, h: 44 }, draw: (paint) => text(paint, cart.length === 0 ? 'Your cart is empty' : 'Your cart', 16, top + 22, { size: 20, weight: 700 }) }, // prettier-ignore
      ...cart.slice(0, 4).flatMap((item, i): Element[] => {
        const rect = { x: 8, y: top + 44 + i * 78, w: 254, h: 72 };
        return [
          {
            id: `cart:${i}`,
            rect,
            draw: (paint) => {
              card(paint, rect);
              drawWare(paint, item.query, rect.x + 6, rect.y + 8, 56);
              text(paint, item.query, rect.x + 70, rect.y + 24, { size: 16, weight: 700, maxWidth: 106 });
              text(paint, item.size, rect.x + 70, rect.y + 48, { size: 14, color: GREY });
            },
          },
          outlineButton(`remove:${i}`, { x: 186, y: rect.y + 18, w: 70, h: 36 }, 'Remove', { do: 'remove', index: i }),
        ];
      }),
      ...(removed ? undoBar(top + 368) : []),
      ...(cart.length > 0
        ? [button('checkout', { x: 16, y: top + 415, w: 238, h: 28 }, 'Order', { do: 'buy-now' }, '#188038')]
        : []),
      header(shop, SMALL_HEADER),
      ...toolbar(state, shop),
    ],
    maxScroll: 0,
  };
}

function undoBar(y: number): Element[] {
  const rect = { x: 8, y, w: 254, h: 40 };
  return [
    { id: 'removed', rect, draw: (paint) => { box(paint, rect, '#323232', 6); text(paint, 'Removed', 22, y + 20, { size: 15, color: '#ffffff' }); } }, // prettier-ignore
    { id: 'undo', rect: { x: 190, y, w: 72, h: 40 }, tap: { do: 'undo' }, draw: (paint) => text(paint, 'UNDO', 226, y + 20, { size: 15, weight: 700, color: '#8ab4f8', align: 'center' }) }, // prettier-ignore
  ];
}

export function orderedPage(state: PhoneState, { shop }: Extract<HardPage, { kind: 'ordered' }>): View {
  return {
    elements: [
      panel('background', CONTENT, '#e6f4ea'),
      { id: 'thanks', rect: { x: 0, y: 200, w: 270, h: 120 }, draw: (paint) => {
        text(paint, 'Thank you!', 135, 230, { size: 26, weight: 700, color: '#188038', align: 'center' });
        text(paint, 'Your order is on its way', 135, 270, { size: 16, align: 'center' });
      } }, // prettier-ignore
      header(shop, SMALL_HEADER),
      ...toolbar(state, shop),
    ],
    maxScroll: 0,
  };
}
