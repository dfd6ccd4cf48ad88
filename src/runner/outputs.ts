import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { writeAtomic } from '../data/store/atomic.js';
import { encodeLine } from '../data/formats/jsonl.js';
import { committedShards, Dataset, fingerprint, type Shard as Line } from '../data/store/manifest.js';
import { readSealed, sealed } from '../data/store/sealed.js';
import { isSet, renameOldFiles, setFile } from '../data/store/set-files.js';
import { pathInside, removeInside } from '../data/store/inside.js';
import { UserError } from '../errors.js';

/** Stands for a stage's name in the plan of imported data. Stages leave such data alone. */
export const IMPORT = 'import';

/** The plan of a data set: the stage that writes it, with its settings and shards. */
export interface PlanRecord {
  readonly stage: string;
  readonly instance: string;
  /** the stage's own settings and those it uses, by dotted path or section */
  readonly settings: Readonly<Record<string, unknown>>;
  /** ids of all shards, in order */
  readonly shards: readonly string[];
  /** whether all of them are committed and the stage's `finish` has run */
  readonly finished: boolean;
}

/** Fingerprints of the inputs and settings that a shard was built with. */
export interface Fingerprints {
  readonly inputs: string;
  readonly settings: string;
}

/** The committed lines of a data set by shard, without a look at its files; empty without a manifest. */
export function readManifest(folder: string): Map<string, Line> {
  return committedShards(folder, `delete ${folder} and run its stage again`);
}

/** Depends on names, sizes and CRCs of the committed files, not on when or how they were written. */
export function contentFingerprint(lines: ReadonlyMap<string, Line>, shards?: readonly string[]): string {
  const ids = [...(shards ?? lines.keys())].sort();
  return fingerprint(ids.map((id) => [id, lines.get(id)?.files.map((f) => [f.file, f.bytes, f.crc32]) ?? null]));
}

/** The plan of a data set; undefined if no stage wrote one. @throws UserError if it is damaged */
export function readPlan(folder: string): PlanRecord | undefined {
  const file = setFile(folder, 'plan');
  if (!existsSync(file)) return undefined;
  const whatToDo = `restore it from a copy, or delete ${folder} and run its stage again`;
  const plan: unknown = readSealed(file, whatToDo);
  if (isPlan(plan)) return plan;
  throw new UserError(`${file}: not a plan that critiq wrote; ${whatToDo}`);
}

/** Whether a value is the plan of a data set. */
export function isPlan(value: unknown): value is PlanRecord {
  if (typeof value !== 'object' || value === null) return false;
  const { stage, instance, settings, shards } = value as Partial<PlanRecord>;
  return (
    typeof stage === 'string' &&
    typeof instance === 'string' &&
    typeof settings === 'object' &&
    settings !== null &&
    Array.isArray(shards) &&
    shards.every((shard) => typeof shard === 'string')
  );
}

/** A data set that a stage writes. */
export class Output {
  private lines: Map<string, Line>;

  constructor(
    readonly name: string,
    readonly folder: string,
  ) {
    this.lines = readManifest(folder);
  }

  get shards(): readonly string[] {
    return [...this.lines.keys()];
  }

  /** Imported, or put there by hand: it has shards, but no stage planned them. */
  get foreign(): boolean {
    return this.lines.size > 0 && (readPlan(this.folder)?.stage ?? IMPORT) === IMPORT;
  }

  /** Fingerprints that the committed shard was built with; undefined if it is not committed. */
  fingerprints(shard: string): Fingerprints | undefined {
    return this.lines.get(shard);
  }

  /** The committed line of a shard. */
  line(shard: string): Line | undefined {
    return this.lines.get(shard);
  }

  /** Replaces lines in memory; the next write of the manifest stores them. */
  revise(revised: (line: Line) => Line): void {
    this.lines = new Map([...this.lines].map(([shard, line]) => [shard, revised(line)]));
  }

  /** Stores revised lines. */
  async store(): Promise<void> {
    const text = this.all().map(encodeLine).join('');
    if (this.lines.size > 0 && readFileSync(this.file, 'utf8') !== text) await this.write(this.all());
  }

  /** Whether the shard was built from the same inputs and settings, and all its files exist with the recorded size. */
  has(shard: string, { inputs, settings }: Fingerprints): boolean {
    const line = this.lines.get(shard);
    return line !== undefined && line.inputs === inputs && line.settings === settings && this.whole(shard) === true;
  }

