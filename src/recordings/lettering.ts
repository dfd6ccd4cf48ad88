import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { GlobalFonts, type SKRSContext2D } from '@napi-rs/canvas';
import { RunError } from '../errors.js';

const FAMILY = 'critiq film';
const fonts = join(dirname(createRequire(import.meta.url).resolve('@fontsource/roboto/package.json')), 'files');
for (const weight of [400, 700]) {
  const file = join(fonts, `roboto-latin-${weight}-normal.woff2`);
  if (!GlobalFonts.registerFromPath(file, FAMILY)) {
    throw new RunError(`recordings: cannot load the font ${file}; reinstall critiq's packages (npm ci)`);
  }
}

/** Most characters that are measured; more never fit. */
const LONGEST = 400;

/** Sets the font; `px` is its size. For other scripts the machine's fonts are used, if there are any. */
export function setFont(paint: SKRSContext2D, px: number, weight: 400 | 700 = 400): void {
  paint.font = `${weight} ${px}px "${FAMILY}", sans-serif`;
  paint.textBaseline = 'alphabetic';
}

/** Wraps a text into at most `most` lines of `width` pixels in the current font; the last line is cut if need be. */
export function wrapped(paint: SKRSContext2D, text: string, width: number, most: number): string[] {
  const plain = text.replace(/\s+/g, ' ').trim();
  let rest = plain.slice(0, LONGEST);
  const lines: string[] = [];
  while (rest !== '' && lines.length < most) {
    const fits = fitting(paint, rest, width);
    if (fits === rest.length && (lines.length + 1 < most || plain.length <= LONGEST)) {
      lines.push(rest);
      break;
    }
    if (lines.length + 1 === most) {
      lines.push(
        `${rest.slice(0, Math.max(1, fitting(paint, rest, width - paint.measureText('…').width))).trimEnd()}…`,
      );
      break;
    }
    const space = rest.lastIndexOf(' ', fits);
    const cut = space > 0 ? space : Math.max(1, fits);
    lines.push(rest.slice(0, cut));
    rest = rest.slice(cut).trimStart();
  }
  return lines;
}

/** The number of characters of the text that fit. */
function fitting(paint: SKRSContext2D, text: string, width: number): number {
  let [low, high] = [0, text.length];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (paint.measureText(text.slice(0, middle)).width <= width) low = middle;
    else high = middle - 1;
  }
  return low;
}
