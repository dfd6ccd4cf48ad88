import type { Parameters } from '../graph/index.js';
import { autoUISpecs, readAutoUIConfig, type AutoUIConfig } from './autoui-config.js';
import { withCheckpoint, type Checkpoint } from './checkpoint-tensors.js';

/** Names under which a state dict repeats the embedding table. */
const ALIASES = new Set(['encoder.embed_tokens.weight', 'decoder.embed_tokens.weight']);
const HEAD = 'lm_head.weight';

/**
 * Load an Auto-UI checkpoint as it was released or as we write it: `config.json` with `model.safetensors` or
 * `pytorch_model.bin` (or the index of either's shards), or DigiRL's `trainer.pt`. Nothing in it is executed. Copies of
 * the embedding table are left out. Half precision is widened.
 *
 * Whether the head is tied is decided by the checkpoint, since config.json may say so beside a head of its own
 * (transformers 5): it is, if there is no `lm_head.weight`, or an equal one and config.json says so. Length of the image
 * vector: what `image_dense.weight` has, if config.json does not say.
 * @throws UserError where a file is missing, broken, or does not fit its config.json
 */
export async function loadAutoUI(folder: string): Promise<{ config: AutoUIConfig; params: Parameters }> {
  const written = readAutoUIConfig(folder);
  return withCheckpoint(folder, (checkpoint) => {
    const tied = isTied(checkpoint, written);
    const config = { ...written, tied, image: checkpoint.tensors.get('image_dense.weight')?.shape[1] ?? written.image };
    const tensors = new Map(
      [...checkpoint.tensors].filter(([name]) => !ALIASES.has(name) && !(tied && name === HEAD)),
    );
    return { config, params: checkpoint.parameters(tensors, autoUISpecs(config), folder) };
  });
}

/** Whether the head is the embedding table. */
export function isTied(checkpoint: Checkpoint, config: AutoUIConfig): boolean {
  const head = checkpoint.tensors.get(HEAD);
  const table = checkpoint.tensors.get('shared.weight');
  return !head || (config.tied && table !== undefined && checkpoint.same(head, table));
}
