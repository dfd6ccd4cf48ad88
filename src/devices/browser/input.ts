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

/** Length of the first move in CSS pixels: longer than the 15 by which Chromium tells a swipe from a tap. */
const FIRST_MOVE = 20;

/** Seconds that the finger rests at the end, by its own clock: what is let go at rest does not glide on. */
const REST = 0.5;

/** The pixel of the screen that holds a point; points beyond an edge are at the edge. */
export function spotOf([y, x]: Point, { width, height }: Screen): Spot {
  const within = (fraction: number, side: number) => Math.min(side - 1, Math.max(0, Math.floor(fraction * side)));
  return { x: within(x, width), y: within(y, height) };
}

/** A swipe to another place, or with none a tap. */
export function touch(input: CDPSession, from: Spot, to: Spot | undefined): Promise<void> {
  return to === undefined ? tapAt(input, from) : swipe(input, from, to);
}

/** A finger that touches and leaves. Resolves when the page has had the touch, which is before its click. */
async function tapAt(input: CDPSession, spot: Spot): Promise<void> {
  await Promise.all([
    input.send('Input.dispatchTouchEvent', { type: 'touchStart', touchPoints: [spot] }),
    input.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] }),
  ]);
}

/**
 * A finger that is drawn from one place to another and rests there before it leaves: content moves by the way of the
 * finger (less the few pixels by which a browser tells a swipe from a tap) and does not glide on. The page sees two moves:
 * of more, Chromium would leave out some, other ones each time.
 */
async function swipe(input: CDPSession, from: Spot, to: Spot): Promise<void> {
  // the finger has a clock of its own, so that its rest need not be waited for; Chromium wants it near the real one
  const began = Date.now() / 1000;
  const send = (type: 'touchStart' | 'touchMove' | 'touchEnd', at: number, part: number) => {
    const spot = { x: from.x + (to.x - from.x) * part, y: from.y + (to.y - from.y) * part };
    const touchPoints = type === 'touchEnd' ? [] : [spot];
    return input.send('Input.dispatchTouchEvent', { type, touchPoints, timestamp: began + at });
  };
  const first = Math.min(1, FIRST_MOVE / Math.hypot(to.x - from.x, to.y - from.y));
  // what is sent before Chromium has decided that this is a swipe would be taken for one move
  await Promise.all([send('touchStart', 0, 0), send('touchMove', 0.016, first)]);
  await Promise.all([send('touchMove', 0.032, 1), send('touchEnd', 0.032 + REST, 1)]);
}

/** Text into the focused element, as keys or all at once. Where nothing has the focus it goes nowhere, as on a phone. */
export async function typeText(page: Page, text: string, typing: 'keys' | 'insert'): Promise<void> {
  // a line break would be the enter key, which is an action of its own
  const line = text.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ');
  if (typing === 'keys') await page.keyboard.type(line);
  else await page.keyboard.insertText(line);
}

/** Where the history of a page stands: 0 is the first entry. */
export async function historyIndex(input: CDPSession): Promise<number> {
  return (await input.send('Page.getNavigationHistory')).currentIndex;
}

/** One entry back in the history, but not before entry `floor`. @returns whether there was one */
export async function goBack(input: CDPSession, floor: number): Promise<boolean> {
  const { currentIndex, entries } = await input.send('Page.getNavigationHistory');
  if (currentIndex <= floor) return false;
  await input.send('Page.navigateToHistoryEntry', { entryId: entries[currentIndex - 1].id });
  return true;
}
