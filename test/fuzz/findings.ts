/** Inputs that were found to break a reader, as files whose names say what they are. */
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Seed } from './kind.js';

/** Between the parts of a name: the kind, the whole input it was made of, the seed and number. */
const PART = '~';

/** Saves an input. @returns its file */
export function saveFinding(folder: string, kind: string, from: Seed, label: string, input: Buffer): string {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, [kind, from.name.replaceAll('/', '@'), label].join(PART));
  writeFileSync(file, input);
  return file;
}

/** The kind of a saved input. */
export function kindOfFinding(file: string): string {
  return basename(file).split(PART)[0];
}

/** A saved input, and the whole input that it was made of. */
export function findingAt(file: string, seeds: readonly Seed[]): { input: Buffer; from: Seed } {
  const name = basename(file).split(PART)[1].replaceAll('@', '/');
  // ids of what a run keeps change with the code
  const from = seeds.find((seed) => seed.name === name) ?? seeds.find((seed) => basename(seed.name) === basename(name));
  if (!from)
    throw new Error(`${file}: was made of ${name}, which is none of ${seeds.map((seed) => seed.name).join(', ')}`);
  return { input: readFileSync(file), from };
}

/** Saved inputs in a folder, or one. */
export function findingsIn(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path)
    .filter((name) => name.includes(PART))
    .sort()
    .map((name) => join(path, name));
}
