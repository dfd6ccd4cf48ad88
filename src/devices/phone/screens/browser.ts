import type { Element, View } from '../element.js';
import type { Rect } from '../geometry.js';
import { drawLogo, shopColor } from '../icons.js';
import { arc, BLUE, box, card, disc, GREY, PALE, text } from '../paint.js';
import type { Page, PhoneState } from '../state.js';
import { drawWare } from '../wares.js';
import { shopAt } from '../words.js';
import type { World } from '../world.js';
import { button, CONTENT, outlineButton, panel, textField, veil } from './chrome.js';

/** Height of the address bar at the top of every web page. */
export const TOOLBAR = 44;

/** The area of a web page, under the toolbar. */
export const PAGE: Rect = { ...CONTENT, y: CONTENT.y + TOOLBAR, h: CONTENT.h - TOOLBAR };

/** The bar with the current page's address; a tap on it focuses the address field. */
export function toolbar(state: PhoneState, address: string): Element[] {
  const bar = { ...CONTENT, h: TOOLBAR };
  return [
    panel('toolbar', bar, PALE),
    textField('address', { x: 8, y: bar.y + 5, w: 254, h: 34 }, state, address, 'Type an address'),
  ];
}

const ADDRESS_TOPS = [40, 130, 230];

/** A new tab: the address bar in one of three places and tiles of popular shops. */
export function startPage(world: World, state: PhoneState): View {
  const top = ADDRESS_TOPS[world.addressPlace];
  const field = { x: 12, y: top, w: 246, h: 42 };
  // tiles under the address bar; for its lowest position, at a fixed height
  const tilesTop = world.addressPlace === 2 ? 300 : top + 130;
  const tiles = world.popularShops.map((address, i): Element => {
    const rect = { x: 14 + 64 * i, y: tilesTop, w: 52, h: 70 };
    const { shop } = shopAt(address)!;
    return {
      id: `tile:${address}`,
      rect,
      tap: { do: 'open', page: { kind: 'shop', shop: address } },
      draw: (paint) => {
        disc(paint, rect.x + 26, rect.y + 26, 25, shopColor(shop));
        drawLogo(paint, shop, rect.x + 12, rect.y + 12, '#ffffff', 28);
        text(paint, shop.first + shop.second, rect.x + 26, rect.y + 62, { size: 11, align: 'center', color: GREY });
      },
    };
  });
  const markY = world.addressPlace === 0 ? 122 : top - 40;
  const news = [0, 1].map((i) => newsCard(tilesTop + 90 + i * 78));
  return {
    elements: [
      panel('background', CONTENT, '#ffffff'),
      {
        id: 'mark',
        rect: { x: 60, y: markY - 20, w: 150, h: 40 },
        draw: (paint) => {
          ['#4285f4', '#ea4335', '#fbbc05', '#34a853'].forEach((c, i) => disc(paint, 93 + 28 * i, markY, 10, c));
        },
      },
      textField('address', field, state, '', 'Search or type address', PALE),
      ...tiles,
      ...news.filter((e) => e.rect.y + e.rect.h < 550),
    ],
    maxScroll: 0,
  };
}

function newsCard(y: number): Element {
  const rect = { x: 14, y, w: 242, h: 68 };
  return {
    id: 'news',
    rect,
    draw: (paint) => {
      card(paint, rect, '#f8f9fa');
      box(paint, { x: rect.x + 178, y: y + 8, w: 54, h: 52 }, '#c5cae9', 6);
      for (const [line, width] of [
        [0, 140],
        [1, 150],
        [2, 90],
      ]) {
        // prettier-ignore
        box(paint, { x: rect.x + 12, y: y + 14 + line * 15, w: width, h: 7 }, '#dadce0', 3);
      }
    },
  };
}

/** The page of an unknown address. */
export function missingPage(state: PhoneState, address: string): View {
  return {
    elements: [
      panel('background', CONTENT, '#ffffff'),
      ...toolbar(state, address),
      {
        id: 'missing',
        rect: { x: 20, y: 150, w: 230, h: 180 },
        draw: (paint) => {
          box(paint, { x: 103, y: 150, w: 64, h: 78 }, '#dadce0', 6);
          for (const x of [122, 148]) disc(paint, x, 180, 4, GREY);
          arc(paint, 135, 212, 12, 0.58, 0.92, GREY, 3);
          text(paint, 'Not found', 135, 260, { size: 26, weight: 700, align: 'center' });
          text(paint, address, 135, 292, { size: 15, color: GREY, align: 'center', maxWidth: 220 });
        },
      },
    ],
    maxScroll: 0,
  };
}

