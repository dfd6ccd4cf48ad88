import { join } from 'node:path';
import { actionColumns } from '../../src/agents/action-columns.js';
import {
  rollout,
  type Agent,
  type EpisodePlan,
  type LostEpisode,
  type Rollout,
  type RolloutOptions,
} from '../../src/agents/rollout.js';
import { counted } from '../../src/counted.js';
import { writeAtomic } from '../../src/data/store/atomic.js';
import type { ImageStore } from '../../src/data/images.js';
import { Journal, type Episode } from '../../src/data/store/journal.js';
import { openDataset } from '../../src/data/store/manifest.js';
import { writeTable } from '../../src/data/tables.js';
import { TRANSITIONS, toTransitions } from '../../src/data/transitions.js';
import type { Task } from '../../src/data/task.js';
import type { DevicePool } from '../../src/devices/pool/pool.js';
import type { Judge } from '../../src/judges/judge.js';
import type { VisionTower } from '../../src/models/vision.js';
import type { DatasetOutput, Shard, ShardContext, StageContext } from '../../src/runner/stage.js';
import { FILES } from '../datasets.js';
import { disturbedEpisodes, outOfOrder, tellEvent, type Disturbed } from './episode-faults.js';
import { Recorder } from './recordings.js';
import { joined, storedEpisodes } from './stored.js';
import { writeScreenVectors } from './vectors.js';
import { imagesOf, openPool } from '../resources.js';
import type { DeviceSettings, TaskSettings } from '../sections.js';

/** A range of episode numbers. */
export interface EpisodeShard extends Shard {
  readonly from: number;
  readonly to: number;
}

/** Divides `count` episodes into shards of at most `size`. */
export function episodeShards(count: number, size: number): EpisodeShard[] {
  return Array.from({ length: Math.ceil(count / size) }, (_, i) => ({
    id: String(i).padStart(5, '0'),
    from: i * size,
    to: Math.min(count, (i + 1) * size),
    extent: { episodes: Math.min(count, (i + 1) * size) - i * size },
  }));
}

/** The transitions of episode e are numbered from e × STEPS, so that shards need not know of each other. */
export const STEPS = 1000;

interface CollectOptions {
  readonly agent: Agent;
  /** the columns `policy` and `temperature` of the transitions; null: it has no temperature */
  readonly actor: { readonly policy: string; readonly temperature: number | null };
  readonly judge: Judge;
  /** task of the episode with this number */
  readonly task: (episode: number) => Task;
  /** seed of the device and the agent in this episode */
  readonly seed: (episode: number) => number;
  /** discount of the Monte Carlo returns */
  readonly gamma: number;
  /** store the image vectors of all screens in a data set; the tower computes those that no agent has computed */
  readonly vectors?: { readonly tower: VisionTower; readonly output: string };
  readonly label: string;
}

/**
 * Runs the episodes of a shard and writes them as transitions (and image vectors). Each episode is journalled when it ends,
 * so a killed shard keeps its finished episodes. Episodes that a version of the shard with more or fewer of them has are
 * taken from it, not played again.
 */
