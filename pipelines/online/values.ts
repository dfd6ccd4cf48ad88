import { PromptTokens, PromptVectors, type PromptFeeds } from '../../src/agents/policy/prompt-feeds.js';
import { TextTower } from '../../src/agents/text/text-tower.js';
import { TextTokenizer } from '../../src/agents/text/tokenizer.js';
import { instructionValueLoss, stepValueLoss } from '../../src/algorithms/digirl.js';
import { MinibatchSampler } from '../../src/data/replay.js';
import { add, clippedAdamW, Forward, input, minimum, Parameters, Trainer, type Tensor } from '../../src/graph/index.js';
import { loadRoberta } from '../../src/models/roberta/checkpoint.js';
import { rowBucket } from '../../src/models/buckets.js';
import { successProbability } from '../../src/models/mlp.js';
import { instructionLogits, stepLogits, towerVectors, valueSpecs, type ValueConfig } from '../../src/models/value.js';
import { Random } from '../../src/random.js';
import type { ShardContext } from '../../src/runner/stage.js';
import { freshTower, tokenizerFolder } from '../training/critic-text.js';
import type { OnlineReplay, OnlineStep, OnlineTrajectory } from './replay.js';
import type { ScreenVectors } from './screens.js';
import type { Online, Trained } from './settings.js';
import { cachesOf, modelsOf, runtimeOf } from '../resources.js';
import { lanesOf, microBatches } from '../training/training.js';

/** Rows of a batch, and the length of its prompts in tokens (0: prompts are vectors). */
interface Bucket {
  readonly rows: number;
  readonly length: number;
}

/** Steps valued together. */
const VALUED = 256;

/** Trains DigiRL's value functions (docs/algorithms.md §3): of steps and of instructions. */
export class ValueLearner {
  readonly params: Parameters;
  readonly trainers: { readonly steps: Trainer<Bucket>; readonly instruction: Trainer<Bucket> };
  private readonly stepForward: Forward<Bucket>;
  private readonly instructionForward: Forward<Bucket>;

  private constructor(
    private readonly ctx: ShardContext<Online>,
    private readonly prompts: PromptFeeds,
    /** reads the first prompt of a trajectory: with the encoder of the instruction-level value, or as `prompts` */
    private readonly instructions: PromptFeeds,
    private readonly screens: ScreenVectors,
    private readonly config: ValueConfig,
    runtime: Awaited<ReturnType<typeof runtimeOf>>,
    /** initial weights of the encoder; undefined for a new one */
    encoder: Parameters | undefined,
  ) {
    const { settings, seed } = ctx;
    const twoStates = settings.digirl.next_value === 'network';
    this.params = Parameters.init(valueSpecs(config), new Random(seed, 'online', 'values').int(2 ** 31));
    for (const name of encoder?.names() ?? [])
      this.params.get(`instruction.text.${name}`).data.set(encoder!.get(name).data);
    const optimizer = () => clippedAdamW(settings.max_grad_norm);
    const common = { runtime, params: this.params, lanes: lanesOf(ctx, settings.grad_accum_steps) };
    this.trainers = {
      steps: new Trainer<Bucket>({
        ...common,
        optimizer: optimizer(),
        trainable: (name) => !name.startsWith('instruction.'),
        loss: (p, bucket) => {
          const outcome = input('outcome', [bucket.rows]);
          const loss = stepValueLoss(this.stepGraph(p, bucket), outcome);
          // C: the state after a step learns the same return
          return { loss: twoStates ? add(loss, stepValueLoss(this.stepGraph(p, bucket, 'next_'), outcome)) : loss };
        },
      }),
      // a shared text tower is trained by the step values only
      instruction: new Trainer<Bucket>({
        ...common,
        optimizer: optimizer(),
        trainable: (name) => name.startsWith('instruction.'),
        loss: (p, bucket) => ({
          loss: instructionValueLoss(this.instructionGraph(p, bucket), input('outcome', [bucket.rows])),
        }),
      }),
    };
    this.stepForward = new Forward<Bucket>(runtime, this.params, (p, bucket) => {
      const [v1, v2] = this.stepGraph(p, bucket);
      return { value: minimum(successProbability(v1), successProbability(v2)) };
    });
    this.instructionForward = new Forward<Bucket>(runtime, this.params, (p, bucket) => ({
      value: successProbability(this.instructionGraph(p, bucket)),
    }));
  }

  static async create(ctx: ShardContext<Online>, screens: ScreenVectors): Promise<ValueLearner> {
    const prompts = await promptFeeds(ctx);
    const { tower, dim: text } = prompts;
    const own = ctx.settings.digirl.instruction_value === 'encoder' ? await instructionEncoder(ctx) : undefined;
    const config = {
      text,
      image: screens.dim,
      hidden: ctx.settings.digirl.hidden,
      ...(tower ? { tower } : {}),
      ...(own ? { encoder: own.prompts.tower } : {}),
    };
    const instructions = own?.prompts ?? prompts;
    return new ValueLearner(ctx, prompts, instructions, screens, config, await runtimeOf(ctx), own?.weights);
  }

