import { join } from 'node:path';
import type { Parameters } from '../../graph/index.js';
import { autoUISpecs, readAutoUIConfig, type AutoUIConfig } from './config.js';
import { readJson } from '../checkpoint/checkpoint.js';
import { withCheckpoint, type Checkpoint, type CheckpointTensor } from '../checkpoint/tensors.js';

/** Names under which a state dict repeats the embedding table. */
export const ALIASES = new Set(['encoder.embed_tokens.weight', 'decoder.embed_tokens.weight']);
export const HEAD = 'lm_head.weight';

export const TABLE = 'shared.weight';

/**
 * Load an Auto-UI checkpoint as it was released or as we write it: `config.json` with `model.safetensors` or
 * `pytorch_model.bin` (or the index of either's shards), or DigiRL's `trainer.pt`. Nothing in it is executed. Copies of
 * the embedding table are left out. Half precision is widened.
 *
 * A head of its own, other than the table, is kept whatever config.json says of tying; transformers 5 may say that it is
 * scaled nevertheless (`scale_decoder_outputs`), which its weights then take in. Without one the table is the head: scaled
 * (`tied`), or as it is, where config.json says so. Length of the image vector: what `image_dense.weight` has, if
 * config.json does not say.
 * @throws UserError where a file is missing, broken, or does not fit its config.json
 */
export async function loadAutoUI(folder: string): Promise<{ config: AutoUIConfig; params: Parameters }> {
  return withCheckpoint(folder, (checkpoint) => {
    const { config, tensors, headScale } = planAutoUI(folder, checkpoint);
    const params = checkpoint.parameters(tensors, autoUISpecs(config), folder);
    if (headScale !== 1) {
      const { data } = params.get(HEAD);
      for (let i = 0; i < data.length; i++) data[i] *= headScale;
    }
    return { config, params };
  });
}

/** What of an Auto-UI checkpoint is loaded, before it is read. */
export interface AutoUIPlan {
  readonly config: AutoUIConfig;
  /** by the parameter's name */
  readonly tensors: ReadonlyMap<string, CheckpointTensor>;
  /** what the head's weights are to be multiplied with */
  readonly headScale: number;
}

/** See loadAutoUI. @throws UserError where config.json is missing or not a T5's */
export function planAutoUI(folder: string, checkpoint: Checkpoint): AutoUIPlan {
  const written = readAutoUIConfig(folder);
  const tensors = new Map([...checkpoint.tensors].filter(([name]) => !ALIASES.has(name)));
  const own = hasOwnHead(checkpoint);
  const tied = !own && written.tied;
  const table = tensors.get(TABLE);
  if (tied) tensors.delete(HEAD);
  else if (!own && table) tensors.set(HEAD, table);
  const config = { ...written, tied, image: tensors.get('image_dense.weight')?.shape[1] ?? written.image };
  return { config, tensors, headScale: own && scalesHead(folder) ? config.width ** -0.5 : 1 };
}

/** Whether there is a head that is not the embedding table. */
function hasOwnHead(checkpoint: Checkpoint): boolean {
  const head = checkpoint.tensors.get(HEAD);
  const table = checkpoint.tensors.get(TABLE);
  return head !== undefined && !(table && checkpoint.same(head, table));
}

/** Whether config.json says, as transformers 5 does, that the decoder's output is scaled before the head. */
function scalesHead(folder: string): boolean {
  return (readJson(join(folder, 'config.json')) as { scale_decoder_outputs?: unknown }).scale_decoder_outputs === true;
}