export async function collectShard(
  shard: EpisodeShard,
  ctx: ShardContext<unknown>,
  output: string,
  options: CollectOptions,
): Promise<Readonly<Record<string, DatasetOutput>>> {
  const images = await imagesOf(ctx);
  const stored = await storedEpisodes(ctx.priors, shard, output, options.vectors?.output);
  const journal = Journal.open<Episode>(join(ctx.scratch(), 'trajectories.jsonl'));
  const vectors = new Map<string, Float32Array>();
  const count = shard.to - stored.to;
  const fresh = Array.from({ length: count }, (_, i) => stored.to + i);
  const ids = new Set(fresh.map(episodeId));
  // a killed command may have planned more episodes
  const journaled = journal.episodes.filter(({ episode }) => ids.has(episode));
  const plans: EpisodePlan[] = fresh
    .filter((n) => !journal.has(episodeId(n)))
    .map((n) => ({ episode: episodeId(n), task: options.task(n), seed: options.seed(n) }));
  const progress = ctx.progress(
    shard.to - shard.from,
    `${options.label} of shard ${shard.id}`,
    shard.to - shard.from - plans.length,
  );
  const recorder = await Recorder.open(ctx, output);
  recorder?.begin(ids, journaled);
  const unknown: string[] = [];
  let lost: readonly LostEpisode[];
  const pool: DevicePool = openPool(ctx.config, plans.length, {
    signal: ctx.signal,
    onEvent: (event) => {
      tellEvent(ctx.log, event);
      progress.note(outOfOrder(pool));
    },
  });
  try {
    ({ lost } = await rollout({
      ...rolloutOptions(ctx, { pool, agent: options.agent, judge: options.judge, images, recorder }),
      episodes: plans,
      onEpisode: async (rollout: Rollout) => {
        const { episode, verdict, vectors: made } = rollout;
        if (verdict === 'unknown') unknown.push(episode.episode);
        else await journal.append(episode);
        if (options.vectors) for (const [id, vector] of made) vectors.set(id, vector);
        recorder?.ended(rollout);
        progress.advance();
      },
      onLost: () => progress.advance(),
    }));
  } catch (error) {
    await recorder?.stop();
    throw error;
  } finally {
    await pool.close();
    progress.done();
  }
  await recorder?.finish();
  // must not depend on the order in which episodes finished
  unknown.sort();
  if (unknown.length > 0) ctx.log.debug(`not judged: ${unknown.join(', ')}`);
  await images.sync();
  // sort into the order of the plan
  const episodes = journal.episodes
    .filter(({ episode }) => ids.has(episode))
    .sort((a, b) => (a.episode < b.episode ? -1 : 1));
  const disturbed = disturbedEpisodes(episodes, lost, { planned: count, log: ctx.log });
  const folder = ctx.dataset(output);
  const transitions = FILES.transitions(shard.id);
  const rows = [
    ...stored.rows,
    ...episodes.flatMap((episode) =>
      toTransitions(episode, {
        firstTid: Number(episode.episode) * STEPS,
        gamma: options.gamma,
        ...options.actor,
        parse: actionColumns,
      }),
    ),
  ];
  await writeTable(join(folder, transitions), TRANSITIONS, rows, { mcReturn: `discount ${options.gamma}` });
  const successes = episodes.filter(({ reward }) => reward > 0).length;
  const answers = await writeAnswers(folder, shard.id, stored.answers, episodes);
  const made = {
    files: [transitions, ...answers],
    facts: { ...joined(stored.facts, { episodes: episodes.length, successes, unknown, ...disturbed }) },
  };
  if (!options.vectors) return { [output]: made };
  const file = FILES.vectors(shard.id);
  const known = (id: string): Float32Array | undefined => vectors.get(id) ?? stored.vector(id);
  try {
    await writeScreenVectors(join(ctx.dataset(options.vectors.output), file), rows, {
      ...{ known, tower: options.vectors.tower, images },
    });
  } finally {
    stored.close();
  }
  return { [output]: made, [options.vectors.output]: { files: [file] } };
}

/** Writes the answers of a served agent as JSON Lines beside the transitions; no file without a served agent. */
async function writeAnswers(
  folder: string,
  shard: string,
  stored: readonly string[],
  episodes: readonly Episode[],
): Promise<string[]> {
  const fresh = episodes.flatMap(({ episode: trajectory, steps }) =>
    steps.flatMap(({ action, said: answer }, step) =>
      answer === undefined ? [] : [JSON.stringify({ trajectory, step, action, answer })],
    ),
  );
  const lines = [...stored, ...fresh].map((line) => `${line}\n`);
  if (lines.length === 0) return [];
  const file = FILES.answers(shard);
  await writeAtomic(join(folder, file), lines.join(''));
  return [file];
}

/** Options common to all rollouts: limits, attempts, where screens are stored, and who records them. */
export function rolloutOptions(
  ctx: ShardContext<unknown>,
  {
    pool,
    agent,
    judge,
    images,
    recorder,
  }: Pick<RolloutOptions, 'pool' | 'agent' | 'judge'> & { readonly images: ImageStore; readonly recorder?: Recorder },
): Omit<RolloutOptions, 'episodes'> {
  const device = ctx.config.device as DeviceSettings;
  return {
    pool,
    agent,
    judge,
    maxSteps: (ctx.config.tasks as TaskSettings).max_steps,
    deadlineMs: device.deadline_ms,
    attempts: device.attempts,
    keep: (frame) => images.put(frame),
    film: recorder?.byDevice,
    onFilmFailed: ({ message }) => ctx.log.debug(`${message}; recording from the screenshots instead`),
    signal: ctx.signal,
  };
}

/** The judged episodes of a data set (their number), those without a verdict and those lost to device faults. */
export async function judgedEpisodes(
  folder: string,
  stage: string,
): Promise<{ readonly unknown: readonly string[]; readonly lost: readonly string[]; readonly judged: number }> {
  const { shards } = await openDataset(folder, { stage });
  const facts = shards.map(({ facts }) => facts as (Disturbed & { unknown?: string[]; episodes?: number }) | undefined);
  return {
    unknown: facts.flatMap((of) => of?.unknown ?? []),
    lost: facts.flatMap((of) => (of?.lost ?? []).map(({ episode }) => episode)),
    judged: facts.reduce((sum, of) => sum + (of?.episodes ?? 0), 0),
  };
}

/** Says how to repeat episodes without a result: the same command without --force would find its shards done. */
export function sayHowToRepeat(
  ctx: StageContext<unknown>,
  { unknown, lost }: { readonly unknown: readonly string[]; readonly lost: readonly string[] },
): void {
  const count = unknown.length + lost.length;
  if (count === 0) return;
  const known = unknown.length > 0 ? "; the judge's earlier answers are reused" : '';
  ctx.log.info(
    `${counted(count, 'episode')} without a result: run the same command with --force to repeat all episodes of this stage${known}`,
  );
}

/** Sortable name of episode `n`. */
export function episodeId(n: number): string {
  return String(n).padStart(6, '0');
}
