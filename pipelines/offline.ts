import { basename, dirname, join } from 'node:path';
import { removeInside } from '../src/data/store/inside.js';
import { z } from 'zod';
import { parseAction } from '../src/agents/grammar.js';
import { CONVENTIONS, offlineRates, scored, type PredictedStep } from '../src/agents/offline.js';
import { PolicyAgent } from '../src/agents/policy/policy-agent.js';
import { TruncationSettings, truncationOf } from '../src/agents/policy/truncation.js';
import type { Agent, PastStep } from '../src/agents/rollout.js';
import { actionColumns } from '../src/agents/action-columns.js';
import { counted } from '../src/counted.js';
import { boxesOf } from '../src/data/annotations.js';
import { wilson95 } from '../src/data/interval.js';
import { PREDICTIONS, type PredictionRow } from '../src/data/predictions.js';
import { writeAtomic } from '../src/data/store/atomic.js';
import { Journal } from '../src/data/store/journal.js';
import { openDataset } from '../src/data/store/manifest.js';
import { sealed } from '../src/data/store/sealed.js';
import { setFile } from '../src/data/store/set-files.js';
import { readTable, writeTable } from '../src/data/tables.js';
import { byTrajectory, TRANSITIONS, type Transition } from '../src/data/transitions.js';
import type { Device } from '../src/devices/device.js';
import { UserError } from '../src/errors.js';
import { Random } from '../src/random.js';
import type { OfflineEvaluation } from '../src/report/evaluations.js';
import { folderName, nameOfFolder, policySet } from '../src/runner/reference.js';
import { stage, type ShardContext, type StageContext } from '../src/runner/stage.js';
import type { Config } from '../src/settings/settings.js';
import { filesOf, FILES, readAnnotations, readTransitions } from './datasets.js';
import { AgentKind, agentFingerprint, servedAgent, servedName, servedSettings } from './episodes/served.js';
import { imagesOf, once, policyOf } from './resources.js';
import { criticSplit } from './training/critic-split.js';

export const Offline = z.object({
  agent: AgentKind.meta({ scope: 'result' }),
  policy: z
    .string()
    .default('base')
    .describe(
      'name of the policy to evaluate, below `policy/`; `RUN:name` evaluates one of another run; unused with `offline.agent=served`',
    )
    .meta({ scope: 'result' }),
  name: z
    .union([z.literal(''), z.string().regex(/^[\w+-][\w.+-]{0,80}$/, 'letters, digits, _ . + -')])
    .default('')
    .describe(
      'name of the evaluation: its results are in `eval/<name>`; empty: made from policy, data, split, convention and temperature, as `base-offline-greedy`',
    )
    .meta({ scope: 'result' }),
  data: z
    .string()
    .regex(/^[\w+-][\w.+-]*(\/[\w+-][\w.+-]*)?$/, 'the name of a data set')
    .default('heldout')
    .describe(
      'recorded episodes: `heldout` (validation and test of imported data), or `trajectories` (of these the part that critic and actor do not learn from; VEM learns from some of it)',
    )
    .meta({ scope: 'result' }),
  split: z
    .enum(['all', 'val', 'test'])
    .default('all')
    .describe('episodes of this split alone; only imported data have one')
    .meta({ scope: 'result' }),
  only: z
    .enum(['auto', 'all', 'successes'])
    .default('auto')
    .describe(
      'episodes to compare with: all, or those that reached their goal; auto: all of imported data, the successes of collected ones',
    ),
  convention: z
    .enum(CONVENTIONS)
    .default('aitw')
    .describe(
      "when a predicted action counts as the recorded one: Android in the Wild's action matching, or AndroidControl's exact parameters (docs/importing.md)",
    )
    .meta({ scope: 'result' }),
  temperature: z
    .number()
    .min(0)
    .default(0)
    .describe('sampling temperature of the policy; 0 is greedy (for a served agent: `served.temperature`)')
    .meta({ scope: 'result' }),
  ...TruncationSettings,
});
type Offline = z.infer<typeof Offline>;

/** Steps that are decided at the same time. */
const AT_ONCE = 16;

function agentName({ agent, policy }: Offline, config: Config): string {
  return agent === 'served' ? servedName(config) : policy;
}

function temperatureOf({ agent, temperature }: Offline, config: Config): number {
  return agent === 'served' ? servedSettings(config).temperature : temperature;
}

