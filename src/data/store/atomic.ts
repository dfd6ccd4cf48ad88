import { crc32 } from '@node-rs/crc32';
import { mkdirSync } from 'node:fs';
import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { RunError, UserError } from '../../errors.js';

/** What was written: enough to notice later that a file is not the one that was committed. */
export interface Written {
  readonly bytes: number;
  /** CRC-32 (IEEE, as in zip and gzip) of all bytes, unsigned */
  readonly crc32: number;
}

/**
 * Where a file is written until it is whole. The name begins with a dot, so that readers of whole folders (pyarrow, polars,
 * DuckDB) skip it.
 */
export function temporaryName(file: string): string {
  return join(dirname(file), `.${basename(file)}.tmp`);
}

/** One write call asks for at most this much, since Linux moves at most 2 GiB - 4 KiB in one. */
const WRITE_LIMIT = 1 << 30;

/**
 * A file that either appears whole under its name or not at all: bytes go to `.<file>.tmp`, `commit` makes them durable
 * and renames. A leftover `.tmp` of a killed run is simply overwritten.
 */
export class AtomicFile {
  private position = 0;
  private crc = 0;
  private constructor(
    readonly file: string,
    private handle: FileHandle | undefined,
  ) {}

  /** Starts the temporary file, making the folder if needed. Throws a UserError where the place cannot be written. */
  static async open(file: string): Promise<AtomicFile> {
    try {
      mkdirSync(dirname(resolve(file)), { recursive: true });
      return new AtomicFile(file, await open(temporaryName(file), 'w'));
    } catch (error) {
      throw writeFailure(file, error);
    }
  }

  /** bytes written so far, which is the position of the next one */
  get bytes(): number {
    return this.position;
  }

  /** Appends bytes; resolves when the system has them, so that a caller who awaits holds one piece in memory at most. */
  async write(piece: ArrayBufferView): Promise<void> {
    const bytes = new Uint8Array(piece.buffer, piece.byteOffset, piece.byteLength);
    const handle = this.opened();
    try {
      for (let at = 0; at < bytes.length; ) {
        const { bytesWritten } = await handle.write(bytes, at, Math.min(WRITE_LIMIT, bytes.length - at), this.position);
        this.crc = crc32(bytes.subarray(at, at + bytesWritten), this.crc);
        at += bytesWritten;
        this.position += bytesWritten;
      }
    } catch (error) {
      throw writeFailure(this.file, error);
    }
  }

  /** fsync, rename over the final name, fsync the folder. After it the file survives a power cut. */
  async commit(): Promise<Written> {
    const handle = this.opened();
    try {
      await handle.sync();
      this.handle = undefined;
      await handle.close();
      await rename(temporaryName(this.file), this.file);
      await syncFolder(dirname(resolve(this.file)));
    } catch (error) {
      throw writeFailure(this.file, error);
    }
    return { bytes: this.position, crc32: this.crc >>> 0 };
  }

  /** Gives up: closes and removes the temporary file. Does nothing after `commit`. */
  async abort(): Promise<void> {
    const handle = this.handle;
    if (!handle) return;
    this.handle = undefined;
    await handle.close();
    await rm(temporaryName(this.file), { force: true });
  }

  private opened(): FileHandle {
    if (!this.handle) throw new Error(`AtomicFile ${this.file}: already committed or aborted`);
    return this.handle;
  }
}

/**
 * Writes a whole file atomically: the bytes, a text (UTF-8), or whatever a function writes to the open file.
 * Where the function throws, nothing is left behind. Throws UserError (no permission, not a folder) or RunError (disk full).
 */
export async function writeAtomic(
  file: string,
  content: ArrayBufferView | string | ((out: AtomicFile) => Promise<void>),
): Promise<Written> {
  const out = await AtomicFile.open(file);
  try {
    if (typeof content === 'function') await content(out);
    else await out.write(typeof content === 'string' ? Buffer.from(content) : content);
    return await out.commit();
  } catch (error) {
    await out.abort();
    throw error;
  }
}

/** Makes a rename or a new file in the folder durable. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** One line for what the system said while writing: the user's to mend (UserError) or the machine's (RunError). */
export function writeFailure(file: string, error: unknown): Error {
  const code = (error as NodeJS.ErrnoException).code;
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new RunError(`${file}: the disk is full (${code}); free some space and run the same command again`);
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new UserError(`${file}: cannot be written (${code}); make ${dirname(file)} writable or choose another folder`);
    case 'ENOTDIR':
    case 'EEXIST':
    case 'EISDIR':
      return new UserError(`${file}: cannot be written (${code}): ${basename(file)} or a folder above it is of the wrong kind`);
    default:
      return error instanceof Error ? error : new RunError(`${file}: ${String(error)}`);
  }
}
