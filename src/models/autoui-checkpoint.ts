import { toFloat32, type StoredTensor } from '../data/safetensors.js';
import { Parameters } from '../graph/index.js';
import { autoUISpecs, readAutoUIConfig, type AutoUIConfig } from './autoui-config.js';
import { checkParameters } from './checkpoint.js';
import { readCheckpoint } from './checkpoint-tensors.js';

/** Names under which a state dict repeats the embedding table. */
const ALIASES = new Set(['encoder.embed_tokens.weight', 'decoder.embed_tokens.weight']);
const HEAD = 'lm_head.weight';

/**
 * Load an Auto-UI checkpoint as it was released or as we write it: `config.json` with `model.safetensors` (or its sharded
 * index) or, failing that, `pytorch_model.bin`, of which nothing is executed. Copies of the embedding table are left out.
 *
 * Whether the head is tied is decided by the checkpoint, since config.json may say so beside a head of its own
 * (transformers 5): it is, if there is no `lm_head.weight`, or an equal one and config.json says so. Length of the image
 * vector: what `image_dense.weight` has, if config.json does not say.
 * @throws UserError where a file is missing, broken, or does not fit its config.json
 */
export async function loadAutoUI(folder: string): Promise<{ config: AutoUIConfig; params: Parameters }> {
  const tensors = await readCheckpoint(folder);
  const written = readAutoUIConfig(folder);
  const head = tensors.get(HEAD);
  const tied = !head || (written.tied && sameBytes(head, tensors.get('shared.weight')));
  const config = { ...written, tied, image: tensors.get('image_dense.weight')?.shape[1] ?? written.image };
  const values: Record<string, { shape: readonly number[]; data: Float32Array }> = {};
  for (const [name, tensor] of tensors) {
    if (ALIASES.has(name) || (tied && name === HEAD)) continue;
    values[name] = { shape: tensor.shape, data: toFloat32(tensor) };
  }
  const params = Parameters.from(values);
  checkParameters(params, autoUISpecs(config), folder);
  return { config, params };
}

function sameBytes(a: StoredTensor, b: StoredTensor | undefined): boolean {
  if (!b || a.dtype !== b.dtype || String(a.shape) !== String(b.shape)) return false;
  const bytes = (t: StoredTensor) => Buffer.from(t.data.buffer, t.data.byteOffset, t.data.byteLength);
  return bytes(a).equals(bytes(b));
}
