import type { z } from 'zod';
import type { FileRecord } from '../data/store/integrity.js';
import type { Config } from '../settings/settings.js';
import type { Log, Progress } from './display.js';
import type { ShardMetrics } from './metrics.js';

/** How much a shard holds, by what is counted, for example `{ episodes: 24 }`. */
export type Extent = Readonly<Record<string, number>>;

/** A piece of a stage's work, committed as a whole or not at all. A stage may add whatever else `run` needs. */
export interface Shard {
  /** unique in the stage: letters, digits, `_ . + -` */
  readonly id: string;
  /**
   * The shards of input data sets that this one is built from. It is rebuilt when they change. Of a data set that is not
   * named here, all shards count.
   */
  readonly inputs?: Readonly<Record<string, readonly string[]>>;
  /** how much it holds; a shard of another extent is extended or cut, not replaced (`StageDefinition.counts`) */
  readonly extent?: Extent;
}

/** A finished version of a shard with another extent, built from the same settings; its files were checked. */
export interface Prior {
  readonly extent: Extent;
  /** its files by data set */
  readonly sets: Readonly<Record<string, PriorSet>>;
  /** the folder that `ShardContext.keep` returned when it was built; undefined if nothing was kept */
  readonly state?: string;
}

export interface PriorSet {
  /** where its files are now */
  readonly folder: string;
  readonly files: readonly FileRecord[];
  readonly facts?: Readonly<Record<string, unknown>>;
}

/** A file of a data set, relative to its folder: its name (size, rows and CRC are then read back), or the whole record. */
export type OutputFile = string | FileRecord;

export interface DatasetOutput {
  readonly files: readonly OutputFile[];
  /** facts to store with the shard; must not depend on time or order */
  readonly facts?: Readonly<Record<string, unknown>>;
}

/** The result of a shard: the files of the stage's only output, or the files by data set. */
export type ShardOutput = readonly OutputFile[] | Readonly<Record<string, readonly OutputFile[] | DatasetOutput>>;

/** The argument of `plan`, `run` and `finish`. */
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
  /** threads of the numeric runtime for each shard */
  readonly threads: number;
  readonly log: Log;
  /** starts a progress display with rate and time left; `at`: the part that an earlier run did */
  progress(total: number, label: string, at?: number): Progress;
  /** aborted by Ctrl-C, SIGTERM or a failed parallel shard: return or throw soon, and leave `scratch` consistent */
  readonly signal: AbortSignal;
}

export interface ShardContext<S> extends StageContext<S> {
  readonly metrics: ShardMetrics;
  /** a folder for checkpoints: survives a kill while inputs and settings stay the same, removed at the commit */
  scratch(): string;
  /** versions of this shard to extend or cut, the longest first; empty: the shard is built from nothing */
  readonly priors: readonly Prior[];
  /** a folder for what a longer version needs to go on, such as the state of an optimizer; kept beside the result */
  keep(): string;
}

