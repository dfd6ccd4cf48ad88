import { join } from 'node:path';
import { writeAtomic } from '../../src/data/store/atomic.js';

export type Split = 'train' | 'validation';
export const SPLITS: readonly Split[] = ['train', 'validation'];

/** How LLaMA-Factory (hiyouga/LLaMA-Factory, data/README.md) finds turns and images in the examples of a data set. */
export interface Layout {
  readonly columns: { readonly messages: string; readonly images: string };
  readonly tags: {
    readonly role_tag: string;
    readonly content_tag: string;
    readonly user_tag: string;
    readonly assistant_tag: string;
  };
}

/** Writes the examples of both splits as `train.json` and `validation.json`. */
export async function writeExamples(
  folder: string,
  examples: Readonly<Record<Split, readonly object[]>>,
): Promise<void> {
  for (const split of SPLITS)
    await writeAtomic(join(folder, `${split}.json`), `${JSON.stringify(examples[split], null, 1)}\n`);
}

/** Writes `dataset_info.json`, with the data sets `<name>_train` and `<name>_validation` in the sharegpt format. */
export async function writeDatasetInfo(folder: string, name: string, layout: Layout): Promise<void> {
  const infos = Object.fromEntries(
    SPLITS.map((split) => [`${name}_${split}`, { file_name: `${split}.json`, formatting: 'sharegpt', ...layout }]),
  );
  await writeAtomic(join(folder, 'dataset_info.json'), `${JSON.stringify(infos, null, 2)}\n`);
}

/** What differs between the fine-tunings that critiq hands over. */
export interface Recipe {
  /** of `writeDatasetInfo` */
  readonly name: string;
  readonly model: string;
  readonly template: string;
  readonly output: string;
  /** whether there are validation examples */
  readonly validated: boolean;
  /** settings of the adapter, of the data and of the batches, by LLaMA-Factory's names */
  readonly lora: Readonly<Record<string, unknown>>;
  readonly data: Readonly<Record<string, unknown>>;
  readonly batch: number;
  readonly accumulate: number;
  readonly epochs: number;
}

/** Settings of a LoRA fine-tuning, run in the folder above `llamafactory/`: `media_dir` is relative to that one. */
export function loraSettings({ name, model, template, output, validated, lora, data, ...rest }: Recipe) {
  return {
    model_name_or_path: model,
    stage: 'sft',
    do_train: true,
    finetuning_type: 'lora',
    ...lora,
    lora_target: 'all',
    dataset_dir: 'llamafactory',
    media_dir: 'images',
    dataset: `${name}_train`,
    ...(validated ? { eval_dataset: `${name}_validation`, eval_strategy: 'epoch' } : {}),
    template,
    ...data,
    output_dir: output,
    logging_steps: 10,
    save_strategy: 'epoch',
    per_device_train_batch_size: rest.batch,
    per_device_eval_batch_size: 1,
    gradient_accumulation_steps: rest.accumulate,
    learning_rate: 1e-5,
    num_train_epochs: rest.epochs,
    lr_scheduler_type: 'cosine',
    warmup_ratio: 0.1,
    bf16: true,
  };
}
