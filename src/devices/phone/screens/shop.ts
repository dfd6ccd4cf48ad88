import type { Element, View } from '../element.js';
import type { Rect } from '../geometry.js';
import { drawLogo, shopColor } from '../icons.js';
import { box, card, frame, GREY, INK, LINE, PALE, polygon, text, type Paint } from '../paint.js';
import type { Page, PhoneState } from '../state.js';
import { drawWare } from '../wares.js';
import { shopAt } from '../words.js';
import type { ShopLayout, World } from '../world.js';
import { PAGE, toolbar } from './browser.js';
import { button, CONTENT, outlineButton, panel, textField, veil } from './chrome.js';

/** Heights of a shop's header on its home page and on its other pages. */
export const HEADER = 60;
export const SMALL_HEADER = 44;

export function header(address: string, height: number): Element {
  const { shop } = shopAt(address)!;
  const rect = { ...PAGE, h: height };
  return {
    id: 'header',
    rect,
    draw: (paint) => {
      box(paint, rect, shopColor(shop));
      const logo = height - 16;
      drawLogo(paint, shop, 10, rect.y + 8, '#ffffff', logo);
      const size = height === HEADER ? 30 : 22;
      text(paint, shop.first + shop.second, logo + 20, rect.y + height / 2, {
        size,
        weight: 700,
        color: '#ffffff',
        maxWidth: 250 - logo - 20,
      });
    },
  };
}

/** The four positions of the search box on a shop's home page, all above the keyboard. */
const SEARCH_TOPS = [10, 62, 124, 176];

/** A shop's home page: header, search box, a hero strip and promo tiles around it. */
export function shopPage(world: World, state: PhoneState, address: string, more: readonly Element[] = []): View {
  const layout = world.shop(address);
  const { shop } = shopAt(address)!;
  const top = PAGE.y + HEADER;
  const field = {
    x: (270 - layout.searchWidth) / 2,
    y: top + SEARCH_TOPS[layout.searchPlace],
    w: layout.searchWidth,
    h: 38,
  };
  const elements: Element[] = [panel('background', CONTENT, '#ffffff')];
  const hero = { x: 10, y: top + 10, w: 250, h: 0 };
  if (layout.searchPlace === 0) Object.assign(hero, { y: field.y + 48, h: 92 });
  else hero.h = SEARCH_TOPS[layout.searchPlace] - 20;
  elements.push({
    id: 'hero',
    rect: hero,
    draw: (paint) => {
      box(paint, hero, tint(shopColor(shop)), 8);
      drawWare(paint, layout.promos[8], hero.x + hero.w - hero.h, hero.y, hero.h);
      text(paint, 'SALE', hero.x + 16, hero.y + hero.h / 2, {
        size: Math.min(40, hero.h * 0.7),
        weight: 700,
        color: shopColor(shop),
      });
    },
  });
  const tilesTop = Math.max(field.y + field.h, hero.y + hero.h) + 12;
  const side = layout.columns === 2 ? 120 : 78;
  const tileHeight = side + 22;
  for (let i = 0; ; i++) {
    const [row, column] = [Math.floor(i / layout.columns), i % layout.columns];
    const rect: Rect = { x: 10 + column * (side + 8), y: tilesTop + row * (tileHeight + 8), w: side, h: tileHeight };
    if (rect.y + 60 > CONTENT.y + CONTENT.h || i >= 8) break;
    const ware = layout.promos[i];
    elements.push({
      id: `promo:${i}`,
      rect,
      clip: PAGE,
      tap: { do: 'open', page: { kind: 'product', shop: address, query: ware, rank: 'promo' } },
      draw: (paint) => {
        card(paint, rect);
        const picture = side - 12;
        drawWare(paint, ware, rect.x + 6, rect.y + 6, picture);
        text(paint, priceText(layout.price + i * 3), rect.x + side / 2, rect.y + side + 8, {
          size: 14,
          weight: 700,
          align: 'center',
        });
      },
    });
  }
  elements.push(
    header(address, HEADER),
    ...more,
    textField('search', field, state, '', 'Search', PALE),
    ...toolbar(state, address),
  );
  return { elements: [...elements, ...cookieBanner(layout, state, address)], maxScroll: 0 };
}

function tint(color: string): string {
  return color + '33';
}

function priceText(price: number): string {
  return `$${price}.99`;
}

const BANNER_TOPS = [140, 240, 375];

