import { z } from 'zod';
import {
  imitationBucket,
  imitationFeeds,
  imitationGraph,
  type ImitationBucket,
} from '../src/agents/policy/imitation.js';
import { Policy, policyFiles, saveTrained } from '../src/agents/policy/policy.js';
import { TruncationSettings, truncationOf } from '../src/agents/policy/truncation.js';
import { histories, type ValueModel } from '../src/agents/value/value-model.js';
import { sampledLogProb, sampleWeight, VemSettings, vemLoss } from '../src/algorithms/vem.js';
import { counted } from '../src/counted.js';
import { ImageVectors } from '../src/data/image-vectors.js';
import { MinibatchSampler, splitTrajectories } from '../src/data/replay.js';
import type { Transition } from '../src/data/transitions.js';
import { clippedAdamW, input, Trainer } from '../src/graph/index.js';
import { Random } from '../src/random.js';
import { policySet } from '../src/runner/reference.js';
import { stage, type ShardContext } from '../src/runner/stage.js';
import { filesOf, readTransitions } from './datasets.js';
import { cachesOf, imagesOf, runtimeOf } from './resources.js';
import { logEvery, Validated } from './training/rhythm.js';
import { lanesOf, learningRate, microBatches, train, validationBy } from './training/training.js';
import { valueModelOf } from './value/backend.js';
import type { Value } from './value/settings.js';
import { checkImageWidth } from './widths.js';

export const Vem = VemSettings.extend({
  name: z
    .union([z.literal(''), z.string().regex(/^[\w+-][\w.+-]{0,80}$/, 'letters, digits, _ . + -')])
    .default('')
    .describe('name of the new policy, below `policy/`; empty: `vem`')
    .meta({ scope: 'result' }),
  from: z
    .string()
    .default('base')
    .describe('name of the policy to start from, below `policy/`; `RUN:name` takes one of another run'),
  value: z
    .string()
    .regex(/^(?:[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}:)?value$/, '`value`, or RUN:value')
    .default('value')
    .describe('value model that rates the samples: that of this run, or `RUN:value` for that of another run'),
  ...TruncationSettings,
  ...Validated,
});
type Vem = z.infer<typeof Vem>;

const nameOf = ({ name }: Vem) => name || 'vem';
/** Maximum number of held-out states of a validation. */
const VALIDATION_ROWS = 512;

const COLUMNS = ['tid', 'trajectory', 'step', 'goal', 'prompt', 'action', 'image'] as const;
type Row = Pick<Transition, (typeof COLUMNS)[number]>;

/** A policy trained on its own samples, weighted by a frozen value model (docs/algorithms.md §5). */
export const vem = stage({
  name: 'vem',
  summary: 'train a policy on its own samples, weighted by the value model (VEM)',
  settings: Vem,
  counts: ({ lr_schedule }) => (lr_schedule === 'constant' ? ['epochs'] : []),
  growth: 'training',
  startsOver: ({ lr_schedule }): Readonly<Record<string, string>> =>
    lr_schedule === 'constant'
      ? {}
      : { epochs: `with lr_schedule=${lr_schedule} the learning rate depends on the number of all epochs` },
  uses: ['seed'],
  // what a served value model is asked
  derived: (config) => {
    const { history, max_pixels } = config.value as Value;
    return (config.models as { value: string }).value === ''
      ? {}
      : { 'value.history': history, 'value.max_pixels': max_pixels };
  },
  results: { sections: [] },
  instance: (settings) => (settings.name === '' ? 'vem' : `vem/${settings.name}`),
  inputs: ({ from, value }) => [policySet(from), 'trajectories', 'image-vectors', value],
  outputs: (settings) => [`policy/${nameOf(settings)}`],
  provides: (dataset) => (dataset === 'policy/vem' ? { 'vem.name': '' } : undefined),
  plan: async (ctx) => {
    await checkImageWidth(ctx, policySet(ctx.settings.from));
    const { lr_schedule, epochs } = ctx.settings;
    return [{ id: 'policy', ...(lr_schedule === 'constant' ? { extent: { epochs } } : {}) }];
  },
  run: async (_shard, ctx) => {
    const { settings } = ctx;
    const source = ctx.dataset(policySet(settings.from));
    // its own copy: it is trained in place, and samples with the weights as they are
    const policy = await Policy.load(await runtimeOf(ctx), source, cachesOf(ctx));
    const learner = await VemLearner.open(ctx, policy);
    await learner.learn();
    const output = `policy/${nameOf(settings)}`;
    const folder = ctx.dataset(output);
    await saveTrained(folder, source, policy, policy.params);
    return { [output]: { files: policyFiles(folder), facts: { states: learner.states } } };
  },
});