/** Name of an offline evaluation below `eval/`. */
function offlineName(settings: Offline, config: Config): string {
  if (settings.name !== '') return settings.name;
  if (settings.agent === 'policy') policySet(settings.policy);
  const { data, split, convention } = settings;
  const temperature = temperatureOf(settings, config);
  const parts = [
    data === 'heldout' ? '' : data.replace('/', '+'),
    split === 'all' ? '' : split,
    convention === 'aitw' ? '' : convention,
  ];
  return [
    folderName(agentName(settings, config)),
    ['offline', ...parts.filter((part) => part !== '')].join('.'),
    ...(temperature === 1 ? [] : [temperature === 0 ? 'greedy' : `t${temperature}`]),
  ].join('-');
}

const evaluation = (settings: Offline, config: Config) => `eval/${offlineName(settings, config)}`;

/** The predictions for one recorded episode, as the journal keeps them. */
interface Predicted {
  readonly episode: string;
  /** by step */
  readonly texts: readonly string[];
}

/** Action matching on recorded episodes, without a device (docs/algorithms.md §6). */
export const offline = stage({
  name: 'offline',
  summary: 'compare what a policy would do with recorded episodes',
  settings: Offline.meta({ scope: 'command' }),
  uses: ['seed'],
  results: { sections: ['served'] },
  neutral: ['agent', 'name'],
  derived: (config) => {
    const { agent, data } = config.offline as Offline;
    const { validation, split } = config.critic as { validation: number; split: string };
    return {
      ...agentFingerprint(agent, config),
      ...(data === 'trajectories' ? { heldOut: { validation, split } } : {}),
    };
  },
  workers: ({ agent }) => (agent === 'served' ? 1 : undefined),
  instance: evaluation,
  inputs: ({ agent, policy, data }) => [data, ...(agent === 'served' ? [] : [policySet(policy)])],
  outputs: (settings, config) => [evaluation(settings, config)],
  provides: (dataset, config) => {
    const match = /^eval\/(.+?)-offline((?:\.[\w+]+)*)(?:-(greedy)|-t(\d+(?:\.\d+)?))?$/.exec(dataset);
    if (!match) return undefined;
    const [, policy, words, greedy, stated] = match;
    const parts = words.split('.').slice(1);
    const of = <T extends string>(known: readonly T[], otherwise: T): T =>
      known.find((one) => parts.includes(one)) ?? otherwise;
    const split = of(['val', 'test'] as const, 'all' as never) as Offline['split'];
    const convention = of(CONVENTIONS, 'aitw');
    const data = parts.find((part) => part !== split && part !== convention) ?? 'heldout';
    const temperature = greedy ? 0 : stated === undefined ? 1 : Number(stated);
    const served = policy === servedName(config);
    return {
      ...{ 'offline.name': '', 'offline.split': split, 'offline.convention': convention },
      'offline.data': data.replace('+', '/'),
      ...(served
        ? { 'offline.agent': 'served', 'served.temperature': temperature }
        : { 'offline.agent': 'policy', 'offline.policy': nameOfFolder(policy), 'offline.temperature': temperature }),
    };
  },
  plan: async (ctx) => {
    const { data } = ctx.settings;
    const { shards } = await openDataset(ctx.dataset(data), { stage: 'collect' });
    return shards.map(({ shard: id }) => ({ id, inputs: { [data]: [id] } }));
  },
  run: async (shard, ctx) => {
    const folder = ctx.dataset(evaluation(ctx.settings, ctx.config));
    const rows = await chosen(ctx, shard.id);
    const boxes = await boxesByTid(ctx, shard.id);
    const texts = await predict(ctx, rows, shard.id);
    const steps = rows.map((row): PredictedStep => {
      const { tid, trajectory, step, family, action } = row;
      return {
        tid,
        trajectory,
        step,
        family,
        action,
        prediction: texts.get(trajectory)![step],
        boxes: boxes.get(tid) ?? [],
      };
    });
    const predictions = steps.map((step) => scored(step, ctx.settings.convention));
    const [transitions, table] = [FILES.transitions(shard.id), FILES.predictions(shard.id)];
    await writeTable(join(folder, transitions), TRANSITIONS, asTransitions(rows, predictions, ctx));
    const { bytes, crc32 } = await writeTable(join(folder, table), PREDICTIONS, predictions);
    // the rows of a data set are its transitions
    return [transitions, { file: table, bytes, crc32 }];
  },
  finish: async (ctx) => {
    const file = setFile(ctx.dataset(evaluation(ctx.settings, ctx.config)), 'result');
    const result = await resultOf(ctx);
    removeInside(dirname(file), basename(file), file);
    await writeAtomic(file, sealed(result));
    const { step, task, outside } = result.offline;
    const percent = (rate: number) => `${(100 * rate).toFixed(1)} %`;
    const line = (what: string, { hits, of, rate, ci95: [low, high] }: typeof step) =>
      `${hits} of ${of} ${what}: ${percent(rate)} (95 % interval ${percent(low)} to ${percent(high)})`;
    if (outside > 0) ctx.log.info(`${counted(outside, 'step')} with an action outside of the grammar do not count`);
    ctx.log.info(line('steps match', step));
    ctx.log.info(line('episodes match in every step', task));
  },
});

