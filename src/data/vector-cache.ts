import { createHash, randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readdirSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from '@node-rs/crc32';
import { PositionalFile } from './store/file.js';

/** Bytes of a key: SHA-256 of its text, cut. */
const KEY = 16;
/** Bytes of an entry in a segment's `.keys`: the key, and the CRC-32 of its vector's bytes. */
const ENTRY = KEY + 4;

/** Where a vector lies. */
interface Place {
  readonly segment: Segment;
  readonly row: number;
  readonly crc: number;
}

/** A pair of files that one writer appends to: entry i of `.keys` names row i of `.vectors`. */
interface Segment {
  readonly path: string;
  /** opened when first read */
  vectors?: PositionalFile;
}

/**
 * Vectors on disk under the content they were made from: texts, pictures and questions that come again in other states,
 * stages and runs are not asked for twice. What decides a vector beside its key (the model, above all) must be in the
 * folder's name.
 *
 * Any number of processes and threads may have a folder open: each appends to a segment of its own, and finds what was
 * there when it opened. A torn end, or a vector whose CRC does not fit, is as if it were not there.
 */
export class VectorCache {
  private readonly places = new Map<string, Place>();
  private own?: { segment: Segment; keys: number; vectors: number; rows: number };
  private readonly segments: Segment[] = [];

  private constructor(
    private readonly folder: string,
    readonly dim: number,
  ) {}

  /** @param folder made when first written to @param dim floats in a vector */
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

  /** The vector kept under a key, in an array of its own. */
  get(key: string): Float32Array | undefined {
    const id = digest(key);
    const place = this.places.get(id);
    if (!place) return undefined;
    const bytes = this.read(place);
    if (bytes && crc32(bytes) === place.crc) return new Float32Array(bytes.buffer);
    this.places.delete(id);
    return undefined;
  }

  /** Keep a vector. @throws RangeError where it has another length, or a number that is not finite */
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
    // the vector first: a key without its vector would point behind the end
    writeSync(vectors, bytes, 0, bytes.length, rows * bytes.length);
    writeSync(keys, entry, 0, ENTRY, rows * ENTRY);
    this.own.rows++;
    // what is appended later is behind the size that a reader has noted
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
    // only a name: nothing that is computed depends on it
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

  /** The bytes of a vector; undefined where the file ends before them. */
  private read({ segment, row }: Place): Uint8Array<ArrayBuffer> | undefined {
    segment.vectors ??= new PositionalFile(`${segment.path}.vectors`);
    const length = 4 * this.dim;
    return (row + 1) * length > segment.vectors.size ? undefined : segment.vectors.bytes(row * length, length);
  }
}

function digest(key: string): string {
  return createHash('sha256').update(key).digest().toString('latin1', 0, KEY);
}

/** Names in a folder; none where it is not there. */
export function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
