import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { dotOf } from '../../src/agents/rated-action.js';
import { QUESTION, ratingQuestion } from '../../src/agents/value/question.js';
import { valuePicture } from '../../src/agents/value/served-value.js';
import { counted } from '../../src/counted.js';
import { jsonObjectInFile } from '../../src/data/formats/json.js';
import { writeAtomic } from '../../src/data/store/atomic.js';
import type { Display } from '../../src/runner/display.js';
import { Interrupted } from '../../src/runner/execute.js';
import { datasetFolder } from '../../src/runner/instance.js';
import type { Config } from '../../src/settings/settings.js';
import { claimFolder, removeStale, type ExportFolder } from '../vlm/export-folder.js';
import { loraSettings, SPLITS, writeDatasetInfo, writeExamples, type Split } from '../vlm/llamafactory.js';
import { labelledSteps, type LabelledStep } from './labelled.js';
import type { Value } from './settings.js';

/** Summary of an export: `critiq-value.json` in its folder, which also marks the folder as an export. */
export interface ValueExported {
  readonly run: string;
  readonly pictures: number;
  readonly max_pixels: number;
  /** version of the question and the pictures */
  readonly question: string;
  readonly train: { readonly examples: number; readonly good: number };
  readonly validation: { readonly examples: number; readonly good: number };
}

const MARK = 'critiq-value.json';
const OURS = new Set([MARK, 'images', 'llamafactory']);
const FOLDER: ExportFolder = {
  command: 'critiq value export',
  mark: MARK,
  own: (name) => OURS.has(name) || name.startsWith('.'),
  // `pictureName`, and its temporary file
  picture: /^\.?[0-9a-f]{32}(-\d{1,6}-\d{1,6})?\.png(\.tmp)?$/,
};
/** Pictures made and written in parallel. */
const WRITERS = 4;

/** An example in VEM's columns; the turns are LLaMA-Factory's `sharegpt` with the names `from` and `value`. */
interface Example {
  readonly ep_id: string;
  readonly step_id: number;
  readonly task: string;
  readonly critic_inputs: readonly { readonly from: 'human' | 'gpt'; readonly value: string }[];
  readonly critic_images: readonly string[];
  readonly critic_output: '1' | '2';
  readonly critic_explanation: string;
}

/**
 * `critiq value export OUT`: writes the labelled steps for LLaMA-Factory, and settings files that fine-tune and merge
 * Qwen2-VL and Qwen2.5-VL with the published values. The question and the picture are those that `critiq value` and `critiq vem`
 * send to the model later, pixel by pixel. Repeating an interrupted export makes the missing pictures.
 * @throws UserError if a screenshot is missing or damaged, the run has no labels, or `out` holds files of others
 */
export async function exportValue(
  out: string,
  config: Config,
  { display, signal }: { readonly display: Display; readonly signal: AbortSignal },
): Promise<ValueExported> {
  claimFolder(out, FOLDER);
  const settings = config.value as Value;
  const labelled = await labelledSteps(
    { settings, config, seed: config.seed, dataset: (name) => datasetFolder(config, name) },
    // all of them: `value.steps` and `value.measured` limit what critiq itself trains on and asks
    Infinity,
  );
  const images = join(out, 'images');
  mkdirSync(images, { recursive: true });
  // those of an earlier export with other settings are of another size
  const made = { max_pixels: settings.max_pixels, question: QUESTION };
  if (!marks(join(out, MARK), made)) removeStale(images, new Set(), 'value export');
  await writeAtomic(join(out, MARK), `${JSON.stringify(made)}\n`);
  const all = SPLITS.flatMap((split) => labelled[split]);
  const progress = display.progress(all.length, 'value export: examples');
  const writing = new Map<string, Promise<void>>();
  for (let start = 0; start < all.length; start += WRITERS) {
    if (signal.aborted) throw new Interrupted('value export: stopped; run the same command again to resume');
    const part = all.slice(start, start + WRITERS);
    await Promise.all(
      part.map((step) => {
        const name = pictureName(step);
        let made = writing.get(name);
        if (!made) writing.set(name, (made = writePicture(join(images, name), step, settings.max_pixels)));
        return made;
      }),
    );
    progress.advance(part.length);
  }
  progress.done();
  removeStale(images, writing, 'value export');
  const folder = join(out, 'llamafactory');
  const list = (split: Split) => labelled[split].map((step) => exampleOf(step, settings.history));
  await writeExamples(folder, { train: list('train'), validation: list('validation') });
  await writeRecipes(folder, settings, labelled.validation.length > 0);
  const count = (split: Split) => ({
    examples: labelled[split].length,
    good: labelled[split].filter(({ good }) => good).length,
  });
  const exported: ValueExported = {
    run: config.run,
    pictures: writing.size,
    ...made,
    train: count('train'),
    validation: count('validation'),
  };
  await writeAtomic(join(out, MARK), `${JSON.stringify(exported, null, 2)}\n`);
  return exported;
}

