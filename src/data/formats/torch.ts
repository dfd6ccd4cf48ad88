import { crc32 } from '@node-rs/crc32';
import { UserError } from '../../errors.js';
import { PositionalFile } from '../store/file.js';
import { openZip } from './zip.js';
import { PickleCursor, Payload } from './pickle-cursor.js';
import { Tuple, fetchedMemos, pickleItems, readPickle } from './pickle.js';
import { elementBytes, fileBlocks } from './safetensors.js';
import {
  NumpyArray,
  TorchTensor,
  decodeNumpy,
  decodeNumpyTexts,
  decodeTorch,
  pickledBytes,
  product,
  rowMajor,
  torchWorld,
} from './torch-globals.js';

/** An uncompressed entry of the zip. */
interface ZipEntry {
  /** position of the local header; the data follows it */
  readonly header: number;
  readonly size: number;
  readonly crc32: number;
}

/** Numbers in row-major order. */
interface Numbers {
  readonly shape: readonly number[];
  readonly values: Float32Array | Float64Array;
}

/** Longest text in bytes: no prompt, action or path comes near, and V8 has no strings of more than 512 MB. */
const LONGEST_TEXT = 1 << 24;
/** Most axes of nested lists: as many as numpy allows. */
const DEEPEST = 32;

const WHAT_TO_DO = 'check where it comes from, or load it in Python and torch.save it again';

/**
 * A file of torch.save (PyTorch 1.6 or later: a zip with `data.pkl` and the storages), read without executing anything.
 * It may contain numpy arrays and scalars, tensors, texts, numbers, lists, tuples and dictionaries (torch-globals.ts); any
 * other global is an error that names it. Numbers stay in the file until they are requested, so the file may be larger
 * than memory.
 */
export class TorchFile {
  private constructor(
    private readonly source: PositionalFile,
    private readonly pickle: ZipEntry,
    private readonly storages: readonly ZipEntry[],
  ) {}

  /** @throws UserError if the file is not such a zip, is truncated, or has compressed entries */
  static async open(file: string): Promise<TorchFile> {
    const source = new PositionalFile(file, WHAT_TO_DO);
    try {
      const { pickle, storages, byteorder } = await zipEntries(source);
      const opened = new TorchFile(source, pickle, storages);
      if (byteorder && Buffer.from(opened.bytesOf(byteorder)).toString('latin1') !== 'little') {
        throw source.fault('expected a torch file of a little-endian machine, got a big-endian one');
      }
      return opened;
    } catch (error) {
      source.close();
      throw error;
    }
  }

  get file(): string {
    return this.source.file;
  }

  /** CRC-32 of the pickle from the zip directory; together with `size`, a fingerprint of the content */
  get crc32(): number {
    return this.pickle.crc32;
  }

  get size(): number {
    return this.source.size;
  }

  /** The whole value. Long texts and byte strings are `Payload`s. */
  value(): unknown {
    return this.checked(() => readPickle(this.cursor(), torchWorld, fetchedMemos(this.cursor())));
  }

  /** The items of a list one by one; only the current one is in memory. */
  *items(): Generator<unknown> {
    const items = this.checked(() => pickleItems(this.cursor(), torchWorld, fetchedMemos(this.cursor())));
    for (;;) {
      const next = this.checked(() => items.next());
      if (next.done) return;
      yield next.value;
    }
  }

  /** A text, also if it is a `Payload` or a numpy scalar; undefined for other values. */
  text(value: unknown): string | undefined {
    if (typeof value === 'string') return value;
    if (value instanceof Payload && value.kind === 'text') {
      if (value.length > LONGEST_TEXT)
        throw this.source.fault(`refused: a text of ${value.length} bytes, expected at most ${LONGEST_TEXT}`);
      return Buffer.from(this.source.bytes(value.position, value.length).buffer).toString('utf8');
    }
    return value instanceof NumpyArray && product(value.shape) === 1 ? this.numpyTexts(value)?.[0] : undefined;
  }

