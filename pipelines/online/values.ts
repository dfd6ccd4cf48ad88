import { PromptTokens, PromptVectors, type PromptFeeds } from '../../src/agents/policy/prompt-feeds.js';
import { TextTower } from '../../src/agents/text/text-tower.js';
import { TextTokenizer } from '../../src/agents/text/tokenizer.js';
import { instructionValueLoss, stepValueLoss } from '../../src/algorithms/digirl.js';
import { MinibatchSampler } from '../../src/data/replay.js';
import {
  adamW,
  chain,
  clipByGlobalNorm,
  Forward,
  input,
  minimum,
  Parameters,
  scaleByLearningRate,
  Trainer,
  type Tensor,
} from '../../src/graph/index.js';
import { rowBucket } from '../../src/models/buckets.js';
import { successProbability } from '../../src/models/mlp.js';
import { instructionLogits, stepLogits, towerVectors, valueSpecs, type ValueConfig } from '../../src/models/value.js';
import { Random } from '../../src/random.js';
import type { ShardContext } from '../../src/runner/stage.js';
import { freshTower, tokenizerFolder } from '../training/critic-text.js';
import type { OnlineReplay, OnlineTrajectory } from './replay.js';
import type { ScreenVectors } from './screens.js';
import type { Online } from './settings.js';
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
    private readonly screens: ScreenVectors,
    private readonly config: ValueConfig,
    runtime: Awaited<ReturnType<typeof runtimeOf>>,
  ) {
    const { settings, seed } = ctx;
    this.params = Parameters.init(valueSpecs(config), new Random(seed, 'online', 'values').int(2 ** 31));
    const optimizer = () => chain(clipByGlobalNorm(settings.max_grad_norm), ...adamW(), scaleByLearningRate());
    const common = { runtime, params: this.params, lanes: lanesOf(ctx, settings.grad_accum_steps) };
    this.trainers = {
      steps: new Trainer<Bucket>({
        ...common,
        optimizer: optimizer(),
        trainable: (name) => !name.startsWith('instruction.'),
        loss: (p, bucket) => ({ loss: stepValueLoss(this.stepGraph(p, bucket), input('outcome', [bucket.rows])) }),
      }),
      // the text tower is trained by the step values only
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
    const config = { text, image: screens.dim, hidden: ctx.settings.digirl.hidden, ...(tower ? { tower } : {}) };
    return new ValueLearner(ctx, prompts, screens, config, await runtimeOf(ctx));
  }

  /** Trains both on the replay. @param iteration seeds the draw @returns mean losses */
  async train(replay: OnlineReplay, iteration: number): Promise<{ value_loss: number; instruction_loss: number }> {
    const { trajectories } = replay;
    const steps = trajectories.flatMap((trajectory) => trajectory.steps.map((_, step) => ({ trajectory, step })));
    const { critic_steps: critic, instruction_steps: instruction } = this.ctx.settings.digirl;
    return {
      value_loss: await this.fit('steps', critic, steps.length, iteration, async (rows) => ({
        ...(await this.stateFeeds(rows.map((row) => steps[row]))),
        outcome: Float32Array.from(rows, (row) => steps[row].trajectory.returns[steps[row].step]),
      })),
      instruction_loss: await this.fit('instruction', instruction, trajectories.length, iteration, async (rows) => ({
        ...(await this.promptFeeds(rows.map((row) => trajectories[row].steps[0].prompt))),
        outcome: Float32Array.from(rows, (row) => trajectories[row].reward),
      })),
    };
  }

  /** min(V1, V2) of every step of some trajectories. */
  async stepValues(trajectories: readonly OnlineTrajectory[]): Promise<Float32Array[]> {
    const steps = trajectories.flatMap((trajectory) => trajectory.steps.map((_, step) => ({ trajectory, step })));
    const values = await this.valued(this.stepForward, steps, (rows) => this.stateFeeds(rows));
    let start = 0;
    return trajectories.map(({ steps: { length } }) => values.subarray(start, (start += length)));
  }

  /** V_instr of the tasks of some trajectories. */
  async instructionValues(trajectories: readonly OnlineTrajectory[]): Promise<Float32Array> {
    const prompts = trajectories.map(({ steps: [{ prompt }] }) => prompt);
    return this.valued(this.instructionForward, prompts, (rows) => this.promptFeeds(rows));
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
    const { batch_size: batch, grad_accum_steps: accumulate } = settings;
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

  private async promptFeeds(prompts: readonly string[]): Promise<Fed> {
    const { feeds, length } = await this.prompts.of(prompts);
    return { ...feeds, length };
  }

  private async stateFeeds(states: readonly { trajectory: OnlineTrajectory; step: number }[]): Promise<Fed> {
    const { screens } = this;
    const { dim } = screens;
    const images = new Float32Array(states.length * 2 * dim);
    states.forEach(({ trajectory, step }, row) => {
      const { previousImage, image } = trajectory.steps[step];
      screens.read(previousImage, images, 2 * row * dim);
      screens.read(image, images, (2 * row + 1) * dim);
    });
    return { ...(await this.promptFeeds(states.map(({ trajectory, step }) => trajectory.steps[step].prompt))), images };
  }

  private text(p: Record<string, Tensor>, { rows, length }: Bucket): Tensor {
    const { tower } = this.config;
    if (!tower) return input('text', [rows, this.config.text]);
    return towerVectors(p, tower, input('ids', [rows, length], 'int64'), input('mask', [rows, length]));
  }

  private stepGraph(p: Record<string, Tensor>, bucket: Bucket): [Tensor, Tensor] {
    const text = this.text(p, bucket);
    const images = input('images', [bucket.rows, 2 * this.config.image]);
    return [stepLogits(p, this.config, 'v1', text, images), stepLogits(p, this.config, 'v2', text, images)];
  }

  private instructionGraph(p: Record<string, Tensor>, bucket: Bucket): Tensor {
    return instructionLogits(p, this.config, this.text(p, bucket));
  }
}

/** Feeds, and the length of their prompts. */
type Fed = Record<string, Float32Array | BigInt64Array | number> & { readonly length: number };

/** How the value functions read prompts: with `models.text`, which stays frozen, or with a new tower, which is trained. */
async function promptFeeds(ctx: ShardContext<Online>): Promise<PromptFeeds> {
  const { settings } = ctx;
  const folder = modelsOf(ctx.config).text;
  if (folder !== '') return new PromptVectors(await TextTower.open(await runtimeOf(ctx), folder, cachesOf(ctx)));
  const tokenizer = TextTokenizer.load(tokenizerFolder(ctx, settings.tokenizer));
  return new PromptTokens(tokenizer, freshTower(tokenizer, settings, settings.text_tokens), settings.text_tokens);
}
