import type { CDPSession, Page } from 'playwright-core';
import type { Point } from '../../data/action.js';

/** A point in CSS pixels from the top left of the screen. */
interface Spot {
  readonly x: number;
  readonly y: number;
}

interface Screen {
  readonly width: number;
  readonly height: number;
}

/** Length of the first move in CSS pixels, above the 15 at which Chromium tells a swipe from a tap. */
const FIRST_MOVE = 20;

/** Seconds that the finger rests at the end, by its own clock, so that the content does not glide on. */
const REST = 0.5;

/** The pixel of the screen at a point; points outside are moved to the edge. */
export function spotOf([y, x]: Point, { width, height }: Screen): Spot {
  const within = (fraction: number, side: number) => Math.min(side - 1, Math.max(0, Math.floor(fraction * side)));
  return { x: within(x, width), y: within(y, height) };
}

/** A swipe to `to`, or a tap without it. The page may be shown larger or smaller than it is laid out. */
export async function touch(input: CDPSession, from: Spot, to: Spot | undefined): Promise<void> {
  const { cssVisualViewport: shown } = await input.send('Page.getLayoutMetrics');
  // Chromium takes the place of a touch in pixels of the page, from the corner that the screen shows
  const onPage = ({ x, y }: Spot): Spot =>
    shown.scale === 1 ? { x, y } : { x: (x + 0.5) / shown.scale, y: (y + 0.5) / shown.scale };
  return to === undefined ? tapAt(input, onPage(from)) : swipe(input, from, to, onPage);
}

/** A finger that touches and leaves. Resolves when the page has handled the touch, before its click. */
async function tapAt(input: CDPSession, spot: Spot): Promise<void> {
  await Promise.all([
    input.send('Input.dispatchTouchEvent', { type: 'touchStart', touchPoints: [spot] }),
    input.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] }),
  ]);
}

/**
 * A finger that moves from one point to another and rests there before it leaves: content moves with the finger (less the
 * few pixels by which a browser tells a swipe from a tap) and does not glide on. The page sees two moves. Of more moves,
 * Chromium would drop some, different ones each time.
 */
async function swipe(input: CDPSession, from: Spot, to: Spot, onPage: (spot: Spot) => Spot): Promise<void> {
  // the finger has its own clock, so that we need not wait while it rests; Chromium wants it near the real time
  const began = Date.now() / 1000;
  const send = (type: 'touchStart' | 'touchMove' | 'touchEnd', at: number, part: number) => {
    const spot = { x: from.x + (to.x - from.x) * part, y: from.y + (to.y - from.y) * part };
    const touchPoints = type === 'touchEnd' ? [] : [onPage(spot)];
    return input.send('Input.dispatchTouchEvent', { type, touchPoints, timestamp: began + at });
  };
  const first = Math.min(1, FIRST_MOVE / Math.hypot(to.x - from.x, to.y - from.y));
  // two batches: Chromium merges all moves that arrive before it has recognised a swipe
  await Promise.all([send('touchStart', 0, 0), send('touchMove', 0.016, first)]);
  await Promise.all([send('touchMove', 0.032, 1), send('touchEnd', 0.032 + REST, 1)]);
}

/** Types into the focused element, key by key or all at once. Without a focused element nothing happens, as on a phone. */
export async function typeText(page: Page, text: string, typing: 'keys' | 'insert'): Promise<void> {
  // a line break would press ENTER, which is a separate action
  const line = text.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ');
  if (typing === 'keys') await page.keyboard.type(line);
  else await page.keyboard.insertText(line);
}

/** The current entry of a page's history; 0 is the first. */
export async function historyIndex(input: CDPSession): Promise<number> {
  return (await input.send('Page.getNavigationHistory')).currentIndex;
}

/** Goes back one entry in the history, but not before entry `floor`. @returns whether there was such an entry */
export async function goBack(input: CDPSession, floor: number): Promise<boolean> {
  const { currentIndex, entries } = await input.send('Page.getNavigationHistory');
  if (currentIndex <= floor) return false;
  await input.send('Page.navigateToHistoryEntry', { entryId: entries[currentIndex - 1].id });
  return true;
}
