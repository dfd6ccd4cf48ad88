import { join } from 'node:path';
import { z } from 'zod';
import {
  cursorVectors,
  PocketRepresenter,
  vlmInputs,
  type FedState,
} from '../src/agents/representers/pocket-representer.js';
import { counted } from '../src/counted.js';
import { MinibatchSampler, splitTrajectories } from '../src/data/replay.js';
import { clippedAdamW, Forward, Trainer, type Tensor } from '../src/graph/index.js';
import { parseAutoUIConfig } from '../src/models/autoui/config.js';
import { readJson } from '../src/models/checkpoint/checkpoint.js';
import { pocketVlm, type PocketVlmConfig, type VlmBucket } from '../src/models/pocket/vlm.js';
import { screenChange } from '../src/data/screen-change.js';
import { Random } from '../src/random.js';
import { policySet } from '../src/runner/reference.js';
import { stage, type StageContext } from '../src/runner/stage.js';
import { UserError } from '../src/errors.js';
import { filesOf, readTransitions } from './datasets.js';
import { ImageVectors } from '../src/data/image-vectors.js';
import { imagesOf, modelsOf, policyOf, runtimeOf } from './resources.js';
import { lanesOf, train } from './training/training.js';
import { answerLoss, answerStep, savePocket } from './training/pocket-answers.js';
import { Logged, logEvery } from './training/rhythm.js';
import { checkImageWidth, checkImportedWidth } from './widths.js';
import { registerVlm } from './vlm/reference.js';

export const Vlm = z.object({
  transitions: z.int().min(8).default(4000).describe('transitions to train on, drawn from the collected ones'),
  epochs: z.number().positive().default(3).describe('passes over these transitions'),
  batch: z.int().min(1).default(32).describe('transitions per micro-batch'),
  grad_accum_steps: z.int().min(1).default(2).describe('micro-batches per optimizer step; gradients are averaged'),
  lr: z.number().positive().default(3e-4).describe('peak learning rate, after the warm-up; it then decays linearly'),
  warmup: z.int().min(0).default(20).describe('training steps of the linear warm-up'),
  weight_decay: z.number().min(0).default(0.01).describe('decoupled weight decay (AdamW)'),
  clip: z.number().positive().default(1).describe('maximum global norm of the gradient, which is clipped to it'),
  threshold: z
    .number()
    .min(0)
    .default(30)
    .describe(
      'a screen counts as changed if the mean squared difference of its quarter-size pixels exceeds this (docs/algorithms.md §2.2)',
    ),
  policy: z
    .string()
    .default('base')
    .describe(
      'name of the policy whose weights initialise the pocket VLM, below `policy/`; `RUN:name` takes one of another run',
    ),
  ...Logged,
});

export type Vlm = z.infer<typeof Vlm>;

/** Reads the configuration in the folder of a pocket VLM. */
export function readVlmConfig(folder: string): PocketVlmConfig {
  const file = join(folder, 'config.json');
  const json = readJson(file) as { model_type?: string; autoui?: unknown; yes?: number; no?: number };
  if (json.model_type !== 'critiq-pocket-vlm' || typeof json.yes !== 'number' || typeof json.no !== 'number') {
    throw new UserError(`${file}: model_type: expected "critiq-pocket-vlm", got ${JSON.stringify(json.model_type)}`);
  }
  return { model_type: json.model_type, autoui: parseAutoUIConfig(json.autoui, file), yes: json.yes, no: json.no };
}