/** A sampled action as a lesson: the tokens of the whole text as they were sampled, and their weight. */
export interface VemLesson {
  readonly row: number;
  readonly tokens: readonly number[];
  readonly weight: number;
  /** probability of rating 2; undefined for a sample that is no valid action */
  readonly good: number | undefined;
  readonly logProb: number;
}

/** Trains a policy in place on its own samples. */
class VemLearner {
  private constructor(
    private readonly ctx: ShardContext<Vem>,
    private readonly policy: Policy,
    private readonly rows: readonly Row[],
    private readonly parts: { readonly training: readonly number[]; readonly held: readonly number[] },
    private readonly before: ReadonlyMap<number, readonly string[]>,
    private readonly vectors: ImageVectors,
    private readonly value: ValueModel,
    private readonly frame: (image: string) => ReturnType<Awaited<ReturnType<typeof imagesOf>>['get']>,
    private readonly runtime: Awaited<ReturnType<typeof runtimeOf>>,
  ) {}

  static async open(ctx: ShardContext<Vem>, policy: Policy): Promise<VemLearner> {
    const { settings, seed } = ctx;
    const rows: Row[] = await readTransitions(ctx.dataset('trajectories'), 'collect', COLUMNS);
    const ids = rows.map(({ trajectory }) => trajectory);
    const split = settings.validation === 0 ? undefined : splitTrajectories(ids, seed, 1 - settings.validation);
    const part = (which: 'train' | 'validation') =>
      [...rows.keys()].filter((row) => split?.[which].has(rows[row].trajectory) ?? which === 'train');
    const held = new Random(seed, 'vem', 'validation').shuffled(part('validation')).slice(0, VALIDATION_ROWS);
    const vectors = ImageVectors.open(await filesOf(ctx.dataset('image-vectors'), 'collect'));
    const images = await imagesOf(ctx);
    return new VemLearner(
      ctx,
      policy,
      rows,
      { training: part('train'), held },
      histories(rows),
      vectors,
      await valueModelOf(ctx, settings.value),
      (image) => images.get(image),
      await runtimeOf(ctx),
    );
  }

  /** States that are trained on. */
  get states(): number {
    return this.parts.training.length;
  }

  async learn(): Promise<void> {
    const { ctx, policy, parts, runtime } = this;
    const { settings, seed } = ctx;
    const { config } = policy;
    const { batch_size: batch, grad_accum_steps: accumulate } = settings;
    const trainer = new Trainer<ImitationBucket>({
      runtime,
      params: policy.params,
      lanes: lanesOf(ctx, accumulate),
      optimizer: clippedAdamW(settings.max_grad_norm, settings.weight_decay),
      loss: (p, bucket) => {
        const { logits, labels, labelMask } = imitationGraph(p, config, bucket);
        const logs = sampledLogProb(logits, labels, labelMask, settings);
        return { loss: vemLoss(logs, input('weight', [bucket.batch])) };
      },
    });
    const states = batch * accumulate;
    const sampler = new MinibatchSampler(parts.training.length, states, seed, 'vem');
    const perEpoch = Math.max(1, Math.ceil(parts.training.length / states));
    const steps = settings.epochs * perEpoch;
    await train(ctx, {
      steps,
      every: logEvery(settings, steps),
      checkpointEvery: Math.max(1, Math.min(perEpoch, Math.round(steps / 10))),
      trainer,
      parameters: { model: policy.params },
      goesOn: settings.lr_schedule === 'constant',
      label: `training steps on samples in ${counted(parts.training.length, 'state')}`,
      step: async (step) => {
        const rows = [...sampler.indices(step)].map((i) => parts.training[i]);
        const lessons = await this.lessons(rows, new Random(seed, 'vem', 'samples', step).int(2 ** 31));
        // lessons without weight have no gradient: only their number counts, in the mean
        const learned = lessons.filter(({ weight }) => weight > 0);
        const micros = Math.max(1, Math.ceil(learned.length / batch));
        const { loss } = await microBatches(0, micros, async (micro) => {
          const { bucket, feeds } = this.batch(learned.slice(micro * batch, (micro + 1) * batch), batch);
          const out = await trainer.accumulate(bucket, feeds);
          return { loss: Number(out.loss[0]) };
        });
        const { gradNorm } = await trainer.apply(learningRate(settings, step, steps), accumulate);
        return { loss: (loss * micros) / accumulate, ...measures(lessons), grad_norm: gradNorm };
      },
      validation:
        parts.held.length === 0 ? undefined : validationBy(settings, perEpoch, ['model'], () => this.validate()),
    });
    trainer.close();
    this.vectors.close();
  }

