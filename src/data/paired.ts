import { wilson95 } from './interval.js';

/** Counts of the outcomes of the same episodes under two policies. */
export interface PairedCounts {
  /** both succeed, neither succeeds */
  readonly both: number;
  readonly neither: number;
  /** only the second succeeds, only the first does */
  readonly gained: number;
  readonly lost: number;
}

/** A paired comparison of two success rates. */
export interface PairedTest extends PairedCounts {
  /** episodes in both evaluations */
  readonly shared: number;
  /** rate of the second minus rate of the first, in [-1, 1] */
  readonly difference: number;
  /** 95 % interval of the difference */
  readonly ci95: readonly [low: number, high: number];
  /** two-sided p-value of McNemar's exact test: probability of a split at least this uneven if neither policy is better */
  readonly p: number;
}

/**
 * Compares two success rates on the same episodes. The interval is Newcombe's square-and-add score interval for paired
 * proportions (method 10; Statistics in Medicine 17, 1998, p. 2635); the test is McNemar's exact test. Both assume that
 * episodes are independent. Without episodes the interval is [-1, 1] and p is 1.
 */
export function pairedTest(counts: PairedCounts): PairedTest {
  const { both, neither, gained, lost } = counts;
  const shared = both + neither + gained + lost;
  const result = { ...counts, shared, p: mcnemar(gained, lost) };
  if (shared === 0) return { ...result, difference: 0, ci95: [-1, 1] };
  const [wins, base] = [both + gained, both + lost];
  const [rate, baseRate] = [wins / shared, base / shared];
  const [low, high] = wilson95(wins, shared);
  const [baseLow, baseHigh] = wilson95(base, shared);
  const phi = correlation(counts, shared);
  const add = (a: number, b: number) => Math.sqrt(Math.max(0, a * a - 2 * phi * a * b + b * b));
  const difference = (gained - lost) / shared;
  return {
    ...result,
    difference,
    ci95: [
      Math.max(-1, difference - add(rate - low, baseHigh - baseRate)),
      Math.min(1, difference + add(high - rate, baseRate - baseLow)),
    ],
  };
}

/** The phi coefficient of the two outcomes, with Newcombe's continuity correction if it is positive. */
function correlation({ both, neither, gained, lost }: PairedCounts, shared: number): number {
  const product = (both + lost) * (gained + neither) * (both + gained) * (lost + neither);
  if (product === 0) return 0;
  const excess = both * neither - gained * lost;
  return (excess > 0 ? Math.max(0, excess - shared / 2) : excess) / Math.sqrt(product);
}

/** Two-sided exact p-value: the probability that at most min(a, b) of a + b fair coins fall on one of the two sides. */
function mcnemar(a: number, b: number): number {
  const n = a + b;
  let log = -n * Math.LN2; // log of the probability of k successes
  let tail = Math.exp(log);
  for (let k = 1; k <= Math.min(a, b); k++) {
    log += Math.log((n - k + 1) / k);
    tail += Math.exp(log);
  }
  return Math.min(1, 2 * tail);
}
