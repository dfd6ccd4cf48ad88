import { z } from 'zod';

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
