import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { eventsFile, metricsFile } from '../data/metrics.js';
import { writeAtomic } from '../data/store/atomic.js';
import { linkOrCopy, ownPath, pathInside } from '../data/store/inside.js';
import { readSealed, sealed } from '../data/store/sealed.js';
import { setFile } from '../data/store/set-files.js';
import { isShard, type Shard as Line } from '../data/store/manifest.js';
import { UserError } from '../errors.js';
import type { Config } from '../settings/settings.js';
import { datasetFolder, runFolder } from './instance.js';
import { isPlan, Output, readPlan, type PlanRecord } from './outputs.js';

/** Where replaced results are kept, below the run folder; data sets' names do not begin with a dot. */
export const TRASH = '.trash';
const ENTRY = 'entry.json';
/** The metrics of the instance as they were: lines and TensorBoard events. */
const METRICS = ['metrics.jsonl', 'events.tfevents'] as const;

/** The numbers that a stage computes from all its shards at the end, as they were. */
const resultOf = (set: number): string => `result-${set}.json`;

/** The part of a data set that was replaced. */
interface TrashedSet {
  readonly name: string;
  readonly plan: PlanRecord | null;
  readonly lines: readonly Line[];
}

/** A replaced result: entry.json in a folder of its own, with the files beside it. */
export interface TrashEntry {
  /** name of its folder: a number and the instance */
  readonly id: string;
  readonly instance: string;
  /** why it was replaced */
  readonly why: string;
  readonly sets: readonly TrashedSet[];
  /** whether all files are here; false after a kill in the middle, which the next command finishes */
  readonly complete: boolean;
}

/** An entry as `critiq restore` lists it. */
export interface TrashListing {
  readonly id: string;
  readonly instance: string;
  readonly why: string;
  readonly shards: number;
  readonly bytes: number;
  /** milliseconds since 1970 */
  readonly time: number;
}

/** The replaced results of a run. Every function that writes needs the lock of the run folder. */
export class Trash {
  private readonly root: string;

  /** @param run the run folder */
  constructor(private readonly run: string) {
    this.root = join(run, TRASH);
  }

  /** The entries, the oldest first. */
  list(): TrashListing[] {
    return this.entries().map(({ id, instance, why, sets }) => {
      const files = sets.flatMap(({ lines }) => lines.flatMap((line) => line.files));
      const { mtimeMs } = statSync(join(this.root, id, ENTRY));
      const shards = Math.max(...sets.map(({ lines }) => lines.length));
      return { id, instance, why, shards, bytes: files.reduce((sum, { bytes }) => sum + bytes, 0), time: mtimeMs };
    });
  }

  /**
   * Moves all shards but `keep` out of the data sets of an instance, into a new entry. Survives a kill at any moment: the
   * entry says what goes before anything is moved, and `finish` moves the rest.
   * @returns the entry's id; undefined where there was nothing to move
   */
  async put(
    instance: string,
    outputs: readonly Output[],
    keep: ReadonlySet<string>,
    why: string,
  ): Promise<string | undefined> {
    const sets = outputs.map((output) => ({
      name: output.name,
      plan: readPlan(output.folder) ?? null,
      lines: output.all().filter(({ shard }) => !keep.has(shard)),
    }));
    if (sets.every(({ lines }) => lines.length === 0)) return undefined;
    const id = `${String(this.nextNumber()).padStart(4, '0')}-${instance.replaceAll('/', ',')}`;
    const folder = join(this.root, id);
    if (lstatSync(this.root, { throwIfNoEntry: false })?.isSymbolicLink())
      throw new UserError(
        `${this.root}: is a link; replaced results are kept in a folder of the run itself: remove the link`,
      );
    mkdirSync(folder, { recursive: true });
    for (const [i, file] of this.metrics(instance).entries())
      if (existsSync(file)) cpSync(file, join(folder, METRICS[i]));
    for (const [i, { folder: from }] of outputs.entries())
      if (existsSync(setFile(from, 'result'))) cpSync(setFile(from, 'result'), join(folder, resultOf(i)));
    const entry: TrashEntry = { id, instance, why, sets, complete: false };
    await this.write(entry);
    await this.move(entry, outputs);
    return id;
  }

  /** Finishes what a killed process was moving. */
  async finish(): Promise<void> {
    for (const entry of this.entries()) {
      if (entry.complete) continue;
      const outputs = entry.sets.map(({ name }) => new Output(name, join(this.run, name)));
      await this.move(entry, outputs);
    }
  }

