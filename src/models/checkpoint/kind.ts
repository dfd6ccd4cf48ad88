import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { autoUISpecs } from '../autoui/config.js';
import { planAutoUI } from '../autoui/checkpoint.js';
import { blip2VisionSpecs } from '../blip2/blip2.js';
import { isBlip2Vision, planBlip2Vision } from '../blip2/checkpoint.js';
import { readJson, type ParameterSpecs } from './checkpoint.js';
import type { Checkpoint, CheckpointTensor } from './tensors.js';
import { planRoberta, withoutPooler } from '../roberta/checkpoint.js';
import { robertaSpecs } from '../roberta/roberta.js';

/** The models whose checkpoints critiq uses. */
export type CheckpointKind = 'auto-ui' | 'roberta' | 'blip-2';

/** What critiq would load of a checkpoint. */
export interface CheckpointPlan {
  readonly kind: CheckpointKind;
  /** the architecture as config.json and the weights have it */
  readonly config: object;
  /** what would be loaded, by the parameter's name */
  readonly tensors: ReadonlyMap<string, CheckpointTensor>;
  readonly specs: ParameterSpecs;
  /** what the tensor `lm_head.weight` is to be multiplied with */
  readonly headScale: number;
  /** Auto-UI: whether the head is the embedding table */
  readonly tiedHead?: boolean;
  /** RoBERTa: whether it has a pooler, or one is drawn */
  readonly pooler?: boolean;
}

/** Which of critiq's models a checkpoint is, by its config.json, or by its tensors' names where there is none. */
export function checkpointKind(folder: string, names: Iterable<string>): CheckpointKind | undefined {
  const file = join(folder, 'config.json');
  const known = new Set(names);
  const type = existsSync(file) ? (readJson(file) as { model_type?: unknown } | null)?.model_type : undefined;
  if (type === 'roberta') return 'roberta';
  if (type === 'blip-2' || type === 'blip_2_vision_model') return 'blip-2';
  if (type !== undefined && type !== 't5') return undefined;
  if (known.has('shared.weight') && known.has('image_dense.weight')) return 'auto-ui';
  if (type === 't5') return undefined;
  if ([...known].some((name) => name.endsWith('embeddings.token_type_embeddings.weight'))) return 'roberta';
  return [...known].some((name) => isBlip2Vision(name) && name.endsWith('patch_embedding.weight'))
    ? 'blip-2'
    : undefined;
}

/** Which of a folder's tensors critiq has any use for, as far as config.json tells: of a whole BLIP-2 just the tower's. */
export function usedTensors(folder: string): ((name: string) => boolean) | undefined {
  return checkpointKind(folder, []) === 'blip-2' ? isBlip2Vision : undefined;
}

/**
 * What critiq would load of a checkpoint folder; undefined for a model it does not use.
 * @throws UserError where config.json is missing or broken
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
