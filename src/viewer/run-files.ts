import { statSync } from 'node:fs';
import { join } from 'node:path';
import { fileInside } from '../data/store/inside.js';
import { setFile } from '../data/store/set-files.js';
import { verifyFile } from '../data/store/integrity.js';
import { UserError } from '../errors.js';
import { livingHolder } from '../data/store/lock.js';
import { readManifest, readPlan } from '../runner/outputs.js';
import type { Problem } from './api.js';
import { runRecordIn } from '../runner/run-record.js';

/** The parts of run.json that the viewer reads. */
export interface RunRecord {
  readonly seed?: number;
  readonly settings?: {
    readonly device?: { readonly backend?: string };
    readonly actor?: { readonly aggregate?: string; readonly threshold?: number };
  };
}

/** Changes whenever the data set may have changed: size and time of its manifest and plan. */
export function setVersion(folder: string): string {
  return (['manifest', 'plan'] as const)
    .map((which) => statSync(setFile(folder, which), { throwIfNoEntry: false }))
    .map((stat) => (stat ? `${stat.size}:${stat.mtimeMs}` : '-'))
    .join();
}

/** One committed file of a data set that is intact. */
export interface WholeFile {
  readonly path: string;
  /** equal for equal content */
  readonly version: string;
}

/**
 * The intact committed files of a data set (by size, rows and checksum), and what is wrong with the others. A bad shard is
 * left out and does not hide the rest.
 * @param name the data set's, below the run's folder
 * @param wanted by the end of the file's name
 */
export async function wholeFiles(
  run: string,
  name: string,
  wanted: RegExp,
): Promise<{ files: WholeFile[]; problems: Problem[] }> {
  const folder = join(run, name);
  const files: WholeFile[] = [];
  const problems: Problem[] = [];
  const note = (error: unknown): void => void problems.push(problem(name, error));
  try {
    const lines = [...readManifest(folder).values()].sort((a, b) => (a.shard < b.shard ? -1 : 1));
    const stage = stageOf(folder);
    for (const record of lines.flatMap((line) => line.files).filter(({ file }) => wanted.test(file))) {
      try {
        const path = fileInside(folder, record.file, setFile(folder, 'manifest'));
        await verifyFile(path, record, 'all', `run \`critiq ${stage}\` again to make it anew`);
        files.push({ path, version: `${path} ${record.bytes} ${record.crc32}` });
      } catch (error) {
        note(error);
      }
    }
  } catch (error) {
    note(error);
  }
  return { files, problems };
}

function stageOf(folder: string): string {
  const stage = readPlan(folder)?.stage;
  return stage === undefined ? 'STAGE' : stage;
}

/** An error in reading a file, as a problem to show. @throws any other error: it is the viewer's own */
export function problem(where: string, error: unknown): Problem {
  if (error instanceof UserError || (error as NodeJS.ErrnoException).code !== undefined)
    return { where, message: (error as Error).message };
  throw error;
}

/** run.json; empty if it is missing or broken. */
export function runRecord(run: string): RunRecord {
  return runRecordIn(run);
}

/** The stage instance that a live process is running in the run's folder. */
export function runningStage(run: string): string | null {
  return livingHolder(join(run, 'lock'))?.running ?? null;
}
