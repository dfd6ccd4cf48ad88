import type { Parameters } from '../../graph/index.js';
import { blip2VisionSpecs, readBlip2VisionConfig, type Blip2VisionConfig } from './blip2.js';
import { withCheckpoint, type Checkpoint, type CheckpointTensor } from '../checkpoint/tensors.js';

/** Prefix of the vision tower's tensors in a full BLIP-2; later versions of transformers put `model.` before it. */
const PREFIX = /^(model\.)?vision_model\./;
/** The tensors of a tower that was saved alone. */
const OWN = /^(embeddings|encoder|post_layernorm)\./;
/** A buffer in older checkpoints. */
const BUFFER = /position_ids$/;

/** Whether a tensor belongs to the vision tower. The language model and the Q-Former are never read. */
export function isBlip2Vision(name: string): boolean {
  return (PREFIX.test(name) || OWN.test(name)) && !BUFFER.test(name);
}

/**
 * Loads BLIP-2's vision tower from the folder of the tower alone or of a full BLIP-2, as safetensors or
 * pytorch_model.bin. Of a full BLIP-2 nothing else is read, and shards without the tower may be missing. Half precision
 * becomes float32.
 * @throws UserError if a file is missing, broken, or does not match its config.json
 */
export async function loadBlip2Vision(folder: string): Promise<{ config: Blip2VisionConfig; params: Parameters }> {
  return withCheckpoint(
    folder,
    (checkpoint) => {
      const { config, tensors } = planBlip2Vision(folder, checkpoint);
      return { config, params: checkpoint.parameters(tensors, blip2VisionSpecs(config), folder) };
    },
    isBlip2Vision,
  );
}

/** What to load from a BLIP-2 checkpoint; tensors by parameter name. */
export function planBlip2Vision(folder: string, checkpoint: Checkpoint) {
  const config = readBlip2VisionConfig(folder);
  const tensors = new Map<string, CheckpointTensor>();
  for (const [name, tensor] of checkpoint.tensors) {
    if (isBlip2Vision(name)) tensors.set(name.replace(PREFIX, ''), tensor);
  }
  return { config, tensors };
}
