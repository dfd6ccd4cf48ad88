import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { removeInside } from '../../src/data/store/inside.js';
import PQueue from 'p-queue';
import { z } from 'zod';
import type { Rollout } from '../../src/agents/rollout.js';
import { counted } from '../../src/counted.js';
import { writeAtomic } from '../../src/data/store/atomic.js';
import { ImageStore } from '../../src/data/images.js';
import type { Episode } from '../../src/data/store/journal.js';
import { UserError } from '../../src/errors.js';
import type { Verdict } from '../../src/judges/judge.js';
import { film, videoKind } from '../../src/recordings/film.js';
import { FILMED, filmedEpisode, filmedEpisodes, type FilmedEpisode } from '../../src/recordings/filmed.js';
import type { Display } from '../../src/runner/display.js';
import { Interrupted } from '../../src/runner/execute.js';
import { datasetFolder } from '../../src/runner/instance.js';
import { readPlan } from '../../src/runner/outputs.js';
import type { StageContext } from '../../src/runner/stage.js';
import type { Config } from '../../src/settings/settings.js';
import { readTransitions } from '../datasets.js';
import { imagesOf } from '../resources.js';

export const RecordingSettings = z.object({
  keep: z
    .enum(['off', 'failures', 'all'])
    .default('off')
    .describe(
      'episodes to keep a video of, in `recordings/<data set>/` of the run folder: none, those that did not succeed, or all (docs/recordings.md)',
    ),
  stages: z
    .array(z.string())
    .default(['collect', 'eval', 'online'])
    .describe('stages whose episodes are recorded; `critiq record` makes videos of other stages'),
  source: z
    .enum(['frames', 'device'])
    .default('frames')
    .describe(
      "source of the video: the screenshots, with the actions drawn in, or the device's own recording if it can make one (otherwise the screenshots)",
    ),
  format: z
    .enum(['webm', 'webp'])
    .default('webm')
    .describe('format of videos from screenshots: WebM, or an animated WebP that plays once wherever images are shown'),
  seconds: z.number().min(0.1).max(60).default(1.2).describe('seconds per step in the video'),
  fps: z
    .number()
    .min(0)
    .max(30)
    .default(5)
    .describe('frames per second while an action is drawn; each takes about 15 ms to make. 0: one frame per action'),
  width: z
    .int()
    .min(64)
    .max(2000)
    .default(360)
    .describe('maximum width of the screen in the video, in pixels; larger screens are scaled down'),
  quality: z.int().min(1).max(99).default(75).describe('image quality of the frames'),
});
export type RecordingSettings = z.infer<typeof RecordingSettings>;

const settingsOf = (config: Config): RecordingSettings => config.recordings as RecordingSettings;

const KINDS = ['webm', 'webp', 'mp4'];

/** The folder of a data set's recordings. */
function recordingsFolder(config: Config, dataset: string): string {
  return datasetFolder(config, join('recordings', dataset));
}

/** The episodes that have a recording, with the name of its file. */
function recorded(folder: string): Map<string, string> {
  const found = new Map<string, string>();
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return found;
    throw error;
  }
  for (const name of names) {
    const match = /^(.+)\.(\w+)$/.exec(name);
    if (match && KINDS.includes(match[2])) found.set(match[1], name);
  }
  return found;
}

/** Whether to keep a recording of an episode with this verdict. */
function wanted(keep: RecordingSettings['keep'], verdict: Verdict): boolean {
  return keep === 'all' || (keep === 'failures' && verdict !== 'success');
}

/**
 * Makes the recordings of a shard while its episodes run, one at a time and from the stored screenshots, so that no video
 * waits in memory and a killed run resumes with the missing ones. A recording that fails is a warning, nothing more.
 */
export class Recorder {
  /** whether devices record their screens themselves */
  readonly byDevice: boolean;
  private readonly queue = new PQueue({ concurrency: 1 });
  private readonly folder: string;
  private failures = 0;

  /**
   * The recorder of a stage's data set; undefined if no recordings are kept.
   * @param dataset name of the folder below `recordings/`
   */
  static async open(ctx: StageContext<unknown>, dataset: string): Promise<Recorder | undefined> {
    const settings = settingsOf(ctx.config);
    const [stage] = ctx.instance.split('/');
    if (settings.keep === 'off' || !settings.stages.includes(stage)) return undefined;
    return new Recorder(ctx, dataset, settings, await imagesOf(ctx));
  }

  private constructor(
    private readonly ctx: StageContext<unknown>,
    dataset: string,
    private readonly settings: RecordingSettings,
    private readonly images: ImageStore,
  ) {
    this.folder = recordingsFolder(ctx.config, dataset);
    this.byDevice = settings.source === 'device';
  }

  /**
   * Removes outdated recordings and makes those that a killed run left out.
   * @param ids the episodes of the shard
   * @param done those that have already ended
   */
  begin(ids: Iterable<string>, done: readonly Episode[]): void {
    const there = recorded(this.folder);
    const kept = new Set(done.map(({ episode }) => episode));
    for (const id of ids) {
      const file = there.get(id);
      // the episode runs again, so the old recording would show another one
      if (file !== undefined && !kept.has(id)) removeInside(this.folder, file, this.folder);
    }
    for (const episode of done) if (!there.has(episode.episode)) this.add(filmedEpisode(episode));
  }

