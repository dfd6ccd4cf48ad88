import type { Frame } from './formats/frame.js';

/** Side in pixels of the blocks that are averaged to quarter-size images. */
const BLOCK = 4;

/**
 * How much the screen has changed: the mean squared difference (0..65025) of the RGB values of two screenshots at a quarter
 * of their size (docs/algorithms.md §2.2: more than 30 counts as a change). Rows and columns beyond whole blocks are ignored.
 * Infinity if the sizes differ.
 */
export function screenChange(a: Frame, b: Frame): number {
  if (a.width !== b.width || a.height !== b.height) return Infinity;
  const rows = Math.floor(a.height / BLOCK);
  const columns = Math.floor(a.width / BLOCK);
  const scale = 1 / (BLOCK * BLOCK);
  let total = 0;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      let r = 0;
      let g = 0;
      let bl = 0;
      for (let y = row * BLOCK; y < (row + 1) * BLOCK; y++) {
        let at = (y * a.width + column * BLOCK) * 4;
        for (let x = 0; x < BLOCK; x++, at += 4) {
          r += a.rgba[at] - b.rgba[at];
          g += a.rgba[at + 1] - b.rgba[at + 1];
          bl += a.rgba[at + 2] - b.rgba[at + 2];
        }
      }
      total += (r * scale) ** 2 + (g * scale) ** 2 + (bl * scale) ** 2;
    }
  }
  return total / (3 * rows * columns);
}
