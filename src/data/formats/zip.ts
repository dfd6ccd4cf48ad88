import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { fromRandomAccessReaderPromise, RandomAccessReader, type ZipFile } from 'yauzl';
import { PositionalFile } from '../store/file.js';

/**
 * The reads of a zip, each checked against the file's size: yauzl passes on what the file says, and Node throws for a
 * position beyond 2^53 where nobody can catch it.
 */
class CheckedReader extends RandomAccessReader {
  constructor(private readonly source: PositionalFile) {
    super();
  }

  override _readStreamForRange(start: number, end: number): Readable {
    return createReadStream(this.source.file, { start: this.within(start, end), end: end - 1 });
  }

  override read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    callback: (error: Error | null, bytes?: number) => void,
  ): void {
    let failed: Error | null = null;
    try {
      this.source.read(buffer.subarray(offset, offset + length), this.within(position, position + length));
    } catch (error) {
      failed = error as Error;
    }
    setImmediate(() => callback(failed, failed ? undefined : length));
  }

  override close(callback: (error: Error | null) => void): void {
    this.source.close();
    setImmediate(() => callback(null));
  }

  private within(start: number, end: number): number {
    if (start >= 0 && start <= end && end <= this.source.size) return start;
    throw new Error(`it names bytes ${start} to ${end} of a file of ${this.source.size} bytes`);
  }
}

/** Opens a zip; its entries are read on request. Close it after use. @throws Error with the reason if it is no whole zip */
export async function openZip(file: string): Promise<ZipFile> {
  const source = new PositionalFile(file);
  try {
    return await fromRandomAccessReaderPromise(new CheckedReader(source), source.size, { autoClose: false });
  } catch (error) {
    source.close();
    throw error;
  }
}
