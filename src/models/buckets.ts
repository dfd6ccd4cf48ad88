/**
 * Lengths that sequences are padded to. A graph is compiled for a fixed shape, so the number of different shapes bounds
 * the number of sessions; steps of at most a third keep the padding small.
 */
export const LENGTH_BUCKETS = [8, 12, 16, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256, 320, 384, 448, 512] as const;

/** The smallest bucket that holds `length`; beyond the largest one, the next multiple of 128. */
export function bucketOf(length: number): number {
  return LENGTH_BUCKETS.find((bucket) => bucket >= length) ?? Math.ceil(length / 128) * 128;
}

/**
 * Row counts are padded to powers of two, and never to one: a product of a single row takes another path through the
 * runtime, whose last bits differ. From two rows on a row's result is the same bit for bit in every batch (on one thread),
 * so what an agent does depends on nothing that happens to be decided beside it.
 */
export function rowBucket(rows: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(2, rows)));
}
