import { setTimeout as pause } from 'node:timers/promises';
import type { Frame, Page } from 'playwright-core';

/** Milliseconds to wait for a page's embedded frames; a hung frame is captured as it is. */
const FRAME_MS = 250;

/** The property of a document's global object that holds STILLNESS's functions. */
const NAME = `Symbol.for('critiq.stillness')`;

/**
 * Runs in every document before its own scripts: functions that tell when a page has come to rest, and bring it to rest.
 * Times are milliseconds of the machine's clock, which this process shares.
 *
 * `answered` waits until a tap has led to its click, at most one frame. `drawn` waits for a frame, and after a swipe for the
 * end of its scrolling: Chromium scrolls outside the page's own thread, and a busy page hears of it some frames after the
 * finger has left. If nothing scrolls, the page hears nothing, so `drawn` waits for three quiet frames. It does not wait for
 * a page that draws no frames. `rests`: only the page's own scripts can change the next frame. `still` finishes animations
 * that have an end and removes endless ones; it leaves scroll-driven and paused animations alone. A page that hears of an
 * animation's end may start another, so `still` repeats.
 */
export const STILLNESS = `{
  const { now } = Date;
  let [scrolled, ended, clicked] = [0, 0, 0];
  const listen = (event, listener) => addEventListener(event, listener, { capture: true, passive: true });
  listen('scroll', () => (scrolled = now()));
  listen('scrollend', () => (ended = now()));
  const clicks = new EventTarget();
  listen('click', () => {
    clicked = now();
    clicks.dispatchEvent(new Event('click'));
  });

  const frame = () =>
    new Promise((resolve) => {
      requestAnimationFrame(() => setTimeout(() => resolve(true)));
      setTimeout(() => resolve(false), 250);
    });

  // a document does not list its elements' shadow trees
  let hidden = [];
  const { attachShadow } = Element.prototype;
  Element.prototype.attachShadow = function (...options) {
    const root = attachShadow.apply(this, options);
    hidden.push(new WeakRef(root));
    return root;
  };
  const roots = () => {
    hidden = hidden.filter((root) => root.deref());
    // an element may have moved to another document together with its tree
    return [document, ...hidden.map((root) => root.deref()).filter((root) => root.ownerDocument === document)];
  };

  // the caret blinks, so it is hidden; a window that starts empty may get another document, which needs its own style sheet
  const noCarets = new WeakMap();
  const noCaret = () => {
    if (!noCarets.has(document)) {
      noCarets.set(document, new CSSStyleSheet());
      noCarets.get(document).replaceSync('* { caret-color: transparent !important }');
    }
    return noCarets.get(document);
  };
  const withCaret = () => roots().filter(({ adoptedStyleSheets }) => !adoptedStyleSheets.includes(noCaret()));

  const moving = () =>
    roots()
      .flatMap((root) => root.getAnimations())
      .filter(({ playState, playbackRate, timeline }) => playState === 'running' && playbackRate !== 0 && timeline === document.timeline);

  const ours = {
    async answered(tapped) {
      const click = new Promise((resolve) => clicks.addEventListener('click', resolve, { once: true }));
      if (clicked < tapped) await Promise.race([click, frame()]);
      return clicked >= tapped;
    },
    async drawn(swiped) {
      const end = now() + 1000;
      for (let quiet = 0, last = scrolled; (await frame()) && now() < end; last = scrolled) {
        quiet = scrolled === last ? quiet + 1 : 0;
        if (scrolled <= ended && (swiped === undefined || ended > swiped || quiet >= 3)) break;
      }
    },
    rests: () =>
      withCaret().length === 0 &&
      document.fonts.status === 'loaded' &&
      moving().length === 0,
    async still() {
      if (document.fonts.status === 'loading') {
        await Promise.race([document.fonts.ready, new Promise((resolve) => setTimeout(resolve, 1000))]);
      }
      for (const { adoptedStyleSheets } of withCaret()) adoptedStyleSheets.push(noCaret());
      for (let round = 0; round < 4 && moving().length > 0; round++) {
        for (const animation of moving()) {
          if (Number.isFinite(animation.effect?.getComputedTiming().endTime)) animation.finish();
          else animation.cancel();
        }
        await frame();
      }
    },
    async released() {
      // for 150 ms after a tap, Chromium draws the tapped element as pressed
      for (const end = now() + 250; document.querySelector(':active') && now() < end; ) {
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    },
  };
  Object.defineProperty(globalThis, ${NAME}, { value: ours, configurable: true });
}`;

/** When the last action began (Date.now()), if it was a tap or a swipe. */
export interface Touched {
  readonly tapped?: number;
  readonly swiped?: number;
}

/**
 * Whether the page has received the whole action, so that its next frame shows the effect. A tap's click comes after the
 * tap; for swipes and for taps without a click this is never certain.
 *
 * @throws if the page goes away meanwhile
 */
export async function answered(page: Page, { tapped, swiped }: Touched): Promise<boolean> {
  if (swiped !== undefined) return false;
  if (tapped === undefined) return true;
  return page.evaluate<boolean>(`globalThis[${NAME}]?.answered(${tapped}) ?? false`);
}

/**
 * Waits until the effect of the action is visible.
 *
 * @returns whether the page is at rest: the next frame would be the same
 * @throws if the page goes away meanwhile
 */
export function drawn(page: Page, { swiped }: Touched): Promise<boolean> {
  return page.evaluate<boolean>(`(async (ours) => {
    await ours?.drawn(${swiped});
    try {
      return ours?.rests() ?? false;
    } catch {
      return false;
    }
  })(globalThis[${NAME}])`);
}

/**
 * Brings a page and all its frames to rest, for pictures that are the same each time. Frames that go away or refuse are
 * captured as they are.
 *
 * @param released also wait until no element is drawn as pressed
 */
export async function still(page: Page, { released }: { released: boolean }): Promise<void> {
  const ask = (frame: Frame, what: 'released' | 'still') =>
    frame.evaluate<void>(`globalThis[${NAME}]?.${what}()`).catch(() => undefined);
  const [main, ...others] = page.frames();
  if (released) await ask(main, 'released');
  await Promise.all([
    ask(main, 'still'),
    ...others.map((frame) => Promise.race([ask(frame, 'still'), pause(FRAME_MS)])),
  ]);
}
