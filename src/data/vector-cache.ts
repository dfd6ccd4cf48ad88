import { createHash, randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readdirSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from '@node-rs/crc32';
import { PositionalFile } from './store/file.js';

/** Bytes per key: a truncated SHA-256 of its text. */
const KEY = 16;
/** Bytes per entry in a segment's `.keys`: the key and the CRC-32 of the vector's bytes. */
const ENTRY = KEY + 4;

/** The place of a vector. */
interface Place {
  readonly segment: Segment;
  readonly row: number;
  readonly crc: number;
}

/** A pair of files that one writer appends to. Entry i of `.keys` is the key of row i of `.vectors`. */
interface Segment {
  readonly path: string;
  /** opened on the first read */
  vectors?: PositionalFile;
}

/**
 * Vectors on disk by the content they were computed from, so that recurring texts, images and questions are computed once
 * for all states, stages and runs. All else that a vector depends on (above all the model) must be in the folder's name.
 *
 * Any number of processes and threads may have a folder open. Each appends to its own segment and sees the vectors from
 * before it opened the folder. Incomplete entries and vectors with a wrong CRC are ignored.
 */
export class VectorCache {
  private readonly places = new Map<string, Place>();
  private own?: { segment: Segment; keys: number; vectors: number; rows: number };
  private readonly segments: Segment[] = [];

  private constructor(
    private readonly folder: string,
    readonly dim: number,
  ) {}

  /** @param folder is created on the first write @param dim floats per vector */
  static open(folder: string, dim: number): VectorCache {
    const cache = new VectorCache(folder, dim);
    for (const name of namesIn(folder)) if (name.endsWith('.keys')) cache.add(join(folder, name.slice(0, -5)));
    return cache;
  }

  /** number of vectors */
  get size(): number {
    return this.places.size;
  }

  has(key: string): boolean {
    return this.places.has(digest(key));
  }

  /** The vector of a key, in a new array. */
  get(key: string): Float32Array | undefined {
    const id = digest(key);
    const place = this.places.get(id);
    if (!place) return undefined;
    const bytes = this.read(place);
    if (bytes && crc32(bytes) === place.crc) return new Float32Array(bytes.buffer);
    this.places.delete(id);
    return undefined;
  }

  /** Stores a vector. @throws RangeError if it has another length or a value that is not finite */
  put(key: string, vector: Float32Array): void {
    if (vector.length !== this.dim) throw new RangeError(`expected a vector of ${this.dim} floats, got ${vector.length}`);
    if (!vector.every(Number.isFinite)) throw new RangeError('expected a vector of finite numbers');
    const id = digest(key);
    if (this.places.has(id)) return;
    this.own ??= this.begin();
    const { segment, keys, vectors, rows } = this.own;
    const bytes = Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength);
    const crc = crc32(bytes);
    const entry = Buffer.alloc(ENTRY);
    entry.write(id, 'latin1');
    entry.writeUInt32LE(crc, KEY);
    // The vector comes first, because a key without its vector would point beyond the end.
    writeSync(vectors, bytes, 0, bytes.length, rows * bytes.length);
    writeSync(keys, entry, 0, ENTRY, rows * ENTRY);
    this.own.rows++;
    // An open reader does not see appended data, because it has stored the file's size.
    segment.vectors?.close();
    segment.vectors = undefined;
    this.places.set(id, { segment, row: rows, crc });
  }

  close(): void {
    for (const { vectors } of this.segments) vectors?.close();
    if (this.own) {
      closeSync(this.own.keys);
      closeSync(this.own.vectors);
    }
    this.own = undefined;
    this.places.clear();
  }

  private begin() {
    mkdirSync(this.folder, { recursive: true });
    // A random name is fine here: no result depends on it.
    const path = join(this.folder, randomBytes(8).toString('hex'));
    const segment: Segment = { path };
    this.segments.push(segment);
    return { segment, keys: openSync(`${path}.keys`, 'wx'), vectors: openSync(`${path}.vectors`, 'wx'), rows: 0 };
  }

  private add(path: string): void {
    const keys = new PositionalFile(`${path}.keys`);
    const count = Math.floor(keys.size / ENTRY);
    const entries = Buffer.from(keys.bytes(0, count * ENTRY).buffer);
    keys.close();
    const segment: Segment = { path };
    this.segments.push(segment);
    for (let row = 0; row < count; row++) {
      const at = row * ENTRY;
      this.places.set(entries.toString('latin1', at, at + KEY), { segment, row, crc: entries.readUInt32LE(at + KEY) });
    }
  }

  /** The bytes of a vector; undefined if the file is too short. */
  private read({ segment, row }: Place): Uint8Array<ArrayBuffer> | undefined {
    segment.vectors ??= new PositionalFile(`${segment.path}.vectors`);
    const length = 4 * this.dim;
    return (row + 1) * length > segment.vectors.size ? undefined : segment.vectors.bytes(row * length, length);
  }
}

function digest(key: string): string {
  return createHash('sha256').update(key).digest().toString('latin1', 0, KEY);
}

/** Names in a folder; none if it does not exist. */
export function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
