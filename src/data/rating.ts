/** The two ratings of an action in VEM (docs/algorithms.md §5). */
export const BAD = 1;
export const GOOD = 2;

/** The value of an action, q = E[rating] in [1, 2]. @param good probability of rating 2 */
export function expectedRating(good: number): number {
  return BAD + (GOOD - BAD) * good;
}

/**
 * The probability of rating 2 from the log-probabilities of the tokens `1` and `2`, normalised over these two. A free answer
 * is never parsed: a model that writes something else still has an opinion on both digits.
 */
export function goodProbability({ bad, good }: { readonly bad: number; readonly good: number }): number {
  return 1 / (1 + Math.exp(bad - good));
}
