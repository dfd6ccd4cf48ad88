import { RUN_FILE } from './folders.js';
import { existsSync, lstatSync, readdirSync, statSync, type Dirent } from 'node:fs';
import { join, relative } from 'node:path';
import { counted } from '../counted.js';
import { dataSets } from '../data/store/data-sets.js';
import { verifyFile } from '../data/store/integrity.js';
import { livingHolder, type Holder } from '../data/store/lock.js';
import { committedShards } from '../data/store/manifest.js';
import { UserError } from '../errors.js';
import { LOG } from './log/lines.js';
import { readRunRecord } from './run-record.js';
import { IMPORT, readPlan, type PlanRecord } from './outputs.js';
import { SPARE } from './spare.js';
import { Trash, TRASH } from './trash.js';
import { jsonObjectInFile } from '../data/formats/json.js';

/** Something in a run folder that is not a whole result. */
export interface Oddity {
  /** below the run folder; `.` is the run folder */
  readonly path: string;
  readonly kind:
    'in use' | 'lock' | 'temporary' | 'unknown' | 'half-made' | 'damaged' | 'checkpoint' | 'kept' | 'record';
  /** what it is */
  readonly what: string;
  /** what to do; null: nothing, now or ever */
  readonly action: string | null;
  readonly bytes: number;
}

/** Entries of a run folder that are no data sets. */
const FOLDERS = new Set(['images', 'metrics', 'tb', 'scratch', 'judge', 'recordings', LOG, TRASH, SPARE]);
const FILES = new Set([RUN_FILE]);
const SET_FILES = /^_?(manifest\.jsonl|plan\.json|result\.json)$/;
const LOCK = 'lock';
/** Names in a list of files; the rest is counted. */
const NAMED = 5;

/**
 * Looks for everything in a run folder that is foreign, half-made or damaged, and says what to do. It reads all committed
 * files and writes nothing.
 * @param run the run folder
 * @throws UserError if it does not exist
 */
export async function examineRun(run: string): Promise<Oddity[]> {
  if (!existsSync(run)) throw new UserError(`${run}: no such run folder; choose a run with run=NAME`);
  const holder = livingHolder(join(run, LOCK));
  const sets = ['.', ...dataSets(run)].map((name) => setOf(run, name));
  const found = [
    ...lockOddities(run, holder),
    ...recordOddities(run),
    ...(await Promise.all(sets.map((set) => setOddities(run, set, holder)))).flat(),
    ...scratchOddities(run, sets, holder),
    ...metricsOddities(run, sets),
    ...trashOddities(run),
    ...new Walk(run, sets, holder).oddities(),
  ];
  return found;
}

/** A data set with what its metadata files say, as far as they can be read. */
interface SetInfo {
  readonly name: string;
  readonly plan: PlanRecord | undefined;
  /** files of the committed shards, relative to its folder */
  readonly files: ReadonlySet<string>;
  readonly shards: ReadonlySet<string>;
  /** why its metadata cannot be read */
  readonly fault: string | undefined;
}

function setOf(run: string, name: string): SetInfo {
  const folder = join(run, name);
  try {
    const lines = committedShards(folder, redo(undefined));
    const files = new Set([...lines.values()].flatMap((line) => line.files.map(({ file }) => file)));
    return { name, plan: readPlan(folder), files, shards: new Set(lines.keys()), fault: undefined };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { name, plan: undefined, files: new Set(), shards: new Set(), fault: error.message };
  }
}

function lockOddities(run: string, holder: Holder | undefined): Oddity[] {
  const file = join(run, LOCK);
  if (holder) {
    const { pid, host, running } = holder;
    const what = `process ${pid} on ${host} works on this run${running === '' ? '' : ` (${running})`}`;
    return [{ path: LOCK, kind: 'in use', what, action: null, bytes: 0 }];
  }
  if (!existsSync(file)) return [];
  if (!isLock(file)) {
    const what = 'no lock file of critiq, so no command can use this run';
    return [{ path: LOCK, kind: 'unknown', what, action: 'look at it, then delete it', bytes: sizeOf(file) }];
  }
  const what = 'left by a command that was killed; the next command takes it over';
  return [{ path: LOCK, kind: 'lock', what, action: null, bytes: sizeOf(file) }];
}

function isLock(file: string): boolean {
  return Number.isInteger(jsonObjectInFile(file)?.pid);
}

function recordOddities(run: string): Oddity[] {
  const file = join(run, RUN_FILE);
  if (!existsSync(file))
    return [
      {
        path: 'run.json',
        kind: 'record',
        what: 'missing: the run does not say what made it',
        action: 'run any of its stages again, which writes it',
        bytes: 0,
      },
    ];
  try {
    readRunRecord(run);
    return [];
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const { what, action } = parted(error.message.replace(`${file}: `, ''));
    return [{ path: 'run.json', kind: 'damaged', what, action, bytes: sizeOf(file) }];
  }
}

