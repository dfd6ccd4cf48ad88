import { z } from 'zod';
import {
  imitationBucket,
  imitationFeeds,
  imitationGraph,
  type ImitationBucket,
} from '../src/agents/policy/imitation.js';
import { policyFiles, saveTrained } from '../src/agents/policy/policy.js';
import { ActorSettings, awr, bestOfN, pg, sft } from '../src/algorithms/digiq.js';
import { FilteredBC } from '../src/algorithms/filteredbc.js';
import { counted } from '../src/counted.js';
import { ImageVectors } from '../src/data/image-vectors.js';
import { MinibatchSampler } from '../src/data/replay.js';
import { clippedAdamW, Forward, input, mean, mul, sum, Trainer, type Tensor } from '../src/graph/index.js';
import { logProb } from '../src/models/autoui/autoui.js';
import { policySet } from '../src/runner/reference.js';
import { stage } from '../src/runner/stage.js';
import { lessonsOf, type Lessons } from './actor/lessons.js';
import { filesOf } from './datasets.js';
import { policyOf, runtimeOf } from './resources.js';
import { logEvery, Validated } from './training/rhythm.js';
import { countsOf, startsOverBy, trainedFor } from './training/growth.js';
import { drawsOf, lanesOf, learningRate, microBatches, train, validationBy } from './training/training.js';
import { checkImageWidth, checkImportedWidth } from './widths.js';

const METHODS = ['digiq', 'filteredbc'] as const;

export const Actor = ActorSettings.extend({
  method: z
    .enum(METHODS)
    .default('digiq')
    .describe("how to extract the policy: with Digi-Q's critic, or by imitating successful trajectories (the baseline)")
    .meta({ scope: 'result' }),
  name: z
    .string()
    .default('')
    .describe('name of the new policy, below `policy/`; empty: the method')
    .meta({ scope: 'result' }),
  from: z
    .string()
    .default('base')
    .describe('name of the policy to start from, below `policy/`; `RUN:name` takes one of another run'),
  filteredbc: FilteredBC.prefault({}),
  ...Validated,
  validation: z
    .number()
    .min(0)
    .max(0.9)
    .default(0)
    .describe(
      "fraction of the trajectories that is held out for validation (0: none, train on all); with the critic's fraction and split, they are the critic's own",
    )
    .meta({ added: true }),
});
type Actor = z.infer<typeof Actor>;

const nameOf = ({ name, method }: Actor) => name || method;

