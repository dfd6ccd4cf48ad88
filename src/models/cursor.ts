import type { Frame } from '../data/formats/frame.js';
import type { Point } from '../data/action.js';

/** A rectangle of pixels: rows [top, bottom) and columns [left, right). */
export interface Region {
  readonly top: number;
  readonly bottom: number;
  readonly left: number;
  readonly right: number;
}

/** Radius of the cursor as a fraction of the screen's width. */
const RADIUS = 0.055;

/**
 * Draws a cursor (a magenta disc with a white ring) at a point of a screenshot, calls `use`, and restores the pixels. The
 * cursor shows the VLM where a tap goes (docs/algorithms.md §2.2). Only the square around the cursor is copied.
 * @param use gets the region that changed
 * @returns the result of `use`
 */
export function withCursor<T>(frame: Frame, point: Point, use: (changed: Region) => T): T {
  const { width, height, rgba } = frame;
  const radius = RADIUS * width;
  const cy = point[0] * height;
  const cx = point[1] * width;
  const changed: Region = {
    top: Math.max(0, Math.floor(cy - radius)),
    bottom: Math.min(height, Math.ceil(cy + radius) + 1),
    left: Math.max(0, Math.floor(cx - radius)),
    right: Math.min(width, Math.ceil(cx + radius) + 1),
  };
  const before: Uint8ClampedArray[] = [];
  for (let y = changed.top; y < changed.bottom; y++) {
    before.push(rgba.slice((y * width + changed.left) * 4, (y * width + changed.right) * 4));
    for (let x = changed.left; x < changed.right; x++) {
      const distance = Math.hypot(y + 0.5 - cy, x + 0.5 - cx);
      if (distance > radius) continue;
      const at = (y * width + x) * 4;
      const ring = distance > radius * 0.75;
      rgba[at] = 255;
      rgba[at + 1] = ring ? 255 : 0;
      rgba[at + 2] = 255;
    }
  }
  try {
    return use(changed);
  } finally {
    before.forEach((row, i) => rgba.set(row, ((changed.top + i) * width + changed.left) * 4));
  }
}

/** A copy of a screenshot with a cursor at a point. */
export function frameWithCursor(frame: Frame, point: Point): Frame {
  return withCursor(frame, point, () => ({ ...frame, rgba: frame.rgba.slice() }));
}

/** Version of the cursor's drawing, for cache keys of results from such screenshots. Raise it when the drawing changes. */
export const CURSOR = 'cursor-1';
