import { toFloat32 } from '../data/safetensors.js';
import { Parameters } from '../graph/index.js';
import { checkParameters } from './checkpoint.js';
import { readCheckpoint } from './checkpoint-tensors.js';
import { readRobertaConfig, robertaSpecs, type RobertaConfig } from './roberta.js';

/** What a checkpoint of a model with a head (roberta-base was saved with its language model's) puts before the names. */
const PREFIX = 'roberta.';
/** What is beside the encoder in such a checkpoint, and a buffer that older ones hold. */
const OTHERS = /^(lm_head\.|classifier\.|embeddings\.position_ids$)/;

/**
 * Load a RoBERTa checkpoint's encoder and pooler.
 * @throws UserError where a file is missing, broken, or does not fit its config.json
 */
export async function loadRoberta(folder: string): Promise<{ config: RobertaConfig; params: Parameters }> {
  const config = readRobertaConfig(folder);
  const values: Record<string, { shape: readonly number[]; data: Float32Array }> = {};
  for (const [stored, tensor] of await readCheckpoint(folder)) {
    const name = stored.startsWith(PREFIX) ? stored.slice(PREFIX.length) : stored;
    if (!OTHERS.test(name)) values[name] = { shape: tensor.shape, data: toFloat32(tensor) };
  }
  const params = Parameters.from(values);
  checkParameters(params, robertaSpecs(config), folder);
  return { config, params };
}