/** Policy extraction (docs/algorithms.md §2.5): imitate the stored action that the critic ranks best of N; or Filtered BC (§3). */
export const actor = stage({
  name: 'actor',
  summary: 'extract a policy: imitate the action that the critic ranks best of N',
  settings: Actor,
  counts: countsOf,
  growth: 'training',
  startsOver: startsOverBy,
  uses: ['seed'],
  // the critic's split, where it decides which trajectories the actor sees
  derived: (config) => {
    const { data, validation: held } = config.actor as Actor;
    const { validation, split } = config.critic as { validation: number; split: string };
    if (data === 'training') return { 'critic.validation': validation, 'critic.split': split };
    return held > 0 ? { 'critic.split': split } : {};
  },
  results: { sections: [] },
  instance: (settings) => `actor/${nameOf(settings)}`,
  inputs: (settings) => [
    policySet(settings.from),
    'trajectories',
    'image-vectors',
    ...(settings.method === 'digiq' ? ['candidates', 'values'] : []),
  ],
  outputs: (settings) => [`policy/${nameOf(settings)}`],
  provides: (dataset) => {
    const method = METHODS.find((name) => dataset === `policy/${name}`);
    return method && { 'actor.method': method, 'actor.name': '' };
  },
  check: ({ from }, config, dataset) => checkImportedWidth(config, dataset, policySet(from)),
  plan: async (ctx) => {
    await checkImageWidth(ctx, policySet(ctx.settings.from));
    return [{ id: 'policy', ...trainedFor(ctx.settings) }];
  },
  run: async (_shard, ctx) => {
    const { settings, seed } = ctx;
    const policy = await policyOf(ctx, policySet(settings.from));
    const { tokenizer, config } = policy;
    const { validation } = settings;
    const lessons = await lessonsOf(ctx, policy, validation === 0 ? undefined : { part: 'train', validation });
    const held = validation === 0 ? undefined : await lessonsOf(ctx, policy, { part: 'validation', validation });
    const vectors = ImageVectors.open(await filesOf(ctx.dataset('image-vectors'), 'collect'));
    const params = policy.params.clone();
    const weighted = settings.method === 'digiq' && settings.loss !== 'sft';
    const runtime = await runtimeOf(ctx);
    const graph = (p: Record<string, Tensor>, bucket: ImitationBucket) => {
      const { logits, labels, labelMask } = imitationGraph(p, config, bucket);
      const clamp = settings.log_prob_clamp ?? undefined;
      const all = sum(logProb(logits, labels, labelMask, { clamp }), [1]);
      const logs = lessons.all ? all : mul(all, input('learned', [bucket.batch]));
      const loss = weighted ? lossOf(settings, logs, input('advantage', [bucket.batch])) : sft(logs);
      return { loss, log_prob: mean(logs) };
    };
    const trainer = new Trainer<ImitationBucket>({
      runtime,
      params,
      lanes: lanesOf(ctx, settings.grad_accum_steps),
      optimizer: clippedAdamW(settings.max_grad_norm, settings.weight_decay),
      loss: (p, bucket) => {
        const { loss, log_prob } = graph(p, bucket);
        return { loss, metrics: { log_prob } };
      },
    });
    const { batch_size: batch, grad_accum_steps: accumulate } = settings;
    const stepsPerEpoch = settings.epoch_steps || Math.max(1, Math.ceil(lessons.count / (batch * accumulate)));
    const steps = settings.iterations * settings.epochs * stepsPerEpoch;
    const sampler = new MinibatchSampler(lessons.count, batch, seed, `actor ${nameOf(settings)}`, drawsOf(settings));
    const iterationSteps = settings.epochs * stepsPerEpoch;
    /** @param draw number of the first row since the start of training */
    const batchOf = (from: Lessons, rows: readonly number[], draw: number) => {
      const image = new Float32Array(batch * config.image);
      const states = rows.map((row) => from.state(row));
      const learned = rows.map((row, i) => from.lesson(row, draw + i));
      states.forEach((state, i) => vectors.read(state.image, image, i * config.image));
      const [read, written] = [states.map(({ prompt }) => prompt), learned.map(({ tokens }) => tokens)];
      const bucket = imitationBucket(read, written);
      const feeds = {
        ...imitationFeeds(read, written, bucket, tokenizer.pad),
        image,
        ...(weighted ? { advantage: Float32Array.from(learned, ({ advantage }) => advantage) } : {}),
        ...(lessons.all ? {} : { learned: Float32Array.from(learned, (lesson) => Number(lesson.learned)) }),
      };
      return { bucket, feeds };
    };
    const forward = new Forward<ImitationBucket>(runtime, params, graph);
    await train(ctx, {
      steps,
      every: logEvery(settings, steps),
      checkpointEvery: iterationSteps,
      trainer,
      parameters: { model: params },
      goesOn: settings.lr_schedule === 'constant',
      label: `training steps on ${counted(lessons.count, lessons.all ? 'action' : 'state')}`,
      step: async (step) => {
        const means = await microBatches(step, accumulate, async (micro) => {
          const { bucket, feeds } = batchOf(lessons, [...sampler.indices(micro)], micro * batch);
          const { loss, log_prob } = await trainer.accumulate(bucket, feeds);
          return { loss: Number(loss[0]), log_prob: Number(log_prob[0]) };
        });
        const { gradNorm } = await trainer.apply(learningRate(settings, step, steps), accumulate);
        return { ...means, grad_norm: gradNorm };
      },
      validation:
        held && validationBy(settings, iterationSteps, ['model'], () => validate(held, batch, batchOf, forward)),
    });
    forward.close();
    trainer.close();
    vectors.close();
    const output = `policy/${nameOf(settings)}`;
    const folder = ctx.dataset(output);
    await saveTrained(folder, ctx.dataset(policySet(settings.from)), policy, params);
    return { [output]: { files: policyFiles(folder), facts: { lessons: lessons.count } } };
  },
});

/** Maximum number of lessons of a validation. */
const VALIDATION_ROWS = 2048;

/** Mean loss on held-out lessons, in whole batches. */
async function validate(
  held: Lessons,
  batch: number,
  batchOf: (
    from: Lessons,
    rows: readonly number[],
    draw: number,
  ) => { bucket: ImitationBucket; feeds: Readonly<Record<string, Float32Array | BigInt64Array>> },
  forward: Forward<ImitationBucket>,
): Promise<Record<string, number>> {
  const sums = { validation_loss: 0, validation_log_prob: 0 };
  let batches = 0;
  const count = Math.min(held.count, VALIDATION_ROWS);
  for (let start = 0; start + batch <= count; start += batch) {
    const rows = Array.from({ length: batch }, (_, i) => Math.floor(((start + i) * held.count) / count));
    const { bucket, feeds } = batchOf(held, rows, start);
    const { loss, log_prob } = await forward.run(bucket, feeds);
    sums.validation_loss += Number(loss[0]);
    sums.validation_log_prob += Number(log_prob[0]);
    batches++;
  }
  if (batches === 0) return {};
  return Object.fromEntries(Object.entries(sums).map(([key, sum]) => [key, sum / batches]));
}

/** The losses that weight a lesson by its advantage. */
function lossOf(settings: Actor, logs: Tensor, advantages: Tensor): Tensor {
  if (settings.loss === 'pg') return pg(logs, advantages, settings.pg_factor);
  if (settings.loss === 'awr') return awr(logs, advantages, settings.beta, settings.awr_max);
  return bestOfN(logs, advantages, settings.threshold);
}
