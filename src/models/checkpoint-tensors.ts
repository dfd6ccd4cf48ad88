import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { readSafetensors, type StoredTensor } from '../data/safetensors.js';
import { readTorchStateDict } from '../data/torch.js';
import { UserError } from '../errors.js';

/**
 * The tensors of a checkpoint folder as they are stored, by name: of `model.safetensors` (or its sharded index) or, failing
 * that, `pytorch_model.bin`, of which nothing is executed.
 * @throws UserError where neither is there, or a file is broken
 */
export async function readCheckpoint(folder: string): Promise<ReadonlyMap<string, StoredTensor>> {
  const has = (name: string) => existsSync(join(folder, name));
  if (has('model.safetensors') || has('model.safetensors.index.json')) return readSafetensors(folder).tensors;
  if (has('pytorch_model.bin')) return (await readTorchStateDict(join(folder, 'pytorch_model.bin'))).tensors;
  throw new UserError(
    `${folder}: expected model.safetensors or pytorch_model.bin in it, got neither; is this a checkpoint folder?`,
  );
}
