import { join } from 'node:path';
import { z } from 'zod';
import {
  add,
  cast,
  constant,
  gather,
  gelu,
  layerNorm,
  matmul,
  mul,
  reshape,
  slice,
  tanh,
  type Tensor,
} from '../../graph/index.js';
import { dense, firstStates, paddingBias, POOLED, scaledAttention, type Weights } from '../attention.js';
import { layers, size } from '../checkpoint/bounds.js';
import { readJson, schemaError, type ParameterSpecs } from '../checkpoint/checkpoint.js';

/** The fields of a RoBERTa's config.json that determine the architecture, with Hugging Face's names. */
export const RobertaConfig = z.object({
  vocab_size: size,
  hidden_size: size,
  num_hidden_layers: layers,
  num_attention_heads: size,
  intermediate_size: size,
  max_position_embeddings: size,
  type_vocab_size: size.default(1),
  pad_token_id: z.int().nonnegative().default(1),
  layer_norm_eps: z.number().positive().default(1e-12),
  hidden_act: z.literal('gelu').default('gelu'),
});
export type RobertaConfig = z.infer<typeof RobertaConfig>;

/** Reads config.json of a checkpoint folder. @throws UserError that names the wrong field */
export function readRobertaConfig(folder: string): RobertaConfig {
  const file = join(folder, 'config.json');
  const parsed = RobertaConfig.safeParse(readJson(file));
  if (parsed.success) return parsed.data;
  throw schemaError(file, parsed.error, 'the config.json of a RoBERTa model');
}

/**
 * RoBERTa's pooled output [B, hidden]: tanh of a linear layer on the last hidden state of the first token. It is Digi-Q's
 * text vector (docs/algorithms.md §2.4). There is no dropout.
 * @param ids int64 [B, L] @param mask float32 [B, L], 1 at real tokens
 */
export function robertaPooled(w: Weights, config: RobertaConfig, ids: Tensor, mask: Tensor): Tensor {
  const [batch] = ids.shape;
  const last = robertaEncode(w, config, ids, mask, POOLED);
  return tanh(dense(w, 'pooler.dense', reshape(slice(last, 1, 0, 1), [batch, config.hidden_size])));
}

/**
 * The last layer's states [B, L, hidden], or only the first `wanted` of each sequence. In the last layer the other states
 * then serve only as keys and values.
 */
export function robertaEncode(
  w: Weights,
  config: RobertaConfig,
  ids: Tensor,
  mask: Tensor,
  wanted = ids.shape[1],
): Tensor {
  const norm = (name: string, x: Tensor) => layerNorm(x, w[`${name}.weight`], w[`${name}.bias`], config.layer_norm_eps);
  const embedded = add(
    add(gather(w['embeddings.word_embeddings.weight'], ids), typeZero(w, config)),
    gather(w['embeddings.position_embeddings.weight'], positions(config, mask)),
  );
  const bias = paddingBias(mask);
  let x = norm('embeddings.LayerNorm', embedded);
  for (let i = 0; i < config.num_hidden_layers; i++) {
    const layer = `encoder.layer.${i}`;
    const own = i === config.num_hidden_layers - 1 ? firstStates(x, wanted) : x;
    const q = dense(w, `${layer}.attention.self.query`, own);
    const [k, v] = ['key', 'value'].map((part) => dense(w, `${layer}.attention.self.${part}`, x));
    const attended = dense(
      w,
      `${layer}.attention.output.dense`,
      scaledAttention(q, k, v, config.num_attention_heads, bias),
    );
    x = norm(`${layer}.attention.output.LayerNorm`, add(attended, own));
    const hidden = gelu(dense(w, `${layer}.intermediate.dense`, x));
    x = norm(`${layer}.output.LayerNorm`, add(dense(w, `${layer}.output.dense`, hidden), x));
  }
  return x;
}

function typeZero(w: Weights, config: RobertaConfig): Tensor {
  return reshape(slice(w['embeddings.token_type_embeddings.weight'], 0, 0, 1), [1, 1, config.hidden_size]);
}

/**
 * Position ids int64 [B, L]: real tokens count from pad_token_id + 1, padding has pad_token_id (transformers,
 * RobertaEmbeddings.create_position_ids_from_input_ids). The cumulative sum is a product with a triangular matrix of ones.
 */
function positions(config: RobertaConfig, mask: Tensor): Tensor {
  const length = mask.shape[1];
  const triangle = new Float32Array(length * length);
  for (let i = 0; i < length; i++) triangle.fill(1, i * length + i, (i + 1) * length);
  const real = cast(mask, 'float32');
  const count = matmul(real, constant(triangle, [length, length]));
  return cast(add(mul(count, real), config.pad_token_id), 'int64');
}

/** All parameters under their names in the checkpoint, with Hugging Face's initialization (normal 0.02). */
export function robertaSpecs(config: RobertaConfig): ParameterSpecs {
  const { hidden_size: width, intermediate_size: inner } = config;
  const specs: ParameterSpecs = {};
  const matrix = (name: string, rows: number, columns: number, bias = true) => {
    specs[`${name}.weight`] = { shape: [rows, columns], init: { normal: 0.02 } };
    if (bias) specs[`${name}.bias`] = { shape: [rows], init: 'zeros' };
  };
  const norm = (name: string) => {
    specs[`${name}.weight`] = { shape: [width], init: 'ones' };
    specs[`${name}.bias`] = { shape: [width], init: 'zeros' };
  };
  matrix('embeddings.word_embeddings', config.vocab_size, width, false);
  matrix('embeddings.position_embeddings', config.max_position_embeddings, width, false);
  matrix('embeddings.token_type_embeddings', config.type_vocab_size, width, false);
  norm('embeddings.LayerNorm');
  for (let i = 0; i < config.num_hidden_layers; i++) {
    const layer = `encoder.layer.${i}`;
    for (const part of ['query', 'key', 'value']) matrix(`${layer}.attention.self.${part}`, width, width);
    matrix(`${layer}.attention.output.dense`, width, width);
    norm(`${layer}.attention.output.LayerNorm`);
    matrix(`${layer}.intermediate.dense`, inner, width);
    matrix(`${layer}.output.dense`, width, inner);
    norm(`${layer}.output.LayerNorm`);
  }
  matrix('pooler.dense', width, width);
  return specs;
}
