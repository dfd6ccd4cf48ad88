import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { Critic, type CriticFile } from '../src/agents/critic/critic.js';
import { CriticSettings, mcLoss, tdLoss, targetValues, type CriticLoss } from '../src/algorithms/digiq.js';
import { writeAtomic } from '../src/data/store/atomic.js';
import { copyWhole } from '../src/data/store/file.js';
import { MinibatchSampler, splitTrajectories } from '../src/data/replay.js';
import { writeTable } from '../src/data/tables.js';
import { VALUES, type ValueRow } from '../src/data/transitions.js';
import { clippedAdamW, Forward, input, Parameters, polyak, Trainer, type Tensor } from '../src/graph/index.js';
import {
  actionFeatures,
  actionInputs,
  criticNetworkSpecs,
  stateFeatures,
  stateInputs,
  textVectors,
  towerPrefixes,
  type CriticNetworkConfig,
} from '../src/models/critic/network.js';
import { UserError } from '../src/errors.js';
import { Random } from '../src/random.js';
import { stage, type ShardContext } from '../src/runner/stage.js';
import { CriticData, CriticInputs } from './training/critic-data.js';
import { valuesOf } from './training/critic-values.js';
import { criticText, tokenizerDataset, type CriticText } from './training/critic-text.js';
import { checkFolders, modelsOf, runtimeOf } from './resources.js';
import { logEvery, Validated } from './training/rhythm.js';
import { countsOf, startsOverBy, trainedFor } from './training/growth.js';
import { drawsOf, lanesOf, learningRate, microBatches, train, validationBy } from './training/training.js';

export const CriticStage = CriticSettings.extend({
  ...Validated,
  tokenizer: z
    .string()
    .default('policy/base')
    .describe(
      'tokenizer of a new text tower (if `models.text` is empty): a data set of the run that contains one, or a folder (a path that starts with `/` or `.`)',
    ),
  text_width: z
    .int()
    .min(4)
    .default(768)
    .describe('width of a new text tower, an encoder with the architecture of RoBERTa (768 in RoBERTa-base)'),
  text_layers: z.int().min(1).default(12).describe('layers of a new text tower (12 in RoBERTa-base)'),
  text_heads: z.int().min(1).default(12).describe('attention heads of a new text tower (12 in RoBERTa-base)'),
  text_tokens: z
    .int()
    .min(4)
    .max(512)
    .default(512)
    .describe(
      'maximum tokens that a trained text tower reads of a text (512 in RoBERTa); limits the padding, since invalid actions can be long',
    ),
  towers: z
    .enum(['shared', 'three'])
    .default('shared')
    .describe(
      'trained text towers: one for all texts, or three, for goals, for types and for texts of actions (C); frozen ones are equal, so that one is enough',
    )
    .meta({ added: true }),
  action_text: z
    .enum(['decision', 'typed'])
    .default('decision')
    .describe(
      'what the critic reads of an action beside its type: its decision with coordinates and typed text, or the typed text alone (C), where an invalid action is its whole text, as type too',
    )
    .meta({ added: true }),
  state_rep: z
    .boolean()
    .default(false)
    .describe('also feed the critic the representation of the state alone; needs `represent.state`'),
  keep: z.enum(['online', 'target']).default('online').describe('which of the two networks becomes the critic'),
}).refine(({ text_width: width, text_heads: heads }) => width % heads === 0, {
  path: ['text_width'],
  message: 'expected a multiple of critic.text_heads',
});
type CriticStage = z.infer<typeof CriticStage>;

/** Maximum number of transitions of a validation. */
const VALIDATION_ROWS = 2048;

