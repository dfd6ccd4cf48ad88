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
} from '../graph/index.js';
import { UserError } from '../errors.js';
import { dense, scaledAttention, type Weights } from './attention.js';
import { readJson } from './checkpoint.js';

/** The fields of a Blip2VisionModel config.json that shape the tower; Hugging Face's names. */
export const Blip2VisionConfig = z.object({
  hidden_size: z.int().positive(),
  intermediate_size: z.int().positive(),
  num_hidden_layers: z.int().positive(),
  num_attention_heads: z.int().positive(),
  image_size: z.int().positive(),
  patch_size: z.int().positive(),
  layer_norm_eps: z.number().positive().default(1e-6),
  qkv_bias: z.boolean().default(true),
  hidden_act: z.literal('gelu').default('gelu'),
});
export type Blip2VisionConfig = z.infer<typeof Blip2VisionConfig>;

/** Read config.json of a checkpoint folder; a whole BLIP-2's has it under `vision_config`. Throws UserError. */
export function readBlip2VisionConfig(folder: string): Blip2VisionConfig {
  const file = join(folder, 'config.json');
  const json = readJson(file) as { vision_config?: unknown };
  const parsed = Blip2VisionConfig.safeParse(json?.vision_config ?? json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new UserError(
    `${file}: ${issue.path.join('.')}: ${issue.message}; expected the config.json of a BLIP-2 vision model`,
  );
}

/**
 * The pooled output [B, hidden] of BLIP-2's vision tower (a pre-norm ViT): the class token after the final norm, which
 * the released model applies to it a second time. This is Auto-UI's image vector (1408 floats; ALGORITHMS §0).
 * @param pixels float32 [B, 3, image_size, image_size], normalised
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
    const projected = linear(
      norm(`${layer}.layer_norm1`, x),
      w[`${layer}.self_attn.qkv.weight`],
      config.qkv_bias ? w[`${layer}.self_attn.qkv.bias`] : undefined,
    );
    const [q, k, v] = [0, 1, 2].map((part) => slice(projected, 2, part * width, (part + 1) * width));
    x = add(x, dense(w, `${layer}.self_attn.projection`, scaledAttention(q, k, v, config.num_attention_heads)));
    x = add(x, dense(w, `${layer}.mlp.fc2`, gelu(dense(w, `${layer}.mlp.fc1`, norm(`${layer}.layer_norm2`, x)))));
  }
  const pooled = reshape(slice(x, 1, 0, 1), [batch, width]);
  return norm('post_layernorm', norm('post_layernorm', pooled));
}
