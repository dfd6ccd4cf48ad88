import { RUN_FILE } from '../runner/folders.js';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { dataSets } from '../data/store/data-sets.js';
import type { Shard } from '../data/store/manifest.js';
import { readSealed } from '../data/store/sealed.js';
import { setFile } from '../data/store/set-files.js';
import { IMPORT, readManifest, readPlan, type PlanRecord } from '../runner/outputs.js';

/** A success rate with Wilson's 95 % interval, as `eval` stores it. */
export interface RateOf {
  readonly episodes: number;
  readonly successes: number;
  readonly rate: number;
  readonly ci95: readonly [number, number];
}

/** `_result.json` of an evaluation, as far as it is read here. */
export interface EvaluationResult extends RateOf {
  readonly policy: string;
  readonly split: string;
  readonly protocol: string;
  readonly mode: string;
  readonly temperature: number;
  readonly mean_steps: number;
}

/** A data set of a run, from its metadata alone. */
export interface StoredSet {
  readonly name: string;
  readonly folder: string;
  /** undefined for data that no stage planned */
  readonly plan: PlanRecord | undefined;
  readonly lines: ReadonlyMap<string, Shard>;
}

/** The data sets of a run. Reads plans and manifests, no data. */
export function storedSets(run: string): StoredSet[] {
  return dataSets(run).map((name) => {
    const folder = join(run, name);
    return { name, folder, plan: readPlan(folder), lines: readManifest(folder) };
  });
}

/** What a stage instance left in a run: its data sets, of which the first carries the plan. */
export interface StoredInstance {
  /** for example `actor/digiq`; for imported data the data set's name */
  readonly instance: string;
  readonly stage: string;
  /** the settings that it was built with; empty for imported data */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly sets: readonly StoredSet[];
}

/** The stage instances that left data, in the order of the names of their data sets. */
export function storedInstances(sets: readonly StoredSet[]): StoredInstance[] {
  const by = new Map<string, StoredSet[]>();
  for (const set of sets) {
    const name = set.plan?.instance ?? set.name;
    by.set(name, [...(by.get(name) ?? []), set]);
  }
  return [...by].map(([instance, own]) => {
    const { plan } = own[0];
    return { instance, stage: plan?.stage ?? IMPORT, settings: plan?.settings ?? {}, sets: own };
  });
}

/** Results of the finished evaluations of a run, by their names below `eval/`. Broken result files are left out. */
export function evaluationResults(sets: readonly StoredSet[]): Map<string, EvaluationResult> {
  const found = new Map<string, EvaluationResult>();
  for (const { name, folder } of sets) {
    if (!name.startsWith('eval/')) continue;
    const file = setFile(folder, 'result');
    if (!existsSync(file)) continue;
    try {
      const result = readSealed(file, '') as unknown as EvaluationResult;
      if (typeof result.rate === 'number' && Array.isArray(result.ci95)) found.set(name.slice('eval/'.length), result);
    } catch {
      // the viewer and `critiq eval` report it
    }
  }
  return found;
}

/** When the metadata of a run last changed, in milliseconds since 1970. */
export function lastChange(run: string, sets: readonly StoredSet[]): number {
  const files = [
    join(run, RUN_FILE),
    ...sets.flatMap(({ folder }) => [setFile(folder, 'manifest'), setFile(folder, 'result')]),
  ];
  return Math.max(0, ...files.map((file) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0));
}