  /** An episode that has just ended. */
  ended({ episode, verdict, film: own }: Rollout): void {
    this.add(filmedEpisode(episode, verdict), own);
  }

  /** Waits for all recordings. */
  async finish(): Promise<void> {
    const left = this.queue.size + this.queue.pending;
    if (left > 1) {
      const progress = this.ctx.progress(left, 'recordings');
      this.queue.on('next', () => progress.advance());
      await this.queue.onIdle();
      progress.done();
    }
    await this.queue.onIdle();
    if (this.failures > 0) this.ctx.log.warn(`${counted(this.failures, 'episode')} not recorded`);
  }

  /** Makes no more recordings; a resumed stage makes the missing ones. */
  async stop(): Promise<void> {
    this.queue.clear();
    await this.queue.onIdle();
  }

  private add(episode: FilmedEpisode, own?: Uint8Array): void {
    if (!wanted(this.settings.keep, episode.verdict)) return;
    const { signal, log } = this.ctx;
    void this.queue.add(async () => {
      try {
        await keepFilm(this.folder, episode, this.images, this.settings, { signal, own });
      } catch (error) {
        if (signal.aborted) return;
        if (this.failures++ === 0) log.warn(`episode ${episode.episode} not recorded: ${(error as Error).message}`);
      }
    });
  }
}

/** Writes the recording of an episode: the device's own if browsers can play it, otherwise one made from its screens. */
async function keepFilm(
  folder: string,
  episode: FilmedEpisode,
  images: ImageStore,
  settings: RecordingSettings,
  { signal, own }: { signal: AbortSignal; own?: Uint8Array },
): Promise<void> {
  const kind = own && videoKind(own);
  if (own && kind) {
    await writeAtomic(join(folder, `${episode.episode}.${kind}`), own);
    return;
  }
  const bytes = await film(episode, (id) => images.get(id), { ...settings, signal });
  await writeAtomic(join(folder, `${episode.episode}.${settings.format}`), bytes);
}

/** Result of `critiq record`. */
export interface Recorded {
  readonly folder: string;
  readonly made: number;
  /** recordings that already existed */
  readonly kept: number;
}

export interface RecordOptions {
  /** a data set of episodes: trajectories, demos, eval/... */
  readonly dataset: string;
  /** numbers and ranges, for example `3,7,10-20`; undefined: all */
  readonly episodes?: string;
  /** only those that did not succeed */
  readonly failures: boolean;
  /** remake existing recordings */
  readonly force: boolean;
}

/**
 * `critiq record`: videos of finished episodes from their stored screenshots. It can be interrupted and resumed.
 * @throws UserError if there are no such episodes
 */
export async function record(
  config: Config,
  { dataset, episodes, failures, force }: RecordOptions,
  { display, signal }: { display: Display; signal: AbortSignal },
): Promise<Recorded> {
  const source = datasetFolder(config, dataset);
  const plan = readPlan(source);
  if (!plan) throw new UserError(`${source}: no episodes; choose a --dataset that demos, collect or eval built`);
  const settings = { ...settingsOf(config), keep: failures ? 'failures' : 'all' } as const;
  const chosen = episodes === undefined ? undefined : numbers(episodes);
  const rows = await readTransitions(source, plan.stage, FILMED);
  const all = filmedEpisodes(rows).filter(({ episode, verdict }) => {
    return wanted(settings.keep, verdict) && (chosen?.(Number(episode)) ?? true);
  });
  if (all.length === 0) throw new UserError(`${source}: no episode matches; change --episodes or drop --failures`);
  const folder = recordingsFolder(config, dataset);
  const there = recorded(folder);
  const missing = all.filter(({ episode }) => force || !there.has(episode));
  const images = new ImageStore(datasetFolder(config, 'images'));
  const progress = display.progress(missing.length, 'record: episodes');
  try {
    // two at a time: one is drawn while the other is encoded
    const queue = new PQueue({ concurrency: 2 });
    await queue.addAll(
      missing.map((episode) => async () => {
        if (signal.aborted) return;
        await keepFilm(folder, episode, images, settings, { signal });
        const before = there.get(episode.episode);
        if (before !== undefined && before !== `${episode.episode}.${settings.format}`)
          removeInside(folder, before, folder);
        progress.advance();
      }),
    );
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    progress.done();
  }
  if (signal.aborted)
    throw new Interrupted('record: stopped; finished videos are kept: run the same command again to resume');
  return { folder, made: missing.length, kept: all.length - missing.length };
}

/** Whether a number is in a list such as `3,7,10-20`. @throws UserError */
function numbers(list: string): (n: number) => boolean {
  const ranges = list.split(',').map((part) => {
    const match = /^\s*(\d{1,9})(?:-(\d{1,9}))?\s*$/.exec(part);
    if (!match)
      throw new UserError(`--episodes: expected numbers and ranges such as 3,7,10-20, got ${JSON.stringify(list)}`);
    return [Number(match[1]), Number(match[2] ?? match[1])] as const;
  });
  return (n) => ranges.some(([from, to]) => n >= from && n <= to);
}
