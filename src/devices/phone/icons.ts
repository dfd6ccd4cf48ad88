import { arc, box, disc, piece, polygon, stroke, text, type Paint } from './paint.js';
import type { AppName, SwitchName } from './state.js';
import type { Shop } from './words.js';

/** Side of a launcher icon in pixels. */
export const ICON = 54;
const WHITE = '#ffffff';

/** Colours and glyphs on a 54 × 54 tile; no two apps share a colour or a glyph. */
const APPS: Record<AppName, { tile: string; glyph: (paint: Paint) => void }> = {
  browser: {
    tile: '#ffffff',
    glyph: (p) => {
      disc(p, 27, 27, 21, '#ea4335');
      sector(p, 27, 27, 21, 1 / 12, 5 / 12, '#34a853');
      sector(p, 27, 27, 21, -1 / 4, 1 / 12, '#fbbc05');
      disc(p, 27, 27, 11, WHITE);
      disc(p, 27, 27, 8.5, '#4285f4');
    },
  },
  settings: {
    tile: '#546e7a',
    glyph: (p) => {
      for (let i = 0; i < 8; i++) {
        const [dx, dy] = [Math.cos((i * Math.PI) / 4), Math.sin((i * Math.PI) / 4)];
        stroke(p, [[27 + 11 * dx, 27 + 11 * dy], [27 + 18 * dx, 27 + 18 * dy]], WHITE, 7); // prettier-ignore
      }
      disc(p, 27, 27, 14, WHITE);
      disc(p, 27, 27, 6, '#546e7a');
    },
  },
  clock: {
    tile: '#1a237e',
    glyph: (p) => {
      disc(p, 27, 27, 20, '#e8eaf6');
      stroke(p, [[27, 14], [27, 27], [37, 33]], '#1a237e', 3.5); // prettier-ignore
      disc(p, 27, 27, 2.5, '#ff5252');
    },
  },
  camera: {
    tile: '#37474f',
    glyph: (p) => {
      box(p, { x: 9, y: 17, w: 36, h: 25 }, '#eceff1', 5);
      box(p, { x: 19, y: 11, w: 16, h: 10 }, '#eceff1', 3);
      disc(p, 27, 29, 9, '#263238');
      disc(p, 27, 29, 5, '#4fc3f7');
    },
  },
  music: {
    tile: '#ff6d00',
    glyph: (p) => {
      stroke(p, [[21, 38], [21, 14], [39, 11], [39, 34]], WHITE, 4); // prettier-ignore
      disc(p, 17, 38, 6, WHITE);
      disc(p, 35, 34, 6, WHITE);
    },
  },
  maps: {
    tile: '#aed581',
    glyph: (p) => {
      stroke(p, [[0, 44], [54, 16]], '#fff59d', 8); // prettier-ignore
      polygon(p, [[15, 23], [39, 23], [27, 46]], '#d32f2f'); // prettier-ignore
      disc(p, 27, 19, 12.5, '#d32f2f');
      disc(p, 27, 19, 5, '#7f0000');
    },
  },
  mail: {
    tile: '#c62828',
    glyph: (p) => {
      box(p, { x: 8, y: 14, w: 38, h: 27 }, WHITE, 3);
      stroke(p, [[10, 17], [27, 31], [44, 17]], '#c62828', 3.5); // prettier-ignore
    },
  },
  messages: {
    tile: '#00897b',
    glyph: (p) => {
      box(p, { x: 9, y: 11, w: 36, h: 25 }, WHITE, 7);
      polygon(p, [[15, 33], [28, 33], [15, 46]], WHITE); // prettier-ignore
      for (const x of [18, 27, 36]) disc(p, x, 23.5, 3, '#00897b');
    },
  },
  gallery: {
    tile: '#7b1fa2',
    glyph: (p) => {
      box(p, { x: 9, y: 11, w: 36, h: 32 }, '#f3e5f5', 4);
      disc(p, 19, 20, 4, '#ffb300');
      polygon(p, [[11, 41], [23, 26], [30, 34], [36, 28], [43, 41]], '#7b1fa2'); // prettier-ignore
    },
  },
  calculator: {
    tile: '#212121',
    glyph: (p) => {
      ['#eeeeee', '#eeeeee', '#eeeeee', '#ff9800'].forEach((color, i) => {
        const [x, y] = [11 + (i % 2) * 18, 11 + Math.floor(i / 2) * 18];
        box(p, { x, y, w: 14, h: 14 }, color, 3);
      });
    },
  },
  calendar: {
    tile: '#42a5f5',
    glyph: (p) => {
      box(p, { x: 10, y: 11, w: 34, h: 33 }, WHITE, 4);
      box(p, { x: 10, y: 11, w: 34, h: 9 }, '#0d47a1', 3);
      text(p, '31', 27, 32, { size: 18, weight: 700, color: '#0d47a1', align: 'center' });
    },
  },
  contacts: {
    tile: '#f06292',
    glyph: (p) => {
      disc(p, 27, 20, 9, WHITE);
      sector(p, 27, 46, 17, 0.5, 1, WHITE);
    },
  },
};

