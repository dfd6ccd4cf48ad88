/** Counts of several sets of numbers in common bins of equal width. */
export interface Histogram {
  /** where the first bin begins; the last one ends at `high` */
  readonly low: number;
  readonly high: number;
  /** by set, then bin; the first and the last bin also count what lies outside */
  readonly counts: Readonly<Record<string, readonly number[]>>;
}

/**
 * The bins reach from the 0.5 % to the 99.5 % quantile of all numbers, so that a few outliers don't flatten the rest.
 * Undefined where there are no finite numbers.
 */
export function histogram(sets: Readonly<Record<string, readonly number[]>>, bins = 40): Histogram | undefined {
  const all = Float64Array.from(Object.values(sets).flatMap((values) => values.filter(Number.isFinite))).sort();
  if (all.length === 0) return undefined;
  const quantile = (q: number) => all[Math.round(q * (all.length - 1))];
  let [low, high] = [quantile(0.005), quantile(0.995)];
  if (low === high) [low, high] = [low - 0.5, high + 0.5];
  const counts = Object.entries(sets).map(([name, values]) => {
    const into = new Array<number>(bins).fill(0);
    for (const value of values) {
      if (!Number.isFinite(value)) continue;
      const bin = Math.floor(((value - low) / (high - low)) * bins);
      into[Math.max(0, Math.min(bins - 1, bin))]++;
    }
    return [name, into] as const;
  });
  return { low, high, counts: Object.fromEntries(counts) };
}
