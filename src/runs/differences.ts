import { isDeepStrictEqual } from 'node:util';
import type { StoredInstance } from './results.js';

/** Settings that change no result: where a run is, and how fast it is made. */
const PLACES = new Set(['run', 'data', 'workers', 'threads', 'yes', 'plugins']);

/** Nested settings by dotted path. Lists and empty sections are values. */
export function flattened(settings: Readonly<Record<string, unknown>>, prefix = ''): Map<string, unknown> {
  const flat = new Map<string, unknown>();
  for (const [key, value] of Object.entries(settings)) {
    const path = `${prefix}${key}`;
    if (typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length > 0)
      for (const [inner, leaf] of flattened(value as Record<string, unknown>, `${path}.`)) flat.set(inner, leaf);
    else flat.set(path, value);
  }
  return flat;
}

/** Settings of `own` that differ from `base`, by dotted path. Where and how fast a run is made does not count. */
export function differing(own: ReadonlyMap<string, unknown>, base: ReadonlyMap<string, unknown>): Map<string, unknown> {
  const found = new Map<string, unknown>();
  for (const [path, value] of own) {
    if (PLACES.has(path.split('.')[0])) continue;
    if (base.has(path) && !isDeepStrictEqual(base.get(path), value)) found.set(path, value);
  }
  return found;
}

/** A setting with which the runs' results were built differently. */
export interface SettingDifference {
  readonly path: string;
  /** the stage instances in which it differs */
  readonly instances: readonly string[];
  /** its value in each run; undefined where the run has no such instance or setting */
  readonly values: readonly unknown[];
}

/**
 * The settings that differ between runs, from the plans of the results that at least two of them have. What the commands
 * were called with does not count, only what the results were built with.
 * @param runs the stage instances of each run
 */
export function settingDifferences(runs: readonly (readonly StoredInstance[])[]): SettingDifference[] {
  const names = [...new Set(runs.flatMap((run) => run.map(({ instance }) => instance)))];
  const found: { path: string; instances: string[]; values: unknown[] }[] = [];
  for (const name of names) {
    const flat = runs.map((run) => {
      const instance = run.find((one) => one.instance === name);
      return instance && flattened(instance.settings);
    });
    const there = flat.filter((one) => one !== undefined);
    if (there.length < 2) continue;
    for (const path of new Set(there.flatMap((one) => [...one.keys()]))) {
      const values = flat.map((one) => one?.get(path));
      const [first, ...others] = there.map((one) => one.get(path));
      if (others.every((value) => isDeepStrictEqual(value, first))) continue;
      // stages that share a setting are one row, also where a run lacks one of them
      const same = found.find((one) => one.path === path && one.values.every((value, i) => agree(value, values[i])));
      if (!same) found.push({ path, instances: [name], values });
      else {
        same.instances.push(name);
        same.values = same.values.map((value, i) => value ?? values[i]);
      }
    }
  }
  return found;
}

function agree(a: unknown, b: unknown): boolean {
  return a === undefined || b === undefined || isDeepStrictEqual(a, b);
}

/** A value of a setting in few characters. */
export function shownValue(value: unknown, longest = 40): string {
  if (value === undefined) return '–';
  const text = typeof value === 'string' && value !== '' ? value : JSON.stringify(value);
  return text.length > longest ? `${text.slice(0, longest - 1)}…` : text;
}