/** Part of a disc; angles in turns, 0 to the right, clockwise. */
export function sector(p: Paint, x: number, y: number, radius: number, from: number, to: number, color: string): void {
  p.fillStyle = color;
  p.beginPath();
  p.moveTo(x, y);
  p.arc(x, y, radius, from * 2 * Math.PI, to * 2 * Math.PI);
  p.closePath();
  p.fill();
}

/** Draws an app's icon with its top left corner at (x, y), `size` pixels wide. */
export function drawAppIcon(paint: Paint, app: AppName, x: number, y: number, size = ICON): void {
  const icon = piece(`app:${app}`, ICON, ICON, (p) => {
    box(p, { x: 0, y: 0, w: ICON, h: ICON }, APPS[app].tile, 15);
    p.save();
    p.beginPath();
    p.roundRect(0, 0, ICON, ICON, 15);
    p.clip();
    APPS[app].glyph(p);
    p.restore();
  });
  paint.drawImage(icon, x, y, size, size);
}

/** The colour of an app's tile, also used for its title bar. */
export function appColor(app: AppName): string {
  return APPS[app].tile;
}

const FIRST_COLORS: Record<Shop['first'], string> = {
  best: '#0d47a1',
  mega: '#e65100',
  top: '#2e7d32',
  city: '#37474f',
  sun: '#f9a825',
  star: '#6a1b9a',
  happy: '#d81b60',
  river: '#0097a7',
  fox: '#b71c1c',
  moon: '#4e342e',
  bear: '#8d6e63',
  cloud: '#90a4ae',
  eagle: '#5c6bc0',
  forest: '#1b5e20',
  garden: '#7cb342',
  lucky: '#00bfa5',
  ocean: '#039be5',
  rapid: '#ff7043',
  smart: '#ab47bc',
  tiger: '#c0a000',
};

/** Header colour of a shop; the first piece of its name decides. */
export function shopColor(shop: Shop): string {
  return FIRST_COLORS[shop.first];
}

const LOGOS: Record<Shop['second'], (p: Paint, color: string) => void> = {
  mart: (p, c) => polygon(p, [[4, 28], [16, 4], [28, 28]], c), // prettier-ignore
  shop: (p, c) => (box(p, { x: 5, y: 12, w: 22, h: 16 }, c, 2), arc(p, 16, 12, 6, 0.5, 1, c, 3)),
  goods: (p, c) => disc(p, 16, 16, 12, c),
  deals: (p, c) => polygon(p, [[16, 2], [30, 16], [16, 30], [2, 16]], c), // prettier-ignore
  store: (p, c) => {
    for (const y of [5, 14, 23]) box(p, { x: 4, y, w: 24, h: 5 }, c, 2);
  },
  market: (p, c) => {
    for (const x of [4, 13, 22]) box(p, { x, y: 30 - x, w: 6, h: x }, c, 1);
  },
  box: (p, c) => box(p, { x: 5, y: 5, w: 22, h: 22 }, c, 2),
  hub: (p, c) => (arc(p, 16, 16, 10, 0, 1, c, 5), disc(p, 16, 16, 3.5, c)),
  depot: (p, c) => polygon(p, [[3, 28], [3, 12], [16, 4], [29, 12], [29, 28]], c), // prettier-ignore
  place: (p, c) => (disc(p, 16, 12, 9, c), polygon(p, [[8, 16], [24, 16], [16, 30]], c)), // prettier-ignore
  world: (p, c) => (arc(p, 16, 16, 12, 0, 1, c, 3), box(p, { x: 4, y: 14, w: 24, h: 4 }, c, 0), box(p, { x: 14, y: 4, w: 4, h: 24 }, c, 0)), // prettier-ignore
  zone: (p, c) => polygon(p, [[4, 4], [28, 4], [28, 9], [13, 23], [28, 23], [28, 28], [4, 28], [4, 23], [19, 9], [4, 9]], c), // prettier-ignore
};

