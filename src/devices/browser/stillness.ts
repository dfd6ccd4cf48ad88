import { setTimeout as pause } from 'node:timers/promises';
import type { Frame, Page } from 'playwright-core';

/** Milliseconds that the frames of a page which are documents of others are waited for: one that hangs is seen as it is. */
const FRAME_MS = 250;

/** Under what a document's global object keeps what STILLNESS makes. */
const NAME = `Symbol.for('critiq.stillness')`;

/**
 * For every document, before its own scripts: what it takes to know when a page has come to rest, and to bring it to rest.
 * Times are those of the machine's clock, which this process shares, in milliseconds.
 *
 * `answered`: a tap has come to its click; what never does is not waited for. `drawn` waits for a frame, and after a swipe for
 * the end of its scrolling: Chromium moves content beside the page's own thread, and a busy page hears of it some frames after
 * the finger has left; where nothing moves it hears nothing, for which three frames are waited. A page that draws none is not
 * waited for. `rests`: nothing can differ in the next frame but by the page's own doing. `still` ends what would come to an end
 * and takes away what would not; what follows the scrolling, and what the page has paused, is left as it is. A page that is
 * told what has ended may move something else.
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

  // a document does not tell of the trees that its elements hide
  let hidden = [];
  const { attachShadow } = Element.prototype;
  Element.prototype.attachShadow = function (...options) {
    const root = attachShadow.apply(this, options);
    hidden.push(new WeakRef(root));
    return root;
  };
  const roots = () => {
    hidden = hidden.filter((root) => root.deref());
    // an element may have moved to another document, with its tree
    return [document, ...hidden.map((root) => root.deref()).filter((root) => root.ownerDocument === document)];
  };

  // the caret blinks; a window that begins empty may get another document, which takes no style sheet of the first
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
      // for 150 ms after a tap Chromium draws what was tapped as pressed
      for (const end = now() + 250; document.querySelector(':active') && now() < end; ) {
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    },
  };
  Object.defineProperty(globalThis, ${NAME}, { value: ours, configurable: true });
}`;

/** What was done last, by when it began (Date.now()); an action of another kind, or none, is neither. */
export interface Touched {
  readonly tapped?: number;
  readonly swiped?: number;
}

/**
 * Whether the page has got all of what was done, so that its next frame shows it. A tap's click comes after the tap; of a swipe
 * and of a tap without a click nobody knows.
 *
 * @throws where the page goes away meanwhile
 */
export async function answered(page: Page, { tapped, swiped }: Touched): Promise<boolean> {
  if (swiped !== undefined) return false;
  if (tapped === undefined) return true;
  return page.evaluate<boolean>(`globalThis[${NAME}]?.answered(${tapped}) ?? false`);
}

/**
 * Waits until what was done can be seen.
 *
 * @returns whether the page is at rest: the next frame would show nothing else
 * @throws where the page goes away meanwhile
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
 * Brings a page and all frames in it to rest, for a picture that is the same each time. What goes away under the question, or
 * will not have it, is seen as it is.
 *
 * @param released nothing is drawn as pressed either
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
