import { join } from 'node:path';
import { z } from 'zod';
import {
  add,
  concat,
  conv2d,
  expand,
  gelu,
  layerNorm,
  linear,
  reshape,
  slice,
  transpose,
  type Tensor,
} from '../../graph/index.js';
import { UserError } from '../../errors.js';
import { dense, firstStates, POOLED, scaledAttention, type Weights } from '../attention.js';
import { layers, size } from '../checkpoint/bounds.js';
import { readJson, schemaError, type Init, type ParameterSpecs } from '../checkpoint/checkpoint.js';

/** Pixels per side; transformers 5 may write a pair. */
const side = z
  .union([
    z.int().positive(),
    z.tuple([z.int().positive(), z.int().positive()]).refine(([a, b]) => a === b, 'expected a square'),
  ])
  .transform((value) => (typeof value === 'number' ? value : value[0]));

/**
 * The fields of a Blip2VisionModel's config.json that determine the architecture, with Hugging Face's names. The defaults
 * are those of Blip2VisionConfig (ViT-g), because transformers 4 omits default values in the file of a full BLIP-2.
 */
export const Blip2VisionConfig = z.object({
  hidden_size: size.default(1408),
  intermediate_size: size.default(6144),
  num_hidden_layers: layers.default(39),
  num_attention_heads: size.default(16),
  image_size: side.default(224),
  patch_size: side.default(14),
  layer_norm_eps: z.number().positive().default(1e-6),
  qkv_bias: z.boolean().default(true),
  hidden_act: z.literal('gelu').default('gelu'),
});
export type Blip2VisionConfig = z.infer<typeof Blip2VisionConfig>;

const MODEL_TYPES = ['blip-2', 'blip_2_vision_model'];

/** Reads config.json of a checkpoint folder (`vision_config` in that of a full BLIP-2). @throws UserError */
export function readBlip2VisionConfig(folder: string): Blip2VisionConfig {
  const file = join(folder, 'config.json');
  const json = (readJson(file) ?? {}) as { model_type?: unknown; vision_config?: unknown };
  if (json.model_type !== undefined && !MODEL_TYPES.includes(json.model_type as string)) {
    throw new UserError(
      `${file}: model_type: expected ${MODEL_TYPES.join(' or ')}, got ${JSON.stringify(json.model_type)}; set models.image to the folder of a BLIP-2`,
    );
  }
  const parsed = Blip2VisionConfig.safeParse(json.vision_config ?? json);
  if (parsed.success) return parsed.data;
  throw schemaError(file, parsed.error, 'the config.json of a BLIP-2 vision model');
}

/**
 * The pooled output [B, hidden] of BLIP-2's vision tower (a pre-norm ViT): the class token after the final norm, which
 * the released model applies twice. This is Auto-UI's image vector (1408 floats; docs/algorithms.md §0).
 * @param pixels float32 [B, 3, image_size, image_size], normalized
 */
export function blip2Pooled(w: Weights, config: Blip2VisionConfig, pixels: Tensor): Tensor {
  const { hidden_size: width, patch_size: patch } = config;
  const [batch] = pixels.shape;
  const norm = (name: string, x: Tensor) => layerNorm(x, w[`${name}.weight`], w[`${name}.bias`], config.layer_norm_eps);
  const map = conv2d(pixels, w['embeddings.patch_embedding.weight'], w['embeddings.patch_embedding.bias'], {
    stride: patch,
    pad: 0,
  });
  const patches = transpose(reshape(map, [batch, width, -1]), [0, 2, 1]);
  const token = expand(w['embeddings.class_embedding'], [batch, 1, width]);
  let x = add(concat([token, patches], 1), w['embeddings.position_embedding']);
  for (let i = 0; i < config.num_hidden_layers; i++) {
    const layer = `encoder.layers.${i}`;
    const project = (state: Tensor, from: number, to: number) => {
      const part = (t: Tensor) => (to - from === 3 ? t : slice(t, 0, from * width, to * width));
      const bias = config.qkv_bias ? part(w[`${layer}.self_attn.qkv.bias`]) : undefined;
      return linear(state, part(w[`${layer}.self_attn.qkv.weight`]), bias);
    };
    const split = (t: Tensor) =>
      Array.from({ length: t.shape[2] / width }, (_, part) => slice(t, 2, part * width, (part + 1) * width));
    const h = norm(`${layer}.layer_norm1`, x);
    const last = i === config.num_hidden_layers - 1;
    // In the last layer, the other states serve only as keys and values.
    const [q, k, v] = last
      ? [project(firstStates(h, POOLED), 0, 1), ...split(project(h, 1, 3))]
      : split(project(h, 0, 3));
    if (last) x = firstStates(x, POOLED);
    x = add(x, dense(w, `${layer}.self_attn.projection`, scaledAttention(q, k, v, config.num_attention_heads)));
    x = add(x, dense(w, `${layer}.mlp.fc2`, gelu(dense(w, `${layer}.mlp.fc1`, norm(`${layer}.layer_norm2`, x)))));
  }
  const pooled = reshape(slice(x, 1, 0, 1), [batch, width]);
  return norm('post_layernorm', norm('post_layernorm', pooled));
}

/** All parameters under their names in the checkpoint. */
export function blip2VisionSpecs(config: Blip2VisionConfig): ParameterSpecs {
  const { hidden_size: width, intermediate_size: inner, patch_size: patch } = config;
  const specs: ParameterSpecs = {};
  const set = (name: string, shape: number[], init: Init = { normal: 0.02 }) => {
    specs[name] = { shape, init };
  };
  const matrix = (name: string, rows: number, columns: number, bias = true) => {
    set(`${name}.weight`, [rows, columns]);
    if (bias) set(`${name}.bias`, [rows], 'zeros');
  };
  const norm = (name: string) => {
    set(`${name}.weight`, [width], 'ones');
    set(`${name}.bias`, [width], 'zeros');
  };
  set('embeddings.class_embedding', [1, 1, width]);
  set('embeddings.position_embedding', [1, Math.floor(config.image_size / patch) ** 2 + 1, width]);
  set('embeddings.patch_embedding.weight', [width, 3, patch, patch]);
  set('embeddings.patch_embedding.bias', [width], 'zeros');
  for (let i = 0; i < config.num_hidden_layers; i++) {
    const layer = `encoder.layers.${i}`;
    norm(`${layer}.layer_norm1`);
    matrix(`${layer}.self_attn.qkv`, 3 * width, width, config.qkv_bias);
    matrix(`${layer}.self_attn.projection`, width, width);
    norm(`${layer}.layer_norm2`);
    matrix(`${layer}.mlp.fc1`, inner, width);
    matrix(`${layer}.mlp.fc2`, width, inner);
  }
  norm('post_layernorm');
  return specs;
}
