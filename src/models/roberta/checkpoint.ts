import { Parameters } from '../../graph/index.js';
import type { ParameterSpecs } from '../checkpoint/checkpoint.js';
import { withCheckpoint, withoutPrefix, type Checkpoint, type CheckpointTensor } from '../checkpoint/tensors.js';
import { readRobertaConfig, robertaSpecs, type RobertaConfig } from './roberta.js';

/** Prefix of the encoder's tensors in a model with a head; roberta-base was saved with its language-model head. */
const PREFIX = 'roberta.';
/** The tensors of such heads, and a buffer in older checkpoints. */
const OTHERS = /^(lm_head\.|classifier\.|qa_outputs\.|embeddings\.position_ids$)/;
const POOLER = ['pooler.dense.weight', 'pooler.dense.bias'];
/** Seed of the pooler for a checkpoint without one. */
const POOLER_SEED = 0;

/** A RoBERTa encoder with its pooler. */
export interface LoadedRoberta {
  readonly config: RobertaConfig;
  readonly params: Parameters;
  /** whether the checkpoint has no pooler (it was saved with a language-model head), so that one was initialized */
  readonly freshPooler: boolean;
}

/**
 * Loads the encoder and pooler of a RoBERTa checkpoint. For one without a pooler, transformers initializes a new pooler at
 * every load; here the seed is fixed, so that a text has the same vector in every run.
 * @throws UserError if a file is missing, broken, or does not match its config.json
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

/** What to load from a RoBERTa checkpoint; tensors by parameter name. */
export function planRoberta(folder: string, checkpoint: Checkpoint) {
  const config = readRobertaConfig(folder);
  const tensors = new Map<string, CheckpointTensor>();
  for (const [stored, tensor] of checkpoint.tensors) {
    const name = withoutPrefix(stored, PREFIX);
    if (!OTHERS.test(name)) tensors.set(name, tensor);
  }
  return { config, tensors, freshPooler: !POOLER.some((name) => tensors.has(name)) };
}

/** The specs without those of the pooler. */
export function withoutPooler(specs: ParameterSpecs): ParameterSpecs {
  return Object.fromEntries(Object.entries(specs).filter(([name]) => !POOLER.includes(name)));
}
