import { contains, intersection, type Rect } from './geometry.js';
import type { Paint } from './paint.js';
import type { Effect } from './state.js';

/**
 * A thing on the screen. The same list of elements is painted (in order), tapped (from the last to the first) and read by
 * the demonstrator and the tests, so what is seen is what can be touched.
 */
export interface Element {
  /** what it is, for the demonstrator and for tests: `icon:browser`, `entry:0` */
  readonly id: string;
  readonly rect: Rect;
  /** what a tap on it does; without one it does nothing, but hides what lies under it */
  readonly tap?: Effect;
  readonly draw: (paint: Paint, rect: Rect) => void;
  /** shown and touched only inside this rectangle (a scrolled list) */
  readonly clip?: Rect;
}

/** A screen: its elements from back to front, and how far its list scrolls (0 where it does not). */
export interface View {
  readonly elements: readonly Element[];
  readonly maxScroll: number;
}

/** The topmost element at a place. */
export function elementAt(view: View, x: number, y: number): Element | undefined {
  return view.elements.findLast(
    ({ rect, clip }) => contains(rect, x, y) && (clip === undefined || contains(clip, x, y)),
  );
}

/** Whether any pixel of the element can be seen, disregarding what lies over it. */
export function isVisible({ rect, clip }: Element): boolean {
  return clip === undefined || intersection(rect, clip) !== undefined;
}

/** Paint all elements. */
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
