import { closeSync, constants, copyFileSync, fstatSync, openSync, readSync, renameSync, rmSync, statSync } from 'node:fs';
import { temporaryName } from './atomic.js';
import { readFailure, UserError } from '../../errors.js';

/** Maximum bytes per read call; Linux reads at most 2 GiB - 4 KiB at once. */
const READ_LIMIT = 1 << 30;

/**
 * A file for reading at any position. Every read is checked against the size, so a truncated file gives an error that
 * names it, never missing or zero bytes.
 */
export class PositionalFile {
  readonly size: number;
  /** time of the last change in milliseconds, to tell whether a file was checked before */
  readonly modified: number;
  /** device and inode: another file under the same name has another one */
  readonly identity: string;
  private fd: number;

  /** @param whatToDo end of error messages, for example "run `critiq represent` again after deleting it" */
  constructor(
    readonly file: string,
    private readonly whatToDo = 'check the path',
  ) {
    try {
      // a pipe must not make the opening wait for a writer; it is refused below
      this.fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
    } catch (error) {
      throw readFailure(file, error, whatToDo);
    }
    const stat = fstatSync(this.fd);
    if (!stat.isFile()) {
      this.close();
      throw new UserError(`${file}: expected a file, got ${stat.isDirectory() ? 'a folder' : 'something else'}; ${whatToDo}`);
    }
    this.size = stat.size;
    this.modified = stat.mtimeMs;
    this.identity = `${stat.dev}:${stat.ino}`;
  }

  /** Fills `into` with the bytes from `position`. @throws UserError if the file ends before */
  read(into: Uint8Array, position: number): void {
    if (position < 0 || position + into.length > this.size) throw this.truncated(position + into.length);
    for (let at = 0; at < into.length; ) {
      const got = this.readPiece(into, at, position + at);
      if (got === 0) throw this.truncated(position + into.length);
      at += got;
    }
  }

  /** `length` bytes from `position` in a new ArrayBuffer, so that any typed view of it is aligned. */
  bytes(position: number, length: number): Uint8Array<ArrayBuffer> {
    if (position < 0 || length < 0 || position + length > this.size) throw this.truncated(position + length);
    const out = new Uint8Array(length);
    this.read(out, position);
    return out;
  }

  private readPiece(into: Uint8Array, at: number, position: number): number {
    try {
      return readSync(this.fd, into, at, Math.min(READ_LIMIT, into.length - at), position);
    } catch (error) {
      throw readFailure(this.file, error, this.whatToDo);
    }
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

/** Whether the path is a folder or a link to one. */
export function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/**
 * Copies a file so that the copy appears as a whole. A file that was there is replaced, never written into: another run may
 * share it (`critiq fork`).
 */
export function copyWhole(from: string, to: string): void {
  // never through a link that is in its place
  rmSync(temporaryName(to), { force: true });
  copyFileSync(from, temporaryName(to), constants.COPYFILE_EXCL);
  renameSync(temporaryName(to), to);
}
