import { existsSync, lstatSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { MetricsLine } from '../data/metrics.js';
import { writeAtomic } from '../data/store/atomic.js';
import { linkOrCopy, ownPath, pathInside, removeInside } from '../data/store/inside.js';
import { recordFile, type FileRecord } from '../data/store/integrity.js';
import { readSealed, sealed } from '../data/store/sealed.js';
import { fingerprint, isShard, type Shard as Line } from '../data/store/manifest.js';
import { UserError } from '../errors.js';
import type { Output } from './outputs.js';
import type { Extent, Prior } from './stage.js';
import { isObject, readJsonFile } from '../data/formats/json.js';

/** Where versions of shards with another extent are kept, below the run folder; data sets' names do not begin with a dot. */
export const SPARE = '.spare';
const ENTRY = 'entry.json';
const STATE_FILES = 'files.json';
const STATE = 'state-';

/** A finished version of a shard: its manifest lines, one for each output of its stage. */
export interface Version {
  /** depends on the content of its files and what they were built from */
  readonly id: string;
  readonly shard: string;
  readonly extent: Extent;
  readonly lines: readonly Line[];
}

/** A version that is kept aside. */
export interface SpareVersion extends Version {
  /** its lines in the metrics of the instance */
  readonly metrics: readonly MetricsLine[];
}

/** The version that some manifest lines of a shard are. */
export function versionOf(lines: readonly Line[]): Version {
  const [{ shard, inputs, settings, extent = {} }] = lines;
  const files = lines.map((line) => line.files.map(({ file, bytes, crc32 }) => [file, bytes, crc32]));
  return { id: fingerprint([shard, inputs, settings, extent, files]), shard, extent, lines };
}

/** Whether `a` holds everything that `b` holds. */
export function covers(a: Extent, b: Extent): boolean {
  return Object.keys({ ...a, ...b }).every((key) => (a[key] ?? 0) >= (b[key] ?? 0));
}

/** Sum of an extent, to put the longest version first. */
export function size(extent: Extent): number {
  return Object.values(extent).reduce((sum, value) => sum + value, 0);
}

/**
 * Versions of an instance's shards that the current plan does not name: shards beyond a smaller plan, longer versions of a
 * shard that was cut, and shorter ones while they are extended. A version is a folder with hard links to (or copies of) its
 * files and entry.json, which is written last; what has no entry.json does not count. Every function that writes needs the
 * lock of the run folder.
 */
export class Spare {
  private readonly root: string;

  constructor(
    private readonly run: string,
    instance: string,
  ) {
    this.root = join(run, SPARE, instance.replaceAll('/', ','));
  }

  /** All versions, whole or not (`whole`). */
  list(): SpareVersion[] {
    return folders(this.root)
      .filter((id) => existsSync(join(this.root, id, ENTRY)))
      .map((id) => this.read(id));
  }

  /** Whether all files of a version are there with their recorded size. */
  whole({ id, lines }: Version): boolean {
    return lines.every(({ files }, set) =>
      files.every(({ file, bytes }) => this.sizeOf(this.path(id, set, file)) === bytes),
    );
  }

  /** Moves a version out of its data sets. After a kill in the middle, the version is in its place, here, or both. */
  async park(version: Version, outputs: readonly Output[], metrics: readonly MetricsLine[]): Promise<void> {
    const { id, lines, shard } = version;
    for (const folder of [join(this.run, SPARE), this.root])
      if (lstatSync(folder, { throwIfNoEntry: false })?.isSymbolicLink())
        throw new UserError(
          `${folder}: is a link; what a run keeps aside is in a folder of the run itself: remove the link`,
        );
    for (const [set, { files }] of lines.entries())
      for (const { file } of files) {
        const to = this.path(id, set, file);
        mkdirSync(dirname(to), { recursive: true });
        linkOrCopy(pathInside(outputs[set].folder, file, outputs[set].folder), to);
      }
    await writeAtomic(join(this.root, id, ENTRY), sealed({ ...version, metrics }, 1));
    for (const output of outputs) await output.drop(new Set([shard]));
    this.settle(outputs);
  }

  /** Removes files from the data sets that are here and that no manifest line names: a kill may have left them. */
  settle(outputs: readonly Output[]): void {
    for (const { lines } of this.list())
      for (const [set, { files }] of lines.entries()) {
        const output = outputs.at(set);
        const named = new Set(output?.all().flatMap((line) => line.files.map(({ file }) => file)));
        for (const { file } of files) if (output && !named.has(file)) removeInside(output.folder, file, output.folder);
      }
  }

  /** Puts a version back into its data sets. */
  async takeBack(version: SpareVersion, outputs: readonly Output[], order: readonly string[]): Promise<void> {
    for (const [set, line] of version.lines.entries()) {
      for (const { file } of line.files) {
        const to = ownPath(outputs[set].folder, file, outputs[set].folder);
        mkdirSync(dirname(to), { recursive: true });
        linkOrCopy(this.path(version.id, set, file), to);
      }
    }
    for (const [set, line] of version.lines.entries()) await outputs[set].add([line], order);
    this.remove(version.id);
  }

  remove(id: string): void {
    // entry.json first: what is left of the folder after a kill must not count
    rmSync(join(this.root, id, ENTRY), { force: true });
    rmSync(join(this.root, id), { recursive: true, force: true });
    for (const folder of [this.root, join(this.run, SPARE)])
      if (existsSync(folder) && readdirSync(folder).length === 0) rmSync(folder, { recursive: true });
  }

  /** Where the files of a version's data set are. */
  folder(id: string, set: number): string {
    return join(this.root, id, String(set));
  }

  /** Whether the files of a version have the recorded checksums, wherever they are. */
  static async intact({ lines }: Version, folderOf: (set: number) => string): Promise<boolean> {
    for (const [set, { files }] of lines.entries()) {
      for (const record of files) {
        try {
          const found = await recordFile(join(folderOf(set), record.file), record.file);
          if (found.bytes !== record.bytes || found.crc32 !== record.crc32) return false;
        } catch (error) {
          if (error instanceof UserError) return false;
          throw error;
        }
      }
    }
    return true;
  }

  /** A parked version as a stage reads it; undefined if a file is damaged. */
  async prior(version: SpareVersion, outputs: readonly Output[]): Promise<Prior | undefined> {
    const { id, lines, extent } = version;
    if (!(await Spare.intact(version, (set) => this.folder(id, set)))) return undefined;
    const sets = lines.map(({ files, facts }, set) => [
      outputs[set].name,
      { folder: this.folder(id, set), files, ...(facts ? { facts } : {}) },
    ]);
    const state = this.stateOf(id);
    return { extent, sets: Object.fromEntries(sets), ...(state === undefined ? {} : { state }) };
  }

  /** The folder with what a version kept to go on; undefined if it kept nothing, or a file of it is missing. */
  stateOf(id: string): string | undefined {
    const folder = join(this.root, STATE + id);
    if (!existsSync(join(folder, STATE_FILES))) return undefined;
    const files = stateFiles(folder);
    return files.every(({ file, bytes }) => this.sizeOf(join(folder, file)) === bytes) ? folder : undefined;
  }

  /** Whether a state's files have the checksums that they were kept with. */
  static async stateIsIntact(folder: string): Promise<boolean> {
    const files = stateFiles(folder);
    for (const { file, crc32 } of files) if ((await recordFile(join(folder, file), file)).crc32 !== crc32) return false;
    return true;
  }

  /** Keeps what a shard left to go on from a version that is about to be committed. */
  async keepState(id: string, from: string): Promise<void> {
    const names = readdirSync(from, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name !== STATE_FILES)
      .map((entry) => join(entry.parentPath, entry.name).slice(from.length + 1))
      .sort();
    const records = await Promise.all(names.map((file) => recordFile(join(from, file), file)));
    await writeAtomic(join(from, STATE_FILES), JSON.stringify(records));
    const to = join(this.root, STATE + id);
    rmSync(to, { recursive: true, force: true });
    mkdirSync(this.root, { recursive: true });
    renameSync(from, to);
  }

  private path(id: string, set: number, file: string): string {
    return pathInside(this.folder(id, set), file, join(this.root, id, ENTRY));
  }

  private sizeOf(path: string): number | undefined {
    return statSync(path, { throwIfNoEntry: false })?.size;
  }

  private read(id: string): SpareVersion {
    const file = join(this.root, id, ENTRY);
    const whatToDo = 'look into its folder, then remove it';
    const version: unknown = readSealed(file, whatToDo);
    if (isVersion(version) && version.id === id) return version;
    throw new UserError(`${file}: damaged; ${whatToDo}`);
  }
}

function isVersion(value: unknown): value is SpareVersion {
  const { shard, extent, lines, metrics } = (value ?? {}) as Partial<SpareVersion>;
  return (
    typeof shard === 'string' &&
    typeof extent === 'object' &&
    extent !== null &&
    Object.values(extent).every((count) => typeof count === 'number') &&
    Array.isArray(lines) &&
    lines.length > 0 &&
    lines.every(isShard) &&
    Array.isArray(metrics) &&
    metrics.every((line: unknown) => typeof line === 'object' && line !== null)
  );
}

/** What a state consists of. @throws UserError if its list is damaged */
function stateFiles(folder: string): FileRecord[] {
  const list = join(folder, STATE_FILES);
  const files = readJsonFile(list, `delete ${folder}`);
  const whole = (file: unknown): boolean =>
    isObject(file) && typeof file.file === 'string' && Number.isInteger(file.bytes);
  if (Array.isArray(files) && files.every(whole)) return files as FileRecord[];
  throw new UserError(`${list}: damaged; delete ${folder}`);
}

/** Bytes of all that a run keeps aside, for all its instances. */
export function spareBytes(run: string): number {
  const root = join(run, SPARE);
  if (!existsSync(root)) return 0;
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
}

/** Removes all that a run keeps aside: shards that no plan needs, and what trainings would go on from. */
export function removeSpare(run: string): void {
  rmSync(join(run, SPARE), { recursive: true, force: true });
}

function folders(root: string): string[] {
  if (!existsSync(root)) return [];
  return readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith(STATE))
    .map(({ name }) => name)
    .sort();
}
