import type { Point } from '../../data/action.js';

/** Screen of the embedded phone in pixels: a quarter of the 1080 × 2340 of Android in the Wild's newer phones. */
export const SCREEN = { width: 270, height: 585 } as const;

/** A rectangle in screen pixels, x to the right and y down from the top left. */
export interface Rect {
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
}

/** A grid of points for taps: the centres of rows × columns equal cells. */
export interface Grid {
  readonly rows: number;
  readonly columns: number;
}

/** 24 × 12 cells of 24.4 × 22.5 pixels: every target of the phone contains the centre of at least one cell. */
export const DEFAULT_GRID: Grid = { rows: 24, columns: 12 };

/** A pixel of the screen. */
export interface Pixel {
  readonly x: number;
  readonly y: number;
}

/** The pixel at a point; points outside are moved to the edge. */
export function pixelAt([y, x]: Point): Pixel {
  const within = (fraction: number, side: number) => Math.min(side - 1, Math.max(0, Math.floor(fraction * side)));
  return { x: within(x, SCREEN.width), y: within(y, SCREEN.height) };
}

/** Whether the rectangle contains the pixel position (x, y). */
export function contains(rect: Rect, x: number, y: number): boolean {
  return x >= rect.x && y >= rect.y && x < rect.x + rect.w && y < rect.y + rect.h;
}

/** The intersection of two rectangles; undefined if it is empty. */
export function intersection(a: Rect, b: Rect): Rect | undefined {
  const x = Math.max(a.x, b.x);
  const y = Math.max(a.y, b.y);
  const w = Math.min(a.x + a.w, b.x + b.w) - x;
  const h = Math.min(a.y + a.h, b.y + b.h) - y;
  return w > 0 && h > 0 ? { x, y, w, h } : undefined;
}

/**
 * The centre of a grid cell in fractions of the screen [y, x], rounded to the four decimals of Auto-UI's action text
 * (docs/algorithms.md §0), so that formatting and parsing do not change an action.
 */
export function gridPoint(row: number, column: number, grid: Grid): Point {
  return [round4((row + 0.5) / grid.rows), round4((column + 0.5) / grid.columns)];
}

/** The centres of all grid cells whose pixel position passes `accepts`, row by row. */
export function gridPoints(grid: Grid, accepts: (x: number, y: number) => boolean): Point[] {
  const points: Point[] = [];
  for (let row = 0; row < grid.rows; row++) {
    for (let column = 0; column < grid.columns; column++) {
      const point = gridPoint(row, column, grid);
      if (accepts(point[1] * SCREEN.width, point[0] * SCREEN.height)) points.push(point);
    }
  }
  return points;
}

function round4(value: number): number {
  return Math.round(value * 1e4) / 1e4;
}
