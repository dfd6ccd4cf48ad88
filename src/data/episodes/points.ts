import type { Point } from '../action.js';
import type { UiBox } from './episode.js';

/**
 * The one place where coordinates of other projects become critiq's: points [y, x] and boxes [y, x, height, width], in
 * fractions of the screen. Everything else passes on what these functions return.
 */

/** How a layout writes a point. */
export interface PointForm {
  /** which comes first */
  readonly order: 'yx' | 'xy';
  /** what the numbers are fractions of: 1, 1000 (thousandths), or the size of the screen in pixels */
  readonly scale: { readonly width: number; readonly height: number };
}

export const FRACTIONS = { width: 1, height: 1 } as const;
export const THOUSANDTHS = { width: 1000, height: 1000 } as const;

/** A point on the screen is at most this far outside of it, by rounding; it is moved to the edge. */
const SLACK = 0.002;

/** A point as [y, x] fractions; undefined if it is no point, or not on the screen. */
export function toPoint(value: unknown, { order, scale }: PointForm): Point | undefined {
  if (!Array.isArray(value) || value.length !== 2 || !value.every((part) => typeof part === 'number')) return undefined;
  const [first, second] = value as [number, number];
  const [y, x] = order === 'yx' ? [first, second] : [second, first];
  const point = [onScreen(y / scale.height), onScreen(x / scale.width)] as const;
  return point[0] === undefined || point[1] === undefined ? undefined : [point[0], point[1]];
}

function onScreen(part: number): number | undefined {
  if (!(part >= -SLACK && part <= 1 + SLACK)) return undefined;
  return Math.min(1, Math.max(0, part));
}

/**
 * Boxes from a flat list of [y, x, height, width] or from a list of boxes; a box that is cut off by the screen stays as it is.
 * @throws RangeError if the list is no list of boxes
 */
export function toBoxes(value: unknown, { order, scale }: PointForm = { order: 'yx', scale: FRACTIONS }): UiBox[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw new RangeError('expected a list of boxes');
  const nested = value.length > 0 && value.every((one) => Array.isArray(one));
  const flat = (nested ? (value as unknown[][]).flat() : value) as unknown[];
  if (flat.length % 4 !== 0 || (nested && !(value as unknown[][]).every((one) => one.length === 4)))
    throw new RangeError(`expected four numbers a box, got ${flat.length} numbers`);
  if (!flat.every((part) => typeof part === 'number' && Number.isFinite(part)))
    throw new RangeError('expected boxes of numbers');
  const numbers = flat as number[];
  return Array.from({ length: numbers.length / 4 }, (_, i) => {
    const [a, b, c, d] = numbers.slice(4 * i, 4 * i + 4);
    const [y, x, height, width] = order === 'yx' ? [a, b, c, d] : [b, a, d, c];
    return [y / scale.height, x / scale.width, height / scale.height, width / scale.width] as const;
  });
}

/** A box from the edges of a rectangle in pixels. */
export function edgesToBox(
  edges: { readonly left: number; readonly top: number; readonly right: number; readonly bottom: number },
  scale: PointForm['scale'],
): UiBox {
  const { left, top, right, bottom } = edges;
  return [top / scale.height, left / scale.width, (bottom - top) / scale.height, (right - left) / scale.width];
}

/** Directions in which layouts scroll. */
export const DIRECTIONS = ['up', 'down', 'left', 'right'] as const;
export type Direction = (typeof DIRECTIONS)[number];

/** From where to where the finger moves: [touch, lift]. */
type Swipe = readonly [touch: Point, lift: Point];

/**
 * The finger's way for a named scroll, [y, x]. `seeclick`: the direction in which the content is shown, as in SeeClick, AITZ and
 * AndroidControl: to scroll down is to move the finger up. `vem`: the finger's own direction, as VEM's code writes it.
 */
export const SCROLLS: Readonly<Record<'seeclick' | 'vem', Readonly<Record<Direction, Swipe>>>> = {
  seeclick: {
    down: [[0.8, 0.5], [0.2, 0.5]],
    up: [[0.2, 0.5], [0.8, 0.5]],
    left: [[0.5, 0.2], [0.5, 0.8]],
    right: [[0.5, 0.8], [0.5, 0.2]],
  },
  vem: {
    up: [[0.5, 0.5], [0.2, 0.5]],
    down: [[0.2, 0.5], [0.5, 0.5]],
    left: [[0.5, 0.8], [0.5, 0.2]],
    right: [[0.5, 0.2], [0.5, 0.8]],
  },
};
