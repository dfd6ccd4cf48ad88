import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { writeAtomic } from '../../src/data/store/atomic.js';
import { copyWhole } from '../../src/data/store/file.js';
import {
  cast,
  equal,
  greater,
  input,
  mean,
  type Parameters,
  type Tensor,
  type Trainer,
  type TypedArray,
} from '../../src/graph/index.js';
import { autoUIConfigJson, type AutoUIConfig } from '../../src/models/autoui/config.js';
import { binaryCrossEntropy } from '../../src/models/mlp.js';
import type { VlmBucket } from '../../src/models/pocket/vlm.js';
import { microBatches, schedule } from './training.js';

/** What the stages that teach the pocket VLM one of two answers have in common: `vlm` (Yes or No) and `value` (2 or 1). */

/** The loss and the accuracy of logits [rows] of the first answer, against the feed `label` (1: the first answer). */
export function answerLoss(logit: Tensor, rows: number) {
  const label = input('label', [rows]);
  const right = equal(cast(greater(logit, 0), 'int32'), cast(label, 'int32'));
  return { loss: binaryCrossEntropy(logit, label), metrics: { accuracy: mean(cast(right, 'float32')) } };
}

/** Settings of the optimizer steps. */
interface AnswerSteps {
  readonly lr: number;
  readonly warmup: number;
  readonly grad_accum_steps: number;
}

/**
 * Optimizer step number `step` of `steps`, for `train`.
 * @param batch the feeds of a micro-batch, by its number, with `label`
 */
export function answerStep(
  trainer: Trainer<VlmBucket>,
  { lr: peak, warmup, grad_accum_steps: accumulate }: AnswerSteps,
  steps: number,
  batch: (micro: number) => { readonly bucket: VlmBucket; readonly feeds: Readonly<Record<string, TypedArray>> },
) {
  return async (step: number) => {
    const means = await microBatches(step, accumulate, async (micro) => {
      const { bucket, feeds } = batch(micro);
      const { loss, accuracy } = await trainer.accumulate(bucket, feeds);
      return { loss: Number(loss[0]), accuracy: Number(accuracy[0]) };
    });
    const lr = schedule(peak, step, steps, { warmup, floor: 0.05 });
    const { gradNorm } = await trainer.apply(lr, accumulate);
    return { ...means, grad_norm: gradNorm };
  };
}

/** Files that the model has in common with the policy whose weights initialised it. */
const SHARED_FILES = ['tokenizer.json', 'tokenizer_config.json', 'vision/config.json', 'vision/model.safetensors'];

/**
 * Writes the folder of a pocket VLM.
 * @param source the policy whose weights initialised it
 * @returns the names of its files
 */
export async function savePocket(
  folder: string,
  source: string,
  config: { readonly autoui: AutoUIConfig },
  params: Parameters,
): Promise<string[]> {
  for (const file of SHARED_FILES) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    copyWhole(join(source, file), join(folder, file));
  }
  await writeAtomic(
    join(folder, 'config.json'),
    JSON.stringify({ ...config, autoui: autoUIConfigJson(config.autoui) }, null, 2),
  );
  await params.save(join(folder, 'model.safetensors'));
  return ['config.json', 'model.safetensors', ...SHARED_FILES];
}
