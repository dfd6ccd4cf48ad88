import { basename } from 'node:path';
import { removeInside } from '../src/data/store/inside.js';
import { z } from 'zod';
import { BestOfQ } from '../src/agents/critic/best-of-q.js';
import { Critic } from '../src/agents/critic/critic.js';
import { AGGREGATES } from '../src/algorithms/digiq.js';
import { isValidAction } from '../src/agents/grammar.js';
import { PolicyAgent } from '../src/agents/policy/policy-agent.js';
import type { Agent } from '../src/agents/rollout.js';
import { counted } from '../src/counted.js';
import { writeAtomic } from '../src/data/store/atomic.js';
import { readSealed, sealed } from '../src/data/store/sealed.js';
import { setFile } from '../src/data/store/set-files.js';
import { wilson95 } from '../src/data/interval.js';
import { comparable } from '../src/data/task-list.js';
import { UserError } from '../src/errors.js';
import { Random } from '../src/random.js';
import type { Evaluation, Rate } from '../src/report/evaluations.js';
import { folderName, nameOfFolder, policySet, reference } from '../src/runner/reference.js';
import { stage, type StageContext } from '../src/runner/stage.js';
import type { Config } from '../src/settings/settings.js';
import { readTransitions } from './datasets.js';
import { deviceInfluence, deviceWorkers } from './episodes/devices.js';
import { collectShard, episodeShards, judgedEpisodes, sayHowToRepeat } from './episodes/episodes.js';
import { judgeFingerprint, judgeOf, judgeSummary, judgeWorkers, reportUnknown } from './episodes/judge.js';
import { DRAWS, evalTasks } from './episodes/played.js';
import { TruncationSettings, truncationOf } from '../src/agents/policy/truncation.js';
import { cachesOf, once, policyOf, runtimeOf } from './resources.js';
import {
  AgentKind,
  agentFingerprint,
  servedAgent,
  servedName,
  servedSettings,
  servedSummary,
} from './episodes/served.js';
import { trainedTexts } from './episodes/tasks.js';
import { vlmOf } from './vlm/backend.js';
import type { Represent } from './vlm/represent-settings.js';

/** Tasks of the published protocol: the first 96 of the test file, in order, one episode each (docs/algorithms.md §7). */
const PROTOCOL = 96;
/** Samples that the critic ranks in an evaluation that is requested only by its name. */
const RANKED = 6;

export const Eval = z.object({
  agent: AgentKind.meta({ scope: 'result' }),
  policy: z
    .string()
    .default('base')
    .describe(
      'name of the policy to evaluate, below `policy/`; `RUN:name` evaluates one of another run; unused with `eval.agent=served`',
    )
    .meta({ scope: 'result' }),
  name: z
    .union([z.literal(''), z.string().regex(/^[\w+-][\w.+-]{0,80}$/, 'letters, digits, _ . + -')])
    .default('')
    .describe(
      'name of the evaluation: its results are in `eval/<name>`; empty: made from policy, split, protocol and temperature, as `digiq-test-t0.5`. Name it yourself to keep evaluations with other judges, devices or numbers of episodes side by side',
    )
    .meta({ scope: 'result' }),
  split: z
    .enum(['test', 'train'])
    .default('test')
    .describe('task list: test or training tasks')
    .meta({ scope: 'result' }),
  protocol: z
    .enum(['all', 'first96', 'distinct'])
    .default('all')
    .describe(
      'all tasks in turn; the first 96 of the list, as published for Digi-Q; or each distinct task of the list once, as published for VEM (docs/labels.md)',
    )
    .meta({ scope: 'result' }),
  episodes: z
    .int()
    .min(1)
    .default(480)
    .describe('episodes to run with `protocol=all`; after the last task the list starts over'),
  temperature: z
    .number()
    .min(0)
    .default(1)
    .describe('sampling temperature of the policy; 0 is greedy (for a served agent: `served.temperature`)')
    .meta({ scope: 'result' }),
  ...TruncationSettings,
  best_of_q: z
    .int()
    .min(0)
    .default(0)
    .describe('take the action that the critic ranks best of this many samples, without training; 0: the policy alone')
    .meta({ scope: 'result' }),
  critic: z
    .string()
    .regex(/^(?:[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}:)?critic$/, '`critic`, or RUN:critic')
    .default('critic')
    .meta({ added: true })
    .describe('critic of `best_of_q`: that of this run, or `RUN:critic` for that of another run, with its VLM'),
  aggregate: z
    .enum(['max', 'min', 'mean'])
    .default('min')
    .describe('how `best_of_q` combines the two Q values')
    .meta({ scope: 'result' }),
  shard: z.int().min(1).default(240).describe('episodes per shard'),
});
type Eval = z.infer<typeof Eval>;

