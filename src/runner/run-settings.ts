import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { UserError } from '../errors.js';
import { changedSettings, valueAt } from '../settings/changes.js';
import { compose, type Composed, readGiven } from '../settings/compose.js';
import { isNames } from '../settings/files.js';
import { leafPaths, schemaAt, scopeOf } from '../settings/schema.js';
import { type Config, loadSettings, resolveEntries, type Sources } from '../settings/settings.js';
import { RECORDED, type StoredSettings, storedSettings } from '../settings/stored.js';
import { RUN_FILE } from './folders.js';
import { datasetFolder, runFolder } from './instance.js';
import { type PlanRecord, readPlan } from './outputs.js';
import { type LoadedRegistry, recordedSettings, withRecorded, withSettings } from './registry.js';
import { readRunRecord } from './run-record.js';
import { recordedPlans } from './recorded.js';
import type { Stage } from './stage.js';

/** What a command was given, beside its settings. */
export type CommandSettings = Composed & {
  /** whether the run existed before the command */
  readonly exists: boolean;
};

/** What loaded settings were put together from. Settings that a program made itself have nothing here. */
const loaded = new WeakMap<Config, CommandSettings>();

/** Where the settings of a command come from; undefined for settings that did not come from `loadRunSettings`. */
export function commandSettings(config: Config): CommandSettings | undefined {
  return loaded.get(config);
}

/**
 * The settings of a command: defaults, what its run was made with, its settings file, its overrides.
 * @param sources.fallback the settings file of new runs, where the command names none
 * @param stage the stage that the command names
 * @throws UserError with a line for each mistake
 */
export function loadRunSettings(
  registry: LoadedRegistry,
  sources: Sources & { readonly fallback?: string; readonly unset?: readonly string[] },
  stage?: Stage,
): CommandSettings {
  const { schema, aliases } = registry;
  const named = { ...sources, file: sources.file ?? sources.fallback };
  // the run and its folder first; this also finds all mistakes
  const place = loadSettings(schema, { ...named, aliases });
  const record = readRecord(place);
  const stored = record && (storedSettings(record) ?? recordedRun(registry, place, record.settings));
  const file = stored ? sources.file : named.file;
  const given = readGiven(schema, { ...sources, file, aliases });
  const sharing = stage?.results && {
    section: stage.name,
    sections: stage.results.sections,
    instance: (config: Config) => stage.instance(config),
  };
  // the fallback file also says where the run is
  const at = readGiven(schema, { ...named, aliases });
  const where = [...at.fileEntries, ...at.overrides].filter(({ path }) => path === 'run' || path === 'data');
  const all = { ...given, overrides: [...where, ...given.overrides] };
  const composed = hinting(place, record, () => compose(schema, all, stored, sharing));
  const command = { ...composed, exists: stored !== undefined };
  loaded.set(composed.config, command);
  return command;
}

interface RunRecord {
  readonly settings?: unknown;
  readonly set?: unknown;
}

/** run.json; undefined for a new run. */
function readRecord(place: Config): RunRecord | undefined {
  const folder = runFolder(place);
  return existsSync(join(folder, RUN_FILE)) ? readRunRecord(folder) : undefined;
}

/** Settings of plugins are wrong without the plugins. They are not loaded because a run names them: their code runs. */
function hinting<T>(place: Config, record: RunRecord | undefined, put: () => T): T {
  try {
    return put();
  } catch (error) {
    const plugins = valueAt(record?.settings, ['plugins']);
    if (!(error instanceof UserError) || !isNames(plugins) || plugins.length === 0 || place.plugins.length > 0)
      throw error;
    throw new UserError([
      ...error.message.split('\n'),
      `run ${place.run} was made with plugins; name them again, by --config or plugins=[${plugins.join(', ')}]`,
    ]);
  }
}

/**
 * The settings of a run that did not store what was set: those of its last command that differ from the defaults, but of
 * stages that have a result, those of the result.
 */