/** The recorded steps of a shard that are compared. */
async function chosen(ctx: StageContext<Offline>, shard: string): Promise<Transition[]> {
  const { data, split, only } = ctx.settings;
  const folder = ctx.dataset(data);
  const rows = await readTable(join(folder, FILES.transitions(shard)), TRANSITIONS);
  const annotations = await readAnnotations(folder, shard);
  if (split !== 'all' && !annotations)
    throw new UserError(
      `${folder}: offline.split=${split}, but only imported data have a split; set offline.split=all`,
    );
  const parts = new Map(annotations?.map(({ trajectory, split: part }) => [trajectory, part]));
  const held = await heldOut(ctx);
  const successes = only === 'successes' || (only === 'auto' && !annotations);
  return rows.filter(
    ({ trajectory, trajectoryReward }) =>
      (split === 'all' || parts.get(trajectory) === split) &&
      (!held || held.has(trajectory)) &&
      (!successes || trajectoryReward > 0),
  );
}

/** The trajectories that critic and actor do not learn from; undefined for a data set that they do not read. */
function heldOut(ctx: StageContext<Offline>): Promise<ReadonlySet<string> | undefined> {
  return once(ctx, 'held out', async () => {
    if (ctx.settings.data !== 'trajectories') return undefined;
    const rows = await readTransitions(ctx.dataset('trajectories'), 'collect', ['trajectory']);
    return criticSplit(ctx, rows).validation;
  });
}

async function boxesByTid(ctx: StageContext<Offline>, shard: string) {
  const rows = (await readAnnotations(ctx.dataset(ctx.settings.data), shard)) ?? [];
  return new Map(rows.map((row) => [row.tid, boxesOf(row)]));
}

/** The agent's texts for the steps of each episode. It is shown the recorded screens and the recorded actions before them. */
async function predict(
  ctx: ShardContext<Offline>,
  rows: readonly Transition[],
  shard: string,
): Promise<Map<string, readonly string[]>> {
  const journal = Journal.open<Predicted>(join(ctx.scratch(), 'predictions.jsonl'));
  const agent = await agentOf(ctx);
  const episodes = byTrajectory(rows);
  const left = [...episodes].filter(([id]) => !journal.has(id));
  const progress = ctx.progress(episodes.size, `episodes of shard ${shard}`, episodes.size - left.length);
  const queue = left[Symbol.iterator]();
  const work = async (): Promise<void> => {
    for (const [episode, steps] of queue) {
      const texts: string[] = [];
      for (let i = 0; i < steps.length; i++) {
        ctx.signal.throwIfAborted();
        texts.push(await decision(ctx, agent, steps, i));
      }
      await journal.append({ episode, texts });
      progress.advance();
    }
  };
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  } finally {
    progress.done();
  }
  return new Map(journal.episodes.map(({ episode, texts }) => [episode, texts]));
}

