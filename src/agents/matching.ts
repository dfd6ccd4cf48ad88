import { isTap, type Action, type Point } from '../data/action.js';

/** A UI element's bounding box in fractions of the screen: [top, left, height, width]. */
export type Box = readonly [y: number, x: number, height: number, width: number];

/** Constants of google-research/android_in_the_wild, action_matching.py. */
export interface MatchingOptions {
  /** taps at most this far apart match (Euclidean, fractions of the screen). @default 0.14 */
  readonly tapDistance?: number;
  /** fraction of a box's height and width by which it grows before it is checked for both taps. @default 1.4 */
  readonly boxGrowth?: number;
}

/**
 * Whether two actions match by Android in the Wild's rule (docs/algorithms.md §6): taps match within 0.14 or inside the same
 * grown box, swipes along the same axis, all others by type. Typed text is ignored, as in the official metric.
 */
export function actionsMatch(a: Action, b: Action, boxes: readonly Box[] = [], options: MatchingOptions = {}): boolean {
  if (a.type !== 'DUAL_POINT' || b.type !== 'DUAL_POINT') return a.type === b.type;
  const [tapA, tapB] = [isTap(a), isTap(b)];
  if (tapA !== tapB) return false;
  return tapA ? tapsMatch(a.touch, b.touch, boxes, options) : mainAxis(a.touch, a.lift) === mainAxis(b.touch, b.lift);
}

function tapsMatch(
  a: Point,
  b: Point,
  boxes: readonly Box[],
  { tapDistance = 0.14, boxGrowth = 1.4 }: MatchingOptions,
) {
  if (Math.hypot(a[0] - b[0], a[1] - b[1]) <= tapDistance) return true;
  return boxes.map((box) => grow(box, boxGrowth)).some((box) => inside(a, box) && inside(b, box));
}

/**
 * The official enlargement: a box grows by `growth` times its height and width; its corner moves up and left by half of
 * that and stops at the screen's edge. A stopped corner does not reduce the size.
 */
function grow([y, x, height, width]: Box, growth: number): Box {
  return [
    Math.max(0, y - (growth * height) / 2),
    Math.max(0, x - (growth * width) / 2),
    Math.min(1, height + growth * height),
    Math.min(1, width + growth * width),
  ];
}

/** Whether a point is in a box; edges count as inside. */
export function inside([py, px]: Point, [y, x, height, width]: Box): boolean {
  return py >= y && py <= y + height && px >= x && px <= x + width;
}

/** The axis along which a swipe moves further: 0 for y (also for a tie, as with numpy's argmax), 1 for x. */
function mainAxis(touch: Point, lift: Point): 0 | 1 {
  return Math.abs(lift[1] - touch[1]) > Math.abs(lift[0] - touch[0]) ? 1 : 0;
}
