import { join } from 'node:path';
import type { Parameters } from '../../graph/index.js';
import { autoUISpecs, readAutoUIConfig, type AutoUIConfig } from './config.js';
import { readJson } from '../checkpoint/checkpoint.js';
import { withCheckpoint, type Checkpoint, type CheckpointTensor } from '../checkpoint/tensors.js';

/** Names of copies of the embedding table in a state dict. */
export const ALIASES = new Set(['encoder.embed_tokens.weight', 'decoder.embed_tokens.weight']);
export const HEAD = 'lm_head.weight';

export const TABLE = 'shared.weight';

/** Names of the embedding table, all of them of one tensor. A file may have any one: safetensors' save_model keeps the first. */
const TABLES = [TABLE, ...ALIASES];

/** Whether tensors of these names are an Auto-UI's. */
export function isAutoUI(names: ReadonlySet<string>): boolean {
  return names.has('image_dense.weight') && [...TABLES, HEAD].some((name) => names.has(name));
}

/** The embedding table; if the head is the table, the head may be all there is of it. */
function tableOf(folder: string, { tensors }: Checkpoint): CheckpointTensor | undefined {
  const table = TABLES.map((name) => tensors.get(name)).find((tensor) => tensor !== undefined);
  if (table) return table;
  const ties = (readJson(join(folder, 'config.json')) as { tie_word_embeddings?: unknown }).tie_word_embeddings;
  return ties === false ? undefined : tensors.get(HEAD);
}

/**
 * Loads an Auto-UI checkpoint, as released or as critiq writes it: `config.json` with `model.safetensors` or
 * `pytorch_model.bin` (or the index of its shards), or with DigiRL's `trainer.pt`. Nothing in it is executed. Copies of
 * the embedding table are skipped; any one of them is enough. Half precision becomes float32.
 *
 * A head that differs from the embedding table is kept, whatever config.json says about tying. If transformers 5 scales
 * it (`scale_decoder_outputs`), the factor is multiplied into its weights. Without such a head the table is the head:
 * scaled (`tied`), or unscaled if config.json says so. The length of the image vector comes from `image_dense.weight`.
 * @param weights the weight file, if it is not in the folder
 * @throws UserError if a file is missing, broken, or does not match its config.json
 */
export async function loadAutoUI(
  folder: string,
  weights = folder,
): Promise<{ config: AutoUIConfig; params: Parameters }> {
  return withCheckpoint(weights, (checkpoint) => {
    const { config, tensors, headScale } = planAutoUI(folder, checkpoint);
    const params = checkpoint.parameters(tensors, autoUISpecs(config), weights);
    if (headScale !== 1) {
      const { data } = params.get(HEAD);
      for (let i = 0; i < data.length; i++) data[i] *= headScale;
    }
    return { config, params };
  });
}

/** What to load from an Auto-UI checkpoint. */
export interface AutoUIPlan {
  readonly config: AutoUIConfig;
  /** by parameter name */
  readonly tensors: ReadonlyMap<string, CheckpointTensor>;
  /** factor for the head's weights */
  readonly headScale: number;
}

/** See loadAutoUI. @throws UserError if config.json is missing or is not that of a T5 */
export function planAutoUI(folder: string, checkpoint: Checkpoint): AutoUIPlan {
  const written = readAutoUIConfig(folder);
  const tensors = new Map([...checkpoint.tensors].filter(([name]) => !ALIASES.has(name)));
  const table = tableOf(folder, checkpoint);
  if (table) tensors.set(TABLE, table);
  const own = hasOwnHead(checkpoint, table);
  const tied = !own && written.tied;
  if (tied) tensors.delete(HEAD);
  else if (!own && table) tensors.set(HEAD, table);
  const config = { ...written, tied, image: tensors.get('image_dense.weight')?.shape[1] ?? written.image };
  return { config, tensors, headScale: own && scalesHead(folder) ? config.width ** -0.5 : 1 };
}

/** Whether the checkpoint has a head that differs from the embedding table. */
function hasOwnHead(checkpoint: Checkpoint, table: CheckpointTensor | undefined): boolean {
  const head = checkpoint.tensors.get(HEAD);
  return head !== undefined && head !== table && !(table && checkpoint.same(head, table));
}

/** Whether config.json (of transformers 5) says that the decoder's output is scaled before the head. */
function scalesHead(folder: string): boolean {
  return (readJson(join(folder, 'config.json')) as { scale_decoder_outputs?: unknown }).scale_decoder_outputs === true;
}
