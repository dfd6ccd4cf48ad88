import { Field, Schema, Utf8, makeData } from 'apache-arrow';
import { ArrowWriter, type BatchLayout } from './formats/arrow.js';
import type { Written } from './store/atomic.js';
import { PositionalFile } from './store/file.js';
import { VectorReader, vectorBytes, vectorData, vectorField, vectorLayout, vectorMetadata, vectorStart, type VectorFileKind } from './vectors.js';

const FILE: VectorFileKind = { kind: 'critiq.image-vectors', version: '1', columns: ['id', 'vector'] };
const BATCH = 256;

/** Writes a shard of image vectors: an Arrow file with the columns `id` (content id of the image) and `vector` (float32). */
export class ImageVectorWriter {
  private ids: string[] = [];
  private readonly pending: Float32Array;

  private constructor(
    private readonly writer: ArrowWriter,
    readonly dim: number,
  ) {
    this.pending = new Float32Array(BATCH * dim);
  }

  /** @param dim floats per vector */
  static async open(file: string, dim: number): Promise<ImageVectorWriter> {
    const schema = new Schema(
      [new Field('id', new Utf8(), false), vectorField('vector', dim, 'float32')],
      vectorMetadata(FILE),
    );
    return new ImageVectorWriter(await ArrowWriter.open(file, schema), dim);
  }

  /** Adds a vector [dim]. Up to 256 are kept in memory. @throws RangeError if a value of these is not finite */
  async append(id: string, vector: Float32Array): Promise<void> {
    if (vector.length !== this.dim) throw new RangeError(`image ${id}: expected ${this.dim} floats, got ${vector.length}`);
    this.pending.set(vector, this.ids.length * this.dim);
    this.ids.push(id);
    if (this.ids.length === BATCH) await this.flush();
  }

  async commit(): Promise<Written & { rows: number }> {
    if (this.ids.length > 0) await this.flush();
    return this.writer.commit();
  }

  async abort(): Promise<void> {
    await this.writer.abort();
  }

  private async flush(): Promise<void> {
    const { ids } = this;
    const texts = ids.map((id) => Buffer.from(id));
    const valueOffsets = new Int32Array(ids.length + 1);
    texts.forEach((text, i) => (valueOffsets[i + 1] = valueOffsets[i] + text.length));
    const values = this.pending.subarray(0, ids.length * this.dim);
    this.ids = [];
    await this.writer.append(ids.length, [
      makeData({ type: new Utf8(), length: ids.length, nullCount: 0, valueOffsets, data: new Uint8Array(Buffer.concat(texts)) }),
      vectorData(values, this.dim, 'float32', (row) => `vector of image ${ids[row]}`),
    ]);
  }
}

/** Image vectors in any number of shards, by content id. They are read on request; the most recently used stay in memory. */
export class ImageVectors {
  private readonly places = new Map<string, { source: PositionalFile; position: number }>();
  private readonly sources: PositionalFile[] = [];
  private readonly reader = new VectorReader();
  /** the most recently used vectors, the latest at the end */
  private readonly hot = new Map<string, Float32Array>();
  private width = 0;

  private constructor(private readonly cacheBytes: number) {}

  /**
   * @param cacheBytes memory for the most recently used vectors
   * @throws UserError if a file is truncated, of another format or damaged, or widths differ
   */
  static open(
    files: readonly string[],
    { cacheBytes = 64 << 20, whatToDo = 'run `critiq represent` again after deleting it' } = {},
  ): ImageVectors {
    const opened = new ImageVectors(cacheBytes);
    try {
      for (const file of files) opened.add(new PositionalFile(file, whatToDo));
    } catch (error) {
      opened.close();
      throw error;
    }
    return opened;
  }

  /** floats per vector */
  get dim(): number {
    return this.width;
  }

  has(id: string): boolean {
    return this.places.has(id);
  }

  /** distinct content ids, in the order of the shards */
  ids(): IterableIterator<string> {
    return this.places.keys();
  }

  /** Reads the vector of an image into `into[offset .. offset + dim)`. @throws RangeError for an unknown id */
  read(id: string, into: Float32Array, offset = 0): void {
    let vector = this.hot.get(id);
    if (vector) {
      this.hot.delete(id);
    } else {
      const place = this.places.get(id);
      if (!place) throw new RangeError(`no vector of image ${id} in ${this.sources.length} shards`);
      vector = new Float32Array(this.dim);
      this.reader.read(place.source, place.position, 1, { dim: this.dim, type: 'float32' }, vector, 0);
    }
    this.hot.set(id, vector);
    if (this.hot.size * 4 * this.dim > this.cacheBytes) {
      for (const coldest of this.hot.keys()) {
        this.hot.delete(coldest);
        break;
      }
    }
    into.set(vector, offset);
  }

  close(): void {
    for (const source of this.sources) source.close();
    this.hot.clear();
  }

  private add(source: PositionalFile): void {
    this.sources.push(source);
    const like = this.sources.length > 1 ? ({ dim: this.width, type: 'float32' } as const) : undefined;
    const { batches, width } = vectorLayout(source, FILE, like);
    if (width.type !== 'float32') throw source.fault(`expected float32 vectors, got ${width.type}`);
    this.width = width.dim;
    for (const batch of batches) this.index(source, batch);
  }

  private index(source: PositionalFile, batch: BatchLayout): void {
    const { rows, buffers } = batch;
    const start = vectorStart(source, batch, this.dim, 'float32');
    const [, offsets, texts] = buffers;
    if (buffers.length !== 6 || offsets.length < 4 * (rows + 1)) {
      throw source.fault(`damaged: the batch of ${rows} rows at byte ${start} has too few ids`);
    }
    const ends = new Int32Array(source.bytes(offsets.position, 4 * (rows + 1)).buffer);
    const text = Buffer.from(source.bytes(texts.position, texts.length).buffer);
    for (let row = 0; row < rows; row++) {
      if (ends[row] < 0 || ends[row + 1] < ends[row] || ends[row + 1] > text.length) {
        throw source.fault(`damaged: the id of row ${row} in the batch at byte ${start} is outside the batch`);
      }
      const id = text.toString('utf8', ends[row], ends[row + 1]);
      this.places.set(id, { source, position: start + row * vectorBytes(this.dim, 'float32') });
    }
  }
}
