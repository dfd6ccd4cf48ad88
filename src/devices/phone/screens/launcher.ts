import type { Element, View } from '../element.js';
import { ICON, appColor, drawAppIcon } from '../icons.js';
import { box, disc, piece, text } from '../paint.js';
import type { AppName, Page, PlainApp } from '../state.js';
import type { World } from '../world.js';
import { clockText, CONTENT, panel } from './chrome.js';

export const WALLPAPERS: readonly (readonly [string, string])[] = [
  ['#5b8fc9', '#b9a3b8'],
  ['#274060', '#7ba3b8'],
  ['#3b2f5b', '#b97c9b'],
  ['#6f8f70', '#b3a98a'],
  ['#26413c', '#6aa391'],
  ['#a58a6b', '#5f6b73'],
];

/** The page that an app's icon opens. @param hard on the phone of the hard tasks */
export function firstPage(app: AppName, hard = false): Page {
  if (hard && app === 'contacts') return { kind: 'people' };
  if (hard && app === 'mail') return { kind: 'mails' };
  if (hard && app === 'messages') return { kind: 'chats' };
  switch (app) {
    case 'browser':
      return { kind: 'start' };
    case 'settings':
      return { kind: 'settings', scroll: 0 };
    case 'clock':
      return { kind: 'clock', tab: 'alarm' };
    default:
      return { kind: 'plain', app };
  }
}

/** The label under an icon. */
export function appLabel(app: AppName): string {
  return app[0].toUpperCase() + app.slice(1);
}

/** A page of the launcher: a clock, icons in 4 columns × 5 rows with gaps, and a dot for each page. */
export function launcher(world: World, page: Extract<Page, { kind: 'launcher' }>): View {
  const [top, bottom] = WALLPAPERS[world.wallpaper];
  const wallpaper = piece(`wallpaper:${top}`, 270, 585, (p) => {
    const gradient = p.createLinearGradient(0, 0, 60, 585);
    gradient.addColorStop(0, top);
    gradient.addColorStop(1, bottom);
    p.fillStyle = gradient;
    p.fillRect(0, 0, 270, 585);
  });
  const elements: Element[] = [
    { id: 'wallpaper', rect: { x: 0, y: 0, w: 270, h: 585 }, draw: (paint) => paint.drawImage(wallpaper, 0, 0) },
    {
      id: 'widget',
      rect: { x: 0, y: 34, w: 270, h: 48 },
      draw: (paint) =>
        text(paint, clockText(world.time), 135, 56, { size: 38, weight: 400, color: '#ffffff', align: 'center' }),
    },
  ];
  world.icons[page.page].forEach((app, slot) => {
    if (app === undefined) return;
    const rect = { x: 8 + 65 * (slot % 4), y: 96 + 86 * Math.floor(slot / 4), w: 59, h: 74 };
    elements.push({
      id: `icon:${app}`,
      rect,
      tap: { do: 'open', page: firstPage(app, world.hard) },
      draw: (paint) => {
        drawAppIcon(paint, app, rect.x + (rect.w - ICON) / 2, rect.y);
        const style = { size: 12.5, weight: 500, align: 'center', maxWidth: 64 } as const;
        text(paint, appLabel(app), rect.x + rect.w / 2 + 0.7, rect.y + 64.7, { ...style, color: 'rgba(0,0,0,0.45)' });
        text(paint, appLabel(app), rect.x + rect.w / 2, rect.y + 64, { ...style, color: '#ffffff' });
      },
    });
  });
  elements.push({
    id: 'dots',
    rect: { x: 105, y: 530, w: 60, h: 16 },
    draw: (paint) =>
      world.icons.forEach((_, i) =>
        disc(paint, 127 + 16 * i, 538, 3.5, i === page.page ? '#ffffff' : 'rgba(255,255,255,0.45)'),
      ),
  });
  return { elements, maxScroll: 0 };
}

/** The screen of an app without functions, which is opened by mistake or as a task. */
export function plainApp(app: PlainApp): View {
  const color = appColor(app);
  const bar = { x: 0, y: CONTENT.y, w: CONTENT.w, h: 52 };
  return {
    elements: [
      panel('background', CONTENT, '#fafafa'),
      {
        id: 'app-bar',
        rect: bar,
        draw: (paint) => {
          box(paint, bar, color);
          text(paint, appLabel(app), 18, bar.y + 26, { size: 22, weight: 700, color: '#ffffff' });
        },
      },
      {
        id: 'app-picture',
        rect: { x: 81, y: 130, w: 108, h: 108 },
        draw: (paint) => drawAppIcon(paint, app, 81, 130, 108),
      },
      ...[0, 1, 2, 3].map((i): Element => {
        const row = { x: 18, y: 280 + 62 * i, w: 234, h: 50 };
        return {
          id: `row:${i}`,
          rect: row,
          draw: (paint) => {
            box(paint, row, '#eceff1', 8);
            disc(paint, row.x + 25, row.y + 25, 15, color);
            box(paint, { x: row.x + 52, y: row.y + 14, w: 90 + ((i * 37) % 60), h: 8 }, '#b0bec5', 4);
            box(paint, { x: row.x + 52, y: row.y + 29, w: 60 + ((i * 23) % 70), h: 6 }, '#cfd8dc', 3);
          },
        };
      }),
    ],
    maxScroll: 0,
  };
}
