import { existsSync, rmSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { syncFolder, writeFailure } from './atomic.js';

/**
 * The files in a data set's folder that are about its data: the committed shards, what the stage had planned, and the
 * numbers of an evaluation. Their names begin with an underscore, so that pyarrow, polars and Spark skip them when they
 * read the folder as a table. Early runs have names without it.
 */
const NAMES = {
  manifest: { now: '_manifest.jsonl', before: 'manifest.jsonl' },
  plan: { now: '_plan.json', before: 'plan.json' },
  result: { now: '_result.json', before: 'result.json' },
} as const;

export type SetFile = keyof typeof NAMES;

/** Where the file is: under its name, or else under the old one. Its name, whether it exists or not, where neither does. */
export function setFile(folder: string, which: SetFile): string {
  const { now, before } = NAMES[which];
  const [file, old] = [join(folder, now), join(folder, before)];
  return !existsSync(file) && existsSync(old) ? old : file;
}

/** Whether a stage has begun to write a data set in the folder. */
export function isSet(folder: string): boolean {
  return existsSync(setFile(folder, 'manifest')) || existsSync(setFile(folder, 'plan'));
}

/**
 * Renames files with old names, for whoever is about to write into the data set. Each rename happens at once or not at all
 * and readers look for each file on its own, so a process killed in between leaves a data set that opens. An old file
 * beside a new one was written by an older critiq that did not see the new one: it is removed.
 */
export async function renameOldFiles(folder: string): Promise<void> {
  const old = Object.values(NAMES).filter(({ before }) => existsSync(join(folder, before)));
  if (old.length === 0) return;
  try {
    for (const { now, before } of old) {
      if (existsSync(join(folder, now))) rmSync(join(folder, before));
      else await rename(join(folder, before), join(folder, now));
    }
    await syncFolder(folder);
  } catch (error) {
    throw writeFailure(folder, error);
  }
}
