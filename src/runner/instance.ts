import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fingerprint } from '../data/store/manifest.js';
import { withoutAdded } from '../settings/schema.js';
import type { Config } from '../settings/settings.js';
import type { Display } from './display.js';
import { contentFingerprint, type Fingerprints, Output, type PlanRecord, readManifest } from './outputs.js';
import { datasetPath } from './reference.js';
import type { Shard, Stage, StageContext } from './stage.js';

/** The run folder of the settings. */
export function runFolder(config: Config): string {
  return join(config.data, config.run);
}

/**
 * The folder of a data set of the run, or of another one (`exp8:policy/digiq`); `.` is the run folder itself.
 * @throws UserError for a path that leaves the folder of its run
 */
export function datasetFolder(config: Config, name: string): string {
  return datasetPath(config.data, config.run, name);
}

const SHARD_ID = /^[\w+-][\w.+-]{0,119}$/;
/** Each worker holds a runtime and the models: more are started only if the settings ask for them. */
const MOST_WORKERS = 8;

const INSTANCE = /^[\w+-][\w.+-]*(\/[\w+-][\w.+-]*)*$/;

/** A stage with its settings: what it reads, what it writes, and which of its shards are done. */
export class Instance {
  readonly name: string;
  readonly folder: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly Output[];
  /** the settings that affect the content of a shard, as recorded in the plan */
  readonly settings: Readonly<Record<string, unknown>>;
  /** maximum number of parallel shards */
  readonly workers: number;
  private readonly settingsFingerprint: string;
  private readonly manifests = new Map<string, ReturnType<typeof readManifest>>();

  constructor(
    readonly stage: Stage,
    readonly config: Config,
  ) {
    const own = stage.settings(config);
    this.name = stage.instance(config);
    if (!INSTANCE.test(this.name))
      throw new Error(`stage ${stage.name}: instance name ${JSON.stringify(this.name)} is not a path of plain names`);
    this.folder = runFolder(config);
    this.inputs = stage.inputs(config);
    this.outputs = stage.outputs(config).map((name) => new Output(name, datasetFolder(config, name)));
    const telling = Object.entries(withoutAdded(stage.schema, own)).filter(([key]) => !stage.neutral.includes(key));
    const used = stage.uses.map((path) => [path, settingAt(config, path)] as const);
    this.settings = {
      [stage.name]: Object.fromEntries(telling),
      ...Object.fromEntries(used),
      ...stage.derived(config),
    };
    this.settingsFingerprint = fingerprint([stage.name, stage.version, this.settings]);
    const workers = stage.workers(config) ?? (typeof own.workers === 'number' ? own.workers : config.workers);
    this.workers = workers || Math.min(MOST_WORKERS, availableParallelism());
  }

  /** What the manifest line of a shard must say for the shard to be done. */
  fingerprints(shard: Shard): Fingerprints {
    const inputs = this.inputs.map((name) => [name, contentFingerprint(this.manifest(name), shard.inputs?.[name])]);
    return { inputs: fingerprint(inputs), settings: this.settingsFingerprint };
  }

  /** Ids of the committed shards of an input. */
  inputShards(name: string): string[] {
    return [...this.manifest(name).keys()];
  }

  isDone(shard: Shard): boolean {
    const wanted = this.fingerprints(shard);
    return this.outputs.every((output) => output.has(shard.id, wanted));
  }

  /** All shards of the stage, with valid and unique ids. */
  async plan(context: StageContext<unknown>): Promise<readonly Shard[]> {
    const shards = await this.stage.plan(context);
    const seen = new Set<string>();
    for (const { id } of shards) {
      if (!SHARD_ID.test(id) || seen.has(id)) {
        throw new Error(
          `stage ${this.stage.name}: shard id ${JSON.stringify(id)} is ${seen.has(id) ? 'used twice' : 'not a plain name'}`,
        );
      }
      seen.add(id);
    }
    return shards;
  }

  planRecord(shards: readonly Shard[], finished: boolean): PlanRecord {
    return {
      stage: this.stage.name,
      instance: this.name,
      settings: this.settings,
      shards: shards.map(({ id }) => id),
      finished,
    };
  }

  /** Threads of the numeric runtime for each shard of a stage with `shards` of them (done or not). */
  threads(shards: number): number {
    const total = this.config.threads || availableParallelism();
    return Math.max(1, Math.floor(total / Math.max(1, Math.min(this.workers, shards))));
  }

  /** @param shards number of shards of the stage, if known */
  context(display: Display, signal: AbortSignal, shards = 1): StageContext<unknown> {
    return {
      settings: this.stage.settings(this.config),
      config: this.config,
      seed: this.config.seed,
      instance: this.name,
      folder: this.folder,
      dataset: (name) => datasetFolder(this.config, name),
      threads: this.threads(shards),
      log: {
        debug: (line) => display.debug(`${this.name}: ${line}`),
        info: (line) => display.info(`${this.name}: ${line}`),
        warn: (line) => display.warn(`${this.name}: ${line}`),
      },
      progress: (total, label, at) => display.progress(total, `${this.name}: ${label}`, at),
      signal,
    };
  }

  private manifest(name: string): ReturnType<typeof readManifest> {
    let lines = this.manifests.get(name);
    if (!lines) {
      lines = readManifest(datasetFolder(this.config, name));
      this.manifests.set(name, lines);
    }
    return lines;
  }
}

function settingAt(config: Config, path: string): unknown {
  let at: unknown = config;
  for (const key of path.split('.')) {
    if (typeof at !== 'object' || at === null || !(key in at))
      throw new Error(`a stage uses the setting ${path}, which does not exist`);
    at = (at as Record<string, unknown>)[key];
  }
  return at;
}
