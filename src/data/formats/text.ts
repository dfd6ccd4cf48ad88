import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { readFailure, UserError } from '../../errors.js';

/** Larger files are no texts that critiq reads as a whole; V8's strings end at twice this. */
const LARGEST = 256 << 20;

/**
 * A text file's content: UTF-8, or what its byte order mark says (PowerShell's `>` writes UTF-16); without the mark.
 * @param largest most bytes
 * @throws UserError if it is larger, or is a folder, pipe or device; else as readFileSync does
 */
export function readText(file: string, largest = LARGEST): string {
  return decodeText(readWhole(file, largest));
}

/**
 * The same, with one line for a file that cannot be read.
 * @param whatToDo ends the message; called only then
 * @throws UserError, or RunError if the machine is at fault
 */
export function readTextFile(file: string, whatToDo: () => string): string {
  try {
    return readText(file);
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw readFailure(file, error, whatToDo());
  }
}

/** The bytes of a file of bounded size; throws as `readText` does. */
export function readWhole(file: string, largest = LARGEST): Buffer {
  // a pipe must not make the opening wait for a writer
  const fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) throw new UserError(`${file}: expected a file, got ${stat.isDirectory() ? 'a folder' : 'a pipe or device'}`);
    if (stat.size > largest) throw new UserError(`${file}: expected at most ${largest} bytes, got ${stat.size}`);
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** The text in a file's bytes, as `readText` gives it. */
export function decodeText(bytes: Buffer): string {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return new TextDecoder('utf-16le').decode(bytes);
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return new TextDecoder('utf-16be').decode(bytes);
  return withoutMark(bytes.toString('utf8'));
}

/** The text without a byte order mark. */
export function withoutMark(text: string): string {
  return text.startsWith('\uFEFF') ? text.slice(1) : text;
}

/** The lines of a text, whether they end as on Unix, on Windows, or with a carriage return alone. */
export function linesOf(text: string): string[] {
  return text.split(/\r\n|\n|\r/);
}