  /** The texts of a list, a tuple or a numpy array with one axis; undefined for other values. */
  texts(value: unknown): string[] | undefined {
    if (value instanceof NumpyArray && value.shape.length === 1 && value.type.kind !== 'O') return this.numpyTexts(value);
    const list = listOf(value instanceof NumpyArray ? value.data : value);
    const texts = list?.map((item) => this.text(item));
    return texts?.every((text) => text !== undefined) ? texts : undefined;
  }

  /**
   * The numbers of an array, scalar, tensor or (nested) list of numbers, in row-major order, with their shape; undefined
   * for other values.
   * @throws UserError if a list is ragged or an array's bytes do not match its shape
   */
  numbers(value: unknown): Numbers | undefined {
    return this.bounded(value, { left: this.source.size });
  }

  /** Lists may contain each other many times, so a small file could expand without limit. Allow one number per byte. */
  private bounded(value: unknown, budget: { left: number }, depth = 0): Numbers | undefined {
    if (depth > DEEPEST) throw this.fault(`refused: lists of numbers are nested more than ${DEEPEST} deep`);
    if (typeof value === 'number' || typeof value === 'boolean') return { shape: [], values: Float64Array.of(Number(value)) };
    if (value instanceof NumpyArray && value.type.kind === 'O') return this.objectNumbers(value, budget, depth);
    if (value instanceof NumpyArray) return this.checked(() => this.numpyNumbers(value));
    if (value instanceof TorchTensor) {
      return this.checked(() => ({ shape: value.shape, values: decodeTorch(value.storage.type, this.tensorBytes(value)) }));
    }
    const list = listOf(value);
    return list && list.length > 0 ? this.listNumbers(list, budget, depth) : undefined;
  }

  /** A tensor's elements in row-major order. @param whole all bytes of its storage, if already read, to avoid a copy */
  tensorBytes({ storage, offset, shape, stride }: TorchTensor, whole?: Uint8Array): Uint8Array {
    const size = elementBytes(storage.type);
    const count = product(shape);
    if (isContiguous(shape, stride)) {
      return whole ? whole.subarray(offset * size, (offset + count) * size) : this.storagePart(storage, offset, count);
    }
    const from = whole ?? this.storageBytes(storage);
    const out = new Uint8Array(count * size);
    const index = new Array<number>(shape.length).fill(0);
    for (let i = 0; i < count; i++) {
      const at = index.reduce((sum, position, axis) => sum + position * stride[axis], offset) * size;
      out.set(from.subarray(at, at + size), i * size);
      for (let axis = shape.length - 1; axis >= 0 && ++index[axis] === shape[axis]; axis--) index[axis] = 0;
    }
    return out;
  }

  /**
   * A tensor's bytes in row-major order, in blocks that are valid until the next one. They are checked against the zip's
   * CRC if the tensor is its whole storage. A transposed tensor is copied as a whole.
   */
  *blocks(tensor: TorchTensor): Generator<Uint8Array> {
    const { storage, offset, shape, stride } = tensor;
    if (!isContiguous(shape, stride)) {
      yield this.tensorBytes(tensor);
      return;
    }
    const size = elementBytes(storage.type);
    const count = product(shape);
    const entry = this.entryOf(storage);
    let crc = 0;
    for (const piece of fileBlocks(this.source, this.start(entry) + offset * size, count * size)) {
      crc = crc32(piece, crc);
      yield piece;
    }
    if (count === storage.count) this.check(storage, entry, crc);
  }

  /** The CRC-32 of the pickle and of each storage, from the zip directory. */
  checksums(): readonly number[] {
    return [this.pickle.crc32, ...this.storages.map((entry) => entry?.crc32 ?? 0)];
  }

  /** All bytes of a storage, checked against its CRC. */
  storageBytes(storage: TorchTensor['storage']): Uint8Array {
    const entry = this.entryOf(storage);
    const bytes = this.bytesOf(entry);
    this.check(storage, entry, crc32(bytes));
    return bytes;
  }

  private check(storage: TorchTensor['storage'], entry: ZipEntry, crc: number): void {
    if (crc === entry.crc32) return;
    throw this.source.fault(`damaged: storage data/${storage.key}: expected crc32 ${entry.crc32}, got ${crc}`);
  }

