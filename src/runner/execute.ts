import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import PQueue from 'p-queue';
import { counted } from '../counted.js';
import { recordFile } from '../data/store/integrity.js';
import { LockLost } from '../data/store/lock.js';
import { RunError, UserError } from '../errors.js';
import type { Display } from './display.js';
import { describeFailure } from './failure.js';
import type { Instance } from './instance.js';
import { addShardTime } from './log/shards.js';
import { Metrics } from './metrics.js';
import { Trash, TRASH } from './trash.js';
import { type Output, type PlanRecord, readPlan } from './outputs.js';
import { ShardPool } from './shard-pool.js';
import type { DatasetOutput, OutputFile, Shard, ShardContext, ShardOutput, StageContext } from './stage.js';

/** Ctrl-C or SIGTERM stopped the work; committed shards stay. */
export class Interrupted extends RunError {
  override name = 'Interrupted';
}

export interface Summary {
  readonly stage: string;
  readonly instance: string;
  readonly shards: number;
  /** shards built by this call; 0: everything was up to date */
  readonly made: number;
  /** shards removed because inputs, settings or the plan changed */
  readonly outdated: number;
  /** rows of its first data set */
  readonly rows: number;
  readonly outputs: readonly string[];
}

export interface Surroundings {
  readonly display: Display;
  readonly signal: AbortSignal;
  /** called before everything that changes a data set. @throws LockLost if another process works here by now */
  readonly hold: () => void;
  /** called when the stage starts to write */
  readonly onStart: (instance: string) => Promise<void>;
  /** rebuild all shards, whatever the manifests say */
  readonly force: boolean;
  /** replace results that no longer fit inputs and settings; otherwise such results are an error */
  readonly redo: boolean;
  /** where a worker thread finds the stage (Registry.module); undefined: all shards run in this thread */
  readonly module: string | undefined;
  /** id of the command in the run's log */
  readonly command: string;
}

/**
 * Brings a stage instance up to date: plans its shards, runs missing ones and commits each when it is complete. Results
 * that no longer fit are replaced only with `redo` or `force`, and then moved to the trash (trash.ts). The caller holds the
 * lock of the run folder and has the inputs ready.
 * @throws UserError before anything is written where results would be replaced without being asked to; the first failure
 *   of a shard, after the parallel ones have ended; Interrupted
 */
export async function execute(instance: Instance, surroundings: Surroundings): Promise<Summary> {
  const { display, signal, hold, onStart, force, redo } = surroundings;
  const { name, stage, outputs } = instance;
  const context = instance.context(display, signal);
  const shards = await instance.plan(context);
  const done = new Set(force ? [] : shards.filter((shard) => instance.isDone(shard)).map(({ id }) => id));
  const missing = shards.filter(({ id }) => !done.has(id));
  const stale = new Set(outputs.flatMap((output) => output.shards.filter((id) => !done.has(id))));
  const outdated = stale.size;
  const recorded = readPlan(outputs[0].folder)?.settings;
  const finished = instance.planRecord(shards, true);
  const summary = (): Summary => ({
    stage: stage.name,
    instance: name,
    shards: shards.length,
    made: missing.length,
    outdated,
    rows: outputs[0].rows(),
    outputs: outputs.map((output) => output.folder),
  });
  const plans = outputs.map((output) => readPlan(output.folder));
  if (missing.length === 0 && outdated === 0 && plans.every((plan) => plan?.finished && sameShards(plan, finished)))
    return summary();

  // a shard whose files are lost or truncated is no result, and is rebuilt without asking
  const whole = new Set([...stale].filter((id) => outputs.every((output) => output.whole(id) ?? true)));
  const rebuilt = missing.filter(({ id }) => stale.has(id)).length;
  const reasons = force ? ['--force'] : whatChanged(instance, recorded, missing, outdated - rebuilt);
  const why = reasons.join('; ');
  if (whole.size > 0 && !stage.view && !redo && !force) throw wouldReplace(instance, whole, shards, why);

  await onStart(name);
  if (outdated > 0) {
    context.log.info(`${whatHappens(rebuilt, outdated - rebuilt)}: ${why}`);
  } else if (done.size > 0 && missing.length > 0)
    context.log.info(`building ${missing.length} of ${shards.length} shards; the rest is up to date`);
  if (whole.size > 0 && !stage.view) {
    const keep = new Set(outputs.flatMap((output) => output.shards).filter((id) => !whole.has(id)));
    const trash = new Trash(instance.folder);
    const id = await trash.put(name, outputs, keep, why);
    context.log.info(`kept the replaced result: critiq restore ${id} run=${instance.config.run} brings it back`);
  }
  for (const output of outputs) {
    await output.writePlan({ ...finished, finished: false });
    await output.retain(done);
    output.removeTemporary();
  }
  const scratch = new Scratch(instance, force ? [] : missing);
  const metrics = new Metrics(instance.folder, name, (id) => done.has(id) || scratch.holds(id));
  try {
    await runShards(instance, shards, missing, { ...context, metrics, scratch }, surroundings);
    hold();
    for (const output of outputs) await output.sort(finished.shards);
    metrics.finish(finished.shards);
    await stage.finish(context);
    // before the plan says finished: after a kill in between, nothing would ever remove it
    hold();
    scratch.remove();
    for (const output of outputs) await output.writePlan(finished);
  } catch (error) {
    const failure = describeFailure(error, instance.folder);
    // do not leave a full disk full of half-written files; but those of another process are not ours to remove
    if (!isLost(hold)) for (const output of outputs) output.removeTemporary();
    throw failure;
  } finally {
    metrics.close();
  }
  return summary();
}

