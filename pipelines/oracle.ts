import { join } from 'node:path';
import { z } from 'zod';
import { parseAction } from '../src/agents/grammar.js';
import { TruncationSettings, truncationOf } from '../src/agents/policy/truncation.js';
import { counted } from '../src/counted.js';
import { imageId } from '../src/data/images.js';
import { readTable, writeTable } from '../src/data/tables.js';
import { byTrajectory, type CandidateRow, type Transition } from '../src/data/transitions.js';
import { DEFAULT_SURPRISES, Phone } from '../src/devices/phone/index.js';
import { UserError } from '../src/errors.js';
import { playOn, type Start } from '../src/oracle/play.js';
import { policyDecide } from '../src/oracle/policy-decide.js';
import { meanOf, ORACLE, returnOf, type OracleRow } from '../src/oracle/table.js';
import { Random } from '../src/random.js';
import { policySet } from '../src/runner/reference.js';
import { stage, type Shard, type ShardContext, type StageContext } from '../src/runner/stage.js';
import type { Config } from '../src/settings/settings.js';
import { FILES, readCandidates, readTransitions } from './datasets.js';
import { deviceInfluence } from './episodes/devices.js';
import { judgeFingerprint, type JudgeSettings } from './episodes/judge.js';
import { playedEpisodes, type PlayedEpisode } from './episodes/played.js';
import { once, policyOf } from './resources.js';
import { criticSplit } from './training/critic-split.js';
import type { DeviceSettings, TaskSettings } from './sections.js';

export const Oracle = z.object({
  states: z.int().min(1).default(110).describe('collected states to measure, drawn at random'),
  from: z
    .enum(['held_out', 'training', 'all'])
    .default('held_out')
    .describe(
      'trajectories whose states are drawn: those that the critic does not train on (by `critic.validation` and `critic.split`), those that it trains on, or all',
    ),
  rollouts: z
    .int()
    .min(2)
    .default(24)
    .describe('episodes to play after each candidate of a state, and from the state itself'),
  policy: z
    .string()
    .default('base')
    .describe(
      'policy that plays on after the candidate, below `policy/`: the values are those of this policy; `RUN:name` takes one of another run',
    ),
  temperature: z.number().min(0).default(1).describe('its sampling temperature; 0 is greedy'),
  ...TruncationSettings,
  gamma: z
    .number()
    .min(0)
    .max(1)
    .default(0.95)
    .describe('discount of the values in the table, as in the critic; the outcome of every episode is stored as well'),
  shard: z.int().min(1).default(10).describe('states per shard'),
});
type Oracle = z.infer<typeof Oracle>;

/** Columns of the transitions that a replay needs. */
const REPLAYED = ['tid', 'trajectory', 'step', 'task', 'prevAction', 'action', 'image'] as const;
type Replayed = Pick<Transition, (typeof REPLAYED)[number]>;

interface OracleShard extends Shard {
  /** transitions at whose states the phone is copied, in the order in which they were drawn */
  readonly tids: readonly number[];
}

/**
 * True values of collected states: the phone is brought into each state again, does every candidate, and plays on with the
 * policy many times. For diagnosis alone: no training may read it.
 */
export const oracle = stage({
  name: 'oracle',
  summary: 'measure true values: play on from collected states after every candidate',
  settings: Oracle,
  uses: ['seed', 'tasks', 'critic.validation', 'critic.split'],
  derived: (config) => ({ ...deviceInfluence(config), ...judgeFingerprint(config) }),
  counts: () => ['states'],
  inputs: ({ policy }) => ['trajectories', 'candidates', policySet(policy)],
  outputs: () => ['oracle'],
  check: (_settings, config) => checkPlayable(config),
  plan: async (ctx) => {
    const { settings } = ctx;
    const tids = await drawnStates(ctx);
    if (tids.length < settings.states)
      ctx.log.warn(`oracle.states=${settings.states}, but there are only ${counted(tids.length, 'such state')}`);
    const wanted = tids.slice(0, settings.states);
    return Array.from({ length: Math.ceil(wanted.length / settings.shard) }, (_, i): OracleShard => {
      const own = wanted.slice(i * settings.shard, (i + 1) * settings.shard);
      return { id: String(i).padStart(5, '0'), tids: own, extent: { states: own.length } };
    });
  },
  run: async (shard, ctx) => {
    const known = await storedRows(shard, ctx);
    const progress = ctx.progress(shard.tids.length, `states of shard ${shard.id}`, known.length);
    const fresh = shard.tids.slice(known.length);
    const rows = fresh.length > 0 ? await measured(fresh, ctx, (done) => progress.advance(done)) : [];
    const file = FILES.oracle(shard.id);
    await writeTable(join(ctx.dataset('oracle'), file), ORACLE, [...known, ...rows]);
    progress.done();
    return [file];
  },
});

/** @throws UserError where the device has no state that can be copied */
function checkPlayable(config: Config): void {
  const { backend } = config.device as DeviceSettings;
  if (backend !== 'phone')
    throw new UserError(
      `device.backend=${backend}: only the embedded phone can go back to a collected state; run oracle with device.backend=phone`,
    );
  const { kind } = config.judge as JudgeSettings;
  if (kind !== 'state')
    throw new UserError(`judge.kind=${kind}: the oracle needs the exact judge; run it with judge.kind=state`);
}

