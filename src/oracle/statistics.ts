import { clusteredHalf95 } from '../data/interval.js';
import { moments, pearson } from '../data/moments.js';

/** A mean over states with its 95 % interval. */
export interface Estimate {
  /** NaN for no states */
  readonly mean: number;
  /** trajectories, not states, count as independent; null where there is only one */
  readonly ci95: readonly [low: number, high: number] | null;
}

/**
 * Σ values / Σ weights, with a cluster-robust interval (Liang and Zeger, Biometrika 73, 1986).
 * @param groups the cluster of each value @param weights 1 each without it
 */
export function clusteredMean(
  values: readonly number[],
  groups: readonly string[],
  weights: readonly number[] = values.map(() => 1),
): Estimate {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const mean = values.reduce((sum, value) => sum + value, 0) / total;
  // a state without weight says nothing, not even how many clusters there are
  const rows = [...values.keys()].filter((i) => weights[i] !== 0);
  const half = clusteredHalf95(
    rows.map((i) => values[i] - mean * weights[i]),
    rows.map((i) => groups[i]),
    total,
  );
  if (half === null) return { mean, ci95: null };
  return { mean, ci95: [mean - half, mean + half] };
}

/** Pearson's correlation; null where one side is constant. */
export function correlation(x: readonly number[], y: readonly number[]): number | null {
  return pearson(moments(x, y));
}

/** Slope of the least-squares line of y on x; null where x is constant. */
export function slope(x: readonly number[], y: readonly number[]): number | null {
  const { xy, xx } = moments(x, y);
  return xx > 0 ? xy / xx : null;
}

/** The ranks of some values from 1, equal ones with their mean rank: Spearman's correlation is Pearson's of the ranks. */
export function averageRanks(values: readonly number[]): number[] {
  return values.map((value) => {
    const below = values.filter((other) => other < value).length;
    const equal = values.filter((other) => other === value).length;
    return below + (equal + 1) / 2;
  });
}
