import { add, linear, matmul, mul, reshape, slice, softmax, transpose, type Tensor } from '../graph/index.js';

/** Parameters of a model as graph inputs, by their names in the checkpoint. */
export type Weights = Readonly<Record<string, Tensor>>;

/** Added to attention scores that must vanish: exp of it is 0 in float32, and sums with it stay finite. */
export const MASKED = -1e9;

/** Scores to add [B, 1, 1, length] for a mask float32 [B, length] of ones (real tokens) and zeros (padding). */
export function paddingBias(mask: Tensor): Tensor {
  const [batch, length] = mask.shape;
  return reshape(add(mul(mask, -MASKED), MASKED), [batch, 1, 1, length]);
}

/** A layer with the parameters `name.weight` [n, k] and `name.bias` [n]. */
export function dense(w: Weights, name: string, x: Tensor): Tensor {
  return linear(x, w[`${name}.weight`], w[`${name}.bias`]);
}

/**
 * How many of a sequence's first states a tower that is read at its first token needs from its last layer: that one, and
 * one more, since a product of a single row rounds differently from the same row beside others.
 */
export const POOLED = 2;

/** The first `count` states of sequences [B, L, width]. */
export function firstStates(x: Tensor, count: number): Tensor {
  return slice(x, 1, 0, Math.min(count, x.shape[1]));
}

/**
 * Attention of projected queries [B, Q, width] to keys and values [B, L, width] in `heads` equal parts, scores scaled by the
 * square root of a part's width. Returns [B, Q, width] before the output projection.
 * @param bias broadcast to [B, heads, Q, L]
 */
export function scaledAttention(q: Tensor, k: Tensor, v: Tensor, heads: number, bias?: Tensor): Tensor {
  const [batch, queries, width] = q.shape;
  const part = width / heads;
  const split = (x: Tensor, order: number[]) => transpose(reshape(x, [batch, x.shape[1], heads, part]), order);
  const scores = matmul(mul(split(q, [0, 2, 1, 3]), part ** -0.5), split(k, [0, 2, 3, 1]));
  const mixed = matmul(softmax(bias ? add(scores, bias) : scores), split(v, [0, 2, 1, 3]));
  return reshape(transpose(mixed, [0, 2, 1, 3]), [batch, queries, width]);
}
