import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { UserError } from '../../errors.js';

/** One read call asks for at most this much, since Linux moves at most 2 GiB - 4 KiB in one. */
const READ_LIMIT = 1 << 30;

/**
 * A file opened for reading at positions. Every read is checked against the size, so that a truncated file is an error
 * that names the file and never a short or zero-filled answer.
 */
export class PositionalFile {
  readonly size: number;
  /** time of the last change, in milliseconds; only to tell whether a file was checked before */
  readonly modified: number;
  private fd: number;

  /** @param whatToDo ends the error message, for example "run `critiq represent` again after deleting it" */
  constructor(
    readonly file: string,
    private readonly whatToDo = 'check the path',
  ) {
    try {
      this.fd = openSync(file, 'r');
    } catch (error) {
      throw new UserError(`${file}: cannot be read (${(error as NodeJS.ErrnoException).code}); ${whatToDo}`);
    }
    const stat = fstatSync(this.fd);
    if (!stat.isFile()) {
      this.close();
      throw new UserError(`${file}: expected a file, got ${stat.isDirectory() ? 'a folder' : 'something else'}; ${whatToDo}`);
    }
    this.size = stat.size;
    this.modified = stat.mtimeMs;
  }

  /** Fills `into` with the bytes from `position` on. Throws a UserError where the file ends before. */
  read(into: Uint8Array, position: number): void {
    if (position < 0 || position + into.length > this.size) throw this.truncated(position + into.length);
    for (let at = 0; at < into.length; ) {
      const got = readSync(this.fd, into, at, Math.min(READ_LIMIT, into.length - at), position + at);
      if (got === 0) throw this.truncated(position + into.length);
      at += got;
    }
  }

  /** `length` bytes from `position`, in an ArrayBuffer of their own (so any typed view of it is aligned). */
  bytes(position: number, length: number): Uint8Array<ArrayBuffer> {
    if (position < 0 || length < 0 || position + length > this.size) throw this.truncated(position + length);
    const out = new Uint8Array(length);
    this.read(out, position);
    return out;
  }

  close(): void {
    if (this.fd >= 0) closeSync(this.fd);
    this.fd = -1;
  }

  /** A UserError about this file: `<file>: <what>; <what to do>`. */
  fault(what: string): UserError {
    return new UserError(`${this.file}: ${what}; ${this.whatToDo}`);
  }

  private truncated(needed: number): UserError {
    return this.fault(`truncated: expected at least ${needed} bytes, got ${this.size}`);
  }
}

/** Whether there is a folder at a path; a link to one counts. */
export function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
