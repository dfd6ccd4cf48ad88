import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { SafetensorsFile } from '../../data/formats/safetensors.js';
import { TorchStateDict } from '../../data/formats/torch.js';
import { Checkpoint } from './tensors.js';

/** Files beside the weights that decide what a model computes. */
const DECIDING = [
  'config.json',
  'preprocessor_config.json',
  'processor_config.json',
  'special_tokens_map.json',
  'tokenizer.json',
  'tokenizer_config.json',
];

/**
 * A fingerprint of a checkpoint folder (32 hex digits), in a second for tens of gigabytes: SHA-256 over the small files
 * that decide what the model computes, and for every weight file its name, its size and
 *  - safetensors: the header and a little from the start, middle and end of each tensor;
 *  - torch's zip: the CRC-32 of each storage, which its directory states.
 * A model trained further gets another one. Not meant against somebody who wants to deceive.
 * @param only looks just at the tensors whose names pass (shards without them need not be there)
 * @throws UserError where weights are missing or broken
 */
export async function checkpointFingerprint(folder: string, only?: (name: string) => boolean): Promise<string> {
  const hash = createHash('sha256');
  const part = (name: string, bytes: Uint8Array) => hash.update(`${name} ${bytes.length}\n`).update(bytes);
  for (const name of DECIDING) {
    const file = join(folder, name);
    if (existsSync(file)) part(name, readFileSync(file));
  }
  const checkpoint = await Checkpoint.open(folder, only);
  try {
    for (const source of checkpoint.sources) {
      const name = `${basename(source.file)} ${source.size}`;
      if (source instanceof SafetensorsFile) for (const bytes of source.samples()) part(name, bytes);
      if (source instanceof TorchStateDict) part(name, Buffer.from(JSON.stringify(source.checksums())));
    }
  } finally {
    checkpoint.close();
  }
  return hash.digest('hex').slice(0, 32);
}