  /** Samples an action of the current policy in each state, and rates it. @param draw seeds the samples */
  private async lessons(rows: readonly number[], draw: number): Promise<VemLesson[]> {
    const { ctx, policy, vectors, value, before, frame } = this;
    const { settings } = ctx;
    const states = rows.map((row, i) => {
      const { tid, prompt, image } = this.rows[row];
      const vector = new Float32Array(vectors.dim);
      vectors.read(image, vector);
      return { key: `${tid} ${i}`, prompt, vector };
    });
    const drawn = await policy.draw(states, {
      seed: draw,
      count: 1,
      temperature: settings.temperature,
      ...truncationOf(settings),
      retries: 0,
    });
    const samples = drawn.map(([sample]) => sample);
    // an unparsable text is not an action: nothing is asked about it, and it is not taken for another action
    const valid = samples.flatMap(({ action }, i) => (action ? [i] : []));
    const good = await value.good(
      valid.map((i) => {
        const { tid, goal, image } = this.rows[rows[i]];
        return { goal, history: before.get(tid)!, action: samples[i].text, image, frame: () => frame(image) };
      }),
      ctx.signal,
    );
    const rated = new Map(valid.map((i, k) => [i, good[k]]));
    return samples.map(({ tokens, logProb }, i) => ({
      row: rows[i],
      tokens,
      logProb,
      good: rated.get(i),
      weight: sampleWeight(rated.get(i), settings),
    }));
  }

  /** The feeds of some lessons, padded to `size` rows of weight 0. */
  private batch(lessons: readonly VemLesson[], size: number) {
    const { policy, vectors } = this;
    const { tokenizer, config } = policy;
    const prompts = lessons.map(({ row }) => tokenizer.encode(this.rows[row].prompt));
    const texts = lessons.map(({ tokens }) => [...tokens]);
    while (prompts.length < size) {
      prompts.push([tokenizer.eos]);
      texts.push([tokenizer.eos]);
    }
    const image = new Float32Array(size * config.image);
    lessons.forEach(({ row }, i) => vectors.read(this.rows[row].image, image, i * config.image));
    const weight = new Float32Array(size);
    lessons.forEach((lesson, i) => (weight[i] = lesson.weight));
    const bucket = imitationBucket(prompts, texts);
    return { bucket, feeds: { ...imitationFeeds(prompts, texts, bucket, tokenizer.pad), image, weight } };
  }

  /** The value of the policy's samples in held-out states; their number is the same each time, and so are the draws. */
  private async validate(): Promise<Record<string, number>> {
    const { ctx, parts } = this;
    const lessons = await this.lessons(parts.held, new Random(ctx.seed, 'vem', 'held-out').int(2 ** 31));
    const { value, good, invalid } = measures(lessons);
    // the policy's objective, with 1 as its best
    return { validation_loss: 1 - value, validation_value: value, validation_good: good, validation_invalid: invalid };
  }
}

/** Means over some lessons: the probability of rating 2 (0 for an invalid sample), the shares of good and of invalid ones, and log π of the valid ones. */
function measures(lessons: readonly VemLesson[]): { value: number; good: number; invalid: number; log_prob: number } {
  const mean = (of: (lesson: VemLesson) => number, among = lessons) =>
    among.reduce((total, lesson) => total + of(lesson), 0) / Math.max(1, among.length);
  return {
    value: mean(({ good }) => good ?? 0),
    good: mean(({ good }) => (good !== undefined && good > 0.5 ? 1 : 0)),
    invalid: mean(({ good }) => (good === undefined ? 1 : 0)),
    log_prob: mean(
      ({ logProb }) => logProb,
      lessons.filter(({ good }) => good !== undefined),
    ),
  };
}
