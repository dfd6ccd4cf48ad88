import { existsSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryName, writeAtomic } from '../data/store/atomic.js';
import { UserError } from '../errors.js';
import { changedSettings } from '../settings/changes.js';
import type { Config } from '../settings/settings.js';
import { Display } from './display.js';
import { execute, refuseForeign, type Summary } from './execute.js';
import { RUN_FILE } from './folders.js';
import { circularStages, refuseOwnInput } from './inputs.js';
import { datasetFolder, Instance, runFolder } from './instance.js';
import { CommandLog } from './log/commands.js';
import { Lock } from '../data/store/lock.js';
import { IMPORT, readManifest, readPlan } from './outputs.js';
import { gitCommit, versions } from './package.js';
import { preflight } from './preflight.js';
import { type LoadedRegistry, withRecorded, withSettings } from './registry.js';
import { checkReference, reference } from './reference.js';
import { recordedPlans } from './recorded.js';
import { runRecordIn, runRecordText } from './run-record.js';
import { asBuilt, commandSettings } from './run-settings.js';
import type { Stage } from './stage.js';
import { Trash } from './trash.js';
import { readText } from '../data/formats/text.js';

export interface RunOptions {
  readonly display?: Display;
  readonly signal?: AbortSignal;
  /** false: a missing input is an error that names its command, instead of being built first */
  readonly deps?: boolean;
  /** rebuild all shards of the named stage */
  readonly force?: boolean;
  /** replace results of any stage on the way that no longer fit their inputs and settings; they go to the trash */
  readonly redo?: boolean;
}

/** The lock file of a run folder. */
export function lockFile(config: Config): string {
  return join(runFolder(config), 'lock');
}

/**
 * Builds the inputs of a stage as far as needed, then runs the stage, under the lock of the run folder.
 * @returns a summary of every stage on the way, the named one last
 * @throws LockedError, UserError, Interrupted, or what a stage throws
 */
export async function runStage(
  registry: LoadedRegistry,
  name: string,
  config: Config,
  options: RunOptions = {},
): Promise<Summary[]> {
  const { display = new Display('quiet'), signal = new AbortController().signal, deps = true, force = false } = options;
  const redo = options.redo === true || config.yes;
  const target = registry.stages.get(name);
  if (!target) throw new UserError(`unknown stage ${name}; expected one of ${[...registry.stages.keys()].join(', ')}`);
  const unknown = Object.keys(config.seeds).find((stage) => !registry.stages.has(stage));
  if (unknown !== undefined)
    throw new UserError(`seeds.${unknown}: no such stage; expected one of ${[...registry.stages.keys()].join(', ')}`);
  return underLock(config, display, async (lock, log) => {
    await new Trash(runFolder(config)).finish();
    const summaries: Summary[] = [];
    const ready = new Set<string>();
    const stopped = AbortSignal.any([signal, lossOf(lock)]);
    // a command that fails before it writes leaves run.json as it was
    const onStart = async (instance: string): Promise<void> => {
      lock.update(instance);
      log.begin();
      await writeRunRecord(config, registry.schema);
    };

    const command = commandSettings(config);
    const bring = async (stage: Stage, settings: Config, chain: readonly string[]): Promise<void> => {
      const instanceName = stage.instance(settings);
      if (ready.has(instanceName)) return;
      if (chain.includes(instanceName))
        throw circularStages([...chain.slice(chain.indexOf(instanceName)), instanceName], config);
      const again = force && chain.length === 0;
      const instance = new Instance(stage, settings);
      refuseOwnInput(instance);
      if (!again) refuseForeign(instance);
      for (const dataset of instance.inputs) {
        const other = reference(dataset);
        if (other) await checkReference(settings, other);
        else if (!deps) requireDataset(registry, settings, dataset, instanceName);
        else {
          const producer = findProducer(registry, command?.beneath ?? settings, dataset, instanceName);
          if (!producer) continue;
          const tell = (differences: readonly string[]): void =>
            display.info(`${dataset}: used as it was built (${differences.slice(0, 3).join('; ')})`);
          const built = asBuilt(registry, producer.stage, producer.config, command, tell);
          await bring(producer.stage, built, [...chain, instanceName]);
        }
      }
      ready.add(instanceName);
      summaries.push(
        await execute(instance, {
          display,
          signal: stopped,
          hold: () => lock.hold(),
          onStart,
          force: again,
          redo,
          module: registry.module,
          command: log.id,
        }),
      );
    };
    if (deps) await preflight(target, config, (...sought) => findProducer(registry, ...sought));
    await bring(target, config, []);
    return summaries;
  });
}

/**
 * Runs `work` while holding the lock of the run folder, and notes the command in the run's log: at once if the run exists,
 * else when `work` calls `log.begin()` or has made it one.
 */
