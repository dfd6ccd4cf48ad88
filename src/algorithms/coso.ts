/**
 * CoSo (arXiv 2505.03792; ALGORITHMS §4): how much each token of an action decides what the action does. The causal model
 * (models/causal.ts) says what an action's tokens mean; a token matters as far as that changes without it.
 */

/**
 * The variants of an action in which tokens i..i+window-1 are replaced by `unknown`, for every i: [L, L] token ids, row i
 * with its hole at i. A hole at the end is shorter.
 */
export function holedTokens(tokens: BigInt64Array, window: number, unknown: number): BigInt64Array {
  const length = tokens.length;
  const variants = new BigInt64Array(length * length);
  for (let i = 0; i < length; i++) {
    variants.set(tokens, i * length);
    variants.fill(BigInt(unknown), i * length + i, i * length + Math.min(length, i + window));
  }
  return variants;
}

/**
 * The effect of each token, |P(c|y) - P(c|y without tokens i..i+3)| for the action's class c; 0 where `special` (special
 * and punctuation tokens, padding).
 * @param whole probability of the class given all tokens @param holed [L] the same given each variant of `holedTokens`
 */
export function tokenEffects(
  whole: number,
  holed: ArrayLike<number>,
  special: (position: number) => boolean,
): Float32Array {
  return Float32Array.from({ length: holed.length }, (_, i) => (special(i) ? 0 : Math.abs(whole - holed[i])));
}

/**
 * The weight B_i of each token in the entropy bonus: effects scaled to [0, 1] within the sequence, then their square root.
 * Where no token differs from the others every weight is 0.
 */
export function influenceWeights(effects: ArrayLike<number>): Float32Array {
  let low = Infinity;
  let high = -Infinity;
  for (let i = 0; i < effects.length; i++) {
    low = Math.min(low, effects[i]);
    high = Math.max(high, effects[i]);
  }
  const range = high - low;
  return Float32Array.from(effects, (effect) => (range > 0 ? Math.sqrt((effect - low) / range) : 0));
}
