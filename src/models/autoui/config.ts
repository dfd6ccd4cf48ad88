import { join } from 'node:path';
import { z } from 'zod';
import { layers, size } from '../checkpoint/bounds.js';
import { readJson, schemaError, type Init, type ParameterSpecs } from '../checkpoint/checkpoint.js';
import type { T5Config } from '../t5.js';

/** The architecture of an Auto-UI model. */
export interface AutoUIConfig extends T5Config {
  readonly vocabulary: number;
  readonly encoderLayers: number;
  readonly decoderLayers: number;
  /** length of the image vector */
  readonly image: number;
  /** whether the head is the embedding table scaled by width^-0.5; otherwise it is `lm_head.weight` */
  readonly tied: boolean;
  /** token ids: padding, end of sequence, decoder start */
  readonly pad: number;
  readonly eos: number;
  readonly start: number;
}

const tokenId = z.number().int().nonnegative();
const ConfigFile = z.object({
  vocab_size: size,
  d_model: size,
  d_kv: size.default(64),
  d_ff: size,
  num_layers: layers,
  num_decoder_layers: layers.nullish(),
  num_heads: size,
  relative_attention_num_buckets: size.default(32),
  relative_attention_max_distance: size.default(128),
  feed_forward_proj: z.enum(['relu', 'gated-gelu']).default('relu'),
  tie_word_embeddings: z.boolean().default(true),
  /** transformers 5 always writes that embeddings are tied; this says whether the head is scaled */
  scale_decoder_outputs: z.boolean().nullish(),
  layer_norm_epsilon: z.number().positive().default(1e-6),
  pad_token_id: tokenId.nullish(),
  eos_token_id: z
    .union([
      tokenId,
      z
        .array(tokenId)
        .min(1)
        .transform(([first]) => first),
    ])
    .nullish(),
  decoder_start_token_id: tokenId.nullish(),
  /** default: BLIP-2's pooled output (the released config.json has no such field) */
  img_dim: size.default(1408),
});

/** Parses the content of a config.json. @throws UserError that starts with `source` and names the wrong field */
export function parseAutoUIConfig(json: unknown, source: string): AutoUIConfig {
  const parsed = ConfigFile.safeParse(json);
  if (!parsed.success) throw schemaError(source, parsed.error, 'the config.json of a T5 model');
  const c = parsed.data;
  return {
    vocabulary: c.vocab_size,
    width: c.d_model,
    headWidth: c.d_kv,
    feedForward: c.d_ff,
    encoderLayers: c.num_layers,
    decoderLayers: c.num_decoder_layers ?? c.num_layers,
    heads: c.num_heads,
    buckets: c.relative_attention_num_buckets,
    maxDistance: c.relative_attention_max_distance,
    gated: c.feed_forward_proj === 'gated-gelu',
    epsilon: c.layer_norm_epsilon,
    image: c.img_dim,
    tied: c.tie_word_embeddings && c.scale_decoder_outputs !== false,
    pad: c.pad_token_id ?? 0,
    eos: c.eos_token_id ?? 1,
    start: c.decoder_start_token_id ?? c.pad_token_id ?? 0,
  };
}

/** Reads `config.json` of a checkpoint folder. @throws UserError if it is missing or is not that of a T5 */
export function readAutoUIConfig(folder: string): AutoUIConfig {
  return parseAutoUIConfig(readJson(join(folder, 'config.json')), join(folder, 'config.json'));
}

/** The content of config.json, with Hugging Face's keys, for `parseAutoUIConfig` to read back. */
export function autoUIConfigJson(config: AutoUIConfig): Record<string, unknown> {
  return {
    architectures: ['T5ForMultimodalGeneration'],
    model_type: 't5',
    vocab_size: config.vocabulary,
    d_model: config.width,
    d_kv: config.headWidth,
    d_ff: config.feedForward,
    num_layers: config.encoderLayers,
    num_decoder_layers: config.decoderLayers,
    num_heads: config.heads,
    relative_attention_num_buckets: config.buckets,
    relative_attention_max_distance: config.maxDistance,
    feed_forward_proj: config.gated ? 'gated-gelu' : 'relu',
    tie_word_embeddings: config.tied,
    layer_norm_epsilon: config.epsilon,
    pad_token_id: config.pad,
    eos_token_id: config.eos,
    decoder_start_token_id: config.start,
    img_dim: config.image,
  };
}

/**
 * All parameters under the released checkpoint's names, with T5's initialization (transformers,
 * T5PreTrainedModel._init_weights, factor 1) and PyTorch's defaults for the image layers.
 */
export function autoUISpecs(config: AutoUIConfig): ParameterSpecs {
  const { width, feedForward, vocabulary, heads, headWidth } = config;
  const inner = heads * headWidth;
  const specs: ParameterSpecs = {};
  const matrix = (name: string, rows: number, columns: number, init: Init) => {
    specs[`${name}.weight`] = { shape: [rows, columns], init };
  };
  const norm = (name: string) => {
    specs[`${name}.weight`] = { shape: [width], init: 'ones' };
  };
  const attention = (name: string) => {
    matrix(`${name}.q`, inner, width, { normal: (width * headWidth) ** -0.5 });
    matrix(`${name}.k`, inner, width, { normal: width ** -0.5 });
    matrix(`${name}.v`, inner, width, { normal: width ** -0.5 });
    matrix(`${name}.o`, width, inner, { normal: inner ** -0.5 });
  };
  const feed = (name: string) => {
    for (const part of config.gated ? ['wi_0', 'wi_1'] : ['wi']) {
      matrix(`${name}.${part}`, feedForward, width, { normal: width ** -0.5 });
    }
    matrix(`${name}.wo`, width, feedForward, { normal: feedForward ** -0.5 });
  };
  matrix('shared', vocabulary, width, { normal: 1 });
  for (const [stack, layers] of [
    ['encoder', config.encoderLayers],
    ['decoder', config.decoderLayers],
  ] as const) {
    for (let i = 0; i < layers; i++) {
      const block = `${stack}.block.${i}.layer`;
      let layer = 0;
      attention(`${block}.${layer}.SelfAttention`);
      if (i === 0) {
        matrix(`${block}.0.SelfAttention.relative_attention_bias`, config.buckets, heads, { normal: width ** -0.5 });
      }
      norm(`${block}.${layer++}.layer_norm`);
      if (stack === 'decoder') {
        attention(`${block}.${layer}.EncDecAttention`);
        norm(`${block}.${layer++}.layer_norm`);
      }
      feed(`${block}.${layer}.DenseReluDense`);
      norm(`${block}.${layer}.layer_norm`);
    }
    norm(`${stack}.final_layer_norm`);
  }
  if (!config.tied) matrix('lm_head', vocabulary, width, { normal: 1 });
  const dense = (name: string, rows: number, columns: number) => {
    matrix(name, rows, columns, { uniform: columns ** -0.5 });
    specs[`${name}.bias`] = { shape: [rows], init: { uniform: columns ** -0.5 } };
  };
  dense('image_dense', width, config.image);
  dense('gate_dense', width, 2 * width);
  specs['mha_layer.in_proj_weight'] = { shape: [3 * width, width], init: { uniform: Math.sqrt(6 / (4 * width)) } };
  specs['mha_layer.in_proj_bias'] = { shape: [3 * width], init: 'zeros' };
  matrix('mha_layer.out_proj', width, width, { uniform: width ** -0.5 });
  specs['mha_layer.out_proj.bias'] = { shape: [width], init: 'zeros' };
  return specs;
}