/** The cookie banner: until it is accepted, nothing else on the shop's pages can be touched. */
export function cookieBanner(layout: ShopLayout, state: PhoneState, address: string): Element[] {
  if (!layout.banner || state.accepted.has(address)) return [];
  const rect = { x: 10, y: BANNER_TOPS[layout.banner.place], w: 250, h: 165 };
  const left = { x: rect.x + 14, y: rect.y + 108, w: 106, h: 42 };
  const right = { ...left, x: rect.x + 130 };
  const [accept, manage] = layout.banner.acceptFirst ? [left, right] : [right, left];
  return [
    veil('banner-veil'),
    {
      id: 'banner',
      rect,
      draw: (paint) => {
        card(paint, rect, '#ffffff', 12);
        text(paint, 'We use cookies', rect.x + 16, rect.y + 28, { size: 20, weight: 700 });
        for (const [line, width] of [
          [0, 215],
          [1, 200],
          [2, 140],
        ]) {
          // prettier-ignore
          box(paint, { x: rect.x + 16, y: rect.y + 52 + line * 15, w: width, h: 6 }, LINE, 3);
        }
      },
    },
    outlineButton('banner:manage', manage, 'Manage', { do: 'open', page: { kind: 'privacy', shop: address } }),
    button('banner:accept', accept, 'Accept', { do: 'accept', shop: address }, '#188038'),
  ];
}

/** The page that "Manage" opens: only text, which BACK leaves. */
export function privacyPage(state: PhoneState, address: string): View {
  return {
    elements: [
      panel('background', CONTENT, '#ffffff'),
      header(address, SMALL_HEADER),
      {
        id: 'privacy',
        rect: { ...PAGE, y: PAGE.y + SMALL_HEADER, h: PAGE.h - SMALL_HEADER },
        draw: (paint) => {
          text(paint, 'Privacy choices', 16, 150, { size: 22, weight: 700 });
          for (let i = 0; i < 20; i++) {
            box(paint, { x: 16, y: 182 + i * 17, w: i % 5 === 4 ? 120 : 226 - ((i * 13) % 30), h: 6 }, LINE, 3);
          }
        },
      },
      ...toolbar(state, address),
    ],
    maxScroll: 0,
  };
}

/** Number of results for a search in a shop. */
export const RESULTS = 6;
const ENTRY = 92;

/** A shop's results: the search box, perhaps a strip, perhaps a sponsored entry (yellow), then the entries by rank. */
export function resultsPage(world: World, state: PhoneState, page: Extract<Page, { kind: 'results' }>): View {
  const layout = world.shop(page.shop);
  const { shop } = shopAt(page.shop)!;
  const fixed = PAGE.y + SMALL_HEADER + 50;
  const clip = { ...PAGE, y: fixed, h: CONTENT.y + CONTENT.h - fixed };
  const elements: Element[] = [panel('background', CONTENT, PALE)];
  let y = fixed + 6 - page.scroll;
  if (layout.strip > 0) {
    elements.push({
      id: 'strip',
      rect: { x: 0, y: y - 6, w: 270, h: layout.strip },
      clip,
      draw: (paint, rect) => {
        box(paint, rect, '#ffffff');
        text(paint, 'Filter', 14, rect.y + rect.h / 2, { size: 14, weight: 500, color: GREY });
        text(paint, 'Sort', 256, rect.y + rect.h / 2, { size: 14, weight: 500, color: GREY, align: 'right' });
      },
    });
    y += layout.strip;
  }
  const add = (id: string, query: string, rank: number | 'sponsored', draw: (paint: Paint, rect: Rect) => void) => {
    const open: Page = { kind: 'product', shop: page.shop, query, rank };
    elements.push({ id, rect: { x: 8, y, w: 254, h: ENTRY - 6 }, clip, tap: { do: 'open', page: open }, draw });
    y += ENTRY;
  };
  if (layout.sponsored) {
    const ware = layout.sponsored;
    add('sponsored', ware, 'sponsored', (paint, rect) => {
      card(paint, rect, '#fff8d6');
      frame(paint, rect, '#f9ab00', 8, 2);
      drawWare(paint, ware, rect.x + 8, rect.y + 9, 68);
      tag(paint, rect.x + 86, rect.y + 10);
      text(paint, ware, rect.x + 86, rect.y + 46, { size: 18, weight: 700, maxWidth: 160 });
      text(paint, priceText(layout.price), rect.x + 86, rect.y + 70, { size: 16, weight: 500, color: GREY });
    });
  }
  for (let rank = 0; rank < RESULTS; rank++) {
    add(`entry:${rank}`, page.query, rank, (paint, rect) => {
      card(paint, rect);
      drawWare(paint, page.query, rect.x + 8, rect.y + 9, 68);
      const title = rank === 0 ? page.query : `${page.query} ${VARIANTS[rank]}`;
      text(paint, title, rect.x + 86, rect.y + 20, { size: 18, weight: 700, maxWidth: 160 });
      stars(paint, rect.x + 86, rect.y + 42, 5 - (rank % 3));
      text(paint, priceText(layout.price + rank * 7), rect.x + 86, rect.y + 66, {
        size: 18,
        weight: 500,
        color: shopColor(shop),
      });
    });
  }
  elements.push(
    panel('search-band', { x: 0, y: PAGE.y + SMALL_HEADER, w: 270, h: 50 }, '#ffffff'),
    header(page.shop, SMALL_HEADER),
    textField('search', { x: 10, y: PAGE.y + SMALL_HEADER + 6, w: 250, h: 38 }, state, page.query, 'Search', PALE),
    ...toolbar(state, page.shop),
    ...cookieBanner(layout, state, page.shop),
  );
  return { elements, maxScroll: Math.max(0, y + page.scroll - (clip.y + clip.h)) };
}