/** The critic (docs/algorithms.md §2.4): twin Q and V by temporal differences, or by Monte-Carlo returns. */
export const critic = stage({
  name: 'critic',
  summary: 'train the critic (Q and V) by temporal differences',
  settings: CriticStage,
  counts: countsOf,
  growth: 'training',
  startsOver: startsOverBy,
  uses: ['seed', 'models.text'],
  inputs: (settings, config) => {
    const tokenizer = tokenizerDataset(settings, modelsOf(config));
    const read = ['trajectories', 'image-vectors', 'candidates', 'representations'];
    return tokenizer === undefined ? read : [...read, tokenizer];
  },
  outputs: () => ['critic', 'values'],
  check: (_settings, config) => checkFolders(config, ['text']),
  plan: ({ settings }) => [{ id: 'critic', ...trainedFor(settings) }],
  run: async (_shard, ctx) => {
    const data = await CriticData.open(ctx);
    const learner = await CriticLearner.create(ctx, data);
    const kept = await learner.learn();
    const folder = ctx.dataset('critic');
    mkdirSync(folder, { recursive: true });
    const { tokenizer } = learner.text;
    const tokenizerFiles = tokenizer === undefined ? [] : ['tokenizer.json', 'tokenizer_config.json'];
    for (const file of tokenizerFiles) copyWhole(join(tokenizer!, file), join(folder, file));
    await writeAtomic(join(folder, 'config.json'), JSON.stringify(learner.file, null, 2));
    await kept.save(join(folder, 'model.safetensors'));
    const values = join(ctx.dataset('values'), 'values.parquet');
    await writeTable(values, VALUES, learner.values(kept));
    data.close();
    return { critic: ['config.json', 'model.safetensors', ...tokenizerFiles], values: ['values.parquet'] };
  },
});

/** One training run of the critic. */
class CriticLearner {
  private readonly inputs: CriticInputs;

  private constructor(
    private readonly ctx: ShardContext<CriticStage>,
    private readonly data: CriticData,
    readonly file: CriticFile,
    readonly text: CriticText,
    private readonly runtime: Awaited<ReturnType<typeof runtimeOf>>,
  ) {
    this.inputs = new CriticInputs(data, text.feeds, file.critic.state ?? 0);
  }

  static async create(ctx: ShardContext<CriticStage>, data: CriticData): Promise<CriticLearner> {
    const { settings } = ctx;
    const { transitions, candidates, representations, vectors } = data;
    if (settings.state_rep && !representations.hasState(transitions[0].tid)) {
      throw new UserError(
        'critic.state_rep=true: the representations have no rows for states alone; set represent.state=true',
      );
    }
    const goals = new Set(transitions.map(({ goal }) => goal));
    const text = await criticText(ctx, () => ({
      goals,
      actions: new Set(candidates.flatMap(({ actions }) => actions)),
    }));
    await text.warm?.({
      goals,
      actions: new Set(transitions.flatMap(({ prevAction, action }) => [prevAction, action])),
    });
    const config: CriticNetworkConfig = {
      model_type: 'critiq-critic',
      critic: {
        text: text.dim,
        image: vectors.dim,
        rep: representations.dim,
        state: settings.state_rep ? representations.dim : 0,
        qHidden: settings.q_hidden ?? undefined,
        vHidden: settings.v_hidden ?? undefined,
        outputs: settings.target === 'mc' && settings.mc_loss === 'classification' ? 2 : 1,
      },
      drop: settings.drop,
    };
    return new CriticLearner(ctx, data, { ...config, ...text.file }, text, await runtimeOf(ctx));
  }

  /** A network with random heads, and with the pre-trained text tower if there is one. */
  private fresh(label: string): Parameters {
    const params = Parameters.init(
      criticNetworkSpecs(this.file),
      new Random(this.ctx.seed, 'critic', label).int(2 ** 31),
    );
    const { weights } = this.text;
    for (const prefix of weights ? towerPrefixes(this.file.text?.towers) : []) {
      for (const name of weights!.names()) params.get(`${prefix}${name}`).data.set(weights!.get(name).data);
    }
    return params;
  }

