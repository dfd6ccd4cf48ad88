import {
  constants,
  copyFileSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { eventsFile, metricsFile } from '../data/metrics.js';
import { syncFolder, writeAtomic, writeFailure } from '../data/store/atomic.js';
import { pathInside } from '../data/store/inside.js';
import { Lock } from '../data/store/lock.js';
import { setFile } from '../data/store/set-files.js';
import { UserError } from '../errors.js';
import { existingRun, isRunName, RUN_FILE } from '../runner/folders.js';
import { inheritLog } from '../runner/log/inherit.js';
import { readRecord } from './record.js';
import { storedSets, type StoredSet } from './results.js';
import { readRunRecord, runRecordText } from '../runner/run-record.js';
import { readText } from '../data/formats/text.js';

export interface ForkOptions {
  /** folder of all runs */
  readonly data: string;
  readonly from: string;
  readonly to: string;
  /** data sets to share; default all. Others are left out, so that the fork builds them anew */
  readonly share?: (dataset: string) => boolean;
  /** the sweep that the fork belongs to, for its run.json */
  readonly sweep?: string;
  /** gives a file a second name; a stand-in for tests of file systems without hard links */
  readonly link?: (from: string, to: string) => void;
}

export interface Forked {
  readonly run: string;
  readonly forked_from: string;
  readonly folder: string;
  /** files that both runs share, and files that had to be copied because the file system cannot share them */
  readonly shared: number;
  readonly copied: number;
  /** data sets that another process was writing, and which the fork therefore lacks */
  readonly left_out: readonly string[];
  /** files that the original should have but lacks; the fork builds them anew */
  readonly lost: number;
}

/** Attempts at a data set that another process changes meanwhile. */
const ATTEMPTS = 5;
/** The metadata of a data set, in the order in which a writer changes it last to first. */
const METADATA = ['plan', 'manifest', 'result'] as const;

/**
 * Makes a new run that holds everything another one has built. Both share the files that manifests list, and the
 * screenshots: these are never changed in place, only replaced as a whole or removed, so no work in one run can change the
 * other. All that is appended to or rewritten (manifests, plans, results, metrics, run.json) is copied; locks, checkpoints
 * and replaced results stay behind. The fork appears as a whole or not at all.
 * @throws UserError if there is no such run, the new name is taken or not a name, or the original changes all the time
 */
export async function forkRun(options: ForkOptions): Promise<Forked> {
  const { data, from, to, share = () => true, sweep } = options;
  const source = existingRun(data, from);
  if (!isRunName(to))
    throw new UserError(`run ${JSON.stringify(to)}: expected a folder name: letters, digits, _ . + -`);
  const target = join(data, to);
  refuseExisting(target);
  removeLeftovers(data, to);
  const building = join(data, `${leftoverName(to)}${process.pid}`);
  const lock = lockOf(source);
  const release = (): void => lock?.release();
  process.once('exit', release);
  const files = new Sharing(options.link ?? linkSync);
  const leftOut: string[] = [];
  try {
    mkdirSync(building, { recursive: true });
    const sets = storedSets(source).filter(({ name }) => share(name));
    for (const set of sets) {
      // a process that writes may be in the middle of this one
      if (!lock && set.plan?.finished === false) leftOut.push(set.name);
      else await shareSet(set, join(building, set.name), files, lock !== undefined);
    }
    shareImages(join(source, 'images'), join(building, 'images'), files);
    const taken = sets.filter(({ name }) => !leftOut.includes(name)).flatMap(({ plan }) => plan?.instance ?? []);
    for (const instance of new Set(taken)) copyMetrics(source, building, instance);
    inheritLog(source, building);
    await writeAtomic(join(building, RUN_FILE), forkedRecord(source, { from, to, sweep }));
    refuseExisting(target);
    renameSync(building, target);
    await syncFolder(data);
  } catch (error) {
    rmSync(building, { recursive: true, force: true });
    if ((error as NodeJS.ErrnoException).code === 'ENOTEMPTY') refuseExisting(target);
    throw writeFailure(target, error);
  } finally {
    release();
    process.off('exit', release);
  }
  const { shared, copied, lost } = files;
  return { run: to, forked_from: from, folder: target, shared, copied, left_out: leftOut, lost };
}

function refuseExisting(target: string): void {
  if (lstatSync(target, { throwIfNoEntry: false }))
    throw new UserError(`${target}: exists already; choose another name for the fork`);
}

/** The lock of the original, if it is free: then nothing changes. Otherwise the fork takes what is finished. */
function lockOf(source: string): Lock | undefined {
  try {
    return Lock.acquire(join(source, 'lock'));
  } catch {
    // in use, or not ours to lock: what is finished there does not change
    return undefined;
  }
}

const leftoverName = (run: string): string => `.${run}.fork-${hostname()}-`;

/** Removes what killed forks to the same name left. */
function removeLeftovers(data: string, to: string): void {
  const prefix = leftoverName(to);
  for (const name of readdirSync(data)) {
    if (name.startsWith(prefix) && !isAlive(Number(name.slice(prefix.length))))
      rmSync(join(data, name), { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Gives files second names, or copies them where the file system cannot. */
class Sharing {
  shared = 0;
  copied = 0;
  lost = 0;
  private readonly folders = new Set<string>();
  private possible = true;

  constructor(private readonly link: (from: string, to: string) => void) {}

  /** @returns false if there is no such file */
  file(from: string, to: string): boolean {
    this.folder(dirname(to));
    if (this.possible) {
      try {
        this.link(from, to);
        this.shared++;
        return true;
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code === 'ENOENT') return false;
        if (code === 'EEXIST') return true;
        // too many names (EMLINK) is a matter of this file alone
        if (['EXDEV', 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes(code ?? '')) this.possible = false;
        else if (code !== 'EMLINK') throw error;
      }
    }
    if (!existsSync(from)) return false;
    copyFileSync(from, to, constants.COPYFILE_FICLONE);
    this.copied++;
    return true;
  }

  folder(path: string): void {
    if (this.folders.has(path)) return;
    mkdirSync(path, { recursive: true });
    this.folders.add(path);
  }
}

/**
 * Shares one data set. Its metadata is read before its files are shared, and must be the same afterwards.
 * @param still whether nothing can change it meanwhile
 */
async function shareSet(set: StoredSet, target: string, files: Sharing, still: boolean): Promise<void> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const before = metadata(set.folder);
    const { lines } = attempt === 0 ? set : reread(set);
    let lost = 0;
    for (const { file } of [...lines.values()].flatMap((line) => line.files)) {
      const path = pathInside(set.folder, file, setFile(set.folder, 'manifest'));
      if (!files.file(path, pathInside(target, file, setFile(set.folder, 'manifest')))) lost++;
    }
    const same = JSON.stringify(metadata(set.folder)) === JSON.stringify(before);
    if (still || (same && lost === 0)) {
      files.lost += lost;
      for (const [name, text] of before) await writeAtomic(join(target, name), text);
      return;
    }
    rmSync(target, { recursive: true, force: true });
  }
  throw new UserError(`${set.folder}: another process changes it; fork again when that has ended`);
}

function reread(set: StoredSet): StoredSet {
  const run = set.folder.slice(0, -set.name.length - 1);
  return storedSets(run).find(({ name }) => name === set.name) ?? { ...set, lines: new Map() };
}

/** Plan, manifest and result, by the names of their files. */
function metadata(folder: string): [name: string, text: string][] {
  return METADATA.flatMap((which): [string, string][] => {
    const file = setFile(folder, which);
    return existsSync(file) ? [[basename(file), readText(file)]] : [];
  });
}

/** Screenshots are named by their content. */
function shareImages(from: string, to: string, files: Sharing): void {
  if (!existsSync(from)) return;
  for (const entry of readdirSync(from, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith('.png')) continue;
    const path = join(entry.parentPath, entry.name);
    files.file(path, join(to, path.slice(from.length + 1)));
  }
}

/** Metrics are appended to, so each run has its own. */
function copyMetrics(source: string, target: string, instance: string): void {
  for (const path of [metricsFile, eventsFile]) {
    if (!existsSync(path(source, instance))) continue;
    mkdirSync(dirname(path(target, instance)), { recursive: true });
    copyFileSync(path(source, instance), path(target, instance), constants.COPYFILE_FICLONE);
  }
}

/** run.json of the fork: the original's settings under its own name. */
function forkedRecord(source: string, { from, to, sweep }: { from: string; to: string; sweep?: string }): string {
  readRecord(source);
  const record = readRunRecord(source) as Record<string, unknown> & {
    settings: Record<string, unknown>;
    changed?: Record<string, { default: unknown; value: unknown }>;
  };
  const { sweep: _, ...rest } = record;
  const changed = record.changed && { ...record.changed };
  if (changed?.run) changed.run = { ...changed.run, value: to };
  const own = { ...rest, forked_from: from, ...(sweep === undefined ? {} : { sweep }), changed };
  return runRecordText({ ...own, settings: { ...record.settings, run: to } });
}