/** The loading screen of a slow page; the next action ends it. */
export function loadingPage(state: PhoneState, address: string): View {
  return {
    elements: [
      panel('background', CONTENT, '#ffffff'),
      ...toolbar(state, address),
      panel('progress', { x: 0, y: PAGE.y, w: 96, h: 4 }, BLUE),
      {
        id: 'spinner',
        rect: { x: 105, y: 262, w: 60, h: 60 },
        draw: (paint) => (arc(paint, 135, 292, 22, 0, 1, '#e8eaed', 6), arc(paint, 135, 292, 22, -0.25, 0.15, BLUE, 6)),
      },
    ],
    maxScroll: 0,
  };
}

/** Results of a web search: links to shops, never to goods. */
export function webResults(world: World, state: PhoneState, page: Extract<Page, { kind: 'web' }>): View {
  const exact = shopAt(page.query.replaceAll(' ', '') + '.com')?.address;
  const links = [...(exact ? [exact] : []), ...world.popularShops.filter((shop) => shop !== exact)];
  const clip = PAGE;
  const height = 104;
  return {
    elements: [
      panel('background', CONTENT, PALE),
      {
        id: 'web-title',
        rect: { x: 0, y: PAGE.y - page.scroll, w: 270, h: 66 },
        clip,
        draw: (paint, rect) => {
          box(paint, { ...rect, h: 60 }, '#ffffff');
          text(paint, page.query, 14, rect.y + 22, { size: 22, weight: 700, maxWidth: 240 });
          ['ALL', 'IMAGES', 'NEWS', 'MAPS'].forEach((tab, i) =>
            text(paint, tab, 14 + i * 60, rect.y + 48, { size: 12, weight: 500, color: i === 0 ? BLUE : GREY }),
          );
          box(paint, { x: 12, y: rect.y + 57, w: 28, h: 3 }, BLUE);
        },
      },
      ...links.map((address, i): Element => {
        const { shop } = shopAt(address)!;
        return {
          id: `link:${address}`,
          rect: { x: 10, y: PAGE.y + 68 + i * (height + 8) - page.scroll, w: 250, h: height },
          clip,
          tap: { do: 'open', page: { kind: 'shop', shop: address } },
          draw: (paint, { x, y, w, h }) => {
            card(paint, { x, y, w, h });
            disc(paint, x + 22, y + 22, 13, shopColor(shop));
            drawLogo(paint, shop, x + 14, y + 14, '#ffffff', 16);
            text(paint, address, x + 42, y + 22, { size: 14, color: GREY });
            text(paint, page.query, x + 12, y + 54, { size: 18, weight: 500, color: '#1967d2', maxWidth: 170 });
            drawWare(paint, page.query, x + w - 56, y + 44, 46);
            for (const line of [0, 1])
              box(paint, { x: x + 12, y: y + 74 + line * 12, w: 150 - 40 * line, h: 5 }, '#dadce0', 2);
          },
        };
      }),
      ...toolbar(state, page.query),
    ],
    maxScroll: Math.max(0, 68 + links.length * (height + 8) - PAGE.h),
  };
}

/** A dialog that the browser may show when it is opened; any answer, or BACK, removes it. */
export function defaultBrowserDialog(): Element[] {
  const rect = { x: 24, y: 190, w: 222, h: 180 };
  return [
    veil('veil'),
    {
      id: 'dialog',
      rect,
      draw: (paint) => {
        card(paint, rect, '#ffffff', 14);
        text(paint, 'Default browser?', 135, rect.y + 34, { size: 20, weight: 700, align: 'center' });
        text(paint, 'Links will open in this app.', 135, rect.y + 70, { size: 14, color: GREY, align: 'center' });
      },
    },
    outlineButton('dialog:no', { x: 40, y: 310, w: 88, h: 40 }, 'Later', { do: 'dismiss' }),
    button('dialog:yes', { x: 142, y: 310, w: 88, h: 40 }, 'Yes', { do: 'dismiss' }),
  ];
}