  /**
   * Checks the CRC of the pickle, which reads it once.
   * @throws UserError if it differs
   */
  verify(): void {
    const start = this.start(this.pickle);
    const block = new Uint8Array(Math.min(this.pickle.size, 1 << 22));
    let crc = 0;
    for (let at = 0; at < this.pickle.size; at += block.length) {
      const piece = block.subarray(0, Math.min(block.length, this.pickle.size - at));
      this.source.read(piece, start + at);
      crc = crc32(piece, crc);
    }
    if (crc !== this.pickle.crc32) {
      throw this.source.fault(`damaged: data.pkl: expected crc32 ${this.pickle.crc32}, got ${crc}`);
    }
  }

  close(): void {
    this.source.close();
  }

  /** A UserError about this file. */
  fault(what: string): UserError {
    return this.source.fault(what);
  }

  private cursor(): PickleCursor {
    return new PickleCursor(this.source, this.start(this.pickle), this.pickle.size);
  }

  /** Turns any error of the pickle into one line that names the file. */
  private checked<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      if (error instanceof UserError) throw error;
      throw this.source.fault(`refused: ${(error as Error).message}`);
    }
  }

  private numpyNumbers(array: NumpyArray): Numbers | undefined {
    const { shape, type, fortran } = array;
    if (type.kind === 'U' || type.kind === 'S') return undefined;
    const values = decodeNumpy(type.code, this.numpyBytes(array));
    return { shape, values: fortran && shape.length > 1 ? rowMajor(values, shape) : values };
  }

  /** The elements of an array of texts, in the order of the file; undefined for one of numbers. */
  private numpyTexts(array: NumpyArray): string[] | undefined {
    const { type } = array;
    if (type.kind === 'O') {
      const texts = listOf(array.data)?.map((item) => (typeof item === 'string' ? item : undefined));
      return texts?.every((text) => text !== undefined) ? texts : undefined;
    }
    if (type.kind !== 'U' && type.kind !== 'S') return undefined;
    return this.checked(() => decodeNumpyTexts(type, this.numpyBytes(array)));
  }

  private numpyBytes({ shape, type, data }: NumpyArray): Uint8Array {
    const bytes = pickledBytes(data, ({ position, length }) => this.source.bytes(position, length));
    const expected = product(shape) * type.bytes;
    if (bytes.length !== expected) {
      throw new Error(`numpy array of shape [${shape}]: expected ${expected} bytes, got ${bytes.length}`);
    }
    return bytes;
  }

  /** An array of Python objects that are all numbers, or all arrays of one shape. */
  private objectNumbers({ shape, data }: NumpyArray, budget: { left: number }, depth: number): Numbers | undefined {
    const list = listOf(data);
    if (!list || list.length !== product(shape) || list.length === 0) return undefined;
    const numbers = this.listNumbers(list, budget, depth);
    return numbers && { shape: [...shape, ...numbers.shape.slice(1)], values: numbers.values };
  }

  private listNumbers(list: readonly unknown[], budget: { left: number }, depth: number): Numbers | undefined {
    budget.left -= list.length + 1;
    if (budget.left < 0) throw this.fault('refused: nested lists expand to more numbers than the file has bytes');
    if (list.every((item) => typeof item === 'number')) return { shape: [list.length], values: Float64Array.from(list) };
    const rows: Numbers[] = [];
    for (const item of list) {
      const row = this.bounded(item, budget, depth + 1);
      if (row === undefined) return undefined;
      if (row.shape.join() !== (rows[0] ?? row).shape.join()) {
        throw this.fault(`refused: ragged list: rows of shape [${rows[0].shape.join()}] and [${row.shape.join()}]`);
      }
      budget.left -= row.values.length;
      if (budget.left < 0) throw this.fault('refused: a list of arrays expands to more numbers than the file has bytes');
      rows.push(row);
    }
    const width = rows[0].values.length;
    const values = rows.some((row) => row.values instanceof Float64Array)
      ? new Float64Array(rows.length * width)
      : new Float32Array(rows.length * width);
    rows.forEach((row, i) => values.set(row.values, i * width));
    return { shape: [rows.length, ...rows[0].shape], values };
  }

  private storagePart(storage: TorchTensor['storage'], offset: number, count: number): Uint8Array {
    const size = elementBytes(storage.type);
    if (offset === 0 && count === storage.count) return this.storageBytes(storage);
    return this.source.bytes(this.start(this.entryOf(storage)) + offset * size, count * size);
  }

  private entryOf(storage: TorchTensor['storage']): ZipEntry {
    const entry = this.storages[storage.key];
    const expected = storage.count * elementBytes(storage.type);
    if (!entry) throw this.source.fault(`the storage data/${storage.key} is missing`);
    if (entry.size !== expected) {
      throw this.source.fault(`storage data/${storage.key}: expected ${expected} bytes, got ${entry.size}`);
    }
    return entry;
  }

  private bytesOf(entry: ZipEntry): Uint8Array {
    return this.source.bytes(this.start(entry), entry.size);
  }

  /** Position of an entry's data, after its local header (PKWARE APPNOTE 4.3.7). */
  private start({ header, size }: ZipEntry): number {
    const local = Buffer.from(this.source.bytes(header, 30).buffer);
    if (local.readUInt32LE(0) !== 0x04034b50) throw this.source.fault(`damaged: expected a zip entry at byte ${header}`);
    const start = header + 30 + local.readUInt16LE(26) + local.readUInt16LE(28);
    if (start + size > this.source.size) {
      throw this.source.fault(`truncated: the zip entry at byte ${header} ends beyond the file's ${this.source.size} bytes`);
    }
    return start;
  }
}