  /** Trains the values on the replay. @param iteration seeds the draw @param which are trained @returns mean losses */
  async train(
    replay: OnlineReplay,
    iteration: number,
    which: Pick<Trained, 'steps' | 'instruction'>,
  ): Promise<{ value_loss?: number; instruction_loss?: number }> {
    const { trajectories } = replay;
    const tasks = replay.ranked.filter(({ steps }) => steps.length > 0);
    const steps = trajectories.flatMap((trajectory) => trajectory.steps.map((_, step) => ({ trajectory, step })));
    const { critic_steps: critic, instruction_steps: instruction, next_value: next } = this.ctx.settings.digirl;
    const losses: { value_loss?: number; instruction_loss?: number } = {};
    if (which.steps) {
      losses.value_loss = await this.fit('steps', critic, steps.length, iteration, async (rows) => {
        const drawn = rows.map((row) => steps[row]);
        const states = drawn.map(({ trajectory, step }) => trajectory.steps[step]);
        const after = drawn.map(({ trajectory, step }) => trajectory.steps[step + 1] ?? trajectory.final);
        return {
          ...(await this.stateFeeds(states, next === 'network' ? after : undefined)),
          outcome: Float32Array.from(drawn, ({ trajectory, step }) => trajectory.returns[step]),
        };
      });
    }
    if (which.instruction) {
      losses.instruction_loss = await this.fit('instruction', instruction, tasks.length, iteration, async (rows) => ({
        ...(await feedsOf(
          this.instructions,
          rows.map((row) => tasks[row].steps[0].prompt),
        )),
        outcome: Float32Array.from(rows, (row) => tasks[row].reward),
      }));
    }
    return losses;
  }

  /** min(V1, V2) of every step of some trajectories, and of the states after their last steps if the settings want it. */
  async stepValues(
    trajectories: readonly OnlineTrajectory[],
  ): Promise<{ readonly values: Float32Array; readonly last?: number }[]> {
    const final = this.ctx.settings.digirl.next_value === 'network';
    const states = trajectories.flatMap((trajectory) => [...trajectory.steps, ...(final ? [trajectory.final] : [])]);
    const values = await this.valued(this.stepForward, states, (rows) => this.stateFeeds(rows));
    let start = 0;
    return trajectories.map(({ steps: { length } }) => {
      const own = values.subarray(start, (start += length));
      return final ? { values: own, last: values[start++] } : { values: own };
    });
  }

  /** V_instr of the tasks of some trajectories. */
  async instructionValues(trajectories: readonly OnlineTrajectory[]): Promise<Float32Array> {
    const prompts = trajectories.map(({ steps: [{ prompt }] }) => prompt);
    return this.valued(this.instructionForward, prompts, (rows) => feedsOf(this.instructions, rows));
  }

  close(): void {
    for (const trainer of Object.values(this.trainers)) trainer.close();
  }

  /** Runs `count` optimizer steps of one trainer on batches drawn from `rows` rows. @returns the mean loss */
  private async fit(
    which: 'steps' | 'instruction',
    count: number,
    rows: number,
    iteration: number,
    feeds: (rows: readonly number[]) => Promise<Fed>,
  ): Promise<number> {
    const { settings, seed, signal } = this.ctx;
    const { grad_accum_steps: accumulate, digirl } = settings;
    const batch = (which === 'instruction' && digirl.instruction_batch) || settings.batch_size;
    const sampler = new MinibatchSampler(rows, batch, seed, `online values ${which} ${iteration}`, 'uniform');
    let sum = 0;
    for (let step = 0; step < count; step++) {
      signal.throwIfAborted();
      const { loss } = await microBatches(step, accumulate, async (micro) => {
        const { length, ...fed } = await feeds([...sampler.indices(micro)]);
        const out = await this.trainers[which].accumulate({ rows: batch, length }, fed as Record<string, Float32Array>);
        return { loss: Number(out.loss[0]) };
      });
      await this.trainers[which].apply(settings.digirl.critic_lr, accumulate);
      sum += loss;
    }
    return sum / count;
  }

  private async valued<T>(
    forward: Forward<Bucket>,
    items: readonly T[],
    feeds: (items: readonly T[]) => Promise<Fed>,
  ): Promise<Float32Array> {
    const values = new Float32Array(items.length);
    for (let start = 0; start < items.length; start += VALUED) {
      this.ctx.signal.throwIfAborted();
      const part = items.slice(start, start + VALUED);
      const rows = rowBucket(part.length);
      // padded with copies of its first item
      const { length, ...fed } = await feeds(Array.from({ length: rows }, (_, i) => part[i] ?? part[0]));
      const { value } = await forward.run({ rows, length }, fed as Record<string, Float32Array>);
      values.set((value as Float32Array).subarray(0, part.length), start);
    }
    return values;
  }

