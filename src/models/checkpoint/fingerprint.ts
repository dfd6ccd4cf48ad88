import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { readWhole } from '../../data/formats/text.js';
import { SafetensorsFile } from '../../data/formats/safetensors.js';
import { TorchStateDict } from '../../data/formats/torch-state.js';
import { Checkpoint } from './tensors.js';

/** Files besides the weights that affect what a model computes. */
const DECIDING = [
  'config.json',
  'preprocessor_config.json',
  'processor_config.json',
  'special_tokens_map.json',
  'tokenizer.json',
  'tokenizer_config.json',
];

/**
 * A fingerprint of a checkpoint folder (32 hex digits), which takes about a second for tens of gigabytes. It is the
 * SHA-256 of the small files that affect what the model computes, and for every weight file of its name, its size and
 *  - for safetensors: the header and samples from the start, middle and end of each tensor;
 *  - for torch's zip: the CRC-32 of each storage, from the zip directory.
 * It changes when the model is trained further. It does not protect against deliberate manipulation.
 * @param only restricts it to tensors with these names; shards without any of them may be missing
 * @throws UserError if weights are missing or broken
 */
export async function checkpointFingerprint(folder: string, only?: (name: string) => boolean): Promise<string> {
  const hash = createHash('sha256');
  const part = (name: string, bytes: Uint8Array) => hash.update(`${name} ${bytes.length}\n`).update(bytes);
  for (const name of DECIDING) {
    const file = join(folder, name);
    if (existsSync(file)) part(name, readWhole(file));
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
