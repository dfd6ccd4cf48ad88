import { decodePicture } from '../../data/formats/picture.js';
import { RunError } from '../../errors.js';
import { machineClock, type Clock } from '../pool/clock.js';
import type { Frame } from '../../data/formats/frame.js';
import { oneLine } from '../pool/guard.js';
import type { WebDriverSession } from './client.js';
import type { WebDriverSettings } from './settings.js';

/** Milliseconds between two screenshots while waiting. */
const PAUSE_MS = 100;

/** A browser or an app that is still loading: more than this share of the pixels is nearly white (released code: 2.3 of 2.46 million). */
const WHITE_SHARE = 0.934;
/** Each channel of a nearly white pixel is above this. */
const WHITE = 240;

type Patience = Pick<WebDriverSettings, 'settle_min_ms' | 'settle_ms' | 'blank_ms' | 'read_retries'>;
type Session = Pick<WebDriverSession, 'read'>;

/**
 * Waits for a screen that has settled: first for `settle_min_ms` after the action, since until then two equal screenshots
 * may both show the page before it; then until two in a row are equal, at most until `settle_ms` after the action, and the
 * screen is not of a single colour or mostly white, at most for `blank_ms`.
 * @param acted when the action ended, by the clock
 * @param left milliseconds left; shortly before the deadline the current screen is taken
 * @throws CallError; RunError if the server sends no picture
 */
export async function settledScreen(
  session: Session,
  settings: Patience,
  acted: number,
  left: () => number,
  clock: Clock = machineClock,
): Promise<Frame> {
  const { settle_ms: most, blank_ms: blankMs } = settings;
  await passed(acted, Math.min(settings.settle_min_ms, most), left, clock);
  const blankBy = clock.now() + blankMs;
  let before: string | undefined;
  for (;;) {
    const png = await screenshot(session, left);
    const now = clock.now();
    const more = left() > RESERVE_MS;
    // equal files are equal screens
    if (png === before || now >= acted + most || !more) {
      const frame = await decoded(session, png, settings, left, clock);
      if (now >= blankBy || !more || !isBlank(frame)) return frame;
    }
    before = png;
    await pause(PAUSE_MS, clock);
  }
}

/** Milliseconds before a deadline at which waits end, so that the call itself has time. */
const RESERVE_MS = 10 * PAUSE_MS;

/** Waits until `ms` have passed since a time, or the deadline is near. */
export async function passed(
  since: number,
  ms: number,
  left: () => number,
  clock: Clock = machineClock,
): Promise<void> {
  const rest = Math.min(since + ms - clock.now(), left() - RESERVE_MS);
  if (rest > 0) await pause(rest, clock);
}

/** The current screen. @param left milliseconds left @throws CallError; RunError if the server sends no picture */
export async function screenNow(session: Session, settings: Patience, left: () => number): Promise<Frame> {
  return decoded(session, await screenshot(session, left), settings, left, machineClock);
}

/** @returns PNG in base64 */
async function screenshot(session: Session, left: () => number): Promise<string> {
  const png = await session.read('/screenshot', left);
  if (typeof png === 'string') return png;
  throw new RunError(`expected a PNG in base64, got ${typeof png}`);
}

/** Decodes a screenshot; one that is not a valid picture is requested again. */
async function decoded(
  session: Session,
  png: string,
  { read_retries: retries }: Patience,
  left: () => number,
  clock: Clock,
): Promise<Frame> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await decodePicture(Buffer.from(png, 'base64'));
    } catch (error) {
      if (attempt >= retries || left() <= 2 * PAUSE_MS) {
        throw new RunError(`the server sent a screenshot that is not a valid picture: ${oneLine(error)}`, {
          cause: error,
        });
      }
    }
    await pause(PAUSE_MS, clock);
    png = await screenshot(session, left);
  }
}

/** Whether a frame has a single colour, or is nearly white almost everywhere. */
function isBlank({ rgba }: Frame): boolean {
  const pixels = new Uint32Array(rgba.buffer, rgba.byteOffset, rgba.byteLength / 4);
  if (pixels.every((pixel) => pixel === pixels[0])) return true;
  let white = 0;
  for (let i = 0; i < rgba.length; i += 4) {
    if (rgba[i] > WHITE && rgba[i + 1] > WHITE && rgba[i + 2] > WHITE) white++;
  }
  return white > WHITE_SHARE * pixels.length;
}

function pause(ms: number, clock: Clock): Promise<void> {
  return new Promise((resolve) => clock.after(ms, resolve));
}
