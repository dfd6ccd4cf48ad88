import { join } from 'node:path';
import { UserError } from '../errors.js';
import { RUN_FILE } from '../runner/folders.js';
import { isObject } from '../data/formats/json.js';
import { readRunRecord } from '../runner/run-record.js';

/** The parts of run.json that are read here. */
export interface RunRecord {
  /** all settings of the run, by section */
  readonly settings: Readonly<Record<string, unknown>>;
  /** the run that it was forked from; absent for others */
  readonly forked_from?: string;
  /** the sweep that made it */
  readonly sweep?: string;
}

/** @throws UserError if it is damaged or has no settings */
export function readRecord(folder: string): RunRecord {
  const record = readRunRecord(folder);
  if (isObject(record.settings)) return record as unknown as RunRecord;
  throw new UserError(
    `${join(folder, RUN_FILE)}: not a record that critiq wrote; run any stage of this run to write it again`,
  );
}
