import { decodePng } from '../../data/formats/png.js';
import { RunError } from '../../errors.js';
import { machineClock } from '../pool/clock.js';
import type { Frame } from '../../data/formats/frame.js';
import { oneLine } from '../pool/guard.js';
import type { WebDriverSession } from './client.js';
import type { WebDriverSettings } from './settings.js';

/** Milliseconds between two looks at a screen. */
const PAUSE_MS = 100;

type Patience = Pick<WebDriverSettings, 'blank_ms' | 'read_retries'>;

/**
 * The screen once it rests, that is shows the same twice in a row, and shows something.
 * @param settlesBy until when it may move, by the machine's clock; then it is seen as it is
 * @param left milliseconds
 * @throws CallError; RunError for what is no picture
 */
export async function restingScreen(
  session: WebDriverSession,
  settings: Patience,
  settlesBy: number,
  left: () => number,
): Promise<Frame> {
  const blankBy = machineClock.now() + settings.blank_ms;
  let before: string | undefined;
  for (;;) {
    const png = await screenshot(session, left);
    const now = machineClock.now();
    const more = left() > 10 * PAUSE_MS;
    // the same file twice is the same screen
    if (png === before || now >= settlesBy || !more) {
      const frame = await decoded(session, png, settings, left);
      if (!isBlank(frame) || now >= blankBy || !more) return frame;
    }
    before = png;
    await pause();
  }
}

/** The screen as it is now. @param left milliseconds @throws CallError; RunError for what is no picture */
export async function screenNow(session: WebDriverSession, settings: Patience, left: () => number): Promise<Frame> {
  return decoded(session, await screenshot(session, left), settings, left);
}

/** @returns PNG in base64 */
async function screenshot(session: WebDriverSession, left: () => number): Promise<string> {
  const png = await session.read('/screenshot', left);
  if (typeof png === 'string') return png;
  throw new RunError(`expected a PNG in base64, got ${typeof png}`);
}

/** The picture; a file that is none is asked for again. */
async function decoded(
  session: WebDriverSession,
  png: string,
  { read_retries: retries }: Patience,
  left: () => number,
): Promise<Frame> {
  for (let attempt = 0; ; attempt++) {
    try {
      return decodePng(Buffer.from(png, 'base64'));
    } catch (error) {
      if (attempt >= retries || left() <= 2 * PAUSE_MS) {
        throw new RunError(`what the server sends is no screenshot: ${oneLine(error)}`, { cause: error });
      }
    }
    await pause();
    png = await screenshot(session, left);
  }
}

/** Whether a frame is all of one colour. */
function isBlank({ rgba }: Frame): boolean {
  const pixels = new Uint32Array(rgba.buffer, rgba.byteOffset, rgba.byteLength / 4);
  return pixels.every((pixel) => pixel === pixels[0]);
}

function pause(): Promise<void> {
  return new Promise((resolve) => machineClock.after(PAUSE_MS, resolve));
}
