import { add, linear, matmul, mul, reshape, slice, softmax, transpose, type Tensor } from '../graph/index.js';

/** The parameters of a model as graph inputs, by their names in the checkpoint. */
export type Weights = Readonly<Record<string, Tensor>>;

/** Added to the attention scores of masked positions. Its exp is 0 in float32, and sums with it stay finite. */
export const MASKED = -1e9;

/** Attention bias [B, 1, 1, length] for a mask float32 [B, length]: 1 at real tokens, 0 at padding. */
export function paddingBias(mask: Tensor): Tensor {
  const [batch, length] = mask.shape;
  return reshape(add(mul(mask, -MASKED), MASKED), [batch, 1, 1, length]);
}

/** A linear layer with the parameters `name.weight` [n, k] and `name.bias` [n]. */
export function dense(w: Weights, name: string, x: Tensor): Tensor {
  return linear(x, w[`${name}.weight`], w[`${name}.bias`]);
}

/**
 * Number of states that the last layer must compute in a tower that is pooled at the first token: that one and one more,
 * because a matrix product of a single row rounds differently from the same row in a larger product.
 */
export const POOLED = 2;

/** The first `count` states of sequences [B, L, width]. */
export function firstStates(x: Tensor, count: number): Tensor {
  return slice(x, 1, 0, Math.min(count, x.shape[1]));
}

/**
 * Scaled dot-product attention of projected queries [B, Q, width] to keys and values [B, L, width] with `heads` heads.
 * Returns [B, Q, width], before the output projection.
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