/** `_result.json` of an evaluation's data set. */
export interface EvalResult extends Evaluation {
  /** success rate on tasks that are not in the training list (docs/algorithms.md §7) */
  readonly unseen: Rate;
}

/** Name of the evaluated agent. */
function agentName({ agent, policy, best_of_q, critic }: Eval, config: Config): string {
  if (agent === 'served') return servedName(config);
  const by = reference(critic);
  return best_of_q > 0 ? `${policy}+bestofq${by ? `++${by.run}` : ''}` : policy;
}

/** Its sampling temperature. */
function temperatureOf({ agent, temperature }: Eval, config: Config): number {
  return agent === 'served' ? servedSettings(config).temperature : temperature;
}

/** Name of an evaluation's data set below `eval/`. */
export function evalName(settings: Eval, config: Config): string {
  if (settings.name !== '') return settings.name;
  // a wrong name is told as such
  if (settings.agent === 'policy') policySet(settings.policy);
  const parts = [folderName(agentName(settings, config)), settings.split];
  if (settings.protocol !== 'all') parts.push(settings.protocol);
  const temperature = temperatureOf(settings, config);
  if (temperature !== 1) parts.push(temperature === 0 ? 'greedy' : `t${temperature}`);
  return parts.join('-');
}

/** The VLM with which a critic was trained: that of its run, where `represent.vlm` names no other. */
function vlmSet(critic: string, config: Config): string {
  const { vlm } = config.represent as Represent;
  const by = reference(critic);
  return by && vlm === 'vlm' ? `${by.run}:vlm` : vlm;
}

const evaluation = (settings: Eval, config: Config) => `eval/${evalName(settings, config)}`;

/** The data set that a stage writes. */
const written = ({ settings, config, dataset }: StageContext<Eval>) => dataset(evaluation(settings, config));

/** Success rates on tasks (docs/algorithms.md §7), by the judge of `judge.*`. */
export const evaluate = stage({
  name: 'eval',
  summary: 'measure the success rate of a policy',
  settings: Eval.meta({ scope: 'command' }),
  uses: ['seed', 'tasks'],
  results: { sections: ['device', 'judge', 'served', 'tasks', 'recordings'] },
  neutral: ['agent', 'name'],
  counts: () => ['episodes'],
  derived: (config) => ({
    ...deviceInfluence(config),
    ...judgeFingerprint(config),
    ...agentFingerprint((config.eval as Eval).agent, config),
  }),
  // one thread per server, so that its limit of parallel requests holds
  workers: ({ agent }, config) => (agent === 'served' ? 1 : (deviceWorkers(config) ?? judgeWorkers(config))),
  instance: evaluation,
  inputs: ({ agent, policy, best_of_q, critic }, config) =>
    agent === 'served' ? [] : [policySet(policy), ...(best_of_q > 0 ? [vlmSet(critic, config), critic] : [])],
  outputs: (settings, config) => [evaluation(settings, config)],
  // base-test, filteredbc-test-greedy, digiq-test-t0.5, digiq+bestofq-test-first96, ...
  provides: (dataset, config) => {
    const match =
      /^eval\/(.+?)(\+bestofq(?:\+\+[\w.+-]+?)?)?-(test|train)(?:-(first96|distinct))?(?:-(greedy)|-t(\d+(?:\.\d+)?))?$/.exec(
        dataset,
      );
    if (!match) return undefined;
    const [, policy, ranked, split, protocol = 'all', greedy, stated = '1'] = match;
    const temperature = greedy ? 0 : Number(stated);
    if (temperature === 1 && match[7] !== undefined) return undefined;
    const own = config.eval as Eval;
    if (policy === servedName(config)) {
      return {
        'eval.agent': 'served',
        'eval.name': '',
        'eval.split': split,
        'eval.protocol': protocol,
        'served.temperature': temperature,
      };
    }
    if (policy.startsWith('served-')) {
      throw new UserError(
        `${dataset}: belongs to a served agent, but served.name and served.model give ${servedName(config)}; pass the served.* settings of that evaluation`,
      );
    }
    return {
      'eval.agent': 'policy',
      'eval.name': '',
      'eval.policy': nameOfFolder(policy),
      'eval.split': split,
      'eval.protocol': protocol,
      'eval.temperature': temperature,
      'eval.best_of_q': ranked ? own.best_of_q || RANKED : 0,
      ...(ranked
        ? { 'eval.critic': ranked === '+bestofq' ? 'critic' : `${ranked.slice('+bestofq++'.length)}:critic` }
        : {}),
    };
  },
  plan: ({ settings, config, seed }) => {
    if (settings.protocol === 'first96') return episodeShards(PROTOCOL, Math.min(PROTOCOL / 2, settings.shard));
    const episodes = settings.protocol === 'distinct' ? evalTasks(config, settings, seed).length : settings.episodes;
    return episodeShards(episodes, settings.shard);
  },
  run: async (shard, ctx) => {
    const { settings, seed } = ctx;
    const list = evalTasks(ctx.config, settings, seed);
    return collectShard(shard, ctx, evaluation(settings, ctx.config), {
      agent: await agentOf(ctx),
      actor: { policy: agentName(settings, ctx.config), temperature: temperatureOf(settings, ctx.config) },
      task: (episode) => list[episode % list.length],
      seed: (episode) => DRAWS.eval.device(seed, episode, settings.split),
      gamma: 1,
      label: 'episodes',
      judge: await judgeOf(ctx),
    });
  },
  finish: async (ctx) => {
    const result = await resultOf(ctx);
    const file = setFile(written(ctx), 'result');
    const summary = await judgeSummary(ctx);
    if (summary) ctx.log.info(summary);
    if (ctx.settings.agent === 'served') ctx.log.info(servedSummary(await servedAgent(ctx, agentSeed(ctx.seed))));
    // if there is no new result, the old one must not remain
    removeInside(written(ctx), basename(file), file);
    reportUnknown(ctx, result.unknown, result.episodes);
    sayHowToRepeat(ctx, result);
    await writeAtomic(file, sealed(result));
    const percent = (rate: number) => `${(100 * rate).toFixed(1)} %`;
    const [low, high] = result.ci95;
    const { settings } = ctx;
    const { unseen } = result;
    const leaked = result.episodes - unseen.episodes;
    if (leaked > 0 && settings.split === 'test') {
      ctx.log.info(
        `${leaked} of ${counted(result.episodes, 'test episode')} use training tasks; without them, ${unseen.successes} of ${unseen.episodes} succeeded: ${percent(unseen.rate)}`,
      );
    }
    ctx.log.info(
      `${result.successes} of ${result.episodes} succeeded: ${percent(result.rate)} (95 % interval ${percent(low)} to ${percent(high)})`,
    );
  },
});

