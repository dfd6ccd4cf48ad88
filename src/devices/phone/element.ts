import { contains, intersection, type Rect } from './geometry.js';
import type { Paint } from './paint.js';
import type { Effect } from './state.js';

/**
 * An element of the screen. The same list is painted (in order), tapped (from last to first) and read by the demonstrator and
 * the tests, so what is visible is what can be touched.
 */
export interface Element {
  /** its name, for the demonstrator and the tests: `icon:browser`, `entry:0` */
  readonly id: string;
  readonly rect: Rect;
  /** the effect of a tap; without one the element only covers what is under it */
  readonly tap?: Effect;
  readonly draw: (paint: Paint, rect: Rect) => void;
  /** the rectangle outside of which it is invisible and cannot be touched (a scrolled list) */
  readonly clip?: Rect;
}

/** A screen: its elements from back to front, and how far its list scrolls in pixels (0: it does not scroll). */
export interface View {
  readonly elements: readonly Element[];
  readonly maxScroll: number;
}

/** The topmost element at a pixel position. */
export function elementAt(view: View, x: number, y: number): Element | undefined {
  return view.elements.findLast(
    ({ rect, clip }) => contains(rect, x, y) && (clip === undefined || contains(clip, x, y)),
  );
}

/** Whether any pixel of the element is visible, ignoring what covers it. */
export function isVisible({ rect, clip }: Element): boolean {
  return clip === undefined || intersection(rect, clip) !== undefined;
}

/** Paints all elements. */
export function paintView(paint: Paint, view: View): void {
  for (const element of view.elements) {
    if (!isVisible(element)) continue;
    if (element.clip) {
      paint.save();
      paint.beginPath();
      paint.rect(element.clip.x, element.clip.y, element.clip.w, element.clip.h);
      paint.clip();
      element.draw(paint, element.rect);
      paint.restore();
    } else {
      element.draw(paint, element.rect);
    }
  }
}
