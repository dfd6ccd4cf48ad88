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
import {
  adamW,
  chain,
  clipByGlobalNorm,
  input,
  mean,
  mul,
  scaleByLearningRate,
  sum,
  Trainer,
  type Tensor,
} from '../src/graph/index.js';
import { logProb } from '../src/models/autoui/autoui.js';
import { stage } from '../src/runner/stage.js';
import { lessonsOf } from './actor/lessons.js';
import { filesOf } from './datasets.js';
import { policyOf, runtimeOf } from './resources.js';
import { drawsOf, lanesOf, learningRate, microBatches, train } from './training/training.js';

const METHODS = ['digiq', 'filteredbc'] as const;

export const Actor = ActorSettings.extend({
  method: z
    .enum(METHODS)
    .default('digiq')
    .describe(
      "how to extract the policy: with Digi-Q's critic, or by imitating successful trajectories (the baseline)",
    ),
  name: z.string().default('').describe('name of the new policy, below `policy/`; empty: the method'),
  from: z.string().default('base').describe('name of the policy to start from, below `policy/`'),
  filteredbc: FilteredBC.prefault({}),
});
type Actor = z.infer<typeof Actor>;

const nameOf = ({ name, method }: Actor) => name || method;

/** Policy extraction (docs/algorithms.md §2.5): imitate the stored action that the critic ranks best of N; or Filtered BC (§3). */
export const actor = stage({
  name: 'actor',
  summary: 'extract a policy: imitate the action that the critic ranks best of N',
  settings: Actor,
  uses: ['seed'],
  // the critic's split, where it decides which trajectories the actor sees
  derived: (config) => {
    const { data } = config.actor as Actor;
    const { validation, split } = config.critic as { validation: number; split: string };
    return data === 'training' ? { 'critic.validation': validation, 'critic.split': split } : {};
  },
  instance: (settings) => `actor/${nameOf(settings)}`,
  inputs: (settings) => [
    `policy/${settings.from}`,
    'trajectories',
    'image-vectors',
    ...(settings.method === 'digiq' ? ['candidates', 'values'] : []),
  ],
  outputs: (settings) => [`policy/${nameOf(settings)}`],
  provides: (dataset) => {
    const method = METHODS.find((name) => dataset === `policy/${name}`);
    return method && { 'actor.method': method, 'actor.name': '' };
  },
  plan: () => [{ id: 'policy' }],
  run: async (_shard, ctx) => {
    const { settings, seed } = ctx;
    const policy = await policyOf(ctx, `policy/${settings.from}`);
    const { tokenizer, config } = policy;
    const lessons = await lessonsOf(ctx, policy);
    const vectors = ImageVectors.open(await filesOf(ctx.dataset('image-vectors'), 'collect'));
    const params = policy.params.clone();
    const weighted = settings.method === 'digiq' && settings.loss !== 'sft';
    const trainer = new Trainer<ImitationBucket>({
      runtime: await runtimeOf(ctx),
      params,
      lanes: lanesOf(ctx, settings.grad_accum_steps),
      optimizer: chain(
        clipByGlobalNorm(settings.max_grad_norm),
        ...adamW({ weightDecay: settings.weight_decay }),
        scaleByLearningRate(),
      ),
      loss: (p, bucket) => {
        const { logits, labels, labelMask } = imitationGraph(p, config, bucket);
        const clamp = settings.log_prob_clamp ?? undefined;
        const all = sum(logProb(logits, labels, labelMask, { clamp }), [1]);
        const logs = lessons.all ? all : mul(all, input('learned', [bucket.batch]));
        return {
          loss: weighted ? lossOf(settings, logs, input('advantage', [bucket.batch])) : sft(logs),
          metrics: { log_prob: mean(logs) },
        };
      },
    });
    const { batch_size: batch, grad_accum_steps: accumulate } = settings;
    const stepsPerEpoch = settings.epoch_steps || Math.max(1, Math.ceil(lessons.count / (batch * accumulate)));
    const steps = settings.iterations * settings.epochs * stepsPerEpoch;
    const sampler = new MinibatchSampler(lessons.count, batch, seed, `actor ${nameOf(settings)}`, drawsOf(settings));
    await train(ctx, {
      steps,
      every: settings.epochs * stepsPerEpoch,
      checkpoints: settings.iterations,
      trainer,
      parameters: { model: params },
      label: `training steps on ${counted(lessons.count, lessons.all ? 'action' : 'state')}`,
      step: async (step) => {
        const means = await microBatches(step, accumulate, async (micro) => {
          const rows = [...sampler.indices(micro)];
          const image = new Float32Array(batch * config.image);
          const states = rows.map((row) => lessons.state(row));
          const learned = rows.map((row, i) => lessons.lesson(row, micro * batch + i));
          states.forEach((state, i) => vectors.read(state.image, image, i * config.image));
          const [read, written] = [states.map(({ prompt }) => prompt), learned.map(({ tokens }) => tokens)];
          const bucket = imitationBucket(read, written);
          const { loss, log_prob } = await trainer.accumulate(bucket, {
            ...imitationFeeds(read, written, bucket, tokenizer.pad),
            image,
            ...(weighted ? { advantage: Float32Array.from(learned, ({ advantage }) => advantage) } : {}),
            ...(lessons.all ? {} : { learned: Float32Array.from(learned, (lesson) => Number(lesson.learned)) }),
          });
          return { loss: Number(loss[0]), log_prob: Number(log_prob[0]) };
        });
        const { gradNorm } = await trainer.apply(learningRate(settings, step, steps), accumulate);
        return { ...means, grad_norm: gradNorm };
      },
    });
    trainer.close();
    vectors.close();
    const output = `policy/${nameOf(settings)}`;
    const folder = ctx.dataset(output);
    await saveTrained(folder, ctx.dataset(`policy/${settings.from}`), policy, params);
    return { [output]: { files: policyFiles(folder), facts: { lessons: lessons.count } } };
  },
});

/** The losses that weight a lesson by its advantage. */
function lossOf(settings: Actor, logs: Tensor, advantages: Tensor): Tensor {
  if (settings.loss === 'pg') return pg(logs, advantages, settings.pg_factor);
  if (settings.loss === 'awr') return awr(logs, advantages, settings.beta, settings.awr_max);
  return bestOfN(logs, advantages, settings.threshold);
}
