/** Predicted and observed returns of some steps. Steps of one trajectory (`group`) share what came of it. */
export interface Predictions {
  readonly predicted: readonly number[];
  readonly observed: readonly number[];
  readonly group: readonly string[];
}

/** Steps with about the same prediction. */
export interface Bin {
  readonly count: number;
  /** mean prediction */
  readonly predicted: number;
  /** mean of what was observed */
  readonly observed: number;
  /** 95 % interval of that mean; null where all steps are of one trajectory */
  readonly ci95: readonly [number, number] | null;
}

export interface Reliability {
  readonly steps: number;
  readonly trajectories: number;
  /** mean of prediction minus observation */
  readonly bias: number;
  /** root of the mean squared error */
  readonly rmse: number;
  /** Pearson's; null where one of the two is constant */
  readonly correlation: number | null;
  /** mean distance of the bins from the diagonal, by their counts (expected calibration error) */
  readonly calibration_error: number;
  readonly bins: readonly Bin[];
}

/**
 * How well predictions say what is observed: bins of about equal counts by the prediction (equal predictions are never
 * parted, so there may be fewer). The intervals count trajectories, not steps, as independent (the cluster-robust variance
 * of a mean; Liang and Zeger, Biometrika 73, 1986).
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
    correlation: correlation(predicted, observed),
    calibration_error: made.reduce((sum, bin) => sum + (bin.count / n) * Math.abs(bin.predicted - bin.observed), 0),
    bins: made,
  };
}

function binOf(rows: readonly number[], { predicted, observed, group }: Predictions): Bin {
  const centre = mean(rows.map((i) => observed[i]));
  const residuals = new Map<string, number>();
  for (const i of rows) residuals.set(group[i], (residuals.get(group[i]) ?? 0) + observed[i] - centre);
  const groups = residuals.size;
  const squares = [...residuals.values()].reduce((sum, residual) => sum + residual * residual, 0);
  const half = groups < 2 ? null : (1.959963984540054 * Math.sqrt((squares * groups) / (groups - 1))) / rows.length;
  return {
    count: rows.length,
    predicted: mean(rows.map((i) => predicted[i])),
    observed: centre,
    ci95: half === null ? null : [centre - half, centre + half],
  };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function correlation(a: readonly number[], b: readonly number[]): number | null {
  const [meanA, meanB] = [mean(a), mean(b)];
  let [ab, aa, bb] = [0, 0, 0];
  a.forEach((value, i) => {
    ab += (value - meanA) * (b[i] - meanB);
    aa += (value - meanA) ** 2;
    bb += (b[i] - meanB) ** 2;
  });
  return aa > 0 && bb > 0 ? ab / Math.sqrt(aa * bb) : null;
}
