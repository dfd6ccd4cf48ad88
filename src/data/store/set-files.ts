import { existsSync, rmSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { syncFolder, writeFailure } from './atomic.js';

/**
 * The metadata files in a data set's folder: the committed shards, the stage's plan, and the result of an evaluation. Their
 * names begin with an underscore, so that pyarrow (and so pandas) and Spark skip them when they read the folder as a
 * table. Old runs have names without it.
 */
const NAMES = {
  manifest: { now: '_manifest.jsonl', before: 'manifest.jsonl' },
  plan: { now: '_plan.json', before: 'plan.json' },
  result: { now: '_result.json', before: 'result.json' },
} as const;

export type SetFile = keyof typeof NAMES;

/** The path of a metadata file: the old one if only that exists, else the new one. */
export function setFile(folder: string, which: SetFile): string {
  const { now, before } = NAMES[which];
  const [file, old] = [join(folder, now), join(folder, before)];
  return !existsSync(file) && existsSync(old) ? old : file;
}

/** Whether a stage has started to write a data set to the folder. */
export function isSet(folder: string): boolean {
  return existsSync(setFile(folder, 'manifest')) || existsSync(setFile(folder, 'plan'));
}

/**
 * Renames files with old names, before a data set is written to. Renames are atomic and readers look for each file
 * separately, so a process killed in between leaves a data set that opens. If both names exist, an older critiq wrote the
 * old file without seeing the new one; the old file is removed.
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
