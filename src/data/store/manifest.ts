import { createHash } from 'node:crypto';
import { isAbsolute, join, normalize } from 'node:path';
import { UserError } from '../../errors.js';
import { verifyFile, type FileRecord, type Verify } from './integrity.js';
import { renameOldFiles, setFile } from './set-files.js';
import { appendLine, readLines } from '../formats/jsonl.js';

/** One committed shard of a data set: a line of its `_manifest.jsonl`. A later line for the same shard replaces it. */
export interface Shard {
  /** name of the shard, unique in the data set */
  readonly shard: string;
  readonly files: readonly FileRecord[];
  /** fingerprint of everything it was made from */
  readonly inputs: string;
  /** fingerprint of the settings it was made with */
  readonly settings: string;
  /** whatever else the stage wants to remember (counts, sizes, ranges of tids) */
  readonly facts?: Readonly<Record<string, unknown>>;
  /** true in a line that takes the shard out of the data set */
  readonly removed?: true;
}

/** A data set: a folder of shards and the manifest that says which of them count. Files not in it do not exist. */
export class Dataset {
  constructor(
    readonly folder: string,
    private readonly byName: Map<string, Shard>,
  ) {}

  /** committed shards, in the order of their names */
  get shards(): Shard[] {
    return [...this.byName.values()].sort((a, b) => (a.shard < b.shard ? -1 : 1));
  }

  get(shard: string): Shard | undefined {
    return this.byName.get(shard);
  }

  /** Whether the shard is there and was made from the same inputs with the same settings. */
  has(shard: string, { inputs, settings }: { inputs: string; settings: string }): boolean {
    const found = this.byName.get(shard);
    return found !== undefined && found.inputs === inputs && found.settings === settings;
  }

  /** Paths of the committed files whose names end with `suffix`, by shard, then in the shard's order. */
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
   * Depends on the content of the committed files only (names, sizes, CRCs), not on when or in which order they were
   * made: a stage whose inputs were redone with the same result has nothing to do.
   */
  fingerprint(): string {
    return fingerprint(this.shards.map(({ shard, files }) => [shard, files.map((f) => [f.file, f.bytes, f.crc32])]));
  }

  /** Adds a shard whose files are all in place already: from here on it counts, also after a power cut. */
  async commit(shard: Shard): Promise<void> {
    for (const { file } of shard.files) checkName(this.folder, file);
    await renameOldFiles(this.folder);
    await appendLine(setFile(this.folder, 'manifest'), shard);
    if (shard.removed) this.byName.delete(shard.shard);
    else this.byName.set(shard.shard, shard);
  }

  /** Takes a shard out; its files stay until something overwrites them. */
  async remove(shard: string): Promise<void> {
    if (this.byName.has(shard)) await this.commit({ shard, files: [], inputs: '', settings: '', removed: true });
  }
}

/**
 * The committed shards of a data set by name, without looking at their files; none where the folder has no manifest.
 * @throws UserError naming a damaged line; it ends with `whatToDo`
 */
export function committedShards(folder: string, whatToDo: string): Map<string, Shard> {
  const shards = new Map<string, Shard>();
  for (const shard of readLines<Shard>(setFile(folder, 'manifest'), whatToDo)) {
    if (shard.removed) shards.delete(shard.shard);
    else shards.set(shard.shard, shard);
  }
  return shards;
}

/**
 * Opens a data set, or starts one where the folder has no manifest yet.
 * @param stage the command that writes it, for the error messages
 * @param verify how hard to look at its files; see `Verify`
 * @throws UserError naming the file that is missing, truncated, changed or damaged
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

/** A short name for a value: equal for equal values (objects with their keys in any order), else different. */
export function fingerprint(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value, sortedKeys)).digest('hex').slice(0, 16);
}

function sortedKeys(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function checkName(folder: string, file: string): void {
  if (typeof file !== 'string' || file === '' || isAbsolute(file) || normalize(file).split('/').includes('..')) {
    throw new UserError(`${setFile(folder, 'manifest')}: names the file ${JSON.stringify(file)}: expected a path below ${folder}`);
  }
}
