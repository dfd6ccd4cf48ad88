import { setMaxListeners } from 'node:events';
import { join } from 'node:path';
import { rollout, type Agent, type EpisodePlan } from '../../src/agents/rollout.js';
import { Journal, type Episode, type EpisodeFault } from '../../src/data/store/journal.js';
import type { ImageStore } from '../../src/data/images.js';
import type { Task } from '../../src/data/task.js';
import type { DevicePool } from '../../src/devices/pool/pool.js';
import type { Judge } from '../../src/judges/judge.js';
import type { ShardContext } from '../../src/runner/stage.js';
import { episodeId, rolloutOptions } from '../episodes/episodes.js';
import type { Recorder } from '../episodes/recordings.js';
import type { ScreenVectors } from './screens.js';
import type { Online } from './settings.js';

/** The journalled outcome of a planned episode; each episode has exactly one. */
export interface OnlineEpisode {
  readonly episode: string;
  /** `unknown`: no verdict; `lost`: ended by device faults. Neither is used for training. */
  readonly outcome: 'judged' | 'unknown' | 'lost';
  readonly trajectory?: Episode;
  readonly faults?: readonly EpisodeFault[];
}

export interface LiveOptions {
  readonly ctx: ShardContext<Online>;
  readonly pool: DevicePool;
  readonly agent: Agent;
  readonly judge: Judge;
  readonly images: ImageStore;
  readonly screens: ScreenVectors;
  /** task of episode n */
  readonly task: (episode: number) => Task;
  readonly seed: (episode: number) => number;
  /** number of live episodes in the run */
  readonly total: number;
  readonly onEpisode?: () => void;
  /** keeps videos of the episodes */
  readonly recorder?: Recorder;
}

/**
 * The live episodes of a run, journalled when they end. Iteration k gets the k-th group of `rollout_size` episodes: by
 * number, or with `async_rollouts` in the order in which they ended (that of the journal).
 */
export class LiveEpisodes {
  private readonly journal: Journal<OnlineEpisode>;
  private readonly stop = new AbortController();
  private running: Promise<void> | undefined;
  private failure: { readonly error: unknown } | undefined;
  /** called when an episode ends or more episodes are allowed */
  private readonly waiting = new Set<() => void>();
  private allowed = 0;

  constructor(private readonly options: LiveOptions) {
    this.journal = Journal.open<OnlineEpisode>(join(options.ctx.scratch(), 'episodes.jsonl'));
    options.recorder?.begin(
      Array.from({ length: options.total }, (_, n) => episodeId(n)),
      this.journal.episodes.flatMap(({ trajectory }) => (trajectory ? [trajectory] : [])),
    );
  }

  /** number of ended episodes */
  get count(): number {
    return this.journal.episodes.length;
  }

  /** The episodes of iteration `k` (from 0). They are played now, or were played in the background. */
  async take(k: number): Promise<readonly OnlineEpisode[]> {
    const { ctx } = this.options;
    const { rollout_size: size, async_rollouts: ahead } = ctx.settings;
    if (!ahead) {
      const numbers = Array.from({ length: size }, (_, i) => k * size + i);
      await this.play(numbers);
      const own = new Set(numbers.map(episodeId));
      return this.journal.episodes
        .filter(({ episode }) => own.has(episode))
        .sort((a, b) => (a.episode < b.episode ? -1 : 1));
    }
    this.allow(k);
    while (this.count < (k + 1) * size) {
      ctx.signal.throwIfAborted();
      if (this.failure) throw this.failure.error;
      await this.changed(ctx.signal);
    }
    if (this.failure) throw this.failure.error;
    return this.journal.episodes.slice(k * size, (k + 1) * size);
  }

  /** The episodes of the first `iterations` iterations, in the order in which they were taken. */
  taken(iterations: number): readonly (readonly OnlineEpisode[])[] {
    const { rollout_size: size, async_rollouts: ahead } = this.options.ctx.settings;
    const all = ahead
      ? this.journal.episodes
      : [...this.journal.episodes].sort((a, b) => (a.episode < b.episode ? -1 : 1));
    return Array.from({ length: iterations }, (_, k) => all.slice(k * size, (k + 1) * size));
  }

  /** Stops running episodes. */
  async close(): Promise<void> {
    this.stop.abort(new Error('no more episodes are needed'));
    await this.running;
  }

  /** Allows the episodes that iteration k needs, and those ahead of it as far as `max_age` permits. */
  private allow(k: number): void {
    const { ctx, pool, total } = this.options;
    const { rollout_size: size, max_age: age } = ctx.settings;
    this.allowed = Math.min(total, (k + 1 + age) * size);
    if (this.running) return this.notify();
    const missing = Array.from({ length: total }, (_, n) => n).filter((n) => !this.journal.has(episodeId(n)));
    let next = 0;
    const signal = AbortSignal.any([ctx.signal, this.stop.signal]);
    // every device's worker listens
    setMaxListeners(0, signal);
    const worker = async (): Promise<void> => {
      while (next < missing.length && !signal.aborted) {
        if (missing[next] >= this.allowed) {
          await this.changed(signal);
          continue;
        }
        await this.run([missing[next++]], signal);
      }
    };
    const failed = (error: unknown): void => {
      if (!signal.aborted) this.failure = { error };
      this.stop.abort(error);
      this.notify();
    };
    this.running = Promise.all(Array.from({ length: pool.count }, () => worker().catch(failed))).then(() => undefined);
  }

  /** Resolves when an episode ended, more episodes are allowed, or no more will be played. */
  private changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const done = () => {
        this.waiting.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      this.waiting.add(done);
      signal.addEventListener('abort', done, { once: true });
    });
  }

  private notify(): void {
    for (const done of [...this.waiting]) done();
  }

  private async play(numbers: readonly number[]): Promise<void> {
    const missing = numbers.filter((n) => !this.journal.has(episodeId(n)));
    if (missing.length > 0) await this.run(missing, this.options.ctx.signal);
  }

  private async run(numbers: readonly number[], signal: AbortSignal): Promise<void> {
    const { ctx, screens, task, seed, recorder } = this.options;
    const plans: EpisodePlan[] = numbers.map((n) => ({ episode: episodeId(n), task: task(n), seed: seed(n) }));
    await rollout({
      ...rolloutOptions(ctx, this.options),
      episodes: plans,
      signal,
      onEpisode: async (ended) => {
        const { episode: trajectory, verdict, vectors } = ended;
        const { episode } = trajectory;
        await this.journal.append(
          verdict === 'unknown' ? { episode, outcome: 'unknown' } : { episode, outcome: 'judged', trajectory },
        );
        screens.add(vectors);
        recorder?.ended(ended);
        this.options.onEpisode?.();
        this.notify();
      },
      onLost: async ({ episode, faults }) => {
        const { device, call, reason } = faults.at(-1)!;
        ctx.log.warn(`episode ${episode} lost: ${device}: ${call}: ${reason}`);
        await this.journal.append({ episode, outcome: 'lost', faults });
        this.options.onEpisode?.();
        this.notify();
      },
    });
  }
}
