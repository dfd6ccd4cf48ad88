import { Field, Int32, Int64, Schema, makeData } from 'apache-arrow';
import { ArrowWriter, type BatchLayout } from './formats/arrow.js';
import type { Written } from './store/atomic.js';
import { PositionalFile } from './store/file.js';
import { VectorReader, vectorBytes, vectorData, vectorField, vectorLayout, vectorMetadata, vectorStart, type VectorFileKind, type VectorType, type VectorWidth } from './vectors.js';

/** The value of `cand` in the row that represents the state alone, without an action. */
export const STATE = -1;

const FILE: VectorFileKind = { kind: 'critiq.representations', version: '1', columns: ['tid', 'cand', 'rep'] };

/**
 * Writes a shard of representations: an Arrow file with a record batch for each transition. The rows of a batch are the
 * candidates in order (0 is the action taken), then, if given, the state alone. One transition at a time is in memory.
 */
export class RepresentationWriter {
  private constructor(
    private readonly writer: ArrowWriter,
    readonly dim: number,
    readonly type: VectorType,
  ) {}

  /** @param dim floats per representation */
  static async open(file: string, dim: number, type: VectorType = 'float16'): Promise<RepresentationWriter> {
    const schema = new Schema(
      [new Field('tid', new Int64(), false), new Field('cand', new Int32(), false), vectorField('rep', dim, type)],
      vectorMetadata(FILE),
    );
    return new RepresentationWriter(await ArrowWriter.open(file, schema), dim, type);
  }

  /**
   * @param rows [n * dim]: the representations of the n candidates; the last row is that of the state if `state` is true
   * @throws RangeError with the tid and candidate if a value is not finite or too large
   */
  async append(tid: number, rows: Float32Array, { state = false } = {}): Promise<void> {
    const length = rows.length / this.dim;
    if (!Number.isInteger(length) || length === 0) {
      throw new RangeError(`tid ${tid}: expected a multiple of ${this.dim} floats, got ${rows.length}`);
    }
    const candidates = length - (state ? 1 : 0);
    const cand = Int32Array.from({ length }, (_, i) => (i < candidates ? i : STATE));
    const tids = new BigInt64Array(length).fill(BigInt(tid));
    await this.writer.append(length, [
      makeData({ type: new Int64(), length, nullCount: 0, data: tids }),
      makeData({ type: new Int32(), length, nullCount: 0, data: cand }),
      vectorData(rows, this.dim, this.type, (row) => `representation of tid ${tid}, candidate ${cand[row]}`),
    ]);
  }

  /** Completes the shard. @returns its record for the manifest */
  async commit(): Promise<Written & { rows: number }> {
    return this.writer.commit();
  }

  async abort(): Promise<void> {
    await this.writer.abort();
  }
}

interface Place {
  readonly source: PositionalFile;
  /** byte position of the first candidate's vector */
  readonly start: number;
  readonly candidates: number;
  readonly state: boolean;
}

/** Representations in any number of shards. Rows are read on request; only these are in memory. */
export class Representations {
  private readonly places = new Map<number, Place>();
  private readonly sources: PositionalFile[] = [];
  private readonly reader = new VectorReader();
  private width: VectorWidth = { dim: 0, type: 'float16' };

  /**
   * Opens shards and indexes their transitions.
   * @param whatToDo end of error messages
   * @throws UserError if a file is truncated, of another format or damaged, widths differ, or a tid is repeated
   */
  static open(files: readonly string[], whatToDo = 'run `critiq represent` again after deleting it'): Representations {
    const opened = new Representations();
    try {
      for (const file of files) opened.add(new PositionalFile(file, whatToDo));
    } catch (error) {
      opened.close();
      throw error;
    }
    return opened;
  }

  /** floats per representation */
  get dim(): number {
    return this.width.dim;
  }

  /** the tids of all transitions, in the order of the shards */
  tids(): IterableIterator<number> {
    return this.places.keys();
  }

  has(tid: number): boolean {
    return this.places.has(tid);
  }

  /** Number of candidates of a transition, including the action taken; 0 if only the state is represented. */
  candidates(tid: number): number {
    return this.place(tid).candidates;
  }

  /** Whether the state alone is represented too (candidate -1). */
  hasState(tid: number): boolean {
    return this.place(tid).state;
  }

  /**
   * Reads rows of a transition as float32.
   * @param cands the candidates to read, in any order; `STATE` (-1) for the state alone
   * @param into gets the rows [cands.length * dim], from `offset`
   */
  readRows(tid: number, cands: ArrayLike<number>, into: Float32Array, offset = 0): void {
    const { source, start, candidates, state } = this.place(tid);
    const { dim, type } = this.width;
    if (offset + cands.length * dim > into.length) {
      throw new RangeError(
        `tid ${tid}: ${cands.length} rows of ${dim} floats at offset ${offset} do not fit into ${into.length} floats`,
      );
    }
    for (let i = 0; i < cands.length; ) {
      const cand = cands[i];
      if (cand === STATE ? !state : !(cand >= 0 && cand < candidates)) {
        throw new RangeError(
          `tid ${tid}: expected one of ${candidates} candidates${state ? ' or the state (-1)' : ''}, got ${cand}`,
        );
      }
      const row = cand === STATE ? candidates : cand;
      let count = 1;
      while (cand !== STATE && i + count < cands.length && cands[i + count] === cand + count && cand + count < candidates) {
        count++;
      }
      this.reader.read(source, start + row * vectorBytes(dim, type), count, this.width, into, offset + i * dim);
      i += count;
    }
  }

  close(): void {
    for (const source of this.sources) source.close();
  }

  private place(tid: number): Place {
    const place = this.places.get(tid);
    if (!place) throw new RangeError(`no representation of tid ${tid} in ${this.sources.length} shards`);
    return place;
  }

  private add(source: PositionalFile): void {
    this.sources.push(source);
    const { batches, width } = vectorLayout(source, FILE, this.sources.length > 1 ? this.width : undefined);
    this.width = width;
    for (const batch of batches) this.index(source, batch);
  }

  private index(source: PositionalFile, batch: BatchLayout): void {
    const { rows, buffers } = batch;
    const start = vectorStart(source, batch, this.dim, this.width.type);
    const [, tids, , cands] = buffers;
    if (rows === 0 || buffers.length !== 7 || tids.length < 8 * rows || cands.length < 4 * rows) {
      throw source.fault(`damaged: the batch of ${rows} rows at byte ${start} has too few tids or candidates`);
    }
    const tid = Number(new BigInt64Array(source.bytes(tids.position, 8 * rows).buffer)[0]);
    const order = new Int32Array(source.bytes(cands.position, 4 * rows).buffer);
    const state = order[rows - 1] === STATE;
    const candidates = rows - (state ? 1 : 0);
    for (let i = 0; i < candidates; i++) {
      if (order[i] !== i) throw source.fault(`damaged: tid ${tid}: expected candidate ${i}, got ${order[i]}`);
    }
    if (this.places.has(tid)) throw source.fault(`tid ${tid} is repeated`);
    this.places.set(tid, { source, start, candidates, state });
  }
}
