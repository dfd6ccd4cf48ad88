import type { z } from 'zod';
import type { FileRecord } from '../data/store/integrity.js';
import type { Config } from '../settings/settings.js';
import type { Log, Progress } from './display.js';
import type { ShardMetrics } from './metrics.js';

/** A piece of a stage's work: committed whole or not at all. Whatever else `run` needs may be put beside `id`. */
export interface Shard {
  /** unique in the stage: letters, digits, `_ . + -` */
  readonly id: string;
  /**
   * The shards of input data sets that this one is made from. It is redone when these change; a data set that is not
   * named here counts whole.
   */
  readonly inputs?: Readonly<Record<string, readonly string[]>>;
}

/** A file of a data set, below its folder: its name (bytes, rows and CRC are then read back), or the whole record. */
export type OutputFile = string | FileRecord;

export interface DatasetOutput {
  readonly files: readonly OutputFile[];
  /** whatever the stage wants to remember with the shard; must not depend on time or order */
  readonly facts?: Readonly<Record<string, unknown>>;
}

/** What a shard made: the files of the stage's only output, or the files by data set. */
export type ShardOutput = readonly OutputFile[] | Readonly<Record<string, readonly OutputFile[] | DatasetOutput>>;

/** What `plan`, `run` and `finish` get. */
export interface StageContext<S> {
  /** the stage's own settings */
  readonly settings: S;
  /** all resolved settings */
  readonly config: Config;
  readonly seed: number;
  /** name of this instance, for example `actor/digiq` */
  readonly instance: string;
  /** the run folder */
  readonly folder: string;
  /** the folder of a data set of this run */
  dataset(name: string): string;
  /** threads that the numeric runtime may use in each shard */
  readonly threads: number;
  readonly log: Log;
  /** a count with rate and time left; `at`: what an earlier run did already */
  progress(total: number, label: string, at?: number): Progress;
  /** aborted by Ctrl-C, SIGTERM or a failed shard beside this one: return or throw soon, leaving `scratch` good */
  readonly signal: AbortSignal;
}

export interface ShardContext<S> extends StageContext<S> {
  readonly metrics: ShardMetrics;
  /** a folder for checkpoints: there after a kill as long as inputs and settings are the same, gone with the commit */
  scratch(): string;
}

export interface StageDefinition<S extends z.ZodObject, T extends Shard> {
  /** the command, and the section of the settings */
  readonly name: string;
  /** one line for `critiq --help` */
  readonly summary: string;
  /** version of what it writes: raise it when the same settings and inputs give something else; default 1 */
  readonly version?: number;
  /** every field with `.default()` and `.describe()` */
  readonly settings: S;
  /** other settings that enter the fingerprint, for example `seed`, `models`, `phone.slow` */
  readonly uses?: readonly string[];
  /**
   * What else of the settings, or of the files they name, enters the fingerprint, by name: where it depends on other
   * settings which of them matter
   */
  derived?(config: Config): Readonly<Record<string, unknown>>;
  /** own settings that don't change what a shard holds (how many shards there are, how fast they are made) */
  readonly neutral?: readonly (keyof z.infer<S> & string)[];
  /** shards at the same time with these settings, where the settings `workers` must not decide that */
  workers?(settings: z.infer<S>, config: Config): number | undefined;
  /** name of the instance that these settings make; default the stage's name */
  instance?(settings: z.infer<S>, config: Config): string;
  /** data sets that are read */
  inputs?(settings: z.infer<S>, config: Config): readonly string[];
  /** data sets that are written */
  outputs(settings: z.infer<S>, config: Config): readonly string[];
  /**
   * Settings (by dotted path) with which this stage would make a data set that `outputs` does not name now: lets
   * `eval.policy=filteredbc` find the actor that makes `policy/filteredbc`. Undefined: it never makes it.
   */
  provides?(dataset: string, config: Config): Readonly<Record<string, unknown>> | undefined;
  plan(ctx: StageContext<z.infer<S>>): Promise<readonly T[]> | readonly T[];
  /** Writes the files (each by `writeAtomic` or the like) and names them; the runner commits them. */
  run(shard: T, ctx: ShardContext<z.infer<S>>): Promise<ShardOutput>;
  /** After all shards are committed; done again after a kill, so it must be repeatable. */
  finish?(ctx: StageContext<z.infer<S>>): Promise<void>;
}

/** A stage as the runner sees it: every function takes the whole settings. */
export interface Stage {
  readonly name: string;
  readonly summary: string;
  readonly version: number;
  readonly schema: z.ZodObject;
  readonly uses: readonly string[];
  readonly neutral: readonly string[];
  derived(config: Config): Readonly<Record<string, unknown>>;
  settings(config: Config): Readonly<Record<string, unknown>>;
  /** undefined: as many as the settings say */
  workers(config: Config): number | undefined;
  instance(config: Config): string;
  inputs(config: Config): readonly string[];
  outputs(config: Config): readonly string[];
  provides(dataset: string, config: Config): Readonly<Record<string, unknown>> | undefined;
  plan(ctx: StageContext<unknown>): Promise<readonly Shard[]>;
  run(shard: Shard, ctx: ShardContext<unknown>): Promise<ShardOutput>;
  finish(ctx: StageContext<unknown>): Promise<void>;
}

/** Makes a stage: a plan and a shard function; running, resuming, locking, progress and manifests are the runner's. */
export function stage<S extends z.ZodObject, T extends Shard>(definition: StageDefinition<S, T>): Stage {
  const { name, summary, version = 1, uses = [], neutral = [] } = definition;
  const own = (config: Config): z.infer<S> => config[name] as z.infer<S>;
  return {
    name,
    summary,
    version,
    schema: definition.settings,
    uses,
    neutral: ['workers', ...neutral],
    derived: (config) => definition.derived?.(config) ?? {},
    settings: (config) => own(config) as Record<string, unknown>,
    workers: (config) => definition.workers?.(own(config), config),
    instance: (config) => definition.instance?.(own(config), config) ?? name,
    inputs: (config) => definition.inputs?.(own(config), config) ?? [],
    outputs: (config) => definition.outputs(own(config), config),
    provides: (dataset, config) => definition.provides?.(dataset, config),
    plan: async (ctx) => definition.plan(ctx as StageContext<z.infer<S>>),
    run: async (shard, ctx) => definition.run(shard as T, ctx as ShardContext<z.infer<S>>),
    finish: async (ctx) => definition.finish?.(ctx as StageContext<z.infer<S>>),
  };
}