/** A data set whose plan is not finished, or whose files are missing or damaged. */
async function setOddities(run: string, set: SetInfo, holder: Holder | undefined): Promise<Oddity[]> {
  const { name, plan, shards, fault } = set;
  const folder = join(run, name);
  const bytes = 0;
  if (fault !== undefined) return [{ path: name, kind: 'damaged', ...parted(fault), bytes }];
  const out: Oddity[] = [];
  if (plan && !plan.finished) {
    const runs = holder?.running === plan.instance;
    const why = runs ? 'which is running' : 'which was stopped or failed';
    const what = `${shards.size} of ${counted(plan.shards.length, 'shard')} built by ${plan.instance}, ${why}`;
    const resume = plan.stage === IMPORT ? 'run `critiq import` again' : `\`critiq ${plan.stage}\` builds the rest`;
    out.push({ path: name, kind: runs ? 'in use' : 'half-made', what, action: runs ? null : resume, bytes });
  }
  for (const { shard, files } of committedShards(folder, '').values()) {
    for (const record of files) {
      try {
        await verifyFile(join(folder, record.file), record, 'full', '');
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
        const path = join(folder, record.file);
        const fault = existsSync(path) ? error.message.replace(`${path}: `, '').replace(/[;,]? *$/, '') : 'missing';
        const what = `shard ${shard}: ${fault}`;
        out.push({ path: join(name, record.file), kind: 'damaged', what, action: redo(plan), bytes: record.bytes });
      }
    }
  }
  return out;
}

/** What a message says is wrong, and what to do. */
function parted(message: string): { what: string; action: string } {
  const [what, ...action] = message.split('; ');
  return { what, action: action.join('; ') || redo(undefined) };
}

/** How to build a damaged data set again. */
function redo(plan: PlanRecord | undefined): string {
  if (!plan) return 'restore it from a copy, or delete the data set and run its stage again';
  if (plan.stage === IMPORT) return 'import it again';
  return `restore it from a copy, or delete the file and run \`critiq ${plan.stage}\` again, which rebuilds the shard`;
}

/** Checkpoints of shards that are not built yet, and those that were left behind. */
function scratchOddities(run: string, sets: readonly SetInfo[], holder: Holder | undefined): Oddity[] {
  const plans = new Map(sets.flatMap(({ plan }) => (plan ? [[plan.instance, plan] as const] : [])));
  return entriesOf(join(run, 'scratch')).map(({ name }) => {
    const path = join('scratch', name);
    const bytes = sizeOf(join(run, path));
    const instance = name.replaceAll(',', '/');
    const plan = plans.get(instance);
    if (holder?.running === instance) {
      return { path, kind: 'in use', what: `checkpoints of ${instance}, which is running`, action: null, bytes };
    }
    if (plan && !plan.finished) {
      const what = `checkpoints of ${instance}, which was stopped`;
      return { path, kind: 'checkpoint', what, action: `\`critiq ${plan.stage}\` continues from them`, bytes };
    }
    const what = `checkpoints of ${instance}, which ${plan ? 'is finished' : 'has no data set here'}`;
    return { path, kind: 'unknown', what, action: 'delete the folder', bytes };
  });
}

/** Metrics of stages that are not in this run. */
function metricsOddities(run: string, sets: readonly SetInfo[]): Oddity[] {
  const instances = new Set(sets.flatMap(({ plan }) => (plan ? [plan.instance] : [])));
  return below(join(run, 'metrics'), '')
    .filter((file) => file.endsWith('.jsonl') && !instances.has(file.slice(0, -'.jsonl'.length)))
    .map((file) => ({
      path: join('metrics', file),
      kind: 'unknown',
      what: `metrics of ${file.slice(0, -'.jsonl'.length)}, which has no data set in this run`,
      action: `delete it, and tb/${file.slice(0, -'.jsonl'.length)}`,
      bytes: sizeOf(join(run, 'metrics', file)),
    }));
}

function trashOddities(run: string): Oddity[] {
  if (!existsSync(join(run, TRASH))) return [];
  try {
    const list = new Trash(run).list();
    const known = new Set(list.map(({ id }) => id));
    const bytes = list.reduce((sum, entry) => sum + entry.bytes, 0);
    const what = `${counted(list.length, 'replaced result')}: ${some(list.map(({ id }) => id))}`;
    const kept: Oddity[] =
      list.length === 0
        ? []
        : [
            {
              path: TRASH,
              kind: 'kept',
              what: `${what}; \`critiq restore\` brings one back, \`critiq gc\` removes them`,
              action: null,
              bytes,
            },
          ];
    const foreign = entriesOf(join(run, TRASH)).filter(({ name }) => !known.has(name));
    return [
      ...kept,
      ...foreign.map(({ name }): Oddity => {
        const path = join(TRASH, name);
        return {
          path,
          kind: 'unknown',
          what: 'not a replaced result: it has no entry.json',
          action: LOOK,
          bytes: sizeOf(join(run, path)),
        };
      }),
    ];
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return [{ path: TRASH, kind: 'damaged', what: error.message, action: LOOK, bytes: 0 }];
  }
}

const LOOK = 'no command reads it: look at it, then move or delete it';

