import { join } from 'node:path';
import { livingHolder } from '../data/store/lock.js';
import type { LoadedRegistry } from '../runner/registry.js';
import type { Config } from '../settings/settings.js';
import { differing, flattened } from './differences.js';
import { existingRun, runNames } from '../runner/folders.js';
import { readRecord, type RunRecord } from './record.js';
import {
  evaluationResults,
  lastChange,
  storedInstances,
  storedSets,
  type EvaluationResult,
  type StoredSet,
} from './results.js';
import { stateOf, type InstanceStatus } from './state.js';

/** Settings that a run may have started from: critiq's own files, by name. */
export type NamedSettings = ReadonlyMap<string, Readonly<Record<string, unknown>>>;

/** A run in the table of all runs. */
export interface ListedRun {
  readonly run: string;
  readonly folder: string;
  /** when its results or settings last changed, ISO 8601 */
  readonly changed_at: string;
  readonly forked_from: string | null;
  readonly sweep: string | null;
  /** the stage that a living process is running here; an empty text: the process has not said which; null: none */
  readonly running: string | null;
  readonly stages: readonly InstanceStatus[];
  /** the settings file of critiq that is closest to the run's settings, or `defaults` */
  readonly like: string;
  /** settings that differ from that file, by dotted path */
  readonly differs: Readonly<Record<string, unknown>>;
  /** evaluations by name */
  readonly rates: Readonly<Record<string, EvaluationResult>>;
  /** why the run cannot be read further; null for a sound one */
  readonly problem: string | null;
}

/** Every run below a data folder, the one that changed last first. Reads metadata alone. */
export function listRuns(registry: LoadedRegistry, data: string, files: NamedSettings): ListedRun[] {
  const flat = new Map([...files].map(([name, settings]) => [name, flattened(settings)]));
  return runNames(data)
    .map((name) => listRun(registry, data, name, flat))
    .sort((a, b) => (a.changed_at < b.changed_at ? 1 : a.changed_at > b.changed_at ? -1 : a.run < b.run ? -1 : 1));
}

function listRun(
  registry: LoadedRegistry,
  data: string,
  run: string,
  files: ReadonlyMap<string, ReadonlyMap<string, unknown>>,
): ListedRun {
  const folder = existingRun(data, run);
  let record: RunRecord | undefined;
  let sets: StoredSet[] = [];
  let problem: string | null = null;
  try {
    record = readRecord(folder);
    sets = storedSets(folder);
  } catch (error) {
    problem = (error as Error).message;
  }
  const config = record && parsed(registry, record.settings, data, run);
  const own = flattened(record?.settings ?? {});
  const [like, differs] = closest(own, files);
  return {
    run,
    folder,
    changed_at: new Date(lastChange(folder, sets)).toISOString(),
    forked_from: record?.forked_from ?? null,
    sweep: record?.sweep ?? null,
    running: livingHolder(join(folder, 'lock'))?.running ?? null,
    stages: storedInstances(sets).map((stored) => stateOf(registry, config, stored)),
    like,
    differs: Object.fromEntries(differs),
    rates: Object.fromEntries(evaluationResults(sets)),
    problem,
  };
}

/** The run's settings as this version reads them, found in this folder; undefined if they do not fit. */
function parsed(
  { schema }: LoadedRegistry,
  settings: RunRecord['settings'],
  data: string,
  run: string,
): Config | undefined {
  const result = schema.safeParse({ ...settings, data, run });
  return result.success ? (result.data as Config) : undefined;
}

/** The settings file with the fewest differences, and these. */
function closest(
  own: ReadonlyMap<string, unknown>,
  files: ReadonlyMap<string, ReadonlyMap<string, unknown>>,
): [string, Map<string, unknown>] {
  const found = [...files].map(
    ([name, settings]) => [name, differing(own, settings)] as [string, Map<string, unknown>],
  );
  return found.reduce((best, one) => (one[1].size < best[1].size ? one : best));
}