export async function underLock<T>(
  config: Config,
  display: Display,
  work: (lock: Lock, log: CommandLog) => Promise<T>,
): Promise<T> {
  const file = lockFile(config);
  const folders = [runFolder(config), config.data].filter((folder) => !existsSync(folder));
  const lock = Lock.acquire(file, (dead) =>
    display.info(`${file}: taken over from process ${dead.pid}, which has ended`),
  );
  const log = new CommandLog(runFolder(config));
  const exists = (): boolean => existsSync(join(runFolder(config), RUN_FILE));
  // a second signal, or the first one and no end in sight
  const leave = (code: number): void => {
    log.end({ code });
    lock.release();
  };
  process.once('exit', leave);
  try {
    if (exists()) log.begin();
    const result = await work(lock, log);
    if (exists()) log.begin();
    log.end();
    return result;
  } catch (thrown) {
    // whatever a stage says when it is told to stop
    const error = lock.lost ?? thrown;
    if (exists()) log.begin();
    log.end({ error });
    throw error;
  } finally {
    lock.release();
    process.off('exit', leave);
    removeEmpty(folders);
  }
}

/** Aborted when another process takes the lock. */
function lossOf(lock: Lock): AbortSignal {
  const controller = new AbortController();
  lock.onLost((error) => controller.abort(error));
  return controller.signal;
}

/** Removes the folders that a command made and left empty: a failed command must not look like a run. */
function removeEmpty(folders: readonly string[]): void {
  for (const folder of folders) {
    try {
      rmdirSync(folder);
    } catch {
      return; // in use
    }
  }
}

/**
 * The stage that builds a data set, with its settings: one that outputs it, one that would with other settings
 * (`provides`), or the one that built the existing one. Undefined for imported data, which is used as it is.
 * @throws UserError if the data set is missing and no stage builds it
 */
export function findProducer(
  { stages, schema }: LoadedRegistry,
  config: Config,
  dataset: string,
  reader: string,
): { stage: Stage; config: Config } | undefined {
  // it is used as it is, like imported data
  if (reference(dataset)) return undefined;
  const folder = datasetFolder(config, dataset);
  const plan = readPlan(folder);
  if (plan?.stage === IMPORT && !plan.finished) {
    throw new UserError(`${folder}: its import was interrupted; run \`critiq import\` again, or delete the folder`);
  }
  if ((plan?.stage ?? IMPORT) === IMPORT && readManifest(folder).size > 0) return undefined;
  for (const stage of stages.values()) {
    if (stage.outputs(config).includes(dataset)) return { stage, config };
  }
  for (const stage of stages.values()) {
    const changes = stage.provides(dataset, config);
    if (!changes) continue;
    const changed = withSettings(schema, config, changes);
    if (stage.outputs(changed).includes(dataset)) return { stage, config: changed };
    throw new Error(`stage ${stage.name} offers ${dataset} with ${JSON.stringify(changes)}, but would not write it`);
  }
  const stage = plan && stages.get(plan.stage);
  const recorded = stage && withRecorded(schema, config, plan);
  if (recorded) return { stage, config: recorded };
  throw new UserError(
    `${folder}: ${reader} needs it, but it does not exist and no stage builds it${alike(dataset, config, stages)}`,
  );
}

/** What there is of the same kind as a missing data set, and what stages would build with these settings. */
function alike(dataset: string, config: Config, stages: LoadedRegistry['stages']): string {
  const kind = dataset.includes('/') ? dataset.slice(0, dataset.indexOf('/') + 1) : undefined;
  if (kind === undefined) return '; check the names in the settings';
  const there = recordedPlans(join(runFolder(config), kind)).length > 0 ? names(join(runFolder(config), kind)) : [];
  const built = [...stages.values()].flatMap((stage) => stage.outputs(config)).filter((name) => name.startsWith(kind));
  const more = built.map((name) => name.slice(kind.length)).filter((name) => !there.includes(name));
  const list = (found: readonly string[]): string => found.slice(0, 12).join(', ');
  return `; run ${config.run} has ${there.length > 0 ? list(there) : 'none'} below ${kind}${more.length > 0 ? `, and stages can build ${list(more)}` : ''}`;
}

function names(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
    .map(({ name }) => name)
    .sort();
}

/** @throws UserError if a data set is missing or unfinished: it names the command that builds it */
export function requireDataset(registry: LoadedRegistry, config: Config, dataset: string, reader: string): void {
  const folder = datasetFolder(config, dataset);
  const plan = readPlan(folder);
  const there = plan ? plan.finished : readManifest(folder).size > 0;
  if (there) return;
  const producer = findProducer(registry, config, dataset, reader);
  const what = plan ? 'incomplete' : 'missing';
  throw new UserError(
    `${folder}: ${what}, and ${reader} needs it; run \`critiq ${producer?.stage.name ?? dataset}\` first, or drop --no-deps`,
  );
}

/**
 * Writes run.json: what is needed to repeat the run. It holds nothing of the environment. What other parts of critiq keep
 * there stays.
 * @param schema of all settings; with it, the record lists those that differ from their defaults
 */
export async function writeRunRecord(config: Config, schema?: LoadedRegistry['schema']): Promise<void> {
  const command = commandSettings(config);
  const settings = command?.beneath ?? config;
  const changed = schema && changedSettings(schema, settings);
  const file = join(runFolder(config), RUN_FILE);
  const before = existsSync(file) ? readText(file) : '';
  // a damaged one is written again
  const { set: _, ...others } = runRecordIn(runFolder(config));
  const own = { versions: versions(), commit: gitCommit(), seed: config.seed, changed, settings };
  const text = runRecordText({ ...others, ...own, ...(command ? { set: command.next } : {}) });
  if (before !== text) await writeAtomic(file, text);
  // a kill in the middle of writing may have left it
  else rmSync(temporaryName(file), { force: true });
}