function isLost(hold: () => void): boolean {
  try {
    hold();
  } catch (error) {
    return error instanceof LockLost;
  }
  return false;
}

/** One line that says what would be replaced, why, and what to do. */
function wouldReplace(
  { name, outputs }: Instance,
  whole: ReadonlySet<string>,
  planned: readonly Shard[],
  why: string,
): UserError {
  const ids = new Set(planned.map(({ id }) => id));
  const surplus = [...whole].filter((id) => !ids.has(id)).length;
  const { folder } = outputs[0];
  const rebuilt = whole.size - surplus;
  const what = [
    ...(rebuilt > 0 ? [`rebuild ${counted(rebuilt, 'finished shard')}`] : []),
    ...(surplus > 0 ? [`drop ${counted(surplus, 'finished shard')}`] : []),
  ].join(' and ');
  return new UserError(
    `${name}: this would ${what} in ${folder} (${why}); add --redo to replace the result (the old one is kept in ${TRASH}), use the settings it was built with, or choose another run with run=NAME`,
  );
}

type Resources = StageContext<unknown> & { readonly metrics: Metrics; readonly scratch: Scratch };

/** @throws UserError if the stage would overwrite data that no stage built */
export function refuseForeign({ stage, outputs }: Instance): void {
  const foreign = outputs.find((output) => output.foreign);
  if (!foreign) return;
  throw new UserError(
    `${foreign.folder}: holds data that \`critiq ${stage.name}\` did not build (imported?): choose another run with run=NAME, or replace the data with --force`,
  );
}

async function runShards(
  instance: Instance,
  shards: readonly Shard[],
  missing: readonly Shard[],
  resources: Resources,
  { display, hold, module, command }: Surroundings,
): Promise<void> {
  const { metrics, scratch, ...context } = resources;
  const total = shards.length;
  const { stage, name, config, folder } = instance;
  // by the number of all shards, not of those left after a kill: threads affect rounding, and both runs must agree
  const threads = instance.threads(total);
  const parallel = module !== undefined && Math.min(instance.workers, missing.length) > 1;
  const pool = parallel
    ? new ShardPool({ module, stage: stage.name, instance: name, config, folder, threads })
    : undefined;
  const stop = new AbortController();
  const signal = AbortSignal.any([context.signal, stop.signal]);
  const progress = total > 1 ? display.progress(total, `${instance.name}: shards`, total - missing.length) : undefined;
  const queue = new PQueue({ concurrency: instance.workers });
  let failure: { error: unknown; shard: string } | undefined;
  let committing: Promise<void> = Promise.resolve();

  const runOne = async (shard: Shard): Promise<void> => {
    if (signal.aborted) return;
    const start = new Date();
    const resumed = scratch.holds(shard.id);
    try {
      const shardContext: ShardContext<unknown> = {
        ...context,
        threads,
        signal,
        metrics: metrics.shard(shard.id),
        scratch: () => scratch.folder(shard),
      };
      const made = pool ? pool.run(shard, shardContext) : stage.run(shard, shardContext);
      const files = byDataset(instance, await made);
      // one manifest line at a time, and only when all files of the shard are in place
      const mine = committing.then(() => commit(instance, shard, files, hold));
      committing = mine.catch(() => {});
      await mine;
      const seconds = (Date.now() - start.getTime()) / 1000;
      const time = { instance: name, shard: shard.id, command, start: start.toISOString(), seconds, threads };
      addShardTime(folder, { ...time, workers: instance.workers, resumed });
      progress?.advance();
    } catch (error) {
      // errors of a shard that was told to stop are its way of stopping
      if (signal.aborted) return;
      failure ??= { error, shard: shard.id };
      stop.abort(error);
    }
  };
  await queue.addAll(missing.map((shard) => () => runOne(shard)));
  await pool?.close();
  progress?.done();
  if (failure) {
    display.debug(`${instance.name}: shard ${failure.shard} failed`);
    throw failure.error;
  }
  if (context.signal.aborted) {
    throw new Interrupted(`${instance.name}: stopped; finished work is kept: run the same command again to resume`);
  }
}

async function commit(
  instance: Instance,
  shard: Shard,
  files: ReadonlyMap<Output, DatasetOutput>,
  hold: () => void,
): Promise<void> {
  const fingerprints = instance.fingerprints(shard);
  for (const [output, { files: names, facts }] of files) {
    const records = await Promise.all(
      names.map((file) => (typeof file === 'string' ? recordFile(join(output.folder, file), file) : file)),
    );
    hold();
    await output.commit({ shard: shard.id, files: records, ...fingerprints, ...(facts ? { facts } : {}) });
  }
}