/** The result of an evaluation, from its folder. */
export function readResult(folder: string): EvalResult {
  return readSealed(setFile(folder, 'result'), `delete it and run \`critiq eval\` again`) as unknown as EvalResult;
}

/** Seed of the agent's sampling. */
const agentSeed = (seed: number): number => new Random(seed, 'eval', 'agent').int(2 ** 31);

function agentOf(ctx: StageContext<Eval>): Promise<Agent> {
  return once(ctx, 'agent', async () => {
    const { settings } = ctx;
    const seed = agentSeed(ctx.seed);
    if (settings.agent === 'served') return servedAgent(ctx, seed);
    const policy = await policyOf(ctx, policySet(settings.policy));
    if (settings.best_of_q === 0)
      return new PolicyAgent(policy, { seed, temperature: settings.temperature, ...truncationOf(settings) });
    const critic = await Critic.load(await runtimeOf(ctx), ctx.dataset(settings.critic), cachesOf(ctx));
    return new BestOfQ(
      policy,
      { representer: (await vlmOf(ctx, vlmSet(settings.critic, ctx.config))).representer, critic },
      {
        seed,
        samples: settings.best_of_q,
        temperature: settings.temperature,
        ...truncationOf(settings),
        aggregate: AGGREGATES[settings.aggregate],
      },
    );
  });
}

async function resultOf(ctx: StageContext<Eval>): Promise<EvalResult> {
  const { settings, config } = ctx;
  const temperature = temperatureOf(settings, config);
  const steps = await readTransitions(written(ctx), 'eval', ['family', 'goal', 'action', 'done', 'trajectoryReward']);
  const ends = steps.filter(({ done }) => done);
  const rateOf = (rows: typeof ends) => {
    const successes = rows.filter(({ trajectoryReward }) => trajectoryReward > 0).length;
    return {
      episodes: rows.length,
      successes,
      rate: rows.length === 0 ? 0 : successes / rows.length,
      ci95: wilson95(successes, rows.length),
    };
  };
  const { unknown, lost } = await judgedEpisodes(written(ctx), 'eval');
  const trained = trainedTexts(ctx.config);
  const names = [...new Set(ends.map(({ family }) => family))].sort();
  return {
    policy: agentName(settings, config),
    split: settings.split,
    protocol: settings.protocol,
    mode: temperature === 0 ? 'greedy' : 'sampled',
    temperature,
    judge: (await judgeOf(ctx)).name,
    unknown,
    lost,
    ...rateOf(ends),
    unseen: rateOf(ends.filter(({ goal }) => !trained.has(comparable(goal)))),
    mean_steps: ends.length === 0 ? 0 : steps.length / ends.length,
    invalid_steps: steps.filter(({ action }) => !isValidAction(action)).length,
    families: Object.fromEntries(names.map((family) => [family, rateOf(ends.filter((row) => row.family === family))])),
  };
}
