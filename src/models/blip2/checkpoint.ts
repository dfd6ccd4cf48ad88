import type { Parameters } from '../../graph/index.js';
import { blip2VisionSpecs, readBlip2VisionConfig, type Blip2VisionConfig } from './blip2.js';
import { withCheckpoint, type Checkpoint, type CheckpointTensor } from '../checkpoint/tensors.js';

/** What a whole BLIP-2 puts before its vision tower's names; later transformers put one more before it. */
const PREFIX = /^(model\.)?vision_model\./;
/** The tower's own names, where it was saved alone. */
const OWN = /^(embeddings|encoder|post_layernorm)\./;
/** A buffer that older checkpoints hold. */
const BUFFER = /position_ids$/;

/** Whether a stored name is one of the vision tower's; the language model and the Q-Former are never read. */
export function isBlip2Vision(name: string): boolean {
  return (PREFIX.test(name) || OWN.test(name)) && !BUFFER.test(name);
}

/**
 * Load BLIP-2's vision tower, from the folder of a whole BLIP-2 (of which nothing else is read, and shards without it
 * need not be there) or of the tower alone; safetensors or pytorch_model.bin. Half precision is widened.
 * @throws UserError where a file is missing, broken, or does not fit its config.json
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

/** What of a BLIP-2 checkpoint is loaded, before it is read; tensors by the parameter's name. */
export function planBlip2Vision(folder: string, checkpoint: Checkpoint) {
  const config = readBlip2VisionConfig(folder);
  const tensors = new Map<string, CheckpointTensor>();
  for (const [name, tensor] of checkpoint.tensors) {
    if (isBlip2Vision(name)) tensors.set(name.replace(PREFIX, ''), tensor);
  }
  return { config, tensors };
}