const VARIANTS = ['', 'mini', 'plus', 'pro', 'max', 'set'];

function tag(paint: Paint, x: number, y: number): void {
  box(paint, { x, y, w: 86, h: 20 }, '#f9ab00', 4);
  text(paint, 'Sponsored', x + 43, y + 10, { size: 14, weight: 700, color: INK, align: 'center' });
}

function stars(paint: Paint, x: number, y: number, count: number): void {
  for (let i = 0; i < 5; i++) {
    const cx = x + 6 + i * 14;
    const points = Array.from({ length: 10 }, (_, k): [number, number] => {
      const [radius, angle] = [k % 2 === 0 ? 6 : 2.6, (k * Math.PI) / 5 - Math.PI / 2];
      return [cx + radius * Math.cos(angle), y + radius * Math.sin(angle)];
    });
    polygon(paint, points, i < count ? '#f9ab00' : LINE);
  }
}

/** A product page: picture, name, price, and a button that adds it to the cart. */
export function productPage(world: World, state: PhoneState, page: Extract<Page, { kind: 'product' }>): View {
  const layout = world.shop(page.shop);
  const { shop } = shopAt(page.shop)!;
  const top = PAGE.y + SMALL_HEADER;
  const sponsored = page.rank === 'sponsored';
  const rank = typeof page.rank === 'number' ? page.rank : 0;
  const picture = { x: 45, y: top + 14, w: 180, h: 180 };
  const body = { ...CONTENT, y: top, h: CONTENT.y + CONTENT.h - top };
  return {
    elements: [
      panel('background', CONTENT, sponsored ? '#fff8d6' : '#ffffff'),
      { id: 'picture', rect: picture, draw: (paint) => drawWare(paint, page.query, picture.x, picture.y, picture.w) },
      {
        id: 'description',
        rect: { ...body, y: picture.y + 190, h: 110 },
        draw: (paint) => {
          const y = picture.y + 208;
          const title = rank > 0 ? `${page.query} ${VARIANTS[rank]}` : page.query;
          text(paint, title, 16, y, { size: 24, weight: 700, maxWidth: 240 });
          if (sponsored) tag(paint, 16, y + 22);
          else stars(paint, 16, y + 31, 5 - (rank % 3));
          text(paint, priceText(layout.price + rank * 7), 16, y + 64, {
            size: 26,
            weight: 500,
            color: shopColor(shop),
          });
        },
      },
      button('add-to-cart', { x: 16, y: 468, w: 238, h: 44 }, 'Add to cart', { do: 'add-to-cart' }, '#e8710a'),
      {
        id: 'cart',
        rect: { x: 16, y: 518, w: 238, h: 24 },
        draw: (paint) => {
          if (state.cart > 0) {
            text(paint, `In your cart: ${state.cart}`, 135, 530, { size: 15, color: '#188038', align: 'center' });
          }
        },
      },
      header(page.shop, SMALL_HEADER),
      ...toolbar(state, page.shop),
      ...cookieBanner(layout, state, page.shop),
    ],
    maxScroll: 0,
  };
}