  /** @param after the states after these, as inputs `next_...`; the prompts of both are padded to one length */
  private async stateFeeds(states: readonly State[], after?: readonly State[]): Promise<Fed> {
    const { feeds, length } = await this.prompts.of([...states, ...(after ?? [])].map(({ prompt }) => prompt));
    const images = this.images(states);
    if (!after) return { ...feeds, images, length };
    // rows of a feed: first those of the states, then those after them
    const half = (from: number) => (value: Float32Array | BigInt64Array) =>
      value.subarray((value.length / 2) * from, (value.length / 2) * (from + 1));
    const parts = Object.entries(feeds as Record<string, Float32Array | BigInt64Array>);
    return {
      ...Object.fromEntries(parts.map(([name, value]) => [name, half(0)(value)])),
      ...Object.fromEntries(parts.map(([name, value]) => [`next_${name}`, half(1)(value)])),
      images,
      next_images: this.images(after),
      length,
    };
  }

  /** The image vectors of states [B, 2 image], previous screen first. */
  private images(states: readonly State[]): Float32Array {
    const { screens } = this;
    const { dim } = screens;
    const images = new Float32Array(states.length * 2 * dim);
    states.forEach(({ previousImage, image }, row) => {
      screens.read(previousImage, images, 2 * row * dim);
      screens.read(image, images, (2 * row + 1) * dim);
    });
    return images;
  }

  private text(p: Record<string, Tensor>, { rows, length }: Bucket, prefix: '' | 'next_'): Tensor {
    const { tower } = this.config;
    if (!tower) return input(`${prefix}text`, [rows, this.config.text]);
    const ids = input(`${prefix}ids`, [rows, length], 'int64');
    return towerVectors(p, tower, ids, input(`${prefix}mask`, [rows, length]));
  }

  private stepGraph(p: Record<string, Tensor>, bucket: Bucket, prefix: '' | 'next_' = ''): [Tensor, Tensor] {
    const text = this.text(p, bucket, prefix);
    const images = input(`${prefix}images`, [bucket.rows, 2 * this.config.image]);
    return [stepLogits(p, this.config, 'v1', text, images), stepLogits(p, this.config, 'v2', text, images)];
  }

  private instructionGraph(p: Record<string, Tensor>, bucket: Bucket): Tensor {
    const { encoder } = this.config;
    if (!encoder) return instructionLogits(p, this.config, this.text(p, bucket, ''));
    const { rows, length } = bucket;
    const [ids, mask] = [input('ids', [rows, length], 'int64'), input('mask', [rows, length])];
    return instructionLogits(p, this.config, towerVectors(p, encoder, ids, mask, 'instruction.text.'));
  }
}

/** A state as the step-level value sees it. */
type State = Pick<OnlineStep, 'prompt' | 'image' | 'previousImage'>;

/** Feeds, and the length of their prompts. */
type Fed = Record<string, Float32Array | BigInt64Array | number> & { readonly length: number };

async function feedsOf(prompts: PromptFeeds, texts: readonly string[]): Promise<Fed> {
  const { feeds, length } = await prompts.of(texts);
  return { ...feeds, length };
}

/**
 * The text encoder of the instruction-level value alone: a copy of `models.text`, or a new one.
 * @throws UserError if `models.text` is not a RoBERTa checkpoint
 */
async function instructionEncoder(
  ctx: ShardContext<Online>,
): Promise<{ prompts: PromptTokens; weights: Parameters | undefined }> {
  const { settings } = ctx;
  const folder = modelsOf(ctx.config).text;
  const longest = settings.text_tokens;
  if (folder === '') {
    const tokenizer = TextTokenizer.load(tokenizerFolder(ctx, settings.tokenizer));
    return {
      prompts: new PromptTokens(tokenizer, freshTower(tokenizer, settings, longest), longest),
      weights: undefined,
    };
  }
  const { config, params } = await loadRoberta(folder);
  const tokenizer = TextTokenizer.load(folder);
  tokenizer.mustFit(config.vocab_size, folder);
  const positions = config.max_position_embeddings - config.pad_token_id - 1;
  return { prompts: new PromptTokens(tokenizer, config, Math.min(longest, positions), true), weights: params };
}

/** How the value functions read prompts: with `models.text`, which stays frozen, or with a new tower, which is trained. */
async function promptFeeds(ctx: ShardContext<Online>): Promise<PromptFeeds> {
  const { settings } = ctx;
  const folder = modelsOf(ctx.config).text;
  if (folder !== '') return new PromptVectors(await TextTower.open(await runtimeOf(ctx), folder, cachesOf(ctx)));
  const tokenizer = TextTokenizer.load(tokenizerFolder(ctx, settings.tokenizer));
  return new PromptTokens(tokenizer, freshTower(tokenizer, settings, settings.text_tokens), settings.text_tokens);
}
