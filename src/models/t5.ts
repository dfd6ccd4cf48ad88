import {
  add,
  constant,
  gather,
  linear,
  matmul,
  mul,
  relu,
  reshape,
  rmsNorm,
  geluTanh,
  softmax,
  transpose,
} from '../graph/index.js';
import type { Tensor } from '../graph/index.js';
import { MASKED, type Weights } from './attention.js';

export type { Weights } from './attention.js';

/** The architecture of T5's layers, from a Hugging Face `config.json`. */
export interface T5Config {
  /** width of the residual stream (`d_model`) */
  readonly width: number;
  readonly heads: number;
  /** width of a head (`d_kv`); heads × headWidth may differ from the model's width */
  readonly headWidth: number;
  /** hidden width of the feed-forward layers (`d_ff`) */
  readonly feedForward: number;
  /** gated-GELU (T5 v1.1, FLAN) instead of plain ReLU (T5 v1.0) */
  readonly gated: boolean;
  readonly epsilon: number;
  /** number of relative position buckets, and the distance from which all share the last bucket */
  readonly buckets: number;
  readonly maxDistance: number;
}

/**
 * T5's relative position bucket of `key position - query position` (transformers, T5Attention._relative_position_bucket):
 * exact for half the buckets, then logarithmic up to `maxDistance`. In the encoder (`bidirectional`) the two directions
 * share the buckets; in the decoder, keys to the right get bucket 0, because they are masked anyway. Logarithms are
 * rounded to float32 at each step as in transformers, so that no bucket differs at a boundary.
 */
export function relativeBucket(distance: number, bidirectional: boolean, buckets: number, maxDistance: number): number {
  let first = 0;
  let count = buckets;
  let far: number;
  if (bidirectional) {
    count = Math.floor(buckets / 2);
    if (distance > 0) first = count;
    far = Math.abs(distance);
  } else {
    far = Math.max(0, -distance);
  }
  const exact = Math.floor(count / 2);
  if (far < exact) return first + far;
  const f = Math.fround;
  const scaled = f(f(f(Math.log(f(far / exact))) / f(Math.log(maxDistance / exact))) * (count - exact));
  return first + Math.min(count - 1, exact + Math.trunc(scaled));
}

/** Position bias [1, heads, length, length] of a stack, from its `relative_attention_bias` table [buckets, heads]. */
export function positionBias(table: Tensor, config: T5Config, length: number, bidirectional: boolean): Tensor {
  const ids = new BigInt64Array(length * length);
  for (let query = 0; query < length; query++) {
    for (let key = 0; key < length; key++) {
      const bucket = relativeBucket(key - query, bidirectional, config.buckets, config.maxDistance);
      ids[query * length + key] = BigInt(bucket);
    }
  }
  const rows = gather(table, constant(ids, [length * length], 'int64'));
  return reshape(transpose(rows, [1, 0]), [1, config.heads, length, length]);
}

/** Attention bias [1, 1, length, length] that masks the keys to the right of each query. */
export function causalBias(length: number): Tensor {
  const data = new Float32Array(length * length);
  for (let query = 0; query < length; query++) data.fill(MASKED, query * length + query + 1, (query + 1) * length);
  return constant(data, [1, 1, length, length], 'float32');
}

/** T5's layer norm: RMS norm without mean and bias. */
export function norm(w: Weights, name: string, config: T5Config, x: Tensor): Tensor {
  return rmsNorm(x, w[`${name}.weight`], config.epsilon);
}

/** [B, L, heads × headWidth] -> [B, heads, L, headWidth] */
export function splitHeads(x: Tensor, config: T5Config): Tensor {
  const [batch, length] = x.shape;
  return transpose(reshape(x, [batch, length, config.heads, config.headWidth]), [0, 2, 1, 3]);
}

/** [B, heads, L, headWidth] -> [B, L, heads × headWidth] */
export function joinHeads(x: Tensor, config: T5Config): Tensor {
  const [batch, , length] = x.shape;
  return reshape(transpose(x, [0, 2, 1, 3]), [batch, length, config.heads * config.headWidth]);
}

/**
 * T5's attention: projections have no bias, and scores are not scaled (the initialization includes the scale).
 * @param queries [B, Lq, width] @param keys [B, Lk, width] @param bias broadcast to [B, heads, Lq, Lk]
 */
export function attention(
  w: Weights,
  name: string,
  config: T5Config,
  queries: Tensor,
  keys: Tensor,
  bias: Tensor,
): Tensor {
  const q = splitHeads(linear(queries, w[`${name}.q.weight`]), config);
  const [batch, length] = keys.shape;
  const k = reshape(linear(keys, w[`${name}.k.weight`]), [batch, length, config.heads, config.headWidth]);
  const v = splitHeads(linear(keys, w[`${name}.v.weight`]), config);
  const scores = add(matmul(q, transpose(k, [0, 2, 3, 1])), bias);
  return linear(joinHeads(matmul(softmax(scores), v), config), w[`${name}.o.weight`]);
}

/** T5's feed-forward layer: wo(relu(wi x)), or gated wo(gelu(wi_0 x) * wi_1 x) with the tanh GELU. */
export function feedForward(w: Weights, name: string, config: T5Config, x: Tensor): Tensor {
  const hidden = config.gated
    ? mul(geluTanh(linear(x, w[`${name}.wi_0.weight`])), linear(x, w[`${name}.wi_1.weight`]))
    : relu(linear(x, w[`${name}.wi.weight`]));
  return linear(hidden, w[`${name}.wo.weight`]);
}