/** The files that a shard returned, for every output of its stage. */
function byDataset(instance: Instance, returned: ShardOutput): Map<Output, DatasetOutput> {
  const { outputs, stage } = instance;
  if (isFiles(returned)) {
    if (outputs.length !== 1)
      throw new Error(`stage ${stage.name} has ${outputs.length} outputs: return the files by data set`);
    return new Map([[outputs[0], { files: returned }]]);
  }
  const unknown = Object.keys(returned).find((name) => !outputs.some((output) => output.name === name));
  if (unknown !== undefined)
    throw new Error(`stage ${stage.name} returned files of ${unknown}, which is not one of its outputs`);
  return new Map(
    outputs.map((output) => {
      const of = returned[output.name] ?? [];
      return [output, isFiles(of) ? { files: of } : of];
    }),
  );
}

function isFiles(value: ShardOutput | DatasetOutput): value is readonly OutputFile[] {
  return Array.isArray(value);
}

function sameShards(a: PlanRecord, b: PlanRecord): boolean {
  return a.shards.join('\n') === b.shards.join('\n');
}

/** What happens to outdated shards: those of the plan are rebuilt, the others removed. */
function whatHappens(rebuilt: number, removed: number): string {
  if (removed === 0) return `rebuilding ${counted(rebuilt, 'outdated shard')}`;
  if (rebuilt === 0) return `removing ${counted(removed, 'outdated shard')}`;
  return `rebuilding ${rebuilt} and removing ${counted(removed, 'outdated shard')}`;
}

/** Settings to name in a log line; the rest is counted. */
const NAMED = 4;

/** Why shards are rebuilt or removed. @param recorded the settings of the last plan */
function whatChanged(
  instance: Instance,
  recorded: PlanRecord['settings'] | undefined,
  rebuilt: readonly Shard[],
  removed: number,
): string[] {
  const changes = recorded ? differences(recorded, instance.settings, '') : [];
  const more = changes.length - NAMED;
  const named = `${changes.slice(0, NAMED).join(', ')}${more > 0 ? ` and ${counted(more, 'more setting')}` : ''}`;
  const reasons = new Set(changes.length > 0 ? [named] : []);
  for (const shard of rebuilt) {
    const wanted = instance.fingerprints(shard);
    for (const output of instance.outputs) {
      const built = output.fingerprints(shard.id);
      if (!built) continue;
      const sameSettings = built.settings === wanted.settings;
      if (built.inputs !== wanted.inputs) reasons.add('inputs changed');
      else if (sameSettings) reasons.add('files are missing or incomplete');
      if (!sameSettings && changes.length === 0) reasons.add('the version of the stage changed');
    }
  }
  if (removed > 0 && changes.length === 0) reasons.add('the plan changed');
  return [...reasons];
}

function differences(a: unknown, b: unknown, path: string): string[] {
  if (JSON.stringify(a) === JSON.stringify(b)) return [];
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null || Array.isArray(a)) {
    const text = (value: unknown): string => (value === undefined ? 'unset' : shortened(JSON.stringify(value)));
    return [`${path} ${text(a)} -> ${text(b)}`];
  }
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].flatMap((key) =>
    differences(
      (a as Record<string, unknown>)[key],
      (b as Record<string, unknown>)[key],
      path === '' ? key : `${path}.${key}`,
    ),
  );
}

function shortened(text: string): string {
  return text.length > 40 ? `${text.slice(0, 37)}...` : text;
}

const STAMP = '.fingerprints';

/** Checkpoint folders of a stage's unfinished shards. Folders of other inputs or settings are removed. */
class Scratch {
  private readonly root: string;
  private readonly kept = new Set<string>();

  constructor(
    private readonly instance: Instance,
    shards: readonly Shard[],
  ) {
    this.root = join(instance.folder, 'scratch', instance.name.replaceAll('/', ','));
    const wanted = new Map(shards.map((shard) => [shard.id, this.stamp(shard)]));
    for (const id of existsSync(this.root) ? readdirSync(this.root) : []) {
      const stamp = join(this.root, id, STAMP);
      if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted.get(id)) this.kept.add(id);
      else rmSync(join(this.root, id), { recursive: true, force: true });
    }
  }

  /** Whether an earlier run left a folder for the shard that is still valid. */
  holds(shard: string): boolean {
    return this.kept.has(shard);
  }

  folder(shard: Shard): string {
    const folder = join(this.root, shard.id);
    const stamp = join(folder, STAMP);
    if (!existsSync(stamp)) {
      mkdirSync(folder, { recursive: true });
      writeFileSync(stamp, this.stamp(shard));
    }
    return folder;
  }

  remove(): void {
    rmSync(this.root, { recursive: true, force: true });
  }

  private stamp(shard: Shard): string {
    return JSON.stringify(this.instance.fingerprints(shard));
  }
}