  /** Trains the critic. @returns the network to keep */
  async learn(): Promise<Parameters> {
    const { ctx, data, runtime } = this;
    const { settings, seed } = ctx;
    const { batch_size: batch, grad_accum_steps: accumulate } = settings;
    const together = settings.train_text_tower ? 1 : microBatchesTogether(batch, accumulate);
    const passes = accumulate / together;
    const online = this.fresh('online');
    const target = settings.target_init === 'copy' ? online.clone() : this.fresh('target');
    const targetForward = new Forward<number>(runtime, target, (p, rows) => this.targetGraph(p, rows));
    const lossForward = new Forward<number>(runtime, online, (p, rows) => ({ ...this.lossGraph(p, rows) }));
    const trainer = new Trainer<number>({
      runtime,
      params: online,
      lanes: lanesOf(ctx, passes),
      trainable: (name) => settings.train_text_tower || !name.startsWith('text.'),
      optimizer: clippedAdamW(settings.max_grad_norm, settings.weight_decay),
      loss: (p, rows) => {
        const { loss, q1, q2, v1, v2 } = this.lossGraph(p, rows);
        return { loss, metrics: { q1, q2, v1, v2 } };
      },
    });
    const split = splitTrajectories(
      data.transitions.map(({ trajectory }) => trajectory),
      seed,
      1 - settings.validation,
      settings.split,
    );
    const part = (ids: ReadonlySet<string>) =>
      [...data.transitions.keys()].filter((i) => ids.has(data.transitions[i].trajectory));
    const training = part(split.train);
    const held = new Random(seed, 'critic', 'validation').shuffled(part(split.validation)).slice(0, VALIDATION_ROWS);
    const stepsPerEpoch = settings.epoch_steps || Math.max(1, Math.floor(training.length / (batch * accumulate)));
    const steps = settings.iterations * settings.epochs * stepsPerEpoch;
    const updateEvery = settings.target_update_every || stepsPerEpoch;
    const sampler = new MinibatchSampler(training.length, batch, seed, 'critic', drawsOf(settings));
    await train(ctx, {
      steps,
      every: logEvery(settings, steps),
      checkpointEvery: settings.epochs * stepsPerEpoch,
      trainer,
      parameters: { online, target },
      goesOn: settings.lr_schedule === 'constant',
      label: 'training steps',
      step: async (step) => {
        const means = await microBatches(step, passes, async (pass) => {
          const micros = Array.from({ length: together }, (_, k) => pass * together + k);
          const drawn = micros.map((micro) => [...sampler.indices(micro)].map((i) => training[i]));
          const backup = drawn.flatMap((rows, k) => this.backup(rows, new Random(seed, 'critic', 'backup', micros[k])));
          const feeds = await this.batch(drawn.flat(), backup, targetForward);
          const out = await trainer.accumulate(batch * together, feeds);
          const [loss, q1, q2, v1, v2] = [out.loss, out.q1, out.q2, out.v1, out.v2].map((value) => Number(value[0]));
          return { loss, q1, q2, v1, v2 };
        });
        const lr = learningRate(settings, step, steps);
        const { gradNorm } = await trainer.apply(lr, passes);
        if ((step + 1) % updateEvery === 0) polyak(target, online, settings.tau);
        return { ...means, grad_norm: gradNorm };
      },
      validation: validationBy(settings, settings.epochs * stepsPerEpoch, [settings.keep], () =>
        this.validate(held, batch, lossForward, targetForward),
      ),
    });
    trainer.close();
    return settings.keep === 'target' ? target : online;
  }

  /** Mean loss, Q and V on held-out trajectories. */
  private async validate(
    held: readonly number[],
    batch: number,
    lossForward: Forward<number>,
    targetForward: Forward<number>,
  ): Promise<Record<string, number>> {
    const sums = { validation_loss: 0, validation_q: 0, validation_v: 0 };
    let batches = 0;
    for (let start = 0; start + batch <= held.length; start += batch) {
      const rows = held.slice(start, start + batch);
      const backup = this.backup(rows, new Random(this.ctx.seed, 'critic', 'validation', start));
      const feeds = await this.batch(rows, backup, targetForward);
      const out = await lossForward.run(batch, feeds);
      sums.validation_loss += Number(out.loss[0]);
      sums.validation_q += (Number(out.q1[0]) + Number(out.q2[0])) / 2;
      sums.validation_v += (Number(out.v1[0]) + Number(out.v2[0])) / 2;
      batches++;
    }
    if (batches === 0) return {};
    return Object.fromEntries(Object.entries(sums).map(([key, sum]) => [key, sum / batches]));
  }

