import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import PQueue from 'p-queue';
import { stringify } from 'yaml';
import { vlmPrompt, type Answer } from '../../src/agents/representers/vlm-prompt.js';
import { counted } from '../../src/counted.js';
import { temporaryName, writeAtomic } from '../../src/data/store/atomic.js';
import { ImageStore } from '../../src/data/images.js';
import { encodePng } from '../../src/data/formats/png.js';
import { splitTrajectories } from '../../src/data/replay.js';
import { UserError } from '../../src/errors.js';
import { CURSOR, frameWithCursor } from '../../src/models/cursor.js';
import { screenChange } from '../../src/data/screen-change.js';
import { Random } from '../../src/random.js';
import type { Display } from '../../src/runner/display.js';
import { Interrupted } from '../../src/runner/execute.js';
import { datasetFolder } from '../../src/runner/instance.js';
import type { Config } from '../../src/settings/settings.js';
import { readTransitions } from '../datasets.js';
import type { Vlm } from '../vlm.js';
import { claimFolder, removeStale, type ExportFolder } from './export-folder.js';
import { loraSettings, writeDatasetInfo, writeExamples, type Split } from './llamafactory.js';

export const VLM_FORMATS = ['llava', 'llamafactory', 'both'] as const;
export type VlmFormat = (typeof VLM_FORMATS)[number];

/** An example of the data set: a picture, a question and its answer. */
interface Example {
  readonly id: string;
  /** file below `images/` */
  readonly picture: string;
  readonly text: string;
  readonly answer: Answer;
}

/** Summary of an export: `critiq-export.json` in its folder, which also marks the folder as an export. */
export interface VlmExported {
  readonly run: string;
  readonly threshold: number;
  readonly cursor: string;
  readonly pictures: number;
  readonly train: { readonly examples: number; readonly yes: number };
  readonly validation: { readonly examples: number; readonly yes: number };
}

const MARK = 'critiq-export.json';
const OURS = new Set([MARK, temporaryName(MARK), 'images', 'llava', 'llamafactory']);
const FOLDER: ExportFolder = {
  command: 'critiq vlm export',
  mark: MARK,
  own: (name) => OURS.has(name),
  // `<content id>.png`, or `<content id>-<y>-<x>.png` with a cursor, in ten-thousandths
  picture: /^\.?[0-9a-f]{32}(-\d{1,5}-\d{1,5})?\.png(\.tmp)?$/,
};
/** Number of pictures compressed and written in parallel. */
const WRITERS = 4;

type Row = Awaited<ReturnType<typeof rowsOf>>[number];

/**
 * `critiq vlm export OUT`: writes the data set of the representation fine-tuning (docs/algorithms.md §2.2) for another
 * trainer: the question about each action, the screenshot with a cursor, and Yes if the pixels changed by more than
 * `vlm.threshold`. It has the transitions that `critiq vlm` would train on; 90 % of the trajectories are for training.
 *
 * After an interruption it resumes with the missing pictures; the JSON files come last, each written atomically.
 * @throws UserError if the run has no trajectories, or `out` holds files that no export wrote
 */
export async function exportVlm(
  out: string,
  format: VlmFormat,
  config: Config,
  { display, signal }: { readonly display: Display; readonly signal: AbortSignal },
): Promise<VlmExported> {
  claimFolder(out, FOLDER);
  const { threshold } = config.vlm as Vlm;
  const rows = await rowsOf(config);
  // marks the folder as an export, even if this one is interrupted
  await writeAtomic(join(out, MARK), '{}\n');
  const store = new ImageStore(datasetFolder(config, 'images'));
  const { train } = splitTrajectories(
    rows.map(({ trajectory }) => trajectory),
    config.seed,
    0.9,
  );
  const examples: Record<Split, Example[]> = { train: [], validation: [] };
  const answers = await inOrder(rows, signal, display, (row) => exampleOf(row, store, join(out, 'images'), threshold));
  rows.forEach(({ trajectory }, i) => examples[train.has(trajectory) ? 'train' : 'validation'].push(answers[i]));
  const pictures = new Set(answers.map(({ picture }) => picture));
  removeStale(join(out, 'images'), pictures, 'vlm export');
  for (const kind of ['llava', 'llamafactory'] as const) {
    if (format === kind || format === 'both') await WRITE[kind](join(out, kind), examples);
    else await rm(join(out, kind), { recursive: true, force: true });
  }
  const count = (split: Split) => ({
    examples: examples[split].length,
    yes: examples[split].filter(({ answer }) => answer === 'Yes').length,
  });
  const exported: VlmExported = {
    run: config.run,
    threshold,
    cursor: CURSOR,
    pictures: pictures.size,
    train: count('train'),
    validation: count('validation'),
  };
  await writeAtomic(join(out, MARK), `${JSON.stringify(exported, null, 2)}\n`);
  return exported;
}

/** The summary of an export as lines for people. */
export function describeExport({ train, validation, pictures, threshold }: VlmExported): string[] {
  const share = ({ examples, yes }: VlmExported['train']) =>
    `(${examples === 0 ? 0 : ((100 * yes) / examples).toFixed(1)} % Yes)`;
  return [
    `vlm export: ${counted(train.examples, 'training example')} ${share(train)}, ${counted(validation.examples, 'validation example')} ${share(validation)}, ${counted(pictures, 'picture')}; Yes: the pixels changed by more than ${threshold}`,
  ];
}

