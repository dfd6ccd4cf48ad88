import { closeSync, existsSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { adoptPolicy, adoptionShard } from './adopt.js';
import { imitationFeeds, imitationGraph } from '../src/agents/policy/imitation.js';
import { policyFiles, savePolicy } from '../src/agents/policy/policy.js';
import { TextTokenizer } from '../src/agents/text/tokenizer.js';
import { writeAtomic } from '../src/data/store/atomic.js';
import { MinibatchSampler } from '../src/data/replay.js';
import type { Transition } from '../src/data/transitions.js';
import { COLOURS, HARD_WORDS, PHONE_WORDS, SHOP_FIRST, SHOP_SECOND } from '../src/devices/phone/index.js';
import { clippedAdamW, div, input, neg, Parameters, sum, Trainer } from '../src/graph/index.js';
import { autoUISpecs, type AutoUIConfig } from '../src/models/autoui/config.js';
import { logProb } from '../src/models/autoui/autoui.js';
import { bucketOf } from '../src/models/buckets.js';
import {
  convTower,
  convTowerDim,
  convTowerSpecs,
  POCKET_TOWER,
  shrink,
  shrunkLength,
} from '../src/models/conv-tower.js';
import { writePocketTokenizer } from '../src/models/pocket/tokenizer.js';
import { Random } from '../src/random.js';
import { stage, type ShardContext } from '../src/runner/stage.js';
import { readTransitions } from './datasets.js';
import { checkFolders, imagesOf, modelsOf, runtimeOf } from './resources.js';
import type { TaskSettings } from './sections.js';
import { lanesOf, microBatches, schedule, train } from './training/training.js';
import { Logged, logEvery } from './training/rhythm.js';

export const Sft = z
  .object({
    epochs: z.number().positive().default(20).describe('passes over the demonstrations'),
    batch: z.int().min(1).default(32).describe('demonstrated steps per micro-batch'),
    grad_accum_steps: z.int().min(1).default(2).describe('micro-batches per optimizer step; gradients are averaged'),
    lr: z.number().positive().default(1e-3).describe('peak learning rate, after the warm-up; it then decays linearly'),
    warmup: z.int().min(0).default(50).describe('training steps of the linear warm-up'),
    weight_decay: z.number().min(0).default(0.01).describe('decoupled weight decay (AdamW)'),
    clip: z.number().positive().default(1).describe('maximum global norm of the gradient, which is clipped to it'),
    width: z.int().min(8).default(96).describe('width of the new policy (768 in Auto-UI-Base)'),
    layers: z.int().min(1).default(2).describe('layers of the encoder and of the decoder (12 in Auto-UI-Base)'),
    heads: z.int().min(1).default(4).describe('attention heads (12 in Auto-UI-Base)'),
    feed_forward: z
      .int()
      .min(8)
      .default(256)
      .describe('hidden width of the feed-forward layers (3072 in Auto-UI-Base)'),
    ...Logged,
  })
  .refine(({ width, heads }) => width % heads === 0, { path: ['width'], message: 'expected a multiple of sft.heads' });

type Demonstration = Pick<Transition, 'prompt' | 'action' | 'image'>;

/**
 * The base policy: the checkpoint of `models.policy`, or a pocket policy that imitates the demonstrations. Its vision tower
 * is trained together with it and frozen afterwards.
 */
export const sft = stage({
  name: 'sft',
  summary: 'build the base policy: imitate the demonstrations, or use the checkpoint of models.policy',
  settings: Sft,
  startsOver: () => ({ epochs: 'the learning rate falls over all epochs' }),
  uses: ['seed', 'tasks.rows', 'tasks.columns', 'models.policy', 'models.image'],
  inputs: (_settings, config) => (modelsOf(config).policy === '' ? ['demos'] : []),
  outputs: () => ['policy/base'],
  check: (_settings, config) => checkFolders(config, ['policy', 'image']),
  plan: async (ctx) => [modelsOf(ctx.config).policy === '' ? { id: 'policy' } : await adoptionShard(ctx)],
  run: async (_shard, ctx) => {
    const { settings, seed } = ctx;
    const tasks = ctx.config.tasks as TaskSettings;
    const folder = ctx.dataset('policy/base');
    if (modelsOf(ctx.config).policy !== '') return adoptPolicy(ctx, folder);
    const pieces = [...SHOP_FIRST, ...SHOP_SECOND, ...COLOURS, '.com'];
    // the tokenizer of the other sets stays as it is
    const known = tasks.set.endsWith('-hard') ? [...PHONE_WORDS, ...HARD_WORDS] : PHONE_WORDS;
    const words = known.filter((word) => !(pieces as readonly string[]).includes(word));
    const vocabulary = await writePocketTokenizer(folder, { pieces, words, grid: tasks });
    const tokenizer = TextTokenizer.load(folder);
    const tower = POCKET_TOWER;
    const config: AutoUIConfig = {
      width: settings.width,
      headWidth: settings.width / settings.heads,
      heads: settings.heads,
      feedForward: settings.feed_forward,
      encoderLayers: settings.layers,
      decoderLayers: settings.layers,
      vocabulary,
      buckets: 32,
      maxDistance: 128,
      gated: false,
      epsilon: 1e-6,
      image: convTowerDim(tower),
      tied: true,
      pad: 0,
      eos: tokenizer.eos,
      start: 0,
    };
    const rows = (await readTransitions(ctx.dataset('demos'), 'demos', [
      'prompt',
      'action',
      'image',
    ])) as Demonstration[];
    const prompts = rows.map(({ prompt }) => tokenizer.encode(prompt));
    const actions = rows.map(({ action }) => tokenizer.encode(action));
    const bucket = {
      batch: settings.batch,
      prompt: bucketOf(Math.max(...prompts.map((ids) => ids.length))),
      action: Math.max(...actions.map((ids) => ids.length)),
    };
    const pixels = await PixelPack.open(
      ctx,
      rows.map(({ image }) => image),
    );
    const params = Parameters.init(
      { ...autoUISpecs(config), ...convTowerSpecs(tower) },
      new Random(seed, 'sft', 'init').int(2 ** 31),
    );
    const { batch, grad_accum_steps: accumulate } = settings;
    const trainer = new Trainer<typeof bucket>({
      runtime: await runtimeOf(ctx),
      params,
      lanes: lanesOf(ctx, accumulate),
      optimizer: clippedAdamW(settings.clip, settings.weight_decay),
      loss: (p, bucket) => {
        const image = convTower(p, tower, input('pixels', [bucket.batch, 3, ...tower.image_size]));
        const { logits, labels, labelMask } = imitationGraph(p, config, bucket, image);
        const logs = logProb(logits, labels, labelMask);
        return { loss: neg(div(sum(logs), sum(labelMask))) };
      },
    });
    const sampler = new MinibatchSampler(rows.length, batch, seed, 'sft');
    const steps = Math.ceil((settings.epochs * rows.length) / (batch * accumulate));
    await train(ctx, {
      steps,
      every: logEvery(settings, steps),
      trainer,
      parameters: { model: params },
      label: 'training steps',
      step: async (step) => {
        const { loss } = await microBatches(step, accumulate, async (micro) => {
          const indices = [...sampler.indices(micro)];
          const seen = new Float32Array(batch * shrunkLength(tower));
          indices.forEach((row, i) => pixels.read(row, seen, i));
          const [read, written] = [indices.map((row) => prompts[row]), indices.map((row) => actions[row])];
          const result = await trainer.accumulate(bucket, {
            ...imitationFeeds(read, written, bucket, tokenizer.pad),
            pixels: seen,
          });
          return { loss: Number(result.loss[0]) };
        });
        const lr = schedule(settings.lr, step, steps, { warmup: settings.warmup, floor: 0.05 });
        const { gradNorm } = await trainer.apply(lr, accumulate);
        return { loss, grad_norm: gradNorm, lr };
      },
    });
    trainer.close();
    pixels.close();
    const vision = (name: string) => name.startsWith('vision.');
    await savePolicy(folder, {
      config,
      params: params.select((name) => !vision(name)),
      vision: { config: tower, params: params.select(vision) },
      // twice the longest demonstration: an endless action would hold up all others in its batch
      maxTokens: 2 * bucket.action,
    });
    return policyFiles(folder);
  },
});

/** Downscaled screenshots in one file of the scratch folder, read row by row: those of a whole run do not fit into memory. */
class PixelPack {
  private readonly bytes = new Uint8Array(shrunkLength(POCKET_TOWER));

  private constructor(
    private readonly file: number,
    private readonly places: readonly number[],
  ) {}

  /** Packs images (or reuses the pack of a killed run). Row i is the picture of images[i]. */
  static async open(ctx: ShardContext<unknown>, images: readonly string[]): Promise<PixelPack> {
    const distinct = [...new Set(images)];
    const place = new Map(distinct.map((id, i) => [id, i]));
    const file = join(ctx.scratch(), 'pixels.bin');
    if (!existsSync(file)) {
      const store = await imagesOf(ctx);
      const progress = ctx.progress(distinct.length, 'screenshots downscaled');
      await writeAtomic(file, async (out) => {
        for (const id of distinct) {
          ctx.signal.throwIfAborted();
          await out.write(shrink(await store.get(id), POCKET_TOWER));
          progress.advance();
        }
      });
      progress.done();
    }
    return new PixelPack(
      openSync(file, 'r'),
      images.map((id) => place.get(id)!),
    );
  }

  /** Reads the picture of a row into position `slot` of `into`. */
  read(row: number, into: Float32Array, slot: number): void {
    readSync(this.file, this.bytes, 0, this.bytes.length, this.places[row] * this.bytes.length);
    into.set(this.bytes, slot * this.bytes.length);
  }

  close(): void {
    closeSync(this.file);
  }
}