/** Temporary, unknown and empty entries of the run folder and its data sets. */
class Walk {
  private readonly found: Oddity[] = [];
  private readonly byName: ReadonlyMap<string, SetInfo>;

  constructor(
    private readonly run: string,
    sets: readonly SetInfo[],
    private readonly holder: Holder | undefined,
  ) {
    this.byName = new Map(sets.map((set) => [set.name, set]));
  }

  oddities(): Oddity[] {
    const root = this.byName.get('.')!;
    for (const entry of entriesOf(this.run)) {
      const { name } = entry;
      if (entry.isFile() && (FILES.has(name) || name === LOCK || root.files.has(name) || SET_FILES.test(name)))
        continue;
      if (name.startsWith(`${LOCK}.`))
        this.addLeftover(name, 'left by a command that was killed while it took the lock');
      else if (entry.isDirectory() && FOLDERS.has(name)) this.temporary(name);
      else if (entry.isDirectory()) this.folder(name);
      else this.file(name, undefined);
    }
    return this.found;
  }

  /** A folder that is a data set, holds some, or neither. */
  private folder(path: string): void {
    const set = this.byName.get(path);
    const inside = [...this.byName.keys()].some((name) => name.startsWith(`${path}/`));
    const entries = entriesOf(join(this.run, path));
    if (!set && !inside) {
      const bytes = sizeOf(join(this.run, path));
      const empty = bytes === 0 && below(join(this.run, path), '').length === 0;
      const what = empty
        ? 'an empty folder, left by a failed command'
        : 'no data set: it has neither a plan nor a manifest';
      this.found.push({ path, kind: 'unknown', what, action: empty ? 'delete it' : LOOK, bytes });
      return;
    }
    for (const entry of entries) {
      const own = join(path, entry.name);
      if (!entry.isDirectory()) this.file(own, set && { set, name: entry.name });
      else if (!set) this.folder(own);
      else this.inside(set, entry.name);
    }
  }

  /** A folder within a data set: another data set, or files of its shards. */
  private inside(set: SetInfo, below: string): void {
    const path = join(set.name, below);
    if (this.byName.has(path) || [...this.byName.keys()].some((name) => name.startsWith(`${path}/`)))
      return this.folder(path);
    for (const entry of entriesOf(join(this.run, path))) {
      const name = join(below, entry.name);
      if (entry.isDirectory()) this.inside(set, name);
      else this.file(join(set.name, name), { set, name });
    }
  }

  private file(path: string, of: { set: SetInfo; name: string } | undefined): void {
    if (path.endsWith('.tmp')) return this.addLeftover(path, 'half-written by a command that was killed or runs');
    if (of && (of.set.files.has(of.name) || SET_FILES.test(of.name) || of.set.fault !== undefined)) return;
    const what = of ? `not in the manifest of ${of.set.name}` : 'not a file of critiq';
    // a shard writes its files before it is committed
    const unfinished = of?.set.plan && !of.set.plan.finished;
    if (unfinished) this.addLeftover(path, `of a shard that is not committed yet`);
    else this.found.push({ path, kind: 'unknown', what, action: LOOK, bytes: sizeOf(join(this.run, path)) });
  }

  /** Temporary files below a folder that is no data set. */
  private temporary(folder: string): void {
    for (const file of below(join(this.run, folder), ''))
      if (file.endsWith('.tmp'))
        this.addLeftover(join(folder, file), 'half-written by a command that was killed or runs');
  }

  private addLeftover(path: string, what: string): void {
    const bytes = sizeOf(join(this.run, path));
    if (this.holder)
      this.found.push({ path, kind: 'in use', what: `${what}; this run is in use`, action: null, bytes });
    else
      this.found.push({
        path,
        kind: 'temporary',
        what,
        action: 'run its stage again, which replaces it, or delete it',
        bytes,
      });
  }
}

function entriesOf(folder: string): Dirent[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** All files below a folder, relative to it. */
function below(root: string, at: string): string[] {
  return entriesOf(join(root, at)).flatMap((entry) => {
    const path = join(at, entry.name);
    return entry.isDirectory() ? below(root, path) : [path];
  });
}

function sizeOf(path: string): number {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (!stat?.isDirectory()) return stat?.size ?? 0;
  return below(path, '').reduce(
    (sum, file) => sum + (statSync(join(path, file), { throwIfNoEntry: false })?.size ?? 0),
    0,
  );
}

function some(names: readonly string[]): string {
  const more = names.length - NAMED;
  return `${names.slice(0, NAMED).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/** One line for people. @param run the run folder, which relative paths are below */
export function oddityLine(run: string, { path, kind, what, action, bytes }: Oddity): string {
  const size = bytes > 0 ? ` (${sizeText(bytes)})` : '';
  const todo = action === null ? '' : `; ${action}`;
  return `${action === null ? 'note   ' : 'action '} ${kind}: ${relative(process.cwd(), join(run, path)) || '.'}${size}: ${what}${todo}`;
}

function sizeText(bytes: number): string {
  return bytes < 1e6 ? `${Math.ceil(bytes / 1000)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
