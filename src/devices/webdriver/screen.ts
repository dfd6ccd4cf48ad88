import { decodePng } from '../../data/formats/png.js';
import { RunError } from '../../errors.js';
import { machineClock } from '../pool/clock.js';
import type { Frame } from '../../data/formats/frame.js';
import { oneLine } from '../pool/guard.js';
import type { WebDriverSession } from './client.js';
import type { WebDriverSettings } from './settings.js';

/** Milliseconds between two screenshots while waiting. */
const PAUSE_MS = 100;

type Patience = Pick<WebDriverSettings, 'blank_ms' | 'read_retries'>;

/**
 * Waits for a screen at rest (two equal screenshots in a row) that is not of a single colour.
 * @param settlesBy end of the wait for rest, by the machine's clock; then the current screen is taken
 * @param left milliseconds left
 * @throws CallError; RunError if the server sends no picture
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
    // equal files are equal screens
    if (png === before || now >= settlesBy || !more) {
      const frame = await decoded(session, png, settings, left);
      if (!isBlank(frame) || now >= blankBy || !more) return frame;
    }
    before = png;
    await pause();
  }
}

/** The current screen. @param left milliseconds left @throws CallError; RunError if the server sends no picture */
export async function screenNow(session: WebDriverSession, settings: Patience, left: () => number): Promise<Frame> {
  return decoded(session, await screenshot(session, left), settings, left);
}

/** @returns PNG in base64 */
async function screenshot(session: WebDriverSession, left: () => number): Promise<string> {
  const png = await session.read('/screenshot', left);
  if (typeof png === 'string') return png;
  throw new RunError(`expected a PNG in base64, got ${typeof png}`);
}

/** Decodes a screenshot; one that is not a valid PNG is requested again. */
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
        throw new RunError(`the server sent a screenshot that is not a valid PNG: ${oneLine(error)}`, { cause: error });
      }
    }
    await pause();
    png = await screenshot(session, left);
  }
}

/** Whether a frame has a single colour. */
function isBlank({ rgba }: Frame): boolean {
  const pixels = new Uint32Array(rgba.buffer, rgba.byteOffset, rgba.byteLength / 4);
  return pixels.every((pixel) => pixel === pixels[0]);
}

function pause(): Promise<void> {
  return new Promise((resolve) => machineClock.after(PAUSE_MS, resolve));
}
