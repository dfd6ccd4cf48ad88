import { crc32 } from '@node-rs/crc32';
import { mkdirSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { readFailure, UserError } from '../../errors.js';
import { APPENDED, syncFolder, writeFailure } from '../store/atomic.js';
import { jsonObjectIn } from './json.js';
import { readWhole } from './text.js';

/**
 * Append-only logs of JSON lines. A line is one JSON object whose last field is `crc32`, the CRC-32 of all bytes before
 * `,"crc32":`, so that a flipped byte is noticed. A line without its newline, left by a killed process, does not count:
 * readers skip it and the next append removes it.
 */
const CHECK = ',"crc32":';

/** Most bytes of a log, as Node reads no more at once, and of a line: no plan, episode or command comes near. */
const MOST_BYTES = 2 ** 31 - 1;
const LONGEST_LINE = 64 << 20;

/** The line of an object, including the newline. */
export function encodeLine(value: object): string {
  const body = JSON.stringify(value).slice(0, -1);
  return `${body}${body === '{' ? CHECK.slice(1) : CHECK}${crc32(body)}}\n`;
}

/**
 * All complete lines of a log, in order; none if the file does not exist.
 * @throws UserError that names the file and the line if a line is damaged
 */
export function readLines<T extends object>(file: string, whatToDo: string): T[] {
  let bytes: Buffer;
  try {
    bytes = readWhole(file, MOST_BYTES);
  } catch (error) {
    if (error instanceof UserError) throw error;
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT') return [];
    throw readFailure(file, error, whatToDo);
  }
  const out: T[] = [];
  for (let start = 0, end = bytes.indexOf(10); end >= 0; start = end + 1, end = bytes.indexOf(10, start)) {
    if (end - start > LONGEST_LINE)
      throw new UserError(`${file}, line ${out.length + 1}: damaged: a line of ${end - start} bytes; ${whatToDo}`);
    out.push(decodeLine<T>(bytes.toString('utf8', start, end), `${file}, line ${out.length + 1}`, whatToDo));
  }
  return out;
}

function decodeLine<T>(line: string, where: string, whatToDo: string): T {
  const at = Math.max(line.lastIndexOf(CHECK), line.startsWith(`{${CHECK.slice(1)}`) ? 0 : -1);
  const body = at > 0 ? line.slice(0, at) : '{';
  const stated = Number(line.slice(line.lastIndexOf(':') + 1, -1));
  if (at < 0 || !line.endsWith('}')) {
    throw new UserError(`${where}: expected a JSON object with crc32 as its last field, got ${excerpt(line)}; ${whatToDo}`);
  }
  if (crc32(body) !== stated) {
    throw new UserError(`${where}: damaged: expected crc32 ${stated}, got ${crc32(body)}; ${whatToDo}`);
  }
  // others may have written it, with a right checksum
  const value = jsonObjectIn(`${body}}`);
  if (value === undefined) throw new UserError(`${where}: damaged: not a JSON object; ${whatToDo}`);
  return value as T;
}

/** The object of a line (without newline); undefined if the line is damaged. */
export function decodeWholeLine<T>(line: string): T | undefined {
  try {
    return decodeLine<T>(line, '', '');
  } catch {
    return undefined;
  }
}

function excerpt(line: string): string {
  return JSON.stringify(line.length > 60 ? `${line.slice(0, 60)}…` : line);
}

/** Appends one line durably (one write, fsync), after removing an incomplete line that a killed process left. */
export async function appendLine(file: string, value: object): Promise<void> {
  try {
    mkdirSync(dirname(resolve(file)), { recursive: true });
    const handle = await open(file, APPENDED);
    try {
      const { size } = await handle.stat();
      const whole = size === 0 ? 0 : await wholeLines(handle, size);
      if (whole < size) await handle.truncate(whole);
      const line = Buffer.from(encodeLine(value));
      await handle.appendFile(line);
      await handle.sync();
      if (whole === 0) await syncFolder(dirname(resolve(file)));
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw writeFailure(file, error);
  }
}

/** The length of the file up to and including its last newline. */
async function wholeLines(handle: Awaited<ReturnType<typeof open>>, size: number): Promise<number> {
  const block = Buffer.alloc(Math.min(size, 1 << 16));
  for (let end = size; end > 0; ) {
    const start = Math.max(0, end - block.length);
    const { bytesRead } = await handle.read(block, 0, end - start, start);
    const at = block.subarray(0, bytesRead).lastIndexOf(10);
    if (at >= 0) return start + at + 1;
    end = start;
  }
  return 0;
}
