import {
  add,
  concat,
  constant,
  exp,
  clip,
  gather,
  linear,
  log,
  logSoftmax,
  matmul,
  mul,
  neg,
  reshape,
  sigmoid,
  slice,
  softmax,
  sub,
  sum,
  takeAlong,
  transpose,
} from '../../graph/index.js';
import type { Tensor } from '../../graph/index.js';
import type { AutoUIConfig } from './config.js';
import { paddingBias, type Weights } from '../attention.js';
import { attention, causalBias, feedForward, norm, positionBias } from '../t5.js';

/**
 * Auto-UI (arXiv 2309.11436; docs/algorithms.md §1): a T5 encoder-decoder whose encoder output is fused with one image token.
 * All functions build graphs; `w` has the parameters under the names of the released checkpoint.
 */

/** Embeddings [..., width] of token ids int64 [...]. Encoder, decoder and tied head share the table. */
export function embed(w: Weights, ids: Tensor): Tensor {
  return gather(w['shared.weight'], ids);
}

/**
 * Encodes a prompt and an image into the memory [B, S, width] that the decoder attends to.
 * @param ids int64 [B, S] @param mask float32 [B, S], 1 at real tokens @param image float32 [B, config.image]
 */
export function encode(w: Weights, config: AutoUIConfig, ids: Tensor, mask: Tensor, image: Tensor): Tensor {
  return fuseImage(w, config, encodeText(w, config, ids, mask), image);
}

/** The text encoder alone: [B, S, width] before the image is fused in. Arguments as for `encode`. */
export function encodeText(w: Weights, config: AutoUIConfig, ids: Tensor, mask: Tensor): Tensor {
  const table = w['encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight'];
  const bias = add(positionBias(table, config, ids.shape[1], true), paddingBias(mask));
  let x = embed(w, ids);
  for (let i = 0; i < config.encoderLayers; i++) {
    const block = `encoder.block.${i}.layer`;
    const h = norm(w, `${block}.0.layer_norm`, config, x);
    x = add(x, attention(w, `${block}.0.SelfAttention`, config, h, h, bias));
    x = add(x, feedForward(w, `${block}.1.DenseReluDense`, config, norm(w, `${block}.1.layer_norm`, config, x)));
  }
  return norm(w, 'encoder.final_layer_norm', config, x);
}

/**
 * The gate between encoder and decoder: g = sigmoid(W [x; a] + b), memory = (1 - g) x + g a. Here a is the single-head
 * attention of the text to the one image token, with the parameters of torch.nn.MultiheadAttention.
 */
export function fuseImage(w: Weights, config: AutoUIConfig, x: Tensor, image: Tensor): Tensor {
  const { width } = config;
  const [batch] = x.shape;
  const token = reshape(linear(image, w['image_dense.weight'], w['image_dense.bias']), [batch, 1, width]);
  const project = (t: Tensor, part: number) =>
    linear(
      t,
      slice(w['mha_layer.in_proj_weight'], 0, part * width, (part + 1) * width),
      slice(w['mha_layer.in_proj_bias'], 0, part * width, (part + 1) * width),
    );
  const scores = matmul(mul(project(x, 0), 1 / Math.sqrt(width)), transpose(project(token, 1), [0, 2, 1]));
  const seen = matmul(softmax(scores), project(token, 2));
  const attended = linear(seen, w['mha_layer.out_proj.weight'], w['mha_layer.out_proj.bias']);
  const gate = sigmoid(linear(concat([x, attended], 2), w['gate_dense.weight'], w['gate_dense.bias']));
  return add(mul(sub(1, gate), x), mul(gate, attended));
}

/**
 * The decoder's hidden states [B, T, width], after its last norm and before the head, with teacher forcing: position t
 * sees the start token and labels 0..t-1.
 * @param memory [B, S, width] from `encode` @param mask float32 [B, S] @param labels int64 [B, T]
 */
export function decode(w: Weights, config: AutoUIConfig, memory: Tensor, mask: Tensor, labels: Tensor): Tensor {
  const [batch, length] = labels.shape;
  const start = constant(new BigInt64Array(batch).fill(BigInt(config.start)), [batch, 1], 'int64');
  const inputs = length > 1 ? concat([start, slice(labels, 1, 0, length - 1)], 1) : start;
  const table = w['decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight'];
  const selfBias = add(positionBias(table, config, length, false), causalBias(length));
  const crossBias = paddingBias(mask);
  let y = embed(w, inputs);
  for (let i = 0; i < config.decoderLayers; i++) {
    const block = `decoder.block.${i}.layer`;
    const h = norm(w, `${block}.0.layer_norm`, config, y);
    y = add(y, attention(w, `${block}.0.SelfAttention`, config, h, h, selfBias));
    const q = norm(w, `${block}.1.layer_norm`, config, y);
    y = add(y, attention(w, `${block}.1.EncDecAttention`, config, q, memory, crossBias));
    y = add(y, feedForward(w, `${block}.2.DenseReluDense`, config, norm(w, `${block}.2.layer_norm`, config, y)));
  }
  return norm(w, 'decoder.final_layer_norm', config, y);
}

/** Logits [..., vocabulary] of hidden states [..., width]. A tied head is the embedding table scaled by width^-0.5. */
export function head(w: Weights, config: AutoUIConfig, hidden: Tensor): Tensor {
  if (!config.tied) return linear(hidden, w['lm_head.weight']);
  return linear(mul(hidden, config.width ** -0.5), w['shared.weight']);
}

/** Logits [B, T, vocabulary] for all label positions: `head` after `decode`. */
export function decodeTeacherForced(
  w: Weights,
  config: AutoUIConfig,
  memory: Tensor,
  mask: Tensor,
  labels: Tensor,
): Tensor {
  return head(w, config, decode(w, config, memory, mask, labels));
}

export interface LogProbOptions {
  /** clamps probabilities to this range, outside which the gradient is then 0 (released code: 0.001, 0.99); default off */
  readonly clamp?: readonly [low: number, high: number];
}

/**
 * Log-probability [B, T] of each label, 0 where the mask is 0. The sum over T is that of the action.
 * @param logits [B, T, V] @param labels int64 [B, T] @param mask float32 [B, T]
 */
export function logProb(logits: Tensor, labels: Tensor, mask: Tensor, { clamp }: LogProbOptions = {}): Tensor {
  const [batch, length] = labels.shape;
  const taken = reshape(takeAlong(logSoftmax(logits), reshape(labels, [batch, length, 1]), 2), [batch, length]);
  return mul(clamp ? log(clip(exp(taken), clamp[0], clamp[1])) : taken, mask);
}

/** Entropy [...] in nats of the distribution with logits [..., V]. */
export function entropy(logits: Tensor): Tensor {
  const logs = logSoftmax(logits);
  return neg(sum(mul(exp(logs), logs), [logits.shape.length - 1]));
}