export interface StageDefinition<S extends z.ZodObject, T extends Shard> {
  /** name of the command and of the settings section */
  readonly name: string;
  /** one line for `critiq --help` */
  readonly summary: string;
  /** version of the output: raise it when the same settings and inputs give another result; default 1 */
  readonly version?: number;
  /** every field with `.default()` and `.describe()` */
  readonly settings: S;
  /** other settings that enter the fingerprint, for example `seed`, `models.text` */
  readonly uses?: readonly string[];
  /**
   * Further values for the fingerprint, by name: where other settings decide which settings matter, or for the content of
   * files that settings name.
   */
  derived?(config: Config): Readonly<Record<string, unknown>>;
  /** own settings that do not affect the content of a shard (number of shards, speed) */
  readonly neutral?: readonly (keyof z.infer<S> & string)[];
  /**
   * Own settings that only say how much is built: with another value the shards that stay are extended or cut, and no other
   * result changes. They are recorded, but do not enter the fingerprint; `Shard.extent` says what they mean for a shard.
   */
  counts?(settings: z.infer<S>): readonly (keyof z.infer<S> & string)[];
  /**
   * `rows`: a longer shard begins with the rows of the shorter one. `training`: it goes on from the state that the shorter
   * one kept, and replaces its numbers; the shorter one is then kept as a version of its own. @default rows
   */
  readonly growth?: 'rows' | 'training';
  /** own settings that sound like a count but are none, with the reason: why another value is another result */
  startsOver?(settings: z.infer<S>): Readonly<Record<string, string>>;
  /** an older `version` whose results still count as up to date, but are not extended */
  readonly accepts?: number;
  /** only shows other results (a report): it is rebuilt without asking, and no replaced version is kept; default false */
  readonly view?: boolean;
  /**
   * The stage makes results of several names with different settings (policies, evaluations). Settings that a command gives
   * for a named result hold for it alone: those of the stage's own section, and of these sections. The settings that name a
   * result are marked with the scope `result`. Other stages take such a result as it was built.
   */
  readonly results?: { readonly sections: readonly string[] };
  /** number of parallel shards, where the setting `workers` must not decide it */
  workers?(settings: z.infer<S>, config: Config): number | undefined;
  /** name of the instance with these settings; default the stage's name */
  instance?(settings: z.infer<S>, config: Config): string;
  /** data sets that it reads */
  inputs?(settings: z.infer<S>, config: Config): readonly string[];
  /** data sets that it writes */
  outputs(settings: z.infer<S>, config: Config): readonly string[];
  /**
   * Settings (by dotted path) with which this stage would build a data set that `outputs` does not name now: this is how
   * `eval.policy=filteredbc` finds the actor that builds `policy/filteredbc`. Undefined: it never builds it.
   */
  provides?(dataset: string, config: Config): Readonly<Record<string, unknown>> | undefined;
  /**
   * Looks whether what the settings name is there (a model's folder), before this stage or one of those that build its
   * inputs works. @param dataset gives the folder of a data set @throws UserError
   */
  check?(settings: z.infer<S>, config: Config, dataset: (name: string) => string): Promise<void> | void;
  plan(ctx: StageContext<z.infer<S>>): Promise<readonly T[]> | readonly T[];
  /** Writes the files (each atomically, for example by `writeAtomic`) and names them; the runner commits them. */
  run(shard: T, ctx: ShardContext<z.infer<S>>): Promise<ShardOutput>;
  /** Called after all shards are committed; called again after a kill, so it must be repeatable. */
  finish?(ctx: StageContext<z.infer<S>>): Promise<void>;
}

/** A stage as the runner sees it: every function takes all settings. */
export interface Stage {
  readonly name: string;
  readonly summary: string;
  readonly version: number;
  readonly schema: z.ZodObject;
  readonly uses: readonly string[];
  readonly neutral: readonly string[];
  readonly view: boolean;
  readonly growth: 'rows' | 'training';
  readonly accepts: number | undefined;
  counts(config: Config): readonly string[];
  startsOver(config: Config): Readonly<Record<string, string>>;
  readonly results: { readonly sections: readonly string[] } | undefined;
  derived(config: Config): Readonly<Record<string, unknown>>;
  settings(config: Config): Readonly<Record<string, unknown>>;
  /** undefined: the setting `workers` decides */
  workers(config: Config): number | undefined;
  instance(config: Config): string;
  inputs(config: Config): readonly string[];
  outputs(config: Config): readonly string[];
  provides(dataset: string, config: Config): Readonly<Record<string, unknown>> | undefined;
  check(config: Config, dataset: (name: string) => string): Promise<void>;
  plan(ctx: StageContext<unknown>): Promise<readonly Shard[]>;
  run(shard: Shard, ctx: ShardContext<unknown>): Promise<ShardOutput>;
  finish(ctx: StageContext<unknown>): Promise<void>;
}

/** Defines a stage by a plan and a shard function; the runner does the running, resuming, locking and bookkeeping. */
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
    view: definition.view ?? false,
    growth: definition.growth ?? 'rows',
    accepts: definition.accepts,
    startsOver: (config) => definition.startsOver?.(own(config)) ?? {},
    counts: (config) => definition.counts?.(own(config)) ?? [],
    results: definition.results,
    derived: (config) => definition.derived?.(config) ?? {},
    settings: (config) => own(config) as Record<string, unknown>,
    workers: (config) => definition.workers?.(own(config), config),
    instance: (config) => definition.instance?.(own(config), config) ?? name,
    inputs: (config) => definition.inputs?.(own(config), config) ?? [],
    outputs: (config) => definition.outputs(own(config), config),
    provides: (dataset, config) => definition.provides?.(dataset, config),
    check: async (config, dataset) => definition.check?.(own(config), config, dataset),
    plan: async (ctx) => definition.plan(ctx as StageContext<z.infer<S>>),
    run: async (shard, ctx) => definition.run(shard as T, ctx as ShardContext<z.infer<S>>),
    finish: async (ctx) => definition.finish?.(ctx as StageContext<z.infer<S>>),
  };
}
