/**
 * Exponential moving averages of a series, each divided by its total weight, so that the first values are not pulled to
 * zero (as in TensorBoard). Gaps stay gaps.
 * @param weight of the past, in [0, 1); 0 leaves the series unchanged
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
