import { RecordBatch, RecordBatchFileWriter, Struct, makeData, type Data, type Schema } from 'apache-arrow';
import { Footer } from 'apache-arrow/ipc/metadata/file';
import { Message } from 'apache-arrow/ipc/metadata/message';
import { AtomicFile, type Written } from '../store/atomic.js';
import type { PositionalFile } from '../store/file.js';
import { verifyFlatbuffer, type TableShape } from './flatbuffer.js';

/** The Arrow IPC file format, uncompressed: https://arrow.apache.org/docs/format/Columnar.html#ipc-file-format */
const MAGIC = 'ARROW1';

/** apache-arrow's writer, with its output in one buffer instead of an unbounded queue. */
class GatheringWriter extends RecordBatchFileWriter {
  private gathered = new Uint8Array(1 << 20);
  private length = 0;

  /** Overrides apache-arrow's `_write`, which is called with every piece of the file in order. */
  protected override _write(chunk: ArrayBufferView | ArrayBuffer): this {
    if (!this._started) return this;
    const bytes = ArrayBuffer.isView(chunk)
      ? new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength)
      : new Uint8Array(chunk);
    if (this.length + bytes.length > this.gathered.length) {
      const larger = new Uint8Array(2 * (this.length + bytes.length));
      larger.set(this.gathered.subarray(0, this.length));
      this.gathered = larger;
    }
    this.gathered.set(bytes, this.length);
    this.length += bytes.length;
    this._position += bytes.length;
    return this;
  }

  /** The output since the last call; valid until the next write. */
  take(): Uint8Array {
    const taken = this.gathered.subarray(0, this.length);
    this.length = 0;
    return taken;
  }
}

/** Writes an Arrow file atomically, with one batch at a time in memory, and computes its CRC. */
export class ArrowWriter {
  private readonly writer = new GatheringWriter({ autoDestroy: false });
  private rows = 0;

  private constructor(
    private readonly out: AtomicFile,
    private readonly schema: Schema,
  ) {
    this.writer.reset(undefined, schema);
  }

  static async open(file: string, schema: Schema): Promise<ArrowWriter> {
    return new ArrowWriter(await AtomicFile.open(file), schema);
  }

  /** Writes one batch of `length` rows. The arrays may be reused when the promise resolves. */
  async append(length: number, children: Data[]): Promise<void> {
    const struct = makeData({ type: new Struct(this.schema.fields), length, nullCount: 0, children });
    this.writer.write(new RecordBatch(this.schema, struct));
    this.rows += length;
    await this.out.write(this.writer.take());
  }

  async commit(): Promise<Written & { rows: number }> {
    this.writer.finish();
    await this.out.write(this.writer.take());
    return { ...(await this.out.commit()), rows: this.rows };
  }

  async abort(): Promise<void> {
    await this.out.abort();
  }
}

/** The tables of Arrow's metadata (format/Schema.fbs, Message.fbs, File.fbs). */
const PAIR: TableShape = { 0: { bytes: 1 }, 1: { bytes: 1 } };
const PAIRS = { tables: () => PAIR };
const TIMESTAMP = 10;
const UNION = 14;
const FIELD: TableShape = {
  0: { bytes: 1 },
  3: { union: 2, of: (type): TableShape => (type === TIMESTAMP ? { 1: { bytes: 1 } } : type === UNION ? { 1: { bytes: 4 } } : {}) },
  4: { table: () => ({ 1: { table: () => ({}) } }) },
  5: { tables: () => FIELD },
  6: PAIRS,
};
const SCHEMA: TableShape = { 1: { tables: () => FIELD }, 2: PAIRS, 3: { bytes: 8 } };
const FOOTER: TableShape = { 1: { table: () => SCHEMA }, 2: { bytes: 24 }, 3: { bytes: 24 }, 4: PAIRS };
const RECORD_BATCH = 3;
const BATCH: TableShape = { 1: { bytes: 16 }, 2: { bytes: 16 }, 3: { table: () => ({}) }, 4: { bytes: 8 } };
const MESSAGE: TableShape = {
  2: {
    union: 1,
    of: (kind) => {
      if (kind !== RECORD_BATCH) throw new Error('expected a record batch');
      return BATCH;
    },
  },
  4: PAIRS,
};

/** Positions of the buffers of a record batch in the file, in the order of the schema's fields. */
export interface BatchLayout {
  readonly rows: number;
  readonly buffers: readonly { readonly position: number; readonly length: number }[];
}

export interface ArrowLayout {
  readonly schema: Schema;
  readonly batches: readonly BatchLayout[];
}

/**
 * The schema of an Arrow file and the positions of its batches, all checked against the file's size.
 * @throws UserError if the file is truncated, of another format, compressed or damaged
 */
export function arrowLayout(source: PositionalFile): ArrowLayout {
  const expected = `expected an Arrow file (${MAGIC} at both ends)`;
  if (source.size < 24) throw source.fault(`${expected}, got ${source.size} bytes`);
  const head = Buffer.from(source.bytes(0, 6)).toString('latin1');
  if (head !== MAGIC) throw source.fault(`${expected}, got ${JSON.stringify(head)} at its start`);
  const tail = Buffer.from(source.bytes(source.size - 10, 10));
  const end = tail.toString('latin1', 4);
  if (end !== MAGIC) throw source.fault(`truncated: ${expected}, got ${JSON.stringify(end)} at its end`);
  const footerLength = tail.readInt32LE(0);
  if (footerLength <= 0 || footerLength > source.size - 24) {
    throw source.fault(`damaged: the footer's length is ${footerLength}, but the file has ${source.size} bytes`);
  }
  try {
    const bytes = source.bytes(source.size - 10 - footerLength, footerLength);
    verifyFlatbuffer(bytes, FOOTER);
    const footer = Footer.decode(bytes);
    const batches: BatchLayout[] = [];
    let left = source.size;
    for (let i = 0; i < footer.numRecordBatches; i++) {
      const block = footer.getRecordBatch(i)!;
      // each is read once below
      left -= block.metaDataLength;
      if (left < 0) throw new Error('its batches overlap');
      batches.push(batchLayout(source, block));
    }
    return { schema: footer.schema, batches };
  } catch (error) {
    throw source.fault(`damaged: ${(error as Error).message}`);
  }
}

function batchLayout(
  source: PositionalFile,
  block: { offset: number; metaDataLength: number; bodyLength: number },
): BatchLayout {
  const body = Number(block.offset) + block.metaDataLength;
  const bodyLength = Number(block.bodyLength);
  if (block.metaDataLength < 8 || bodyLength < 0 || body + bodyLength > source.size) {
    throw new Error(`the batch at byte ${block.offset} does not end within the file's ${source.size} bytes`);
  }
  const bytes = source.bytes(Number(block.offset), block.metaDataLength).subarray(8);
  verifyFlatbuffer(bytes, MESSAGE);
  const message = Message.decode(bytes);
  if (!message.isRecordBatch()) throw new Error(`expected a record batch at byte ${block.offset}`);
  const header = message.header();
  if (header.compression) throw new Error('expected uncompressed batches, got compressed ones');
  const buffers = header.buffers.map(({ offset, length }) => {
    if (offset < 0 || length < 0 || offset + length > bodyLength) {
      throw new Error(`the buffer at byte ${body + offset} does not end within its batch`);
    }
    return { position: body + offset, length };
  });
  return { rows: Number(header.length), buffers };
}

/** The number of rows in an Arrow file. @throws UserError as `arrowLayout` does */
export function arrowRows(source: PositionalFile): number {
  return arrowLayout(source).batches.reduce((sum, { rows }) => sum + rows, 0);
}
