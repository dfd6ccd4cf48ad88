import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isSet } from './set-files.js';

/** Folders of a run without data sets. */
const NO_SETS = new Set(['images', 'metrics', 'tb', 'scratch']);
/** `eval/<name>` and `online/<name>/<part>` are the deepest. */
const DEEPEST = 3;

/** Names of a run's data sets, sorted: its folders with a manifest or a plan. */
export function dataSets(run: string): string[] {
  const found: string[] = [];
  const look = (below: string, depth: number): void => {
    const folder = join(run, below);
    for (const entry of existsSync(folder) ? readdirSync(folder, { withFileTypes: true }) : []) {
      if (entry.name.startsWith('.') || (depth === 1 && NO_SETS.has(entry.name))) continue;
      const name = below === '' ? entry.name : `${below}/${entry.name}`;
      if (!statSync(join(run, name), { throwIfNoEntry: false })?.isDirectory()) continue;
      if (isSet(join(run, name))) found.push(name);
      if (depth < DEEPEST) look(name, depth + 1);
    }
  };
  look('', 1);
  return found.sort();
}