function recordedRun({ schema, stages }: LoadedRegistry, place: Config, settings: unknown): StoredSettings {
  const values = new Map<string, unknown>();
  const results: Record<string, Record<string, unknown>> = {};
  for (const { path } of leafPaths(schema)) values.set(path, valueAt(settings, path.split('.')));
  for (const plan of recordedPlans(runFolder(place))) {
    const stage = stages.get(plan.stage);
    if (!stage) continue;
    const built = recordedSettings(schema, plan);
    if (stage.results) results[plan.instance] = Object.fromEntries(built);
    else for (const [path, value] of built) values.set(path, value);
  }
  const defaults = resolveEntries(schema, []);
  const set = [...values].filter(([path, value]) => {
    const keys = path.split('.');
    const scope = scopeOf(schema, keys);
    if (value === undefined || scope === 'machine' || scope === 'result') return false;
    return !isDeepStrictEqual(value, valueAt(defaults, keys)) && schemaAt(schema, keys)!.safeParse(value).success;
  });
  const files = Object.fromEntries(set.map(([path, value]) => [path, { value, from: RECORDED, file: RECORDED }]));
  return { files, command: {}, results };
}

/**
 * The settings with which another stage's existing result is used. A result of a stage that makes several is taken as it
 * was built, whatever the run's settings say now, except for what the command changes.
 * @param config the settings of the command for this result
 * @param kept called with what differs from the run's settings
 */
export function asBuilt(
  { schema }: LoadedRegistry,
  stage: Stage,
  config: Config,
  command: CommandSettings | undefined,
  kept?: (differences: readonly string[]) => void,
): Config {
  if (!command || !stage.results) return config;
  const instance = stage.instance(config);
  const own = resultSettings(schema, command, config, instance);
  const plan = planOf(stage, own);
  if (plan?.instance !== instance) return own;
  const recorded = withRecorded(schema, own, plan, (path) => !command.changed.has(path));
  if (!recorded || stage.instance(recorded) !== instance) return own;
  const leaves = leafPaths(schemaAt(schema, [stage.name])!, [stage.name]);
  const paths = leaves.map(({ path }) => path).filter((path) => !stage.neutral.includes(path.split('.')[1]));
  const differing = paths.filter((path) => {
    const keys = path.split('.');
    return !isDeepStrictEqual(valueAt(recorded, keys), valueAt(own, keys));
  });
  if (differing.length === 0) return own;
  kept?.(differing.map((path) => `${path} ${text(recorded, path)}; the run has ${text(own, path)}`));
  return recorded;
}

/**
 * The settings of a run in which a replaced result is back: where the run's settings differ from those that the result was
 * built with, the run takes the result's.
 * @returns undefined where nothing differs
 */
export function withRestored({ schema, stages }: LoadedRegistry, config: Config, plan: PlanRecord): Config | undefined {
  const command = loaded.get(config);
  const stage = stages.get(plan.stage);
  if (!command?.exists || !stage) return undefined;
  const { next, beneath } = command;
  const now = stage.results ? resultSettings(schema, command, beneath, plan.instance) : beneath;
  const used = leafPaths(schema).flatMap(({ path }) => {
    const keys = path.split('.');
    const part = stage.uses.find((name) => path === name || path.startsWith(`${name}.`));
    return part === undefined
      ? []
      : [[path, valueAt(plan.settings[part], keys.slice(part.split('.').length))] as const];
  });
  const differing = [...recordedSettings(schema, plan), ...used].filter(([path, built]) => {
    const keys = path.split('.');
    return built !== undefined && scopeOf(schema, keys) !== 'machine' && !isDeepStrictEqual(built, valueAt(now, keys));
  });
  if (differing.length === 0) return undefined;
  const set = Object.fromEntries(differing);
  const results = { ...next.results, [plan.instance]: { ...next.results[plan.instance], ...set } };
  const restored = withSettings(schema, beneath, stage.results ? {} : set);
  const stored = stage.results ? { ...next, results } : { ...next, command: { ...next.command, ...set } };
  loaded.set(restored, { ...command, config: restored, beneath: restored, next: stored });
  return restored;
}

function text(config: Config, path: string): string {
  return JSON.stringify(valueAt(config, path.split('.')));
}

/** The settings with those that were given for one result alone. */
export function resultSettings(
  schema: LoadedRegistry['schema'],
  command: CommandSettings | undefined,
  config: Config,
  instance: string,
): Config {
  const own = Object.entries(command?.next.results[instance] ?? {}).filter(([path]) =>
    schemaAt(schema, path.split('.')),
  );
  if (own.length === 0) return config;
  const set = Object.entries(changedSettings(schema, config)).map(([path, { value }]) => ({
    path,
    value,
    source: 'run',
  }));
  return resolveEntries(schema, [...set, ...own.map(([path, value]) => ({ path, value, source: instance }))]);
}

function planOf(stage: Stage, config: Config): PlanRecord | undefined {
  return readPlan(datasetFolder(config, stage.outputs(config)[0]));
}
