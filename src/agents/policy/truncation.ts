import { z } from 'zod';

/** Settings of whatever samples from a policy. */
export const TruncationSettings = {
  top_k: z
    .int()
    .min(0)
    .default(0)
    .describe("sample each token from this many of the likeliest only (C: 50, its library's default); 0: from all")
    .meta({ added: true }),
  top_p: z
    .number()
    .gt(0)
    .max(1)
    .default(1)
    .describe('sample each token from the likeliest ones that together have at least this probability; 1: from all')
    .meta({ added: true }),
};

/** Which tokens may be drawn, as transformers' `generate` restricts them: top-k first, then top-p on what is left. */
export interface Truncation {
  /** tokens to keep, and those as likely as the last of them; 0 keeps all @default 0 */
  readonly topK?: number;
  /** keeps the fewest likeliest tokens with at least this probability together @default 1 */
  readonly topP?: number;
}

/** The settings as options for the sampler. */
export function truncationOf({ top_k: topK, top_p: topP }: { top_k: number; top_p: number }): Truncation {
  return { topK, topP };
}

/**
 * Restricts distributions over one vocabulary to their likeliest tokens. Ties at the k-th place stay, as in transformers.
 * Works on a buffer of its own, which the next call reuses.
 */
export class Truncator {
  private readonly kept: Float64Array;

  constructor(
    vocabulary: number,
    private readonly truncation: Truncation,
  ) {
    this.kept = new Float64Array(vocabulary);
  }

  /** @param probabilities [vocabulary], sum to 1 @returns the restricted distribution [vocabulary], sums to 1 */
  restrict(probabilities: Float32Array): ArrayLike<number> {
    const { topK = 0, topP = 1 } = this.truncation;
    const { length } = probabilities;
    let least = topK > 0 && topK < length ? largest(probabilities, topK)[topK - 1] : 0;
    if (topP < 1) least = Math.max(least, nucleus(probabilities, topP, least));
    if (least === 0) return probabilities;
    let sum = 0;
    for (let i = 0; i < length; i++) {
      const p = probabilities[i] >= least ? probabilities[i] : 0;
      this.kept[i] = p;
      sum += p;
    }
    for (let i = 0; i < length; i++) this.kept[i] /= sum;
    return this.kept;
  }
}

/** The `count` largest values, in descending order. */
function largest(values: Float32Array, count: number): Float32Array {
  const found = new Float32Array(count).fill(-1);
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (value <= found[count - 1]) continue;
    let at = count - 1;
    for (; at > 0 && found[at - 1] < value; at--) found[at] = found[at - 1];
    found[at] = value;
  }
  return found;
}

/**
 * The probability of the least likely token in the nucleus: the likeliest tokens, as many as are needed for a share
 * `topP` of what is at least `floor`. Tokens as likely as the last one are in it too.
 */
function nucleus(probabilities: Float32Array, topP: number, floor: number): number {
  let total = 0;
  let count = 0;
  for (let i = 0; i < probabilities.length; i++) {
    if (probabilities[i] < floor || probabilities[i] === 0) continue;
    total += probabilities[i];
    count++;
  }
  // few tokens hold most of the probability, so a short list is nearly always enough
  for (let size = Math.min(count, 64); ; size = Math.min(count, size * 8)) {
    const candidates = largest(probabilities, size);
    let sum = 0;
    for (const value of candidates) {
      sum += value;
      if (sum >= topP * total) return value;
    }
    if (size === count) return candidates[size - 1];
  }
}