/** Representation fine-tuning (docs/algorithms.md §2.2): does this action change the screen? */
export const vlm = stage({
  name: 'vlm',
  summary: 'fine-tune the VLM of the representations: does an action change the screen?',
  settings: Vlm,
  startsOver: () => ({ epochs: 'the learning rate falls over all epochs' }),
  uses: ['seed', 'models.vlm'],
  // an external VLM is only registered, not trained
  inputs: ({ policy }, config) =>
    modelsOf(config).vlm === '' ? ['trajectories', 'image-vectors', policySet(policy)] : [],
  outputs: () => ['vlm'],
  check: async ({ policy }, config, dataset) => {
    if (modelsOf(config).vlm === '') await checkImportedWidth(config, dataset, policySet(policy));
  },
  plan: async (ctx) => {
    if (modelsOf(ctx.config).vlm === '') await checkImageWidth(ctx, policySet(ctx.settings.policy));
    return [{ id: 'vlm' }];
  },
  run: async (_shard, ctx) => {
    const { settings, seed } = ctx;
    const { vlm: model } = modelsOf(ctx.config);
    if (model !== '') return register(ctx, model);
    const source = ctx.dataset(policySet(settings.policy));
    const folder = ctx.dataset('vlm');
    const policy = await policyOf(ctx, policySet(settings.policy));
    const { tokenizer, tower } = policy;
    const config: PocketVlmConfig = {
      model_type: 'critiq-pocket-vlm',
      autoui: policy.config,
      yes: tokenizer.encode('Yes')[0],
      no: tokenizer.encode('No')[0],
    };
    const images = await imagesOf(ctx);
    const all = await readTransitions(ctx.dataset('trajectories'), 'collect', [
      'tid',
      'trajectory',
      'prompt',
      'action',
      'image',
      'nextImage',
    ]);
    const rows = new Random(seed, 'vlm', 'transitions').shuffled(all).slice(0, settings.transitions);
    const plain = ImageVectors.open(await filesOf(ctx.dataset('image-vectors'), 'collect'));
    const progress = ctx.progress(rows.length, 'screenshots compared');
    const states: FedState[] = [];
    const labels: number[] = [];
    for (let start = 0; start < rows.length; start += 64) {
      ctx.signal.throwIfAborted();
      const chunk = rows.slice(start, start + 64);
      const frames = await Promise.all(chunk.map(({ image }) => images.get(image)));
      for (const [i, { image, nextImage }] of chunk.entries()) {
        const changed =
          image !== nextImage && screenChange(frames[i], await images.get(nextImage)) > settings.threshold;
        labels.push(changed ? 1 : 0);
      }
      const vectors = await cursorVectors(
        tower,
        chunk.map(({ action, image }, i) => {
          const vector = new Float32Array(tower.dim);
          plain.read(image, vector);
          return { actions: [action], plain: vector, frame: async () => frames[i] };
        }),
      );
      chunk.forEach(({ prompt, action }, i) => states.push({ prompt, rows: [{ action, vector: vectors[i][0] }] }));
      progress.advance(chunk.length);
    }
    progress.done();
    plain.close();

    const split = splitTrajectories(
      rows.map(({ trajectory }) => trajectory),
      seed,
      0.9,
    );
    const part = (ids: ReadonlySet<string>) => [...rows.keys()].filter((i) => ids.has(rows[i].trajectory));
    const [training, held] = [part(split.train), part(split.validation)];
    const params = policy.params.clone();
    const runtime = await runtimeOf(ctx);
    const size = { rows: settings.batch, states: settings.batch };
    const representer = new PocketRepresenter(runtime, params, config, tokenizer, tower);
    const answers = (p: Record<string, Tensor>, bucket: VlmBucket) =>
      pocketVlm(p, config, vlmInputs(bucket, config.autoui.image)).logit;
    const forward = new Forward<VlmBucket>(runtime, params, (p, bucket) => ({ logit: answers(p, bucket) }));
    const accumulate = settings.grad_accum_steps;
    const trainer = new Trainer<VlmBucket>({
      runtime,
      params,
      lanes: lanesOf(ctx, accumulate),
      optimizer: clippedAdamW(settings.clip, settings.weight_decay),
      loss: (p, bucket) => {
        const logit = answers(p, bucket);
        return answerLoss(logit, bucket.rows);
      },
    });
    const batchOf = (indices: readonly number[]) => {
      const { bucket, feeds } = representer.feeds(
        states,
        indices.map((state) => ({ state, row: 0 })),
        size,
      );
      // the mask of the action's tokens serves the representation; the answer does not use it
      const { action_mask: _, ...read } = feeds;
      return { bucket, feeds: read };
    };
    const sampler = new MinibatchSampler(training.length, settings.batch, seed, 'vlm');
    const steps = Math.ceil((settings.epochs * training.length) / (settings.batch * accumulate));
    await train(ctx, {
      steps,
      every: logEvery(settings, steps),
      trainer,
      parameters: { model: params },
      label: 'training steps',
      step: answerStep(trainer, settings, steps, (micro) => {
        const indices = [...sampler.indices(micro)].map((i) => training[i]);
        const { bucket, feeds } = batchOf(indices);
        return { bucket, feeds: { ...feeds, label: Float32Array.from(indices, (i) => labels[i]) } };
      }),
    });
    let right = 0;
    for (let start = 0; start < held.length; start += settings.batch) {
      const indices = held.slice(start, start + settings.batch);
      const { bucket, feeds } = batchOf(indices);
      const { logit } = await forward.run(bucket, feeds);
      indices.forEach((row, i) => (right += Number(logit[i]) > 0 === (labels[row] === 1) ? 1 : 0));
    }
    const changed = labels.reduce((sum, label) => sum + label, 0) / labels.length;
    const accuracy = right / Math.max(1, held.length);
    ctx.log.info(
      `${(100 * changed).toFixed(1)} % of the actions change the screen; ${(100 * accuracy).toFixed(1)} % of ${held.length} held-out answers are correct`,
    );
    trainer.close();

    return {
      vlm: {
        files: await savePocket(folder, source, config, params),
        facts: { accuracy, changed, held_out: held.length },
      },
    };
  },
});

/** Makes the data set `vlm` a reference to an external model. */
async function register(ctx: StageContext<unknown>, model: string) {
  ctx.log.debug(`hashing the files of ${model} if it is a folder`);
  const { name, folder, files } = await registerVlm(ctx.dataset('vlm'), model, { signal: ctx.signal });
  ctx.log.info(
    folder === ''
      ? `using the VLM that a server calls ${name}`
      : `using the VLM in ${folder} (${counted(files.length, 'file')})`,
  );
  return { vlm: { files: ['config.json'] } };
}
