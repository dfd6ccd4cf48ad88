import { crc32 } from '@node-rs/crc32';
import { constants, mkdirSync } from 'node:fs';
import { open, rename, rm, type FileHandle, unlink } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { machineFailure, RunError, UserError } from '../../errors.js';

/** Size and checksum of a written file, to notice later if it has changed. */
export interface Written {
  readonly bytes: number;
  /** CRC-32 (IEEE, as in zip and gzip) of all bytes, unsigned */
  readonly crc32: number;
}

/**
 * The path of a file until it is complete. The name begins with a dot, so that readers of whole folders (pyarrow, Spark)
 * skip it.
 */
export function temporaryName(file: string): string {
  return join(dirname(file), `.${basename(file)}.tmp`);
}

/** Maximum bytes per write call; Linux writes at most 2 GiB - 4 KiB at once. */
const WRITE_LIMIT = 1 << 30;

/**
 * A file that appears under its name either complete or not at all. Bytes go to `.<file>.tmp`; `commit` makes them durable
 * and renames the file. A `.tmp` left by a killed run is replaced.
 */
export class AtomicFile {
  private position = 0;
  private crc = 0;
  private constructor(
    readonly file: string,
    private handle: FileHandle | undefined,
  ) {}

  /** Creates the temporary file, and the folder if needed. @throws UserError if it cannot be written */
  static async open(file: string): Promise<AtomicFile> {
    try {
      mkdirSync(dirname(resolve(file)), { recursive: true });
      // what is there under this name is removed, not written to: it may be a link to a file of someone else
      await removed(temporaryName(file));
      return new AtomicFile(file, await open(temporaryName(file), 'wx'));
    } catch (error) {
      throw writeFailure(file, error);
    }
  }

  /** number of bytes written so far */
  get bytes(): number {
    return this.position;
  }

  /** Appends bytes. Resolves when the system has them, so a caller that awaits has only one piece in memory. */
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

  /** Syncs the file, renames it to its final name and syncs the folder. Then the file survives a power cut. */
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

  /** Closes and removes the temporary file. Does nothing after `commit`. */
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
 * Writes a whole file atomically: bytes, a text (UTF-8), or what a function writes to the open file. If the function
 * throws, no file is left.
 * @throws UserError (no permission, not a folder) or RunError (disk full)
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

/** For files that are appended to: created if missing, and never a link to a file of someone else. */
export const APPENDED = constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW;

/** Removes a file or link, if it is there. */
async function removed(file: string): Promise<void> {
  try {
    await unlink(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/** Makes renames and new files in a folder durable. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** The one-line error for a failed write: a UserError if the user can fix it, a RunError otherwise. */
export function writeFailure(file: string, error: unknown): Error {
  const { code } = (error ?? {}) as NodeJS.ErrnoException;
  const ofMachine = machineFailure(file, (error ?? {}) as NodeJS.ErrnoException);
  if (ofMachine) return ofMachine;
  switch (code) {
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new UserError(`${file}: cannot be written (${code}); make ${dirname(file)} writable or choose another folder`);
    case 'ELOOP':
      return new UserError(`${file}: is a link, which is not written through; remove it`);
    case 'ENOTDIR':
    case 'EEXIST':
    case 'EISDIR':
      return new UserError(`${file}: cannot be written (${code}): a folder in the path is a file, or the file is a folder`);
    default:
      return error instanceof Error ? error : new RunError(`${file}: ${String(error)}`);
  }
}
