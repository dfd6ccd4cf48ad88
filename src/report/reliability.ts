import { clusteredHalf95 } from '../data/interval.js';
import { moments, pearson } from '../data/moments.js';

/** Predicted and observed returns of steps. The steps of one trajectory (`group`) share its outcome. */
export interface Predictions {
  readonly predicted: readonly number[];
  readonly observed: readonly number[];
  readonly group: readonly string[];
}

/** Steps with similar predictions. */
export interface Bin {
  readonly count: number;
  /** mean prediction */
  readonly predicted: number;
  /** mean observation */
  readonly observed: number;
  /** 95 % interval of the mean observation; null where all steps belong to one trajectory */
  readonly ci95: readonly [number, number] | null;
}

export interface Reliability {
  readonly steps: number;
  readonly trajectories: number;
  /** mean of prediction minus observation */
  readonly bias: number;
  /** root of the mean squared error */
  readonly rmse: number;
  /** Pearson's; null where predictions or observations are constant */
  readonly correlation: number | null;
  /** of the least-squares line of observations on predictions: 1 is ideal; null where predictions are constant */
  readonly slope: number | null;
  /** 95 % interval of the slope; null where there is no slope, or one trajectory alone */
  readonly slope_ci95: readonly [number, number] | null;
  /** mean distance of the bins from the diagonal, weighted by their counts (expected calibration error) */
  readonly calibration_error: number;
  /** smallest and largest observation */
  readonly range: readonly [number, number];
  readonly bins: readonly Bin[];
}

/**
 * How well predictions match observations, in bins of about equal counts. Equal predictions share a bin, so there may be
 * fewer bins than asked for. All intervals treat trajectories, not steps, as independent (cluster-robust variance; Liang
 * and Zeger, Biometrika 73, 1986). Undefined for no predictions.
 */
export function reliability({ predicted, observed, group }: Predictions, bins = 10): Reliability | undefined {
  const n = predicted.length;
  if (n === 0) return undefined;
  const order = [...predicted.keys()].sort((a, b) => predicted[a] - predicted[b] || a - b);
  const made: Bin[] = [];
  for (let start = 0, k = 1; start < n; k++) {
    let end = Math.max(start + 1, Math.round((k * n) / bins));
    while (end < n && predicted[order[end]] === predicted[order[end - 1]]) end++;
    made.push(binOf(order.slice(start, end), { predicted, observed, group }));
    start = end;
  }
  const errors = predicted.map((value, i) => value - observed[i]);
  return {
    steps: n,
    trajectories: new Set(group).size,
    bias: mean(errors),
    rmse: Math.sqrt(mean(errors.map((error) => error * error))),
    ...line({ predicted, observed, group }),
    calibration_error: made.reduce((sum, bin) => sum + (bin.count / n) * Math.abs(bin.predicted - bin.observed), 0),
    range: observed.reduce<[number, number]>(
      ([low, high], value) => [Math.min(low, value), Math.max(high, value)],
      [Infinity, -Infinity],
    ),
    bins: made,
  };
}

function binOf(rows: readonly number[], { predicted, observed, group }: Predictions): Bin {
  const centre = mean(rows.map((i) => observed[i]));
  const half = clusteredHalf95(
    rows.map((i) => observed[i] - centre),
    rows.map((i) => group[i]),
    rows.length,
  );
  return {
    count: rows.length,
    predicted: mean(rows.map((i) => predicted[i])),
    observed: centre,
    ci95: half === null ? null : [centre - half, centre + half],
  };
}

/** Correlation, and the least-squares line of observations on predictions. */
function line({
  predicted: x,
  observed: y,
  group,
}: Predictions): Pick<Reliability, 'correlation' | 'slope' | 'slope_ci95'> {
  const sums = moments(x, y);
  const { meanX, meanY, xy, xx } = sums;
  const correlation = pearson(sums);
  if (!(xx > 0)) return { correlation, slope: null, slope_ci95: null };
  const slope = xy / xx;
  const scores = x.map((value, i) => (value - meanX) * (y[i] - meanY - slope * (value - meanX)));
  const half = clusteredHalf95(scores, group, xx);
  return { correlation, slope, slope_ci95: half === null ? null : [slope - half, slope + half] };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
