import { closeSync, existsSync, fstatSync, mkdirSync, openSync, readSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { readText } from '../../data/formats/text.js';
import { decodeWholeLine, encodeLine } from '../../data/formats/jsonl.js';
import { APPENDED, writeFailure } from '../../data/store/atomic.js';

/**
 * The folder of a run that tells when and where things happened. It is the only place of a run, with the wall times of the
 * TensorBoard events, that differs when the same run is made again.
 */
export const LOG = '.log';

/** The path of a log file of a run. */
export function logFile(run: string, name: string): string {
  return join(run, LOG, name);
}

/**
 * Appends a line to a log. It is not synced to the disk: a log may lose its end in a power cut, results may not.
 * @throws UserError or RunError, in one line
 */
export function addLine(file: string, value: object): void {
  try {
    mkdirSync(dirname(file), { recursive: true });
    const fd = openSync(file, APPENDED);
    try {
      const { size } = fstatSync(fd);
      const last = Buffer.alloc(1);
      // a killed process may have left a part of a line, which then stands alone and does not count
      const torn = size > 0 && readSync(fd, last, 0, 1, size - 1) === 1 && last[0] !== 10;
      const bytes = Buffer.from(`${torn ? '\n' : ''}${encodeLine(value)}`);
      for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw writeFailure(file, error);
  }
}

/** The whole lines of a log, without damaged ones; none if there is no file. */
export function logLines<T extends object>(file: string): T[] {
  if (!existsSync(file)) return [];
  return readText(file)
    .split('\n')
    .flatMap((text) => decodeWholeLine<T>(text) ?? []);
}