async function decision(
  ctx: StageContext<Offline>,
  agent: Agent,
  steps: readonly Transition[],
  i: number,
): Promise<string> {
  const images = await imagesOf(ctx);
  const { tid, task, goal, family, image, prevImage } = steps[i];
  const frame = await images.get(image);
  const shown = agent.pastScreens ?? 0;
  const history: PastStep[] = [];
  for (const [k, past] of steps.slice(0, i).entries()) {
    const parsed = parseAction(past.action);
    const decided = { text: past.action, ...('invalid' in parsed ? {} : { action: parsed.action }) };
    history.push({ decision: decided, ...(k >= i - shown ? { frame: await images.get(past.image) } : {}) });
  }
  const { text } = await agent.act({
    key: String(tid),
    task: { id: task, text: goal, family },
    previous: i === 0 ? '' : steps[i - 1].action,
    frame,
    previousFrame: prevImage === image ? frame : await images.get(prevImage),
    history,
    signal: ctx.signal,
    device: NO_DEVICE,
  });
  return text;
}

/** Stands for the device of a recorded episode, which no learned agent asks for anything. */
const NO_DEVICE = new Proxy({} as Device, {
  get: (_device, name) => {
    throw new Error(`an offline evaluation has no device; asked for ${String(name)}`);
  },
});

function agentOf(ctx: StageContext<Offline>): Promise<Agent> {
  return once(ctx, 'offline agent', async () => {
    const { settings } = ctx;
    const seed = new Random(ctx.seed, 'offline', 'agent').int(2 ** 31);
    if (settings.agent === 'served') return servedAgent(ctx, seed);
    const policy = await policyOf(ctx, policySet(settings.policy));
    return new PolicyAgent(policy, { seed, temperature: settings.temperature, ...truncationOf(settings) });
  });
}

/** The recorded steps with the predicted actions, in the form of other evaluations: an episode succeeds if every step matches. */
function asTransitions(
  rows: readonly Transition[],
  predictions: readonly PredictionRow[],
  { settings, config }: StageContext<Offline>,
): Transition[] {
  const won = wonEpisodes(predictions);
  const actor = { policy: agentName(settings, config), temperature: temperatureOf(settings, config) };
  return rows.map((row, i) => {
    const { prediction: action } = predictions[i];
    const total = won.has(row.trajectory) ? 1 : 0;
    const reward = row.done ? total : 0;
    return { ...row, action, ...actionColumns(action), ...actor, reward, mcReturn: total, trajectoryReward: total };
  });
}

/** Episodes of which every step that counts matches. */
function wonEpisodes(rows: readonly PredictionRow[]): Set<string> {
  const counting = rows.filter(({ kind }) => kind !== 'outside');
  const lost = new Set(counting.filter(({ matched }) => !matched).map(({ trajectory }) => trajectory));
  return new Set(counting.map(({ trajectory }) => trajectory).filter((id) => !lost.has(id)));
}

async function resultOf(ctx: StageContext<Offline>): Promise<OfflineEvaluation> {
  const { settings, config, seed } = ctx;
  const folder = ctx.dataset(evaluation(settings, config));
  const rows: PredictionRow[] = [];
  for (const file of await filesOf(folder, 'offline', '.parquet'))
    if (file.includes('predictions')) for (const row of await readTable(file, PREDICTIONS)) rows.push(row);
  if (rows.length === 0)
    throw new UserError(
      `${ctx.dataset(settings.data)}: has no episode to compare with (offline.split=${settings.split}, offline.only=${settings.only}); hold out more (import.validation, import.test), or choose others`,
    );
  const boot = new Random(seed, 'offline', 'bootstrap').int(2 ** 31);
  const rates = offlineRates(rows, boot);
  const names = [...new Set(rows.map(({ family }) => family))].sort();
  const families = names.map(
    (name) =>
      [
        name,
        offlineRates(
          rows.filter(({ family }) => family === name),
          boot,
        ),
      ] as const,
  );
  const { hits: successes, of: episodes } = rates.task;
  const temperature = temperatureOf(settings, config);
  return {
    policy: agentName(settings, config),
    split: settings.split === 'all' ? settings.data : settings.split,
    protocol: 'offline',
    mode: temperature === 0 ? 'greedy' : 'sampled',
    temperature,
    judge: settings.convention,
    unknown: [],
    lost: [],
    ...{ episodes, successes, rate: rates.task.rate, ci95: wilson95(successes, episodes) },
    mean_steps: episodes === 0 ? 0 : rates.step.of / episodes,
    invalid_steps: rates.unparsable.hits,
    families: Object.fromEntries(
      families.map(([name, { task }]) => [
        name,
        { episodes: task.of, successes: task.hits, rate: task.rate, ci95: task.ci95 },
      ]),
    ),
    offline: rates,
    offline_families: Object.fromEntries(families),
  };
}
