/**
 * Exponential moving averages of a series, each divided by the weight that it has gathered, so that the first are not pulled
 * to zero (as TensorBoard draws them). Gaps stay gaps.
 * @param weight of what came before, in [0, 1); 0 leaves the series as it is
 */
export function smoothed(values: readonly (number | null | undefined)[], weight: number): (number | null)[] {
  let mean = 0;
  let gathered = 0;
  return values.map((value) => {
    if (value === null || value === undefined || !Number.isFinite(value)) return null;
    mean = weight * mean + (1 - weight) * value;
    gathered = weight * gathered + (1 - weight);
    return mean / gathered;
  });
}