/** Draws a shop's logo, 32 × 32 at scale 1; the second piece of its name decides the shape. */
export function drawLogo(paint: Paint, shop: Shop, x: number, y: number, color: string, size = 32): void {
  paint.drawImage(
    piece(`logo:${shop.second}:${color}`, 32, 32, (p) => LOGOS[shop.second](p, color)),
    x,
    y,
    size,
    size,
  );
}

const SWITCH_ICONS: Record<SwitchName, { color: string; glyph: (p: Paint, c: string) => void }> = {
  wifi: {
    color: '#1e88e5',
    glyph: (p, c) => ([5, 10].forEach((r) => arc(p, 16, 21, r, 0.625, 0.875, c, 3)), disc(p, 16, 21, 2.2, c)),
  },
  bluetooth: {
    color: '#3949ab',
    glyph: (p, c) => stroke(p, [[11, 12], [21, 20], [16, 24], [16, 8], [21, 12], [11, 20]], c, 2), // prettier-ignore
  },
  'airplane mode': {
    color: '#ef6c00',
    glyph: (p, c) => (
      stroke(p, [[16, 7], [16, 25]], c, 4), // prettier-ignore
      polygon(p, [[16, 12], [26, 19], [26, 21], [16, 18], [6, 21], [6, 19]], c) // prettier-ignore
    ),
  },
  'dark mode': { color: '#212121', glyph: (p, c) => (disc(p, 16, 16, 9, c), disc(p, 20, 13, 7.5, '#212121')) },
  location: {
    color: '#43a047',
    glyph: (p, c) => (disc(p, 16, 13, 6, c), polygon(p, [[10.5, 15], [21.5, 15], [16, 25]], c)), // prettier-ignore
  },
  'battery saver': {
    color: '#c0ca33',
    glyph: (p, c) => (box(p, { x: 11, y: 9, w: 10, h: 16 }, c, 2), box(p, { x: 14, y: 6, w: 4, h: 4 }, c)),
  },
  hotspot: {
    color: '#8e24aa',
    glyph: (p, c) => (disc(p, 16, 16, 3, c), arc(p, 16, 16, 8, 0.35, 1.15, c, 2.5)),
  },
  'mobile data': {
    color: '#00acc1',
    glyph: (p, c) => (
      polygon(p, [[11, 7], [16, 13], [6, 13]], c), // prettier-ignore
      polygon(p, [[21, 25], [26, 19], [16, 19]], c), // prettier-ignore
      stroke(p, [[11, 13], [11, 24]], c, 2.5), // prettier-ignore
      stroke(p, [[21, 8], [21, 19]], c, 2.5) // prettier-ignore
    ),
  },
  rotation: {
    color: '#e53935',
    glyph: (p, c) => (arc(p, 16, 16, 8, 0, 0.75, c, 2.5), polygon(p, [[13, 4], [20, 8], [13, 12]], c)), // prettier-ignore
  },
  sync: {
    color: '#6d4c41',
    glyph: (p, c) => (
      arc(p, 16, 16, 8, 0.55, 0.95, c, 2.5),
      arc(p, 16, 16, 8, 0.05, 0.45, c, 2.5),
      polygon(p, [[20, 14], [28, 14], [24, 19]], c), // prettier-ignore
      polygon(p, [[4, 18], [12, 18], [8, 13]], c) // prettier-ignore
    ),
  },
};

/** Draws the round icon of a switch, 32 × 32. */
export function drawSwitchIcon(paint: Paint, name: SwitchName, x: number, y: number): void {
  const { color, glyph } = SWITCH_ICONS[name];
  paint.drawImage(
    piece(`switch:${name}`, 32, 32, (p) => (disc(p, 16, 16, 16, color), glyph(p, WHITE))),
    x,
    y,
  );
}
