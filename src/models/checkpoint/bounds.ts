import { z } from 'zod';
import { UserError } from '../../errors.js';

/**
 * Bounds of what a checkpoint's config.json may ask for, before anything is allocated or looped over: far above every
 * published model, far below what would exhaust a machine by a number alone.
 */
export const layers = z.int().positive().max(1000, 'more than 1000 layers');

/** A width, a vocabulary, a number of heads or positions. */
export const size = z
  .int()
  .positive()
  .max(2 ** 24, 'more than 16777216');

/** Most entries of a list in a config: its layers, or the inputs that it drops. */
const MOST_ENTRIES = 1000;
const LARGEST = 2 ** 24;

/**
 * Checks the numbers of a config that critiq wrote itself, whatever they mean: none is beyond every model.
 * @throws UserError that names the file and the field
 */
export function checkNumbers(file: string, value: unknown, at = ''): void {
  const wrong = (expected: string, got: unknown): UserError =>
    new UserError(
      `${file}: ${at}: expected ${expected}, got ${String(got)}; take the file from a backup, or train again`,
    );
  if (typeof value === 'number' && !(Math.abs(value) <= LARGEST)) throw wrong(`a number up to ${LARGEST}`, value);
  if (Array.isArray(value) && value.length > MOST_ENTRIES) throw wrong(`at most ${MOST_ENTRIES} entries`, value.length);
  if (typeof value !== 'object' || value === null) return;
  for (const [key, part] of Object.entries(value)) checkNumbers(file, part, at === '' ? key : `${at}.${key}`);
}
