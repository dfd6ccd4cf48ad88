/**
 * Lengths to which sequences are padded. A graph is compiled for fixed shapes, so few lengths mean few sessions, and steps
 * of about a third or less mean little padding.
 */
export const LENGTH_BUCKETS = [8, 12, 16, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256, 320, 384, 448, 512] as const;

/** The smallest bucket of at least `length`; above the largest bucket, the next multiple of 128. */
export function bucketOf(length: number): number {
  return LENGTH_BUCKETS.find((bucket) => bucket >= length) ?? Math.ceil(length / 128) * 128;
}

/**
 * Pads a number of rows to a power of two, at least 2. The runtime computes a product of a single row in another way,
 * which differs in the last bits. With two or more rows (on one thread) a row's result is bit-identical in every batch, so
 * an agent's decision does not depend on what else is in its batch.
 */
export function rowBucket(rows: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(2, rows)));
}