  /**
   * Puts a replaced result back; what is there in its place becomes an entry of its own.
   * @throws UserError where there is no such entry, or files of it are gone
   */
  async restore(id: string): Promise<TrashEntry> {
    const entry = this.entries().find((one) => one.id === id);
    if (!entry) {
      const known = this.entries().map((one) => one.id);
      throw new UserError(
        `${this.root}: has no entry ${id}; ${known.length === 0 ? 'it is empty' : `it has ${known.join(', ')}`}`,
      );
    }
    const outputs = entry.sets.map(({ name }) => new Output(name, join(this.run, name)));
    for (const [i, { lines, name }] of entry.sets.entries()) {
      for (const { file, bytes } of lines.flatMap((line) => line.files)) {
        const kept = pathInside(join(this.root, id, String(i)), file, join(this.root, id, ENTRY));
        if (statSync(kept, { throwIfNoEntry: false })?.size !== bytes)
          throw new UserError(`${kept}: missing or changed; ${name} cannot be restored from this entry`);
      }
    }
    const going = new Set(entry.sets.flatMap(({ lines }) => lines.map(({ shard }) => shard)));
    const stays = new Set(outputs.flatMap((output) => output.shards).filter((shard) => !going.has(shard)));
    // a part of an instance comes back beside the shards that stayed; all others made way for the entry
    const planned = new Set(entry.sets.flatMap(({ plan }) => plan?.shards ?? []));
    const keep = new Set([...stays].filter((shard) => planned.has(shard)));
    await this.put(entry.instance, outputs, keep, `to restore ${id}`);
    for (const [i, { lines, plan }] of entry.sets.entries()) {
      const output = outputs[i];
      for (const { file } of lines.flatMap((line) => line.files)) {
        const to = ownPath(output.folder, file, join(this.root, id, ENTRY));
        mkdirSync(dirname(to), { recursive: true });
        // a link or a copy, so that a kill leaves the entry whole
        linkOrCopy(join(this.root, id, String(i), file), to);
      }
      await output.add(lines, plan?.shards ?? []);
      if (plan) await output.writePlan(plan);
      const result = join(this.root, id, resultOf(i));
      if (existsSync(result)) await writeAtomic(setFile(output.folder, 'result'), readFileSync(result));
    }
    for (const [i, file] of this.metrics(entry.instance).entries()) {
      const before = join(this.root, id, METRICS[i]);
      if (existsSync(before)) await writeAtomic(file, readFileSync(before));
    }
    rmSync(join(this.root, id), { recursive: true });
    return entry;
  }

  /**
   * Removes entries for good.
   * @param olderThanMs only those older than this; 0: all
   * @returns what was removed
   */
  collect(olderThanMs: number, now: number): TrashListing[] {
    const old = this.list().filter(({ time }) => now - time >= olderThanMs);
    for (const { id } of old) rmSync(join(this.root, id), { recursive: true });
    if (existsSync(this.root) && readdirSync(this.root).length === 0) rmSync(this.root, { recursive: true });
    return old;
  }

  private async move(entry: TrashEntry, outputs: readonly Output[]): Promise<void> {
    for (const [i, { lines }] of entry.sets.entries()) {
      const output = outputs[i];
      const gone = new Set(lines.map(({ shard }) => shard));
      const needed = new Set(
        output
          .all()
          .filter((line) => !gone.has(line.shard))
          .flatMap(fileNames),
      );
      for (const { file } of lines.flatMap((line) => line.files)) {
        const from = ownPath(output.folder, file, join(this.root, entry.id, ENTRY));
        const to = pathInside(join(this.root, entry.id, String(i)), file, join(this.root, entry.id, ENTRY));
        if (!existsSync(from)) continue;
        mkdirSync(dirname(to), { recursive: true });
        if (!needed.has(file)) renameSync(from, to);
        else if (!existsSync(to)) linkOrCopy(from, to);
      }
      await output.drop(gone);
    }
    await this.write({ ...entry, complete: true });
  }

  /** The metrics files of an instance, in the order of METRICS. */
  private metrics(instance: string): [string, string] {
    return [metricsFile(this.run, instance), eventsFile(this.run, instance)];
  }

  private entries(): TrashEntry[] {
    if (!existsSync(this.root)) return [];
    return readdirSync(this.root)
      .filter((name) => existsSync(join(this.root, name, ENTRY)))
      .sort()
      .map((name) => this.read(name));
  }

  private read(id: string): TrashEntry {
    const file = join(this.root, id, ENTRY);
    const whatToDo = 'look into its folder, then remove it';
    const entry: unknown = readSealed(file, whatToDo);
    if (isEntry(entry) && entry.id === id) {
      // its metrics are below it
      pathInside(join(this.run, 'metrics'), entry.instance, file);
      return entry;
    }
    throw new UserError(`${file}: damaged; ${whatToDo}`);
  }

  private async write(entry: TrashEntry): Promise<void> {
    await writeAtomic(join(this.root, entry.id, ENTRY), sealed(entry, 1));
  }

  private nextNumber(): number {
    const names = existsSync(this.root) ? readdirSync(this.root) : [];
    return 1 + Math.max(0, ...names.map((name) => Number.parseInt(name, 10) || 0));
  }
}

function isEntry(value: unknown): value is TrashEntry {
  const { instance, why, sets, complete } = (value ?? {}) as Partial<TrashEntry>;
  return (
    typeof instance === 'string' &&
    typeof why === 'string' &&
    typeof complete === 'boolean' &&
    Array.isArray(sets) &&
    sets.every((set: Partial<TrashedSet> | null) => {
      if (typeof set !== 'object' || set === null) return false;
      const { name, plan, lines } = set;
      return isSetName(name) && (plan === null || isPlan(plan)) && Array.isArray(lines) && lines.every(isShard);
    })
  );
}

/** `policy/base`: nothing that leads out of the run. */
function isSetName(name: unknown): boolean {
  return typeof name === 'string' && name.split('/').every((part) => part !== '' && !part.startsWith('.'));
}

/**
 * Moves whole data sets of a run into one entry of the trash and removes what is left of their folders: for imports that
 * replace them. The caller holds the lock.
 */
export async function trashDatasets(
  config: Config,
  instance: string,
  names: readonly string[],
  display: { info(line: string): void },
): Promise<void> {
  if (names.length === 0) return;
  const outputs = names.map((name) => new Output(name, datasetFolder(config, name)));
  const id = await new Trash(runFolder(config)).put(instance, outputs, new Set(), 'replaced by an import');
  for (const { folder } of outputs) rmSync(folder, { recursive: true, force: true });
  if (id !== undefined) display.info(`kept the replaced data: critiq restore ${id} run=${config.run} brings it back`);
}

function fileNames({ files }: Line): string[] {
  return files.map(({ file }) => file);
}