/** The summary of an export as lines for people. */
export function describeValueExport({ train, validation, pictures, max_pixels }: ValueExported): string[] {
  const share = ({ examples, good }: ValueExported['train']) =>
    `(${examples === 0 ? 0 : ((100 * good) / examples).toFixed(1)} % good)`;
  return [
    `value export: ${counted(train.examples, 'training example')} ${share(train)}, ${counted(validation.examples, 'validation example')} ${share(validation)}, ${counted(pictures, 'picture')} of at most ${max_pixels} pixels`,
  ];
}

function exampleOf(step: LabelledStep, history: number): Example {
  const output = step.good ? '2' : '1';
  return {
    ep_id: step.trajectory,
    step_id: step.step,
    task: step.goal,
    critic_inputs: [
      { from: 'human', value: `<image>${ratingQuestion(step, history)}` },
      { from: 'gpt', value: output },
    ],
    critic_images: [pictureName(step)],
    critic_output: output,
    critic_explanation: step.explanation,
  };
}

/** `<content id>.png`, or with the place of the dot, in hundred-thousandths: points have four decimals, their middle has five. */
function pictureName({ image, action }: LabelledStep): string {
  const dot = dotOf(action);
  return `${[image, ...(dot ?? []).map((part) => Math.round(100_000 * part))].join('-')}.png`;
}

async function writePicture(file: string, step: LabelledStep, maxPixels: number): Promise<void> {
  if (existsSync(file)) return;
  const url = await valuePicture(step, maxPixels);
  await writeAtomic(file, Buffer.from(url.slice(url.indexOf(',') + 1), 'base64'));
}

const MODELS = [
  ['qwen2_vl', 'Qwen/Qwen2-VL-7B-Instruct'],
  ['qwen2_5_vl', 'Qwen/Qwen2.5-VL-7B-Instruct'],
] as const;

/** LLaMA-Factory's dataset_info.json, and for each model the settings of the fine-tuning and of the merge. */
async function writeRecipes(folder: string, { max_pixels }: Value, validated: boolean): Promise<void> {
  await writeDatasetInfo(folder, 'critiq_value', {
    columns: { messages: 'critic_inputs', images: 'critic_images' },
    tags: { role_tag: 'from', content_tag: 'value', user_tag: 'human', assistant_tag: 'gpt' },
  });
  for (const [name, model] of MODELS) {
    const saved = `saves/value-${name}`;
    const merged = `merged/value-${name}`;
    const train = loraSettings({
      ...{ name: 'critiq_value', model, template: 'qwen2_vl', output: saved, validated, lora: {} },
      data: { image_max_pixels: max_pixels, cutoff_len: 2560, max_samples: 10_000 },
      ...{ batch: 3, accumulate: 2, epochs: 20 },
    });
    await writeAtomic(
      join(folder, `train-${name}.yaml`),
      `# In the folder above this one: llamafactory-cli train llamafactory/train-${name}.yaml\n# VEM's settings. Then merge the adapter: llamafactory-cli export llamafactory/merge-${name}.yaml\n${stringify(train)}`,
    );
    const merge = {
      model_name_or_path: model,
      adapter_name_or_path: saved,
      template: 'qwen2_vl',
      finetuning_type: 'lora',
      export_dir: merged,
      export_size: 2,
      export_device: 'cpu',
      export_legacy_format: false,
    };
    await writeAtomic(
      join(folder, `merge-${name}.yaml`),
      `# In the folder above this one: llamafactory-cli export llamafactory/merge-${name}.yaml\n# Then: vllm serve ${merged} --served-model-name critiq-value --max-logprobs 20\n# and:  critiq value import ${merged} --name critiq-value\n${stringify(merge)}`,
    );
  }
}

/** Whether the mark of an export, finished or not, says that its pictures are of this kind. */
function marks(file: string, { max_pixels, question }: Pick<ValueExported, 'max_pixels' | 'question'>): boolean {
  const mark = jsonObjectInFile(file);
  return mark?.max_pixels === max_pixels && mark.question === question;
}
