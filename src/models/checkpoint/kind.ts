import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { autoUISpecs } from '../autoui/config.js';
import { isAutoUI, planAutoUI } from '../autoui/checkpoint.js';
import { blip2VisionSpecs } from '../blip2/blip2.js';
import { isBlip2Vision, planBlip2Vision } from '../blip2/checkpoint.js';
import { readJson, type ParameterSpecs } from './checkpoint.js';
import type { Checkpoint, CheckpointTensor } from './tensors.js';
import { planRoberta, withoutPooler } from '../roberta/checkpoint.js';
import { robertaSpecs } from '../roberta/roberta.js';

/** The models whose checkpoints critiq can use. */
export type CheckpointKind = 'auto-ui' | 'roberta' | 'blip-2';

/** What critiq would load from a checkpoint. */
export interface CheckpointPlan {
  readonly kind: CheckpointKind;
  /** the architecture, from config.json and the weights */
  readonly config: object;
  /** the tensors to load, by parameter name */
  readonly tensors: ReadonlyMap<string, CheckpointTensor>;
  readonly specs: ParameterSpecs;
  /** factor for the tensor `lm_head.weight` */
  readonly headScale: number;
  /** Auto-UI: whether the head is the embedding table */
  readonly tiedHead?: boolean;
  /** RoBERTa: whether it has a pooler; if not, one is initialized */
  readonly pooler?: boolean;
}

/** The model of a checkpoint, from its config.json or, without one, from the names of its tensors. */
export function checkpointKind(folder: string, names: Iterable<string>): CheckpointKind | undefined {
  const file = join(folder, 'config.json');
  const known = new Set(names);
  const type = existsSync(file) ? (readJson(file) as { model_type?: unknown } | null)?.model_type : undefined;
  if (type === 'roberta') return 'roberta';
  if (type === 'blip-2' || type === 'blip_2_vision_model') return 'blip-2';
  if (type !== undefined && type !== 't5') return undefined;
  if (isAutoUI(known)) return 'auto-ui';
  if (type === 't5') return undefined;
  if ([...known].some((name) => name.endsWith('embeddings.token_type_embeddings.weight'))) return 'roberta';
  return [...known].some((name) => isBlip2Vision(name) && name.endsWith('patch_embedding.weight'))
    ? 'blip-2'
    : undefined;
}

/** A filter for the tensors that critiq uses, if config.json tells: only those of the vision tower in a full BLIP-2. */
export function usedTensors(folder: string): ((name: string) => boolean) | undefined {
  return checkpointKind(folder, []) === 'blip-2' ? isBlip2Vision : undefined;
}

/**
 * What critiq would load from a checkpoint folder; undefined for other models.
 * @throws UserError if config.json is missing or broken
 */
export function planCheckpoint(folder: string, checkpoint: Checkpoint): CheckpointPlan | undefined {
  const kind = checkpointKind(folder, checkpoint.tensors.keys());
  switch (kind) {
    case 'auto-ui': {
      const { config, tensors, headScale } = planAutoUI(folder, checkpoint);
      return { kind, config, tensors, headScale, specs: autoUISpecs(config), tiedHead: config.tied };
    }
    case 'roberta': {
      const { config, tensors, freshPooler } = planRoberta(folder, checkpoint);
      const specs = freshPooler ? withoutPooler(robertaSpecs(config)) : robertaSpecs(config);
      return { kind, config, tensors, headScale: 1, specs, pooler: !freshPooler };
    }
    case 'blip-2': {
      const { config, tensors } = planBlip2Vision(folder, checkpoint);
      return { kind, config, tensors, headScale: 1, specs: blip2VisionSpecs(config) };
    }
    default:
      return undefined;
  }
}
