import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { isAbsolute, join, normalize } from 'node:path';
import { UserError } from '../../errors.js';
import { verifyFile, type FileRecord, type Verify } from './integrity.js';
import { renameOldFiles, setFile } from './set-files.js';
import { appendLine, readLines } from '../formats/jsonl.js';

/** A committed shard of a data set: a line of its `_manifest.jsonl`. A later line for the same shard replaces it. */
export interface Shard {
  /** name of the shard, unique in the data set */
  readonly shard: string;
  readonly files: readonly FileRecord[];
  /** fingerprint of all inputs it was built from */
  readonly inputs: string;
  /** fingerprint of the settings it was built with */
  readonly settings: string;
  /** how much it holds, by what is counted, where the shard can grow (`{ episodes: 24 }`) */
  readonly extent?: Readonly<Record<string, number>>;
  /** further facts that the stage records (counts, sizes, ranges of tids) */
  readonly facts?: Readonly<Record<string, unknown>>;
  /** true in a line that removes the shard from the data set */
  readonly removed?: true;
}

/** A data set: a folder of shards and a manifest that lists the committed ones. Files that are not listed are ignored. */
export class Dataset {
  constructor(
    readonly folder: string,
    private readonly byName: Map<string, Shard>,
  ) {}

  /** committed shards, sorted by name */
  get shards(): Shard[] {
    return [...this.byName.values()].sort((a, b) => (a.shard < b.shard ? -1 : 1));
  }

  get(shard: string): Shard | undefined {
    return this.byName.get(shard);
  }

  /** Whether the shard was committed with the same inputs and settings. */
  has(shard: string, { inputs, settings }: { inputs: string; settings: string }): boolean {
    const found = this.byName.get(shard);
    return found !== undefined && found.inputs === inputs && found.settings === settings;
  }

  /** Paths of the committed files whose names end with `suffix`, sorted by shard. */
  files(suffix = ''): string[] {
    return this.shards.flatMap(({ files }) =>
      files.filter(({ file }) => file.endsWith(suffix)).map(({ file }) => this.path(file)),
    );
  }

  /** The path of a file of this data set. */
  path(file: string): string {
    return join(this.folder, file);
  }

  /**
   * A fingerprint of the committed files' content (names, sizes, CRCs), whatever the time and order of writing. So if the
   * inputs of a stage are rebuilt with the same result, the stage stays up to date.
   */
  fingerprint(): string {
    return fingerprint(this.shards.map(({ shard, files }) => [shard, files.map((f) => [f.file, f.bytes, f.crc32])]));
  }

  /** Adds a shard whose files are complete. From then on it counts, also after a power cut. */
  async commit(shard: Shard): Promise<void> {
    for (const { file } of shard.files) checkName(this.folder, file);
    await renameOldFiles(this.folder);
    await appendLine(setFile(this.folder, 'manifest'), shard);
    if (shard.removed) this.byName.delete(shard.shard);
    else this.byName.set(shard.shard, shard);
  }

  /** Removes a shard; its files stay until they are overwritten. */
  async remove(shard: string): Promise<void> {
    if (this.byName.has(shard)) await this.commit({ shard, files: [], inputs: '', settings: '', removed: true });
  }
}

/**
 * The committed shards of a data set by name, without checking their files; none if the folder has no manifest.
 * @throws UserError that names a damaged line and ends with `whatToDo`
 */
export function committedShards(folder: string, whatToDo: string): Map<string, Shard> {
  const shards = new Map<string, Shard>();
  for (const [i, shard] of readLines<Shard>(setFile(folder, 'manifest'), whatToDo).entries()) {
    if (!isShard(shard))
      throw new UserError(`${setFile(folder, 'manifest')}, line ${i + 1}: damaged: not a line of a manifest; ${whatToDo}`);
    if (shard.removed) shards.delete(shard.shard);
    else shards.set(shard.shard, shard);
  }
  return shards;
}

/** Whether a value is a line of a manifest. */
export function isShard(value: unknown): value is Shard {
  const line = (value ?? {}) as Partial<Shard>;
  return (
    typeof line.shard === 'string' &&
    Array.isArray(line.files) &&
    (line.files as readonly Partial<FileRecord>[]).every(
      (file) =>
        typeof file === 'object' &&
        file !== null &&
        typeof file.file === 'string' &&
        Number.isSafeInteger(file.bytes) &&
        Number.isSafeInteger(file.crc32),
    )
  );
}

/**
 * Opens a data set, or starts a new one if the folder has no manifest.
 * @param stage the command that writes it, for error messages
 * @param verify how thoroughly to check its files; see `Verify`
 * @throws UserError that names a file that is missing, truncated, changed or damaged
 */
export async function openDataset(
  folder: string,
  { stage = 'the stage that writes it', verify = 'once' as Verify } = {},
): Promise<Dataset> {
  const command = stage.includes(' ') ? stage : `\`critiq ${stage}\``;
  const whatToDo = `run ${command} again after deleting ${folder}`;
  const shards = committedShards(folder, whatToDo);
  for (const { files } of shards.values()) {
    for (const record of files) {
      checkName(folder, record.file);
      await verifyFile(join(folder, record.file), record, verify, whatToDo);
    }
  }
  return new Dataset(folder, shards);
}

/**
 * Checks all files of a folder that may be a data set (a policy of a run, but not a downloaded checkpoint), before its
 * weights, tokenizer or vectors are used. A file is read for it once in a process.
 * @throws UserError that names a file that is missing, truncated, changed or damaged
 */
export async function verifySet(folder: string): Promise<void> {
  if (existsSync(setFile(folder, 'manifest'))) await openDataset(folder, { verify: 'all' });
}

/** A short hash of a value. The order of an object's keys does not matter. */
export function fingerprint(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value, sortedKeys)).digest('hex').slice(0, 16);
}

function sortedKeys(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function checkName(folder: string, file: string): void {
  if (typeof file !== 'string' || file === '' || isAbsolute(file) || normalize(file).split('/').includes('..')) {
    throw new UserError(`${setFile(folder, 'manifest')}: expected files with a path below ${folder}, got ${JSON.stringify(file)}`);
  }
}
