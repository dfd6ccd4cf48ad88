import { basename, join } from 'node:path';
import { readSealed, sealed, sealedInFile } from '../data/store/sealed.js';
import { RUN_FILE } from './folders.js';

/**
 * The record of a run, run.json, without its checksum. One of an earlier version has none and is read as it is.
 * @throws UserError if it is missing, damaged or was edited by hand
 */
export function readRunRecord(folder: string): Record<string, unknown> {
  const run = basename(folder);
  return readSealed(
    join(folder, RUN_FILE),
    `if somebody edited it, undo that and give settings to commands instead (\`critiq config run=${run}\` shows them); ` +
      'otherwise restore it from a copy, or delete it and give the settings again',
  );
}

/** The same where a missing or damaged record does no harm; empty then. */
export function runRecordIn(folder: string): Record<string, unknown> {
  return sealedInFile(join(folder, RUN_FILE)) ?? {};
}

/** The text of run.json, with a checksum. */
export function runRecordText(record: object): string {
  return sealed(record);
}