/** Reads the zip directory. torch puts all entries into one folder, whose name does not matter. */
async function zipEntries(source: PositionalFile) {
  const magic = source.size < 4 ? 0 : Buffer.from(source.bytes(0, 4).buffer).readUInt32LE();
  if (magic !== 0x04034b50) {
    throw source.fault(
      `not a torch file in zip format: expected PK at its start, got ${source.size === 0 ? 'an empty file' : `0x${magic.toString(16)}`}` +
        ' (PyTorch before 1.6 wrote another format)',
    );
  }
  let pickle: ZipEntry | undefined;
  let byteorder: ZipEntry | undefined;
  const storages: ZipEntry[] = [];
  let entries = 0;
  try {
    const zip = await openZip(source.file);
    try {
      for await (const entry of zip.eachEntry()) {
        const name = entry.fileName.slice(entry.fileName.indexOf('/') + 1);
        const storage = /^data\/(\d{1,9})$/.exec(name);
        if (!storage && name !== 'data.pkl' && name !== 'byteorder') continue;
        if (entry.compressionMethod !== 0 || entry.isEncrypted() || entry.compressedSize !== entry.uncompressedSize) {
          throw new Error(`expected entries as torch.save writes them, but ${name} is compressed or encrypted`);
        }
        const found = { header: entry.relativeOffsetOfLocalHeader, size: entry.uncompressedSize, crc32: entry.crc32 };
        entries++;
        if (storage) storages[Number(storage[1])] = found;
        else if (name === 'data.pkl') pickle = found;
        else byteorder = found;
      }
    } finally {
      zip.close();
    }
  } catch (error) {
    throw source.fault(`refused: not a complete torch file: ${(error as Error).message}`);
  }
  if (!pickle) throw source.fault('refused: expected a torch file, got a zip without data.pkl');
  // torch.save counts from 0; a huge number would make every walk over the storages endless
  if (storages.length > 2 * entries + 1000)
    throw source.fault(`refused: a storage has the number ${storages.length - 1}, but there are ${entries} files`);
  return { pickle, byteorder, storages };
}

/** The items of a list or tuple; undefined for other values. */
function listOf(value: unknown): readonly unknown[] | undefined {
  if (Array.isArray(value)) return value;
  return value instanceof Tuple ? value.items : undefined;
}

/** Whether the elements of a shape follow each other in row-major order. */
export function isContiguous(shape: readonly number[], stride: readonly number[]): boolean {
  let expected = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && stride[axis] !== expected) return false;
    expected *= shape[axis];
  }
  return true;
}
