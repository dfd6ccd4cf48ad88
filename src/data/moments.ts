/** Means and central second moments of paired values, as sums over the pairs. */
export interface Moments {
  /** NaN without pairs */
  readonly meanX: number;
  readonly meanY: number;
  readonly xy: number;
  readonly xx: number;
  readonly yy: number;
}

export function moments(x: readonly number[], y: readonly number[]): Moments {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [meanX, meanY] = [mean(x), mean(y)];
  let [xy, xx, yy] = [0, 0, 0];
  x.forEach((value, i) => {
    xy += (value - meanX) * (y[i] - meanY);
    xx += (value - meanX) ** 2;
    yy += (y[i] - meanY) ** 2;
  });
  return { meanX, meanY, xy, xx, yy };
}

/** Pearson's correlation; null where one side is constant. */
export function pearson({ xy, xx, yy }: Moments): number | null {
  return xx > 0 && yy > 0 ? xy / Math.sqrt(xx * yy) : null;
}
