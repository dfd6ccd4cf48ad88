import type { AutoUIConfig } from '../src/models/autoui/config.js';
import type { Blip2VisionConfig } from '../src/models/blip2/blip2.js';
import { convTowerDim, POCKET_TOWER } from '../src/models/conv-tower.js';
import type { RobertaConfig } from '../src/models/roberta/roberta.js';

/** Sizes of the released models (from their config.json) and of the pocket policy, for benchmarks with random weights. */

/** Auto-UI-Base: T5-base (docs/algorithms.md §1). */
export const AUTOUI_BASE: AutoUIConfig = {
  vocabulary: 32128,
  width: 768,
  headWidth: 64,
  heads: 12,
  feedForward: 3072,
  encoderLayers: 12,
  decoderLayers: 12,
  buckets: 32,
  maxDistance: 128,
  gated: false,
  epsilon: 1e-6,
  image: 1408,
  tied: true,
  pad: 0,
  eos: 1,
  start: 0,
};

/** The same for transformers' T5Config. */
export function autoUIBaseJson(): Record<string, number> {
  const { vocabulary, width, headWidth, feedForward, encoderLayers, heads } = AUTOUI_BASE;
  const sizes = { vocab_size: vocabulary, d_model: width, d_kv: headWidth, d_ff: feedForward };
  return { ...sizes, num_layers: encoderLayers, num_heads: heads };
}

/** roberta-base. */
export const ROBERTA_BASE: RobertaConfig = {
  vocab_size: 50265,
  hidden_size: 768,
  num_hidden_layers: 12,
  num_attention_heads: 12,
  intermediate_size: 3072,
  max_position_embeddings: 514,
  type_vocab_size: 1,
  pad_token_id: 1,
  layer_norm_eps: 1e-5,
  hidden_act: 'gelu',
};

/** The vision tower of blip2-opt-2.7b: ViT-g, 39 layers, 986 million parameters. */
export const BLIP2_VISION: Blip2VisionConfig = {
  hidden_size: 1408,
  intermediate_size: 6144,
  num_hidden_layers: 39,
  num_attention_heads: 16,
  image_size: 224,
  patch_size: 14,
  layer_norm_eps: 1e-6,
  qkv_bias: true,
  hidden_act: 'gelu',
};

/** The embedded phone's policy, as in configs/pocket.yaml. */
export const POCKET_POLICY: AutoUIConfig = {
  vocabulary: 700,
  width: 96,
  headWidth: 24,
  heads: 4,
  feedForward: 256,
  encoderLayers: 2,
  decoderLayers: 2,
  buckets: 32,
  maxDistance: 128,
  gated: false,
  epsilon: 1e-6,
  image: convTowerDim(POCKET_TOWER),
  tied: true,
  pad: 0,
  eos: 1,
  start: 0,
};