  /** The loss of a batch of `rows` transitions; target values are inputs. */
  private lossGraph(p: Record<string, Tensor>, rows: number): CriticLoss {
    const { file, ctx } = this;
    const { settings } = ctx;
    const x = { ...stateInputs(file, 's_', rows), ...actionInputs(file, 'a_', rows) };
    const text = textVectors(p, file, x);
    const [state, action] = [stateFeatures(file, 's_', x, text), actionFeatures(file, 'a_', x, text)];
    if (settings.target === 'mc') {
      return mcLoss(p, file.critic, { state, action, mcReturn: input('mc_return', [rows]) }, settings.mc_loss);
    }
    const fed = (name: string) => input(name, [rows]);
    return tdLoss(
      p,
      file.critic,
      { state, action, reward: fed('reward'), done: fed('done') },
      { nextV: [fed('next_v1'), fed('next_v2')], q: [fed('target_q1'), fed('target_q2')] },
      settings.gamma,
      settings.mc_weight > 0 ? { mcReturn: fed('mc_return'), weight: settings.mc_weight } : undefined,
    );
  }

  /** The target critic's values of the next states and of the backup actions. */
  private targetGraph(p: Record<string, Tensor>, rows: number): Record<string, Tensor> {
    const { file } = this;
    const x = {
      ...stateInputs(file, 's_', rows),
      ...stateInputs(file, 'n_', rows),
      ...actionInputs(file, 'b_', rows),
    };
    const text = textVectors(p, file, x);
    const [state, nextState] = [stateFeatures(file, 's_', x, text), stateFeatures(file, 'n_', x, text)];
    const backupAction = actionFeatures(file, 'b_', x, text);
    const { nextV, q } = targetValues(p, file.critic, { nextState, state, backupAction });
    return { next_v1: nextV[0], next_v2: nextV[1], target_q1: q[0], target_q2: q[1] };
  }

  /** The candidate of each transition whose value is backed up: the action taken (0), or a sampled one. */
  private backup(rows: readonly number[], random: Random): number[] {
    const { candidates } = this.data;
    const { backup_action: which } = this.ctx.settings;
    return rows.map((row) => (which === 'taken' ? 0 : drawn(candidates[row].counts, random)));
  }

  /** Feeds of `lossGraph` for some transitions, with the targets computed by the target critic. @param backup a candidate for each */
  private async batch(
    rows: readonly number[],
    backup: readonly number[],
    target: Forward<number>,
  ): Promise<Record<string, Float32Array | BigInt64Array>> {
    const { data } = this;
    const { settings } = this.ctx;
    const transitions = rows.map((row) => data.transitions[row]);
    const state = await this.inputs.state('s_', rows, false);
    const taken = await this.inputs.action(
      'a_',
      rows,
      rows.map(() => 0),
    );
    const known = { ...state, ...taken };
    const returns = { mc_return: Float32Array.from(transitions, ({ mcReturn }) => mcReturn) };
    if (settings.target === 'mc') return { ...known, ...returns };
    const targets = await target.run(rows.length, {
      ...state,
      ...(await this.inputs.state('n_', rows, true)),
      ...(await this.inputs.action('b_', rows, backup)),
    });
    return {
      ...known,
      ...(settings.mc_weight > 0 ? returns : {}),
      ...(targets as Record<string, Float32Array>),
      reward: Float32Array.from(transitions, ({ reward }) => reward),
      done: Float32Array.from(transitions, ({ done }) => (done ? 1 : 0)),
    };
  }

  /** Values of all candidates of all transitions, computed by a trained network. */
  values(params: Parameters): AsyncGenerator<ValueRow> {
    const { ctx, data, runtime, file, text } = this;
    const progress = ctx.progress(data.transitions.length, 'states valued');
    return valuesOf(new Critic(runtime, params, file, text.feeds), data, { progress, signal: ctx.signal });
  }
}

/**
 * Most rows of a pass. The heads need little memory for a row, but each pass reads all weights and adds to all gradients,
 * which at the released sizes takes longer than the products of 32 rows.
 */
const PASS_ROWS = 512;

/** How many micro-batches of a step are computed as one: a divisor of their number. Their mean gradient is the same. */
export function microBatchesTogether(batch: number, accumulate: number): number {
  const divisors = Array.from({ length: accumulate }, (_, i) => accumulate - i).filter((n) => accumulate % n === 0);
  return divisors.find((n) => n * batch <= PASS_ROWS) ?? 1;
}

/** A random index, with probabilities proportional to the counts. */
function drawn(counts: readonly number[], random: Random): number {
  let left = random.int(counts.reduce((sum, count) => sum + count, 0));
  return counts.findIndex((count) => (left -= count) < 0);
}
