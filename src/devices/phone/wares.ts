import { arc, box, disc, piece, polygon, stroke, type Paint } from './paint.js';
import { sector } from './icons.js';
import { goodsOf, type Colour, type Noun } from './words.js';

const COLORS: Record<Colour, string> = {
  red: '#e53935',
  orange: '#fb8c00',
  yellow: '#fdd835',
  green: '#43a047',
  blue: '#1e88e5',
  purple: '#8e24aa',
  pink: '#f48fb1',
  brown: '#795548',
  black: '#212121',
  white: '#ffffff',
};
const DARK = '#455a64';

/** The shapes of goods on a 64 × 64 tile. */
const SHAPES: Record<Noun, (p: Paint, c: string) => void> = {
  lamp: (p, c) => {
    stroke(p, [[32, 34], [32, 54]], DARK, 4); // prettier-ignore
    box(p, { x: 20, y: 53, w: 24, h: 4 }, DARK, 2);
    polygon(p, [[22, 8], [42, 8], [52, 36], [12, 36]], c); // prettier-ignore
  },
  chair: (p, c) => {
    box(p, { x: 16, y: 8, w: 8, h: 48 }, c, 2);
    box(p, { x: 16, y: 32, w: 32, h: 8 }, c, 2);
    box(p, { x: 41, y: 34, w: 7, h: 22 }, c, 2);
  },
  phone: (p, c) => {
    box(p, { x: 19, y: 6, w: 26, h: 52 }, c, 5);
    box(p, { x: 22, y: 12, w: 20, h: 36 }, '#cfd8dc', 1);
    disc(p, 32, 53, 2.5, '#cfd8dc');
  },
  watch: (p, c) => {
    box(p, { x: 24, y: 4, w: 16, h: 56 }, c, 4);
    disc(p, 32, 32, 17, DARK);
    disc(p, 32, 32, 13, '#eceff1');
    stroke(p, [[32, 24], [32, 32], [38, 35]], DARK, 2.5); // prettier-ignore
  },
  piano: (p, c) => {
    box(p, { x: 6, y: 16, w: 52, h: 32 }, c, 4);
    box(p, { x: 10, y: 28, w: 44, h: 16 }, '#fafafa');
    for (const x of [16, 24, 32, 44]) box(p, { x, y: 28, w: 4, h: 10 }, '#111111');
  },
  drone: (p, c) => {
    stroke(p, [[14, 18], [50, 46]], DARK, 4); // prettier-ignore
    stroke(p, [[50, 18], [14, 46]], DARK, 4); // prettier-ignore
    for (const [x, y] of [[14, 18], [50, 18], [14, 46], [50, 46]]) arc(p, x, y, 8, 0, 1, c, 4); // prettier-ignore
    box(p, { x: 23, y: 25, w: 18, h: 14 }, c, 5);
  },
  tent: (p, c) => {
    polygon(p, [[32, 10], [60, 54], [4, 54]], c); // prettier-ignore
    polygon(p, [[32, 28], [42, 54], [22, 54]], '#37474f'); // prettier-ignore
  },
  bike: (p, c) => {
    arc(p, 16, 42, 11, 0, 1, DARK, 3);
    arc(p, 48, 42, 11, 0, 1, DARK, 3);
    stroke(p, [[16, 42], [26, 24], [42, 24], [30, 42], [16, 42]], c, 4); // prettier-ignore
    stroke(p, [[48, 42], [41, 18], [47, 15]], c, 4); // prettier-ignore
    stroke(p, [[22, 18], [30, 18]], DARK, 4); // prettier-ignore
  },
  ring: (p, c) => {
    arc(p, 32, 40, 16, 0, 1, c, 6);
    polygon(p, [[24, 8], [40, 8], [46, 15], [32, 27], [18, 15]], '#4dd0e1'); // prettier-ignore
  },
  cup: (p, c) => {
    arc(p, 46, 32, 9, -0.25, 0.25, c, 5);
    polygon(p, [[12, 16], [48, 16], [43, 52], [17, 52]], c); // prettier-ignore
  },
  shoe: (p, c) => {
    polygon(p, [[8, 20], [22, 18], [34, 32], [54, 38], [58, 46], [8, 46]], c); // prettier-ignore
    box(p, { x: 7, y: 46, w: 52, h: 6 }, DARK, 2);
  },
  mouse: (p, c) => {
    box(p, { x: 18, y: 10, w: 28, h: 46 }, c, 14);
    stroke(p, [[32, 12], [32, 30]], DARK, 2); // prettier-ignore
    box(p, { x: 30, y: 17, w: 4, h: 9 }, DARK, 2);
  },
};

/** Draws the goods that a search text names, `size` pixels wide on a grey tile; a parcel for any other text. */
export function drawWare(paint: Paint, query: string, x: number, y: number, size: number): void {
  const ware = goodsOf(query);
  const key = ware ? `${ware.colour} ${ware.noun}` : 'parcel';
  const picture = piece(`ware:${key}`, 128, 128, (p) => {
    p.scale(2, 2);
    box(p, { x: 0, y: 0, w: 64, h: 64 }, '#e3e8eb', 6);
    if (ware) {
      SHAPES[ware.noun](p, COLORS[ware.colour]);
    } else {
      box(p, { x: 12, y: 16, w: 40, h: 34 }, '#bcaaa4', 2);
      box(p, { x: 29, y: 16, w: 6, h: 34 }, '#8d6e63');
      sector(p, 32, 16, 5, 0.5, 1, '#8d6e63');
    }
  });
  paint.drawImage(picture, x, y, size, size);
}