/** All states that may be measured, in a random order that does not depend on how many are. */
async function drawnStates(ctx: StageContext<Oracle>): Promise<number[]> {
  const steps = await readTransitions(ctx.dataset('trajectories'), 'collect', ['tid', 'trajectory']);
  const { train, validation } = criticSplit(ctx, steps);
  const { from } = ctx.settings;
  const chosen = from === 'training' ? train : validation;
  const tids = steps.filter(({ trajectory }) => from === 'all' || chosen.has(trajectory)).map(({ tid }) => tid);
  return new Random(ctx.seed, 'oracle', 'states').shuffled(tids);
}

/** The rows that a shorter or longer version of the shard has already. */
async function storedRows(shard: OracleShard, ctx: ShardContext<Oracle>): Promise<OracleRow[]> {
  const [prior] = ctx.priors;
  if (!prior) return [];
  const rows = await readTable(join(prior.sets.oracle.folder, FILES.oracle(shard.id)), ORACLE);
  return rows.slice(0, shard.tids.length);
}

/** What every shard reads: the collected steps by tid and by trajectory, and the candidates. */
interface Sources {
  readonly byTid: ReadonlyMap<number, Replayed>;
  readonly byTrajectory: ReadonlyMap<string, readonly Replayed[]>;
  readonly candidates: ReadonlyMap<number, CandidateRow>;
  /** the episodes that were collected */
  readonly played: (episode: number) => PlayedEpisode;
}

function sourcesOf(ctx: StageContext<Oracle>): Promise<Sources> {
  return once(ctx, 'oracle sources', async () => {
    const steps = await readTransitions(ctx.dataset('trajectories'), 'collect', REPLAYED);
    const rows = await readCandidates(ctx.dataset('candidates'), 'candidates');
    return {
      byTid: new Map(steps.map((step) => [step.tid, step])),
      byTrajectory: byTrajectory(steps),
      candidates: new Map(rows.map((row) => [row.tid, row])),
      played: playedEpisodes(ctx.dataset('trajectories'), ctx.config, 'collect some with `critiq collect`'),
    };
  });
}

/** The true values of some states. */
async function measured(
  tids: readonly number[],
  ctx: ShardContext<Oracle>,
  advance: (states: number) => void,
): Promise<OracleRow[]> {
  const { settings, config } = ctx;
  const sources = await sourcesOf(ctx);
  const policy = await policyOf(ctx, policySet(settings.policy));
  const decide = policyDecide(policy, {
    seed: new Random(ctx.seed, 'oracle', 'policy').int(2 ** 31),
    temperature: settings.temperature,
    ...truncationOf(settings),
  });
  const { declare, ask } = config.judge as JudgeSettings;
  const { max_steps } = config.tasks as TaskSettings;
  const starts: Start[] = [];
  const candidates = tids.map((tid) => {
    const state = sources.byTid.get(tid)!;
    const phone = phoneAt(state, ctx, sources);
    const { actions } = sources.candidates.get(tid)!;
    const common = { phone, previous: state.prevAction, steps: max_steps - state.step };
    starts.push({ ...common, key: `${tid}` });
    actions.forEach((text, i) => {
      const parsed = parseAction(text);
      const first = 'invalid' in parsed ? { text } : { text, action: parsed.action };
      starts.push({ ...common, key: `${tid}/${i}`, first });
    });
    return actions.length;
  });
  const { rollouts, gamma } = settings;
  const outcomes = await playOn(starts, { decide, rollouts, declare, ask, signal: ctx.signal });
  const meanReturn = (of: readonly number[]) => meanOf(of.map((outcome) => returnOf(outcome, gamma)));
  let at = 0;
  const rows = tids.map((tid, i): OracleRow => {
    const own = outcomes[at];
    const after = outcomes.slice(at + 1, at + 1 + candidates[i]);
    at += 1 + candidates[i];
    const [v, q] = [meanReturn(own), after.map(meanReturn)];
    return {
      tid,
      rollouts,
      q: q.map(({ mean }) => mean),
      qError: q.map(({ error }) => error),
      v: v.mean,
      vError: v.error,
      outcomes: after.flat(),
      stateOutcomes: own,
    };
  });
  advance(tids.length);
  return rows;
}

/**
 * The phone in a collected state: the episode's actions are done again, and every screen is compared with the recorded one.
 * @throws UserError where they differ
 */
function phoneAt(state: Replayed, ctx: StageContext<Oracle>, { byTrajectory, played }: Sources): Phone {
  const steps = byTrajectory.get(state.trajectory)!;
  const number = Number(state.trajectory);
  const unlike = (what: string) =>
    new UserError(
      `${ctx.dataset('trajectories')}: trajectory ${state.trajectory} ${what}; the oracle needs data that \`critiq collect\` recorded on the embedded phone of this version, with the same tasks.* and seed`,
    );
  if (!Number.isInteger(number)) throw unlike('was not collected by critiq');
  const { task, seed, surprises = DEFAULT_SURPRISES } = played(number);
  if (task.id !== state.task) throw unlike(`has task ${state.task}, but ${task.id} is expected`);
  const phone = new Phone('oracle', { surprises });
  phone.begin(task, seed);
  for (const { step, action, image } of steps) {
    if (imageId(phone.frame()) !== image) throw unlike(`shows another screen at step ${step} when it is replayed`);
    if (step === state.step) break;
    const parsed = parseAction(action);
    if (!('invalid' in parsed)) phone.apply(parsed.action);
  }
  return phone;
}
