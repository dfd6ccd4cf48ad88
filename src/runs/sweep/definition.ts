import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { writeAtomic } from '../../data/store/atomic.js';
import { UserError } from '../../errors.js';
import { isRunName } from '../../runner/folders.js';
import type { Member } from './axes.js';
import { jsonObjectInFile } from '../../data/formats/json.js';
import { readText } from '../../data/formats/text.js';

/** A sweep, as its file stores it. */
export interface Sweep {
  readonly name: string;
  /** the run that every member is forked from */
  readonly base: string;
  /** stages that each member runs itself, in the order of the pipeline */
  readonly stages: readonly string[];
  /** overrides of all members, as written on the command line */
  readonly plain: readonly string[];
  /** settings file of all members, if one was named */
  readonly config: string | null;
  readonly members: readonly Member[];
}

/** The folder of all sweeps. It cannot clash with a run: their names never start with a dot. */
const FOLDER = '.sweeps';

export function sweepFile(data: string, name: string): string {
  return join(data, FOLDER, `${name}.json`);
}

/** Names of the sweeps below a data folder, sorted. */
export function sweepNames(data: string): string[] {
  const folder = join(data, FOLDER);
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json') && isRunName(name.slice(0, -5)))
    .map((name) => name.slice(0, -5))
    .sort();
}

/** A sweep by its name; undefined if there is none. @throws UserError for a file that is none */
export function readSweep(data: string, name: string): Sweep | undefined {
  if (!isRunName(name)) return undefined;
  const file = sweepFile(data, name);
  if (!existsSync(file)) return undefined;
  const sweep = jsonObjectInFile(file) as Sweep | undefined;
  if (sweep?.name === name && Array.isArray(sweep.members) && Array.isArray(sweep.stages)) return sweep;
  throw new UserError(`${file}: not a sweep that critiq wrote; delete it and run the sweep again`);
}

/**
 * The sweep with the members that it already has. More values and seeds extend it.
 * @throws UserError if the one of this name has another base, other stages or other settings
 */
export function extended(data: string, sweep: Sweep): Sweep {
  const known = readSweep(data, sweep.name);
  if (!known) return sweep;
  for (const key of ['base', 'stages', 'plain', 'config'] as const) {
    if (isDeepStrictEqual(known[key], sweep[key])) continue;
    const shown = (value: unknown): string => (Array.isArray(value) ? value.join(' ') || 'none' : String(value));
    throw new UserError(
      `sweep ${sweep.name}: exists with other ${key === 'plain' ? 'settings' : key} (${shown(known[key])}, now ${shown(sweep[key])}); choose another name with --name`,
    );
  }
  const paths = ({ settings, seed }: Member): string => [...Object.keys(settings).sort(), seed === null].join();
  if (known.members.length > 0 && paths(known.members[0]) !== paths(sweep.members[0]))
    throw new UserError(`sweep ${sweep.name}: exists with other settings to vary; choose another name with --name`);
  const added = sweep.members.filter(({ run }) => !known.members.some((one) => one.run === run));
  return { ...known, members: [...known.members, ...added] };
}

export async function writeSweep(data: string, sweep: Sweep): Promise<void> {
  const file = sweepFile(data, sweep.name);
  const text = `${JSON.stringify(sweep, null, 2)}\n`;
  if (!existsSync(file) || readText(file) !== text) await writeAtomic(file, text);
}
