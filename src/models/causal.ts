import {
  add,
  gather,
  gelu,
  input,
  layerNorm,
  linear,
  logSoftmax,
  mean,
  mul,
  neg,
  reshape,
  slice,
  takeAlong,
  type Tensor,
} from '../graph/index.js';
import type { Random } from '../random.js';
import { dense, paddingBias, scaledAttention, type Weights } from './attention.js';
import type { ParameterSpecs } from './checkpoint/checkpoint.js';

/**
 * Architecture of CoSo's causal model (arXiv 2505.03792; docs/algorithms.md §4). As released: 3 layers, width 128, 4 heads,
 * feed-forward width 512.
 */
export interface CausalConfig {
  readonly vocabulary: number;
  readonly width: number;
  readonly heads: number;
  readonly layers: number;
  readonly feedForward: number;
  /** number of classes of actions */
  readonly classes: number;
  /** maximum length of an action in tokens. @default 64 */
  readonly positions?: number;
}

/** Epsilon of the layer norm after the embeddings (BERT's) and of those in the layers (PyTorch's default). */
const EMBEDDING_EPSILON = 1e-12;
const LAYER_EPSILON = 1e-5;

/**
 * Logits [B, classes] of an action's class from its tokens: a small post-norm encoder, averaged over all positions
 * (including padding, as released).
 * @param ids int64 [B, L] @param mask float32 [B, L], 1 at real tokens
 * @param dropout masks for training, from `dropoutInputs`
 */
export function causalLogits(
  w: Weights,
  config: CausalConfig,
  ids: Tensor,
  mask: Tensor,
  dropout: readonly LayerDropout[] = [],
): Tensor {
  const { width, heads } = config;
  const length = ids.shape[1];
  const norm = (name: string, x: Tensor, epsilon: number) =>
    layerNorm(x, w[`${name}.weight`], w[`${name}.bias`], epsilon);
  const position = reshape(slice(w['position_embeddings.weight'], 0, 0, length), [1, length, width]);
  const type = reshape(slice(w['token_type_embeddings.weight'], 0, 0, 1), [1, 1, width]);
  let x = norm('LayerNorm', add(add(gather(w['embeddings.weight'], ids), position), type), EMBEDDING_EPSILON);
  const bias = paddingBias(mask);
  for (let i = 0; i < config.layers; i++) {
    const layer = `encoder_layers.${i}`;
    const projected = linear(x, w[`${layer}.self_attn.in_proj_weight`], w[`${layer}.self_attn.in_proj_bias`]);
    const [q, k, v] = [0, 1, 2].map((part) => slice(projected, 2, part * width, (part + 1) * width));
    const drop = (at: keyof LayerDropout, y: Tensor) => (dropout[i] ? mul(y, dropout[i][at]) : y);
    const attended = dense(w, `${layer}.self_attn.out_proj`, scaledAttention(q, k, v, heads, bias));
    x = norm(`${layer}.norm1`, add(x, drop('attended', attended)), LAYER_EPSILON);
    const hidden = drop('hidden', gelu(dense(w, `${layer}.linear1`, x)));
    x = norm(`${layer}.norm2`, add(x, drop('output', dense(w, `${layer}.linear2`, hidden))), LAYER_EPSILON);
  }
  return dense(w, 'classifier', mean(x, [1]));
}

/**
 * Dropout of a layer as masks, which a caller draws so that training is reproducible: each 0, or 1 / (1 - p). PyTorch's
 * encoder layer also drops attention weights, which this does not.
 */
export interface LayerDropout {
  /** after attention [B, L, width] */
  readonly attended: Tensor;
  /** within the feed-forward part [B, L, feedForward] */
  readonly hidden: Tensor;
  /** after the feed-forward part [B, L, width] */
  readonly output: Tensor;
}

const DROPPED = ['attended', 'hidden', 'output'] as const;

/** The masks of a batch of `rows` actions as inputs of the graph; none without dropout. */
export function dropoutInputs(config: CausalConfig, rows: number, dropout: number): LayerDropout[] {
  const { layers, positions = 64 } = config;
  if (dropout === 0) return [];
  return Array.from({ length: layers }, (_, i) => {
    const mask = (at: keyof LayerDropout) => input(`dropout.${i}.${at}`, [rows, positions, widthAt(config, at)]);
    return { attended: mask('attended'), hidden: mask('hidden'), output: mask('output') };
  });
}

/** Random masks for `dropoutInputs`. */
export function dropoutFeeds(
  config: CausalConfig,
  rows: number,
  dropout: number,
  random: Random,
): Record<string, Float32Array> {
  const { layers, positions = 64 } = config;
  const feeds: Record<string, Float32Array> = {};
  if (dropout === 0) return feeds;
  for (let i = 0; i < layers; i++) {
    for (const at of DROPPED) {
      const mask = new Float32Array(rows * positions * widthAt(config, at));
      for (let k = 0; k < mask.length; k++) mask[k] = random.next() < dropout ? 0 : 1 / (1 - dropout);
      feeds[`dropout.${i}.${at}`] = mask;
    }
  }
  return feeds;
}

function widthAt({ width, feedForward }: CausalConfig, at: keyof LayerDropout): number {
  return at === 'hidden' ? feedForward : width;
}

/** Mean cross-entropy of logits [B, classes] against labels int64 [B]. */
export function crossEntropy(logits: Tensor, labels: Tensor): Tensor {
  return neg(mean(takeAlong(logSoftmax(logits), reshape(labels, [labels.shape[0], 1]), 1)));
}

/** All parameters under their names in the checkpoint, with PyTorch's default initialization (embeddings: BERT's, 0.02). */
export function causalSpecs(config: CausalConfig): ParameterSpecs {
  const { width, feedForward, positions = 64 } = config;
  const specs: ParameterSpecs = {};
  const table = (name: string, rows: number) =>
    (specs[`${name}.weight`] = { shape: [rows, width], init: { normal: 0.02 } });
  const matrix = (name: string, rows: number, columns: number) => {
    specs[`${name}.weight`] = { shape: [rows, columns], init: { uniform: columns ** -0.5 } };
    specs[`${name}.bias`] = { shape: [rows], init: { uniform: columns ** -0.5 } };
  };
  const norm = (name: string) => {
    specs[`${name}.weight`] = { shape: [width], init: 'ones' };
    specs[`${name}.bias`] = { shape: [width], init: 'zeros' };
  };
  table('embeddings', config.vocabulary);
  table('position_embeddings', positions);
  table('token_type_embeddings', 2);
  norm('LayerNorm');
  for (let i = 0; i < config.layers; i++) {
    const layer = `encoder_layers.${i}`;
    specs[`${layer}.self_attn.in_proj_weight`] = {
      shape: [3 * width, width],
      init: { uniform: Math.sqrt(6 / (4 * width)) },
    };
    specs[`${layer}.self_attn.in_proj_bias`] = { shape: [3 * width], init: 'zeros' };
    matrix(`${layer}.self_attn.out_proj`, width, width);
    specs[`${layer}.self_attn.out_proj.bias`].init = 'zeros';
    matrix(`${layer}.linear1`, feedForward, width);
    matrix(`${layer}.linear2`, width, feedForward);
    norm(`${layer}.norm1`);
    norm(`${layer}.norm2`);
  }
  matrix('classifier', config.classes, width);
  return specs;
}
