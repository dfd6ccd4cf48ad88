import { z } from 'zod';
import { PolicyAgent } from '../src/agents/policy-agent.js';
import { Random } from '../src/random.js';
import { stage } from '../src/runner/stage.js';
import { deviceInfluence, deviceWorkers } from './devices.js';
import { collectShard, episodeShards, judgedEpisodes } from './episodes.js';
import { judgeFingerprint, judgeOf, judgeSummary, judgeWorkers, reportUnknown } from './judge.js';
import { policyOf } from './resources.js';
import { tasksOf } from './tasks.js';

export const Collect = z.object({
  episodes: z
    .int()
    .min(1)
    .default(2000)
    .describe('trajectories to collect (1008 in AitW General, 1296 in Web Shopping)'),
  policy: z.string().default('base').describe('the policy that acts, by its name below `policy/`'),
  temperature: z.number().min(0).default(1).describe('divides the logits of the policy; 0 takes the likeliest token'),
  gamma: z
    .number()
    .min(0)
    .max(1)
    .default(0.95)
    .describe('discount of the Monte Carlo returns that are stored (ALGORITHMS §2.4)'),
  shard: z.int().min(1).default(250).describe('episodes a shard'),
});

/** Trajectories of a policy on the training tasks (ALGORITHMS §2, first stage). */
export const collect = stage({
  name: 'collect',
  summary: 'collect trajectories with a policy',
  settings: Collect,
  uses: ['seed', 'tasks'],
  derived: (config) => ({ ...deviceInfluence(config), ...judgeFingerprint(config) }),
  workers: (_, config) => deviceWorkers(config) ?? judgeWorkers(config),
  inputs: ({ policy }) => [`policy/${policy}`],
  outputs: () => ['trajectories', 'image-vectors'],
  plan: ({ settings }) => episodeShards(settings.episodes, settings.shard),
  run: async (shard, ctx) => {
    const { settings, seed } = ctx;
    const policy = await policyOf(ctx, `policy/${settings.policy}`);
    const list = tasksOf(ctx.config, 'train', {
      count: settings.episodes,
      seed: new Random(seed, 'collect').int(2 ** 31),
    });
    return collectShard(shard, ctx, 'trajectories', {
      agent: new PolicyAgent(policy, {
        seed: new Random(seed, 'collect', 'agent').int(2 ** 31),
        temperature: settings.temperature,
      }),
      task: (episode) => list[episode],
      seed: (episode) => new Random(seed, 'collect', episode).int(2 ** 31),
      gamma: settings.gamma,
      vectors: { tower: policy.tower, output: 'image-vectors' },
      label: 'episodes',
      judge: await judgeOf(ctx),
    });
  },
  finish: async (ctx) => {
    const summary = await judgeSummary(ctx);
    if (summary) ctx.log.info(summary);
    const { unknown, judged } = await judgedEpisodes(ctx.dataset('trajectories'), 'collect');
    reportUnknown(ctx, unknown, judged);
  },
});
