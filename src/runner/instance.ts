import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { UserError } from '../errors.js';
import { fingerprint, type Shard as Line } from '../data/store/manifest.js';
import { withoutAdded } from '../settings/schema.js';
import type { Config } from '../settings/settings.js';
import type { Display } from './display.js';
import { contentFingerprint, type Fingerprints, Output, type PlanRecord, readManifest, readPlan } from './outputs.js';
import { Parts } from './parts.js';
import { datasetPath } from './reference.js';
import type { Extent, Shard, Stage, StageContext } from './stage.js';

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

/** Combinations of earlier contents of a shard's inputs that are tried. */
const MOST_COMBINATIONS = 1000;

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
  /** own settings that only say how much is built */
  private readonly counts: readonly string[];
  private readonly manifests = new Map<string, ReturnType<typeof readManifest>>();

  /** the settings of the run, with the seed of this stage (`seeds.<stage>`) as `seed` */
  readonly config: Config;

  constructor(
    readonly stage: Stage,
    run: Config,
  ) {
    const seed = (run.seeds as Config['seeds'] | undefined)?.[stage.name];
    const config = seed === undefined || seed === run.seed ? run : Object.freeze({ ...run, seed });
    this.config = config;
    const own = stage.settings(config);
    this.name = stage.instance(config);
    if (!INSTANCE.test(this.name))
      throw new UserError(
        `${stage.name}: ${JSON.stringify(this.name)} cannot be the name of a result; use letters, digits and _ . + - in the names of its settings`,
      );
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
    this.counts = stage.counts(config);
    const influential = Object.fromEntries(telling.filter(([key]) => !this.counts.includes(key)));
    this.settingsFingerprint = fingerprint([
      stage.name,
      stage.version,
      { ...this.settings, [stage.name]: influential },
    ]);
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

  /** The fingerprint of the same settings under the earlier version of the stage that still counts; undefined if none does. */
  get olderSettings(): string | undefined {
    const { accepts } = this.stage;
    return accepts === undefined ? undefined : fingerprint([this.stage.name, accepts, this.settings]);
  }

  /** Settings fingerprints of lines that an earlier critiq wrote with these settings, and that still count. */
  get earlierSettings(): readonly string[] {
    const { name, version } = this.stage;
    // they contained the counts
    const counted = this.counts.length > 0 ? [fingerprint([name, version, this.settings])] : [];
    return this.olderSettings === undefined ? counted : [...counted, this.olderSettings];
  }

  /** Whether a line has the fingerprint of the settings, whatever the counts are. */
  hasSettings(settings: string): boolean {
    return settings === this.settingsFingerprint || this.earlierSettings.includes(settings);
  }

  isDone(shard: Shard): boolean {
    const wanted = this.fingerprints(shard);
    const older = this.olderSettings;
    return this.outputs.every((output) => {
      const extent = output.line(shard.id)?.extent;
      if (extent === undefined && older !== undefined && output.has(shard.id, { ...wanted, settings: older }))
        return true;
      return output.has(shard.id, wanted) && fingerprint(extent ?? {}) === fingerprint(shard.extent ?? {});
    });
  }

  /** Whether a shard of another extent is extended or cut to this one, not replaced. */
  grows(shard: Shard): boolean {
    return shard.extent !== undefined;
  }

  /**
   * Fingerprints of inputs that a shard to extend or cut may have been built from: those of now, and those that the same
   * shards of the inputs had when they were longer or shorter.
   */
  relatedInputs(shard: Shard): string[] {
    if (this.stage.growth === 'training') return [this.fingerprints(shard).inputs];
    let known: (readonly [string, string])[][] = [[]];
    for (const name of this.inputs) {
      const only = shard.inputs?.[name];
      const content = contentFingerprint(this.manifest(name), only);
      const contents = only?.length === 1 ? this.partsOf(name, only[0], content) : [content];
      known = known.flatMap((before) => contents.map((one) => [...before, [name, one] as const]));
      if (known.length > MOST_COMBINATIONS) known = known.slice(0, MOST_COMBINATIONS);
    }
    return known.map((inputs) => fingerprint(inputs));
  }

  /** Whether the contents of two lines of the same shard of an output are parts of one another. */
  areParts(dataset: string, a: Line, b: Line): boolean {
    const of = (line: Line): string => contentFingerprint(new Map([[line.shard, line]]));
    return this.partsOf(dataset, a.shard, of(a)).includes(of(b));
  }

  private partsOf(dataset: string, shard: string, content: string): string[] {
    return new Parts(this.folder).related(dataset, shard, content);
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
    if (this.counts.length > 0) await this.modernise(context);
    return shards;
  }

  /** Gives the lines of an older critiq, whose fingerprints contain the counts, an extent. Writes nothing. */
  private async modernise(context: StageContext<unknown>): Promise<void> {
    const { stage, counts, outputs } = this;
    const old = outputs.some((output) => output.all().some(({ extent }) => extent === undefined));
    const recorded = readPlan(outputs[0].folder)?.settings[stage.name] as Record<string, unknown> | undefined;
    if (!old || !recorded || stage.accepts !== undefined) return;
    const before = Object.fromEntries(counts.map((key) => [key, recorded[key]]));
    const own = { ...(this.settings[stage.name] as object), ...before };
    const settings = fingerprint([stage.name, stage.version, { ...this.settings, [stage.name]: own }]);
    if (!outputs.some((output) => output.all().some((line) => line.settings === settings))) return;
    const then = { ...stage.settings(this.config), ...before };
    const shards = await stage.plan({ ...context, settings: then, config: { ...this.config, [stage.name]: then } });
    const extents = new Map<string, Extent | undefined>(shards.map(({ id, extent }) => [id, extent]));
    for (const output of outputs)
      output.revise((line) => {
        const extent = extents.get(line.shard);
        if (line.settings !== settings || line.extent !== undefined || extent === undefined) return line;
        const { facts, ...rest } = line;
        return { ...rest, settings: this.settingsFingerprint, extent, ...(facts ? { facts } : {}) };
      });
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
