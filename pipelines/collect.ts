import { z } from 'zod';
import { PolicyAgent } from '../src/agents/policy/policy-agent.js';
import { TruncationSettings, truncationOf } from '../src/agents/policy/truncation.js';
import { UserError } from '../src/errors.js';
import { Random } from '../src/random.js';
import { IMPORT, readManifest, readPlan } from '../src/runner/outputs.js';
import { policySet } from '../src/runner/reference.js';
import { stage } from '../src/runner/stage.js';
import type { ImportSettings } from './import-settings.js';
import { deviceInfluence, deviceWorkers } from './episodes/devices.js';
import { collectShard, episodeShards, judgedEpisodes, sayHowToRepeat } from './episodes/episodes.js';
import { judgeFingerprint, judgeOf, judgeSummary, judgeWorkers, reportUnknown } from './episodes/judge.js';
import { DRAWS } from './episodes/played.js';
import { policyOf } from './resources.js';
import {
  AgentKind,
  agentFingerprint,
  servedAgent,
  servedName,
  servedSettings,
  servedSummary,
} from './episodes/served.js';
import { tasksOf } from './episodes/tasks.js';

export const Collect = z.object({
  episodes: z
    .int()
    .min(1)
    .default(2000)
    .describe('trajectories to collect (1008 in AitW General, 1296 in Web Shopping)'),
  agent: AgentKind,
  policy: z
    .string()
    .default('base')
    .describe(
      'name of the policy that acts, below `policy/`; `RUN:name` takes one of another run; with a served agent, the policy whose vision tower computes the image vectors',
    ),
  temperature: z.number().min(0).default(1).describe('sampling temperature of the policy; 0 is greedy'),
  ...TruncationSettings,
  gamma: z
    .number()
    .min(0)
    .max(1)
    .default(0.95)
    .describe('discount of the stored Monte Carlo returns (docs/algorithms.md §2.4)'),
  shard: z.int().min(1).default(250).describe('episodes per shard'),
});

type Collect = z.infer<typeof Collect>;

/** Seed of the agent's sampling. */
const agentSeed = (seed: number): number => new Random(seed, 'collect', 'agent').int(2 ** 31);

/** Trajectories of a policy on the training tasks (docs/algorithms.md §2, first stage). */
export const collect = stage({
  name: 'collect',
  summary: 'collect trajectories with a policy',
  settings: Collect,
  uses: ['seed', 'tasks'],
  neutral: ['agent'],
  counts: () => ['episodes'],
  derived: (config) => ({
    ...deviceInfluence(config),
    ...judgeFingerprint(config),
    ...agentFingerprint((config.collect as Collect).agent, config),
  }),
  workers: ({ agent }, config) => (agent === 'served' ? 1 : (deviceWorkers(config) ?? judgeWorkers(config))),
  inputs: ({ policy }) => [policySet(policy)],
  outputs: () => ['trajectories', 'image-vectors'],
  check: (_settings, config, dataset) => {
    if (readPlan(dataset('trajectories'))?.stage === IMPORT && readManifest(dataset('image-vectors')).size === 0)
      throw new UserError(
        `${dataset('image-vectors')}: missing for the imported trajectories; run \`critiq import vectors\` with the same settings`,
      );
    if (!(config.import as ImportSettings).required) return;
    throw new UserError(
      `${dataset('trajectories')}: missing, and import.required says that they are imported; run \`critiq import digiq FILE.pt\` with the same settings`,
    );
  },
  plan: ({ settings }) => episodeShards(settings.episodes, settings.shard),
  run: async (shard, ctx) => {
    const { settings, seed } = ctx;
    const policy = await policyOf(ctx, policySet(settings.policy));
    const list = tasksOf(ctx.config, 'train', {
      count: settings.episodes,
      seed: DRAWS.collect.tasks(seed),
    });
    const own = agentSeed(seed);
    return collectShard(shard, ctx, 'trajectories', {
      agent:
        settings.agent === 'served'
          ? await servedAgent(ctx, own)
          : new PolicyAgent(policy, { seed: own, temperature: settings.temperature, ...truncationOf(settings) }),
      actor:
        settings.agent === 'served'
          ? { policy: servedName(ctx.config), temperature: servedSettings(ctx.config).temperature }
          : { policy: settings.policy, temperature: settings.temperature },
      task: (episode) => list[episode],
      seed: (episode) => DRAWS.collect.device(seed, episode),
      gamma: settings.gamma,
      vectors: { tower: policy.tower, output: 'image-vectors' },
      label: 'episodes',
      judge: await judgeOf(ctx),
    });
  },
  finish: async (ctx) => {
    const summary = await judgeSummary(ctx);
    if (summary) ctx.log.info(summary);
    if (ctx.settings.agent === 'served') ctx.log.info(servedSummary(await servedAgent(ctx, agentSeed(ctx.seed))));
    const { unknown, lost, judged } = await judgedEpisodes(ctx.dataset('trajectories'), 'collect');
    reportUnknown(ctx, unknown, judged);
    sayHowToRepeat(ctx, { unknown, lost });
  },
});
