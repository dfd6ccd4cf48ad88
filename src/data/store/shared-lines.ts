import { randomBytes } from 'node:crypto';
import { closeSync, fstatSync, mkdirSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { decodeWholeLine, encodeLine } from '../formats/jsonl.js';
import { namesIn } from '../vector-cache.js';

const SUFFIX = '.jsonl';
/** Bytes per read. */
const BLOCK = 1 << 20;
/** critiq writes no longer lines. */
const LONGEST_LINE = 1 << 20;

/**
 * JSON lines in a folder that any number of processes and threads read and write at the same time. Each appends to its own
 * file and reads what the others have appended. Incomplete lines and lines with a wrong CRC are ignored. The order of lines
 * is not defined.
 */
export class SharedLines<T extends object> {
  /** for each file, the position of the next line to read */
  private readonly read = new Map<string, number>();
  private own?: number;

  /** @param folder is created on the first write */
  constructor(readonly folder: string) {}

  /** Appends a line, which others can then read. It is written to the system but not synced to the disk. */
  append(value: T): void {
    if (this.own === undefined) {
      mkdirSync(this.folder, { recursive: true });
      // A random name is fine here: no result depends on it.
      this.own = openSync(join(this.folder, `${randomBytes(8).toString('hex')}${SUFFIX}`), 'ax');
    }
    const line = Buffer.from(encodeLine(value));
    for (let at = 0; at < line.length; ) at += writeSync(this.own, line, at);
  }

  /** All lines since the last call, including its own. */
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