/** The transitions that `critiq vlm` would train on. */
async function rowsOf(config: Config) {
  const folder = datasetFolder(config, 'trajectories');
  const columns = ['tid', 'trajectory', 'goal', 'action', 'image', 'nextImage'] as const;
  const all = await readTransitions(folder, 'collect', columns);
  if (all.length === 0) throw new UserError(`${folder}: no transitions; run \`critiq collect\` first`);
  const { transitions } = config.vlm as Vlm;
  return new Random(config.seed, 'vlm', 'transitions').shuffled(all).slice(0, transitions);
}

async function exampleOf(row: Row, store: ImageStore, images: string, threshold: number): Promise<Example> {
  const { tid, goal, action, image, nextImage } = row;
  const { text, cursor } = vlmPrompt(goal, action);
  const place = cursor ? cursor.map((part) => `-${Math.round(part * 10_000)}`).join('') : '';
  const picture = `${image}${place}.png`;
  const frame = await store.get(image);
  const file = join(images, picture);
  if (!existsSync(file)) await writeAtomic(file, await encodePng(cursor ? frameWithCursor(frame, cursor) : frame));
  const changed = image !== nextImage && screenChange(frame, await store.get(nextImage)) > threshold;
  return { id: String(tid), picture, text, answer: changed ? 'Yes' : 'No' };
}

/** Makes the examples of all rows, in their order and a few in parallel; never two with the same screenshot. */
async function inOrder(
  rows: readonly Row[],
  signal: AbortSignal,
  display: Display,
  make: (row: Row) => Promise<Example>,
): Promise<Example[]> {
  const progress = display.progress(rows.length, 'vlm export: examples');
  const queue = new PQueue({ concurrency: WRITERS });
  const busy = new Map<string, Promise<unknown>>();
  const out = Array<Example>(rows.length);
  let failure: { error: unknown } | undefined;
  rows.forEach((row, i) => {
    void queue.add(async () => {
      if (failure || signal.aborted) return;
      const before = busy.get(row.image) ?? Promise.resolve();
      const mine = before.then(async () => {
        out[i] = await make(row);
        progress.advance();
      });
      const settled = mine.catch((error: unknown) => {
        failure ??= { error };
      });
      busy.set(row.image, settled);
      await settled;
    });
  });
  await queue.onIdle();
  progress.done();
  if (failure) throw failure.error;
  if (signal.aborted) throw new Interrupted('vlm export: stopped; run the same command again to resume');
  return out;
}

/**
 * LLaVA's JSON (https://github.com/haotian-liu/LLaVA/blob/main/docs/Finetune_Custom_Data.md): `--data_path OUT/llava/train.json --image_folder
 * OUT/images`.
 */
async function writeLlava(folder: string, examples: Record<Split, readonly Example[]>): Promise<void> {
  const list = (split: Split) =>
    examples[split].map(({ id, picture, text, answer }) => ({
      id,
      image: picture,
      conversations: [
        { from: 'human', value: `<image>\n${text}` },
        { from: 'gpt', value: answer },
      ],
    }));
  await writeExamples(folder, { train: list('train'), validation: list('validation') });
}

/**
 * LLaMA-Factory's sharegpt format (hiyouga/LLaMA-Factory, data/README.md) with a list of images, its dataset_info.json, and
 * a settings file for each of the two VLMs that the papers fine-tune. Run it in OUT: `media_dir` is relative to that folder.
 */
async function writeLlamaFactory(folder: string, examples: Record<Split, readonly Example[]>): Promise<void> {
  const list = (split: Split) =>
    examples[split].map(({ picture, text, answer }) => ({
      messages: [
        { role: 'user', content: `<image>${text}` },
        { role: 'assistant', content: answer },
      ],
      images: [picture],
    }));
  await writeExamples(folder, { train: list('train'), validation: list('validation') });
  await writeDatasetInfo(folder, 'critiq', {
    columns: { messages: 'messages', images: 'images' },
    tags: { role_tag: 'role', content_tag: 'content', user_tag: 'user', assistant_tag: 'assistant' },
  });
  const validated = examples.validation.length > 0;
  for (const [name, model, template] of [
    ['llava', 'llava-hf/llava-1.5-7b-hf', 'llava'],
    ['qwen2_vl', 'Qwen/Qwen2-VL-7B-Instruct', 'qwen2_vl'],
  ]) {
    const comment = `# In the folder above this one: llamafactory-cli train llamafactory/train-${name}.yaml\n# Then merge the adapter (llamafactory-cli export) and: critiq vlm import MERGED --name NAME\n`;
    const settings = loraSettings({
      ...{ name: 'critiq', model, template, output: `saves/${name}`, validated },
      ...{ lora: { lora_rank: 8 }, data: { cutoff_len: 4096 }, batch: 1, accumulate: 8, epochs: 3 },
    });
    await writeAtomic(join(folder, `train-${name}.yaml`), comment + stringify(settings));
  }
}

const WRITE = { llava: writeLlava, llamafactory: writeLlamaFactory };