  /**
   * Whether all files of a shard exist with the recorded size; undefined if it is not committed.
   * @throws UserError for a path outside the folder
   */
  whole(shard: string): boolean | undefined {
    return this.lines
      .get(shard)
      ?.files.every(({ file, bytes }) => statSync(this.path(file), { throwIfNoEntry: false })?.size === bytes);
  }

  /** The committed lines. */
  all(): readonly Line[] {
    return [...this.lines.values()];
  }

  /** The path of a file that a line names. @throws UserError for one outside the folder */
  private path(file: string): string {
    return pathInside(this.folder, file, this.file);
  }

  /** Takes shards out of the manifest; their files stay. */
  async drop(shards: ReadonlySet<string>): Promise<void> {
    if (this.shards.some((shard) => shards.has(shard)))
      await this.write(this.all().filter((line) => !shards.has(line.shard)));
  }

  /** Adds lines whose files are in place, in the order of the plan. */
  async add(lines: readonly Line[], order: readonly string[]): Promise<void> {
    const all = new Map([...this.all(), ...lines].map((line) => [line.shard, line]));
    const rank = new Map(order.map((id, index) => [id, index]));
    await this.write(
      [...all.values()].sort((a, b) => (rank.get(a.shard) ?? Infinity) - (rank.get(b.shard) ?? Infinity)),
    );
  }

  rows(shards: readonly string[] = this.shards): number {
    return shards.flatMap((id) => this.lines.get(id)?.files ?? []).reduce((sum, { rows = 0 }) => sum + rows, 0);
  }

  async commit(line: Line): Promise<void> {
    await new Dataset(this.folder, this.lines).commit(line);
  }

  /**
   * Removes all other shards. Their files go first: a kill in between leaves a line without files, which counts as not
   * done. A file that a remaining shard shares stays.
   */
  async retain(keep: ReadonlySet<string>): Promise<number> {
    const outdated = [...this.lines.values()].filter(({ shard }) => !keep.has(shard));
    if (outdated.length === 0) return 0;
    const kept = [...this.lines.values()].filter(({ shard }) => keep.has(shard));
    const needed = new Set(kept.flatMap(({ files }) => files.map(({ file }) => file)));
    for (const { file } of outdated.flatMap(({ files }) => files)) {
      if (!needed.has(file)) removeInside(this.folder, file, this.file);
    }
    await this.write(kept);
    return outdated.length;
  }

  /** Sorts the lines in the order of the plan: the manifest must not depend on the order in which shards finished. */
  async sort(order: readonly string[]): Promise<void> {
    const sorted = order.map((id) => this.lines.get(id)!);
    const text = sorted.map(encodeLine).join('');
    if (existsSync(this.file) && readFileSync(this.file, 'utf8') === text) return;
    await this.write(sorted);
  }

  /** Writes the plan if it changed. */
  async writePlan(plan: PlanRecord): Promise<void> {
    const text = sealed(plan, 1);
    // earlier versions wrote no checksum: such a plan stays as it is
    const unsealed = `${JSON.stringify(plan, null, 1)}\n`;
    await renameOldFiles(this.folder);
    const file = setFile(this.folder, 'plan');
    const before = existsSync(file) ? readFileSync(file, 'utf8') : undefined;
    if (before !== text && before !== unsealed) await writeAtomic(file, text);
  }

  /** Removes the `.tmp` files of killed or failed writers, but not from folders of other data sets. */
  removeTemporary(folder = this.folder): void {
    for (const entry of existsSync(folder) ? readdirSync(folder, { withFileTypes: true }) : []) {
      const path = join(folder, entry.name);
      if (entry.isFile() && entry.name.endsWith('.tmp')) removeInside(folder, entry.name, folder);
      else if (entry.isDirectory() && this.name !== '.' && !isSet(path)) this.removeTemporary(path);
    }
  }

  private get file(): string {
    return setFile(this.folder, 'manifest');
  }

  private async write(lines: readonly Line[]): Promise<void> {
    await renameOldFiles(this.folder);
    await writeAtomic(this.file, lines.map(encodeLine).join(''));
    this.lines = new Map(lines.map((line) => [line.shard, line]));
  }
}
