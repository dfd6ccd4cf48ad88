import { join } from 'node:path';
import PQueue from 'p-queue';
import { recordFile } from '../data/store/integrity.js';
import { LockLost } from '../data/store/lock.js';
import type { Shard as Line } from '../data/store/manifest.js';
import { RunError, UserError } from '../errors.js';
import type { Display } from './display.js';
import { describeFailure } from './failure.js';
import { Growth } from './growth.js';
import { verifyInputs } from './inputs.js';
import type { Instance } from './instance.js';
import { addShardTime } from './log/shards.js';
import { Metrics } from './metrics.js';
import { type Output, type PlanRecord, readPlan } from './outputs.js';
import { whatChanged, whatGrows, whatHappens, wouldReplace } from './reasons.js';
import { KEPT, keptIn, Scratch } from './scratch.js';
import { ShardPool } from './shard-pool.js';
import type { DatasetOutput, OutputFile, Shard, ShardContext, ShardOutput, StageContext } from './stage.js';
import { survey } from './survey.js';
import { Trash, TRASH } from './trash.js';

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
  const { works, surplus, dropped } = survey(instance, shards, { force });
  const done = new Set(works.filter(({ how }) => how === 'done').map(({ shard }) => shard.id));
  const missing = works.filter(({ how }) => how === 'grow' || how === 'build').map(({ shard }) => shard);
  const built = works.filter(({ how }) => how === 'build').map(({ shard }) => shard);
  const back = works.filter(({ how }) => how === 'back');
  const replaced = works.filter(({ replaces }) => replaces).map(({ shard }) => shard.id);
  // what a view shows can be built again at any time; what goes with a replaced result is kept with it
  const replaces = replaced.length + dropped.length > 0;
  const parked = stage.view || replaces ? [] : surplus;
  const kept = new Set(works.flatMap(({ current, replaces, shard }) => (current && !replaces ? [shard.id] : [])));
  for (const { shard } of parked) kept.add(shard);
  const stale = new Set(outputs.flatMap((output) => output.shards.filter((id) => !kept.has(id))));
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
  const nothingToDo = missing.length + back.length + outdated + parked.length === 0;
  if (nothingToDo && plans.every((plan) => plan?.finished && sameShards(plan, finished))) return summary();

  // a shard whose files are lost or truncated is no result, and is rebuilt without asking
  const whole = new Set(replaces ? [...replaced, ...surplus.map(({ shard }) => shard)] : []);
  const rebuilt = missing.filter(({ id }) => stale.has(id)).length;
  const reasons = force ? ['--force'] : whatChanged(instance, recorded, built, outdated - rebuilt);
  const why = reasons.join('; ');
  if (replaces && !stage.view && !redo && !force) throw wouldReplace(instance, whole, shards, why);
  await verifyInputs(instance, missing);

  await onStart(name);
  for (const line of whatGrows(works, parked, why)) context.log.info(line);
  if (outdated > 0) {
    context.log.info(`${whatHappens(rebuilt, outdated - rebuilt)}: ${why}`);
  } else if (done.size > 0 && works.some(({ how }) => how === 'build'))
    context.log.info(`building ${missing.length} of ${shards.length} shards; the rest is up to date`);
  hold();
  for (const output of outputs) await output.store();
  const growth = new Growth(instance, works);
  await growth.park(parked);
  let old: string | undefined;
  if (whole.size > 0 && !stage.view) {
    const keep = new Set(outputs.flatMap((output) => output.shards).filter((id) => !whole.has(id)));
    const trash = new Trash(instance.folder);
    old = await trash.put(name, outputs, keep, why);
    context.log.info(`kept the replaced result: critiq restore ${old} run=${instance.config.run} brings it back`);
  } else if (plans.some((plan) => plan?.finished === false)) {
    const before = new Trash(instance.folder).list().findLast((entry) => entry.instance === name);
    if (before && done.size === 0)
      context.log.info(
        `not finished before; critiq restore ${before.id} run=${instance.config.run} brings back the result that was replaced`,
      );
  }
  for (const output of outputs) {
    await output.writePlan({ ...finished, finished: false });
    await output.retain(done);
    output.removeTemporary();
  }
  growth.settle();
  const scratch = new Scratch(instance, force ? [] : missing);
  const metrics = new Metrics(instance.folder, name, (id) => done.has(id) || scratch.holds(id));
  try {
    await growth.takeBack(back, metrics, finished.shards);
    await runShards(instance, shards, missing, { ...context, metrics, scratch, growth }, surroundings);
    hold();
    for (const output of outputs) await output.sort(finished.shards);
    metrics.finish(finished.shards);
    await stage.finish(context);
    growth.prune();
    // before the plan says finished: after a kill in between, nothing would ever remove it
    hold();
    scratch.remove();
    for (const output of outputs) await output.writePlan(finished);
  } catch (error) {
    const failure = describeFailure(error, instance.folder);
    // do not leave a full disk full of half-written files; but those of another process are not ours to remove
    if (!isLost(hold)) for (const output of outputs) output.removeTemporary();
    if (old !== undefined)
      context.log.warn(
        `not finished; the old result is in ${TRASH}/${old}: critiq restore ${old} run=${instance.config.run} brings it back`,
      );
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

type Resources = StageContext<unknown> & {
  readonly metrics: Metrics;
  readonly scratch: Scratch;
  readonly growth: Growth;
};

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
  const { metrics, scratch, growth, ...context } = resources;
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
      const priors = await growth.priors(shard, context.log);
      if (priors.length > 0 && !scratch.holds(shard.id)) metrics.adopt(shard.id, growth.metricsOf(shard));
      const shardContext: ShardContext<unknown> = {
        ...context,
        threads,
        signal,
        metrics: metrics.shard(shard.id),
        scratch: () => scratch.folder(shard),
        priors,
        keep: () => keptIn(scratch.folder(shard)),
      };
      const made = pool ? pool.run(shard, shardContext) : stage.run(shard, shardContext);
      const files = byDataset(instance, await made);
      // one manifest line at a time, and only when all files of the shard are in place
      const mine = committing.then(async () => {
        const lines = await linesOf(instance, shard, files);
        hold();
        await growth.beforeCommit(shard, lines, join(scratch.path(shard), KEPT));
        hold();
        for (const [n, output] of instance.outputs.entries()) await output.commit(lines[n]);
      });
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

/** The manifest lines of a shard whose files are in place, one for each output. */
async function linesOf(
  instance: Instance,
  shard: Shard,
  files: ReadonlyMap<Output, DatasetOutput>,
): Promise<readonly Line[]> {
  const fingerprints = instance.fingerprints(shard);
  const { extent } = shard;
  return Promise.all(
    instance.outputs.map(async (output) => {
      const { files: names, facts } = files.get(output)!;
      const records = await Promise.all(
        names.map((file) => (typeof file === 'string' ? recordFile(join(output.folder, file), file) : file)),
      );
      const grown = extent ? { extent } : {};
      return { shard: shard.id, files: records, ...fingerprints, ...grown, ...(facts ? { facts } : {}) };
    }),
  );
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
