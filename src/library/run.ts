import { existsSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { FILES, filesOf, readCandidates, readTransitions } from '../../pipelines/datasets.js';
import { readResult, type EvalResult } from '../../pipelines/eval.js';
import { Critic } from '../agents/critic/critic.js';
import { Policy } from '../agents/policy/policy.js';
import { ImageVectors } from '../data/image-vectors.js';
import { ImageStore } from '../data/images.js';
import { metricsFile, readMetrics, type MetricsLine } from '../data/metrics.js';
import { Representations } from '../data/representations.js';
import { dataSets } from '../data/store/data-sets.js';
import { isFolder } from '../data/store/file.js';
import { verifySet, openDataset, type Dataset } from '../data/store/manifest.js';
import { readTable } from '../data/tables.js';
import { VALUES, type CandidateRow, type Transition, type ValueRow } from '../data/transitions.js';
import { UserError } from '../errors.js';
import type { Runtime } from '../graph/runtime.js';
import { readRunRecord } from '../runner/run-record.js';

/** run.json: what the run was made with. */
export interface RunRecord {
  readonly seed: number;
  /** all resolved settings of its last command, by section */
  readonly settings: Readonly<Record<string, unknown>>;
  /** versions of critiq, Node and the packages */
  readonly versions: Readonly<Record<string, string | null>>;
  readonly commit: string | null;
}

/**
 * A run folder, to be read: its tables, pictures, vectors, metrics, evaluations and models. Nothing is written. Every file
 * is checked against its manifest when it is opened (size and, once a process, CRC-32).
 */
export class Run {
  /** @param folder absolute path */
  constructor(
    readonly folder: string,
    readonly record: RunRecord,
  ) {}

  get name(): string {
    return basename(this.folder);
  }

  /** Names of its data sets, sorted: `candidates`, `eval/digiq-test`, `policy/base`, ... */
  datasets(): string[] {
    return dataSets(this.folder);
  }

  /**
   * A data set with its committed shards and files.
   * @throws UserError where it is not there, or a file is missing, truncated, changed or damaged
   */
  async dataset(name: string): Promise<Dataset> {
    return openDataset(this.known(name), { stage: 'the stage that builds it', verify: 'all' });
  }

  /**
   * The transitions of a data set in the order of their tids; only some columns if given.
   * @param name `trajectories`, or an evaluation: `eval/digiq-test`
   */
  async transitions<K extends keyof Transition & string = keyof Transition & string>(
    name = 'trajectories',
    columns?: readonly K[],
  ): Promise<Pick<Transition, K>[]> {
    return readTransitions(await this.checked(name), 'collect', columns);
  }

  /** The candidates of every transition, in the order of their tids. */
  async candidates(): Promise<CandidateRow[]> {
    return readCandidates(await this.checked('candidates'), 'candidates');
  }

  /** What the critic says of every state and candidate, in the order of their tids. */
  async values(): Promise<ValueRow[]> {
    const rows: ValueRow[] = [];
    for (const file of await filesOf(await this.checked('values'), 'critic', '.parquet'))
      for (const row of await readTable(file, VALUES)) rows.push(row);
    return rows.sort((a, b) => a.tid - b.tid);
  }

  /** The representations of every state and candidate, read by position; close them after use. */
  async representations(): Promise<Representations> {
    return Representations.open(await filesOf(await this.checked('representations'), 'represent', '.arrow'));
  }

  /** The image vectors of the collected screens, by content id; close them after use. */
  async imageVectors(): Promise<ImageVectors> {
    return ImageVectors.open(await filesOf(await this.checked('image-vectors'), 'collect', '.arrow'));
  }

  /** The screenshots, by content id (`transition.image`). */
  get images(): ImageStore {
    return new ImageStore(join(this.folder, 'images'));
  }

  /** Names of its evaluations, below `eval/`. */
  evaluations(): string[] {
    return this.datasets()
      .filter((name) => name.startsWith('eval/'))
      .map((name) => name.slice('eval/'.length));
  }

  /** Rates, intervals and counts of an evaluation. @throws UserError where there is none of this name */
  evaluation(name: string): EvalResult {
    return readResult(this.known(`eval/${name}`));
  }

  /** The metrics of a stage instance (`critic`, `actor/digiq`), a line a logged step; none where it logged nothing. */
  metrics(instance: string): MetricsLine[] {
    return readMetrics(metricsFile(this.folder, instance));
  }

  /**
   * A policy, to sample or act with. @param name `base`, `filteredbc`, `digiq`, ...
   * @throws UserError where a file is missing, broken or does not fit its config.json
   */
  policy(runtime: Runtime, name: string): Promise<Policy> {
    return Policy.load(runtime, this.known(`policy/${name}`));
  }

  /** The critic, to value states and actions with. @throws UserError as for `policy` */
  critic(runtime: Runtime): Promise<Critic> {
    return Critic.load(runtime, this.known('critic'));
  }

  /** The folder of a data set whose files are all as they were committed. */
  private async checked(name: string): Promise<string> {
    const folder = this.known(name);
    await verifySet(folder);
    return folder;
  }

  private known(name: string): string {
    const known = this.datasets();
    if (known.includes(name)) return join(this.folder, name);
    throw new UserError(
      `${this.folder}: has no data set ${name}; it has ${known.length === 0 ? 'none' : known.join(', ')}`,
    );
  }
}

/** File names of a data set's shards, for stages that read and write the pipeline's own tables. */
export { FILES };

/**
 * Opens a run folder for reading.
 * @param folder its path, for example `data/pocket`
 * @throws UserError where it is no run folder
 */
export function openRun(folder: string): Promise<Run> {
  const path = resolve(folder);
  const file = join(path, 'run.json');
  if (!isFolder(path)) return Promise.reject(new UserError(`${path}: no such run folder`));
  if (!existsSync(file)) return Promise.reject(new UserError(`${path}: not a run folder: it has no run.json`));
  try {
    return Promise.resolve(new Run(path, readRunRecord(path) as unknown as RunRecord));
  } catch (error) {
    return Promise.reject(error as Error);
  }
}
