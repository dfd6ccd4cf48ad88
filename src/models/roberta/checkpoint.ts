import { Parameters } from '../../graph/index.js';
import type { ParameterSpecs } from '../checkpoint/checkpoint.js';
import { withCheckpoint, withoutPrefix, type Checkpoint, type CheckpointTensor } from '../checkpoint/tensors.js';
import { readRobertaConfig, robertaSpecs, type RobertaConfig } from './roberta.js';

/** What a checkpoint of a model with a head (roberta-base was saved with its language model's) puts before the names. */
const PREFIX = 'roberta.';
/** What is beside the encoder in such a checkpoint, and a buffer that older ones hold. */
const OTHERS = /^(lm_head\.|classifier\.|qa_outputs\.|embeddings\.position_ids$)/;
const POOLER = ['pooler.dense.weight', 'pooler.dense.bias'];
/** Draws the pooler of a checkpoint that has none. */
const POOLER_SEED = 0;

/** A RoBERTa encoder with its pooler. */
export interface LoadedRoberta {
  readonly config: RobertaConfig;
  readonly params: Parameters;
  /** the checkpoint has no pooler (it was saved with a language model's head), so it was drawn as transformers does */
  readonly freshPooler: boolean;
}

/**
 * Load a RoBERTa checkpoint's encoder and pooler. Where it has no pooler, transformers draws one anew at every load; here
 * it is drawn from a fixed seed, so that a text's vector is the same in every run.
 * @throws UserError where a file is missing, broken, or does not fit its config.json
 */
export async function loadRoberta(folder: string): Promise<LoadedRoberta> {
  return withCheckpoint(folder, (checkpoint) => {
    const { config, tensors, freshPooler } = planRoberta(folder, checkpoint);
    const specs = robertaSpecs(config);
    if (!freshPooler) return { config, params: checkpoint.parameters(tensors, specs, folder), freshPooler };
    const pooler = Parameters.init(Object.fromEntries(POOLER.map((name) => [name, specs[name]])), POOLER_SEED);
    const params = checkpoint.parameters(tensors, withoutPooler(specs), folder, pooler);
    return { config, params, freshPooler };
  });
}

/** What of a RoBERTa checkpoint is loaded, before it is read; tensors by the parameter's name. */
export function planRoberta(folder: string, checkpoint: Checkpoint) {
  const config = readRobertaConfig(folder);
  const tensors = new Map<string, CheckpointTensor>();
  for (const [stored, tensor] of checkpoint.tensors) {
    const name = withoutPrefix(stored, PREFIX);
    if (!OTHERS.test(name)) tensors.set(name, tensor);
  }
  return { config, tensors, freshPooler: !POOLER.some((name) => tensors.has(name)) };
}

/** The specs of a checkpoint without a pooler. */
export function withoutPooler(specs: ParameterSpecs): ParameterSpecs {
  return Object.fromEntries(Object.entries(specs).filter(([name]) => !POOLER.includes(name)));
}
