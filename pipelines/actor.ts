import { join } from 'node:path';
import { z } from 'zod';
import {
  imitationBucket,
  imitationFeeds,
  imitationGraph,
  type ImitationBucket,
} from '../src/agents/policy/imitation.js';
import { policyFiles, saveTrained } from '../src/agents/policy/policy.js';
import {
  ActorSettings,
  advantages,
  awr,
  bestCandidate,
  bestOfN,
  pg,
  scoredCandidates,
  sft,
} from '../src/algorithms/digiq.js';
import { FilteredBC, imitated } from '../src/algorithms/filteredbc.js';
import { counted } from '../src/counted.js';
import { ImageVectors } from '../src/data/image-vectors.js';
import { MinibatchSampler } from '../src/data/replay.js';
import { readTable } from '../src/data/tables.js';
import { VALUES } from '../src/data/transitions.js';
import { UserError } from '../src/errors.js';
import {
  adamW,
  chain,
  clipByGlobalNorm,
  input,
  mean,
  scaleByLearningRate,
  sum,
  Trainer,
  type Tensor,
} from '../src/graph/index.js';
import { logProb } from '../src/models/autoui/autoui.js';
import { Random } from '../src/random.js';
import { stage, type StageContext } from '../src/runner/stage.js';
import { filesOf, readCandidates, readTransitions } from './datasets.js';
import { policyOf, runtimeOf } from './resources.js';
import { lanesOf, learningRate, microBatches, train } from './training/training.js';

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
    const found = await (settings.method === 'digiq' ? digiqLessons(ctx) : filteredLessons(ctx));
    // the policy cannot generate longer actions (plus the end token), and they would lengthen the padding of their batch
    const lessons = found
      .map((lesson) => ({ ...lesson, said: tokenizer.encode(lesson.action) }))
      .filter(({ said }) => said.length <= policy.maxTokens + 1);
    if (lessons.length < found.length) {
      ctx.log.warn(
        `${found.length - lessons.length} of ${counted(found.length, 'action')} left out: longer than the ${policy.maxTokens} tokens that the policy can generate`,
      );
    }
    if (lessons.length === 0) {
      throw new UserError(
        settings.method === 'digiq'
          ? `actor.threshold=${settings.threshold}: no action has a higher advantage; lower it, or check the critic`
          : 'actor.method=filteredbc: no trajectory succeeded, so there is nothing to imitate; collect more, or with a better policy',
      );
    }
    const vectors = ImageVectors.open(await filesOf(ctx.dataset('image-vectors'), 'collect'));
    const prompts = lessons.map(({ prompt }) => tokenizer.encode(prompt));
    const actions = lessons.map(({ said }) => said);
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
        const logs = sum(logProb(logits, labels, labelMask, { clamp }), [1]);
        return {
          loss: weighted ? lossOf(settings, logs, input('advantage', [bucket.batch])) : sft(logs),
          metrics: { log_prob: mean(logs) },
        };
      },
    });
    const { batch_size: batch, grad_accum_steps: accumulate } = settings;
    const stepsPerEpoch = Math.max(1, Math.ceil(lessons.length / (batch * accumulate)));
    const steps = settings.iterations * settings.epochs * stepsPerEpoch;
    const sampler = new MinibatchSampler(lessons.length, batch, seed, `actor ${nameOf(settings)}`);
    await train(ctx, {
      steps,
      every: settings.epochs * stepsPerEpoch,
      checkpoints: settings.iterations,
      trainer,
      parameters: { model: params },
      label: `training steps on ${counted(lessons.length, 'action')}`,
      step: async (step) => {
        const means = await microBatches(step, accumulate, async (micro) => {
          const rows = [...sampler.indices(micro)];
          const image = new Float32Array(batch * config.image);
          rows.forEach((row, i) => vectors.read(lessons[row].image, image, i * config.image));
          const [read, written] = [rows.map((row) => prompts[row]), rows.map((row) => actions[row])];
          const bucket = imitationBucket(read, written);
          const { loss, log_prob } = await trainer.accumulate(bucket, {
            ...imitationFeeds(read, written, bucket, tokenizer.pad),
            image,
            ...(weighted ? { advantage: Float32Array.from(rows, (row) => lessons[row].advantage) } : {}),
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
    return { [output]: { files: policyFiles(folder), facts: { lessons: lessons.length } } };
  },
});

/** A state, the action to imitate in it, and the action's advantage. */
interface Lesson {
  readonly prompt: string;
  readonly image: string;
  readonly action: string;
  /** unused if all lessons weigh the same */
  readonly advantage: number;
}

/** The losses that weight a lesson by its advantage. */
function lossOf(settings: Actor, logs: Tensor, advantages: Tensor): Tensor {
  if (settings.loss === 'pg') return pg(logs, advantages, settings.pg_factor);
  if (settings.loss === 'awr') return awr(logs, advantages, settings.beta, settings.awr_max);
  return bestOfN(logs, advantages, settings.threshold);
}

/** The actions of successful trajectories. */
async function filteredLessons(ctx: StageContext<Actor>): Promise<Lesson[]> {
  const rows = await readTransitions(ctx.dataset('trajectories'), 'collect', [
    'trajectory',
    'prompt',
    'image',
    'action',
    'trajectoryReward',
  ]);
  const good = imitated(new Map(rows.map((row) => [row.trajectory, row.trajectoryReward])), ctx.settings.filteredbc);
  return rows.filter(({ trajectory }) => good.has(trajectory)).map((row) => ({ ...row, advantage: 0 }));
}

/**
 * The lessons of Digi-Q: with best_of_n, the best scored candidate of each state if its advantage exceeds the threshold
 * (others add nothing to the loss and are left out); with the other losses, the action taken.
 */
async function digiqLessons(ctx: StageContext<Actor>): Promise<Lesson[]> {
  const { settings, seed } = ctx;
  const rows = await readTransitions(ctx.dataset('trajectories'), 'collect', ['tid', 'prompt', 'image', 'action']);
  const candidates = new Map(
    (await readCandidates(ctx.dataset('candidates'), 'candidates')).map((row) => [row.tid, row]),
  );
  const values = new Map(
    (await readTable(join(ctx.dataset('values'), 'values.parquet'), VALUES)).map((row) => [row.tid, row]),
  );
  const lessons: Lesson[] = [];
  let changed = 0;
  for (const { tid, prompt, image, action } of rows) {
    const advantage = advantages(values.get(tid)!, settings.aggregate);
    if (settings.loss !== 'best_of_n') {
      lessons.push({ prompt, image, action, advantage: advantage[0] });
      continue;
    }
    const { actions, valid } = candidates.get(tid)!;
    const random = new Random(seed, 'actor', 'n', tid);
    const scored = scoredCandidates(actions.length, settings.n, (k) => random.int(k));
    const best = bestCandidate(
      scored.map((i) => ({ advantage: advantage[i], valid: valid[i] })),
      settings.threshold,
    );
    if (best === undefined) continue;
    if (scored[best] !== 0) changed++;
    lessons.push({ prompt, image, action: actions[scored[best]], advantage: advantage[scored[best]] });
  }
  if (settings.loss === 'best_of_n') {
    ctx.log.info(
      `${lessons.length} of ${counted(rows.length, 'state')} have an action above the threshold; in ${changed} of them it differs from the action taken`,
    );
  }
  return lessons;
}
