import { isDeepStrictEqual } from 'node:util';
import { difference95 } from '../data/interval.js';
import { metricsFile, readMetrics, type MetricsLine } from '../data/metrics.js';
import type { PairedTest } from '../data/paired.js';
import { existingRun } from '../runner/folders.js';
import type { LoadedRegistry } from '../runner/registry.js';
import type { Config } from '../settings/settings.js';
import { settingDifferences, type SettingDifference } from './differences.js';
import { outcomesOf, pairOutcomes, unlike, type Outcomes } from './outcomes.js';
import { readRecord } from './record.js';
import {
  evaluationResults,
  storedInstances,
  storedSets,
  type EvaluationResult,
  type StoredInstance,
  type StoredSet,
} from './results.js';
import { stateOf } from './state.js';

/** A rate against the same evaluation of the first run. */
export type Difference =
  | ({ readonly paired: true } & PairedTest)
  | {
      readonly paired: false;
      /** why the episodes are not the same */
      readonly why: string;
      readonly difference: number;
      readonly ci95: readonly [number, number];
    };

/** An evaluation in one of the runs. */
export interface ComparedRate extends EvaluationResult {
  readonly run: string;
  /** null for the first run that has the evaluation */
  readonly against_first: Difference | null;
}

/** A metric of a training stage in each run that differs. */
export interface ComparedCurve {
  readonly instance: string;
  readonly metric: string;
  readonly runs: readonly {
    readonly run: string;
    readonly steps: readonly number[];
    readonly values: readonly (number | null)[];
  }[];
}

export interface RunComparison {
  /** the first is what the others are compared with */
  readonly runs: readonly string[];
  /** settings with which results that several runs have were built differently */
  readonly settings: readonly SettingDifference[];
  /** results that only some runs have */
  readonly missing: readonly { readonly instance: string; readonly only_in: readonly string[] }[];
  /** by run, stage instances whose inputs or settings changed since, or that are not complete */
  readonly stale: Readonly<Record<string, readonly string[]>>;
  readonly evaluations: readonly { readonly name: string; readonly rates: readonly ComparedRate[] }[];
  readonly curves: readonly ComparedCurve[];
}

/** What is read of a run. */
interface Opened {
  readonly run: string;
  readonly folder: string;
  readonly sets: readonly StoredSet[];
  readonly instances: readonly StoredInstance[];
  readonly results: ReadonlyMap<string, EvaluationResult>;
  readonly stale: readonly string[];
}

/**
 * Compares runs: the settings that differ, success rates with paired differences on the same episodes, and learning curves.
 * @throws UserError if a run does not exist or a file of an evaluation is damaged
 */
export async function compareRuns(
  registry: LoadedRegistry,
  data: string,
  names: readonly string[],
): Promise<RunComparison> {
  const runs = names.map((name) => open(registry, data, name));
  const instances = [...new Set(runs.flatMap((run) => run.instances.map(({ instance }) => instance)))];
  const missing = instances.flatMap((instance) => {
    const having = runs.filter((run) => run.instances.some((one) => one.instance === instance));
    return having.length === runs.length ? [] : [{ instance, only_in: having.map(({ run }) => run) }];
  });
  return {
    runs: [...names],
    settings: settingDifferences(runs.map((run) => run.instances)),
    missing,
    stale: Object.fromEntries(runs.flatMap(({ run, stale }) => (stale.length > 0 ? [[run, stale]] : []))),
    evaluations: await evaluations(runs),
    curves: curves(runs),
  };
}

function open(registry: LoadedRegistry, data: string, run: string): Opened {
  const folder = existingRun(data, run);
  const { settings } = readRecord(folder);
  const sets = storedSets(folder);
  const instances = storedInstances(sets);
  const parsed = registry.schema.safeParse({ ...settings, data, run });
  const config = parsed.success ? (parsed.data as Config) : undefined;
  const stale = instances.filter((one) => ['outdated', 'unfinished'].includes(stateOf(registry, config, one).state));
  return {
    run,
    folder,
    sets,
    instances,
    results: evaluationResults(sets),
    stale: stale.map(({ instance }) => instance),
  };
}

async function evaluations(runs: readonly Opened[]): Promise<RunComparison['evaluations']> {
  const names = [...new Set(runs.flatMap(({ results }) => [...results.keys()]))];
  const compared: { name: string; rates: ComparedRate[] }[] = [];
  for (const name of names) {
    const having = runs.filter(({ results }) => results.has(name));
    const known = new Map<StoredSet, Promise<Outcomes>>();
    const outcomes = (set: StoredSet): Promise<Outcomes> => {
      const found = known.get(set) ?? outcomesOf(set);
      known.set(set, found);
      return found;
    };
    const setOf = ({ sets }: Opened): StoredSet => sets.find((set) => set.name === `eval/${name}`)!;
    const [first] = having;
    const rates: ComparedRate[] = [];
    for (const run of having) {
      const result = run.results.get(name)!;
      const why = unlike(setOf(first), setOf(run));
      let against: Difference | null = null;
      if (run !== first && why !== undefined)
        against = { paired: false, why, ...difference95(first.results.get(name)!, result) };
      else if (run !== first)
        against = { paired: true, ...pairOutcomes(await outcomes(setOf(first)), await outcomes(setOf(run))) };
      rates.push({ run: run.run, ...result, against_first: against });
    }
    compared.push({ name, rates });
  }
  return compared;
}

/** The metrics of the stages that at least two runs trained, where they are not the same. */
function curves(runs: readonly Opened[]): ComparedCurve[] {
  const names = [...new Set(runs.flatMap((run) => run.instances.map(({ instance }) => instance)))];
  return names.flatMap((instance) => {
    const trained = runs
      .map(({ run, folder }) => ({ run, lines: readMetrics(metricsFile(folder, instance)) }))
      .filter(({ lines }) => lines.length > 0);
    if (trained.length < 2) return [];
    const [first, ...others] = trained;
    if (others.every(({ lines }) => isDeepStrictEqual(timeless(lines), timeless(first.lines)))) return [];
    const metrics = new Set(trained.flatMap(({ lines }) => lines.flatMap((line) => Object.keys(line))));
    return [...metrics]
      .filter((metric) => metric !== 'shard' && metric !== 'step' && !TIMES.test(metric))
      .map((metric) => ({
        instance,
        metric,
        runs: trained.flatMap(({ run, lines }) => {
          const own = lines.filter((line) => typeof line[metric] === 'number' || line[metric] === null);
          const steps = own.map(({ step }) => step);
          return own.length === 0 ? [] : [{ run, steps, values: own.map((line) => line[metric] as number | null) }];
        }),
      }))
      .filter((curve) => curve.runs.length > 1);
  });
}

/** Metrics of speed, which differ even where nothing else does. */
const TIMES = /(^|_)(time|seconds|ms)$/;

function timeless(lines: readonly MetricsLine[]): unknown {
  return lines.map((line) => Object.entries(line).filter(([key]) => !TIMES.test(key)));
}
