import { randomBytes } from 'node:crypto';
import { closeSync, fstatSync, mkdirSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { decodeWholeLine, encodeLine } from '../formats/jsonl.js';
import { namesIn } from '../vector-cache.js';

const SUFFIX = '.jsonl';
/** Bytes that are read at once. */
const BLOCK = 1 << 20;
/** Longer lines are no lines of ours. */
const LONGEST_LINE = 1 << 20;

/**
 * JSON lines in a folder that any number of processes and threads write and read at the same time: each appends to a
 * file of its own, and reads what the others have appended since. A torn end, or a line whose CRC does not fit, is as if
 * it were not there. Lines come in no particular order.
 */
export class SharedLines<T extends object> {
  /** what was read of each file: where its next line begins */
  private readonly read = new Map<string, number>();
  private own?: number;

  /** @param folder made when first written to */
  constructor(readonly folder: string) {}

  /** Adds a line: others find it from here on. It is in the hands of the system, not yet of the disk. */
  append(value: T): void {
    if (this.own === undefined) {
      mkdirSync(this.folder, { recursive: true });
      // only a name: nothing that is computed depends on it
      this.own = openSync(join(this.folder, `${randomBytes(8).toString('hex')}${SUFFIX}`), 'ax');
    }
    const line = Buffer.from(encodeLine(value));
    for (let at = 0; at < line.length; ) at += writeSync(this.own, line, at);
  }

  /** The lines that this one has not given yet, its own among them. */
  news(): T[] {
    const out: T[] = [];
    for (const name of namesIn(this.folder)) if (name.endsWith(SUFFIX)) this.readOn(name, out);
    return out;
  }

  close(): void {
    if (this.own !== undefined) closeSync(this.own);
    this.own = undefined;
  }

  private readOn(name: string, out: T[]): void {
    const file = openSync(join(this.folder, name), 'r');
    try {
      const { size } = fstatSync(file);
      let start = this.read.get(name) ?? 0;
      let rest = Buffer.alloc(0);
      for (let at = start; at < size; ) {
        const piece = Buffer.alloc(Math.min(BLOCK, size - at));
        const got = readSync(file, piece, 0, piece.length, at);
        if (got === 0) break;
        at += got;
        const bytes = Buffer.concat([rest, piece.subarray(0, got)]);
        let from = 0;
        for (let end = bytes.indexOf(10); end >= 0; from = end + 1, end = bytes.indexOf(10, from)) {
          const line = decodeWholeLine<T>(bytes.toString('utf8', from, end));
          if (line !== undefined) out.push(line);
        }
        start += from;
        rest = bytes.subarray(from);
        if (rest.length > LONGEST_LINE) {
          start += rest.length;
          rest = Buffer.alloc(0);
        }
      }
      this.read.set(name, start);
    } finally {
      closeSync(file);
    }
  }
}
