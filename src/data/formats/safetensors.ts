import { statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { UserError } from '../../errors.js';
import { writeAtomic } from '../store/atomic.js';
import { PositionalFile, isFolder } from '../store/file.js';
import { decodeBfloat16, decodeFloat8, decodeHalf } from './half.js';
import { readText } from './text.js';
import { isObject, parseJson } from './json.js';

/** The safetensors format: https://github.com/huggingface/safetensors, "Format". Bytes per element of each type. */
const ELEMENT_BYTES = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
  F8_E8M0: 1,
  F8_E4M3FNUZ: 1,
  F8_E5M2FNUZ: 1,
  F4: 0.5,
  F6_E2M3: 0.75,
  F6_E3M2: 0.75,
  U16: 2,
  I16: 2,
  F16: 2,
  BF16: 2,
  U32: 4,
  I32: 4,
  F32: 4,
  U64: 8,
  I64: 8,
  F64: 8,
  C64: 8,
  /** a type that the format has got since; such a tensor cannot be read, but the others of its file can */
  OTHER: NaN,
} as const;

export type SafetensorsType = keyof typeof ELEMENT_BYTES;

/** A tensor as stored in a file: row-major, little-endian. */
export interface StoredTensor {
  readonly dtype: SafetensorsType;
  readonly shape: readonly number[];
  /** product(shape) elements, at an offset that is a multiple of the element size */
  readonly data: Uint8Array;
}

export interface Safetensors {
  readonly tensors: Map<string, StoredTensor>;
  /** the header's `__metadata__` */
  readonly metadata: Record<string, string>;
}

/** Type and shape of a tensor, known before its values are read. */
export interface TensorInfo extends Pick<StoredTensor, 'dtype' | 'shape'> {
  /** the name of its type in the file, if that is OTHER */
  readonly written?: string;
}

/** Types whose numbers `toFloat32` gives without loss, except that of float64. */
const FLOATS: ReadonlySet<SafetensorsType> = new Set(['F64', 'F32', 'F16', 'BF16', 'F8_E4M3', 'F8_E5M2']);

/** Whether a type is one of floating-point numbers that can be read. */
export function isReadableFloat(dtype: SafetensorsType): boolean {
  return FLOATS.has(dtype);
}

/**
 * An open weight file of any format, whose tensors are read on request. So a checkpoint may be larger than memory, and
 * single tensors can be read without the others.
 */
export interface TensorSource {
  readonly file: string;
  /** size of the file in bytes */
  readonly size: number;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** A tensor's bytes, row-major, in blocks of whole elements. A block is valid until the next one is requested. */
  blocks(name: string): Iterable<Uint8Array>;
  close(): void;
}

/** Bytes per block: a multiple of every element size. */
const BLOCK = 1 << 22;

/** Bytes [start, start + length) of a file in blocks, which share one buffer. */
export function* fileBlocks(source: PositionalFile, start: number, length: number): Generator<Uint8Array> {
  const buffer = new Uint8Array(Math.min(BLOCK, length));
  for (let at = 0; at < length; at += buffer.length) {
    const piece = buffer.subarray(0, Math.min(buffer.length, length - at));
    source.read(piece, start + at);
    yield piece;
  }
}

/** The reference implementation's limit for the header. */
const MAX_HEADER = 100_000_000;
/** Most tensors of a file: the largest models have as many in all their shards. */
const MOST_TENSORS = 100_000;
const INDEX = '.safetensors.index.json';
const WHAT_TO_DO = 'download or export it again';

/** Bytes per element of the type. */
export function elementBytes(dtype: SafetensorsType): number {
  return ELEMENT_BYTES[dtype];
}

/** An open `.safetensors` file. Only its header is in memory. */
export class SafetensorsFile implements TensorSource {
  private constructor(
    private readonly source: PositionalFile,
    readonly tensors: ReadonlyMap<string, Entry>,
    /** the header's `__metadata__` */
    readonly metadata: Record<string, string>,
    /** position of the first tensor, after the header */
    private readonly start: number,
  ) {}

  /** @throws UserError that names the file if it is truncated, of another format or inconsistent */
  static open(file: string): SafetensorsFile {
    const source = new PositionalFile(file, WHAT_TO_DO);
    try {
      const { entries, metadata, start } = readHeader(source);
      return new SafetensorsFile(source, new Map(entries.map((entry) => [entry.name, entry])), metadata, start);
    } catch (error) {
      source.close();
      throw error;
    }
  }

  get file(): string {
    return this.source.file;
  }

  get size(): number {
    return this.source.size;
  }

  blocks(name: string): Iterable<Uint8Array> {
    const { begin, end } = this.tensors.get(name)!;
    return fileBlocks(this.source, this.start + begin, end - begin);
  }

  /** Reads a whole tensor into a new buffer. */
  read(name: string): StoredTensor {
    const { dtype, shape, begin, end } = this.tensors.get(name)!;
    return { dtype, shape, data: this.source.bytes(this.start + begin, end - begin) };
  }

  /**
   * Bytes that distinguish this file from others of the same layout, without reading all of it: the header, and samples
   * from the start, middle and end of every tensor. Training changes all parts of a tensor, so samples suffice.
   */
  *samples(bytes = 512): Generator<Uint8Array> {
    yield this.source.bytes(0, this.start);
    for (const { begin, end } of this.tensors.values()) {
      const length = Math.min(bytes, end - begin);
      for (const at of [begin, begin + Math.floor((end - begin - length) / 2), end - length]) {
        yield this.source.bytes(this.start + at, length);
      }
    }
  }

  close(): void {
    this.source.close();
  }
}

/**
 * Reads a `.safetensors` file, the shards of a `*.safetensors.index.json`, or a folder with `model.safetensors` or
 * `model.safetensors.index.json`. Every tensor has its own buffer, so files may be larger than 2 GiB.
 * @param only selects tensors by name
 * @throws UserError that names the file if it is truncated, of another format or inconsistent, or a shard or tensor is
 * missing
 */
export function readSafetensors(file: string, only: (name: string) => boolean = () => true): Safetensors {
  const path = isFolder(file) ? inFolder(file) : file;
  if (path.endsWith(INDEX)) return readSharded(path, only);
  const source = SafetensorsFile.open(path);
  try {
    const tensors = new Map<string, StoredTensor>();
    for (const name of source.tensors.keys()) if (only(name)) tensors.set(name, source.read(name));
    return { tensors, metadata: source.metadata };
  } finally {
    source.close();
  }
}

interface Entry {
  readonly name: string;
  readonly dtype: SafetensorsType;
  readonly written?: string;
  readonly shape: number[];
  readonly begin: number;
  readonly end: number;
}

/** Reads and checks the header. Entries are in file order; as the format requires, they cover the data without gaps. */
function readHeader(source: PositionalFile): { entries: Entry[]; metadata: Record<string, string>; start: number } {
  if (source.size < 8) throw source.fault(`not a safetensors file: expected at least 8 bytes, got ${source.size}`);
  const length = new DataView(source.bytes(0, 8).buffer).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER) || length > BigInt(source.size - 8)) {
    throw source.fault(
      `not a safetensors file, or truncated: the header's length is ${length}, expected at most ${Math.min(MAX_HEADER, source.size - 8)}`,
    );
  }
  const start = 8 + Number(length);
  const bytes = source.bytes(8, Number(length));
  const listed = countOf(Buffer.from(bytes.buffer), '"data_offsets"', MOST_TENSORS + 1);
  if (listed > MOST_TENSORS) throw source.fault(`refused: its header lists more than ${MOST_TENSORS} tensors`);
  const header = parseObject(source, new TextDecoder().decode(bytes));
  const entries: Entry[] = [];
  let metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(header)) {
    if (name === '__metadata__') metadata = checkedMetadata(source, value);
    else entries.push(checkedEntry(source, name, value));
  }
  // JSON.parse keeps the last of several; their ranges may still be without gaps
  const texts = [...Object.keys(header), ...Object.keys(metadata), ...Object.values(metadata)];
  if (listed > entries.length && !texts.includes('data_offsets'))
    throw source.fault('damaged: its header names a tensor twice');
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let end = 0;
  for (const entry of entries) {
    if (entry.begin !== end) {
      throw source.fault(`tensor ${entry.name} overlaps or leaves a gap: expected it to begin at ${end}, got ${entry.begin}`);
    }
    end = entry.end;
  }
  if (start + end !== source.size) {
    throw source.fault(`truncated or too long: expected ${start + end} bytes by the header, got ${source.size}`);
  }
  return { entries, metadata, start };
}

function parseObject(source: PositionalFile, text: string): Record<string, unknown> {
  try {
    const header = parseJson(text);
    if (isObject(header)) return header;
  } catch {
    // not JSON: reported below
  }
  throw source.fault('not a safetensors file: its header is not a JSON object');
}

/** How often bytes have a text; at most `most`. */
function countOf(bytes: Buffer, text: string, most: number): number {
  let count = 0;
  for (let at = bytes.indexOf(text); at >= 0 && count < most; at = bytes.indexOf(text, at + text.length)) count++;
  return count;
}

function checkedMetadata(source: PositionalFile, value: unknown): Record<string, string> {
  if (isObject(value) && Object.values(value).every((text) => typeof text === 'string')) return value as Record<string, string>;
  throw source.fault('damaged: expected texts in __metadata__');
}

function checkedEntry(source: PositionalFile, name: string, value: unknown): Entry {
  const { dtype, shape, data_offsets: offsets } = (value ?? {}) as Record<string, unknown>;
  if (typeof dtype !== 'string' || !/^[A-Z][A-Z0-9_]{0,30}$/.test(dtype)) {
    throw source.fault(`tensor ${name} has an unknown type ${JSON.stringify(dtype)}`);
  }
  if (!isSizes(shape) || !isSizes(offsets) || offsets.length !== 2) {
    throw source.fault(`tensor ${name} has no valid shape or data_offsets`);
  }
  const [begin, end] = offsets;
  if (!Object.hasOwn(ELEMENT_BYTES, dtype) || dtype === 'OTHER') {
    if (end < begin) throw source.fault(`tensor ${name} has no valid shape or data_offsets`);
    return { name, dtype: 'OTHER', written: dtype, shape, begin, end };
  }
  const expected = shape.reduce((product, size) => product * size, ELEMENT_BYTES[dtype as SafetensorsType]);
  if (end - begin !== expected) {
    throw source.fault(`tensor ${name} is ${dtype} [${shape}]: expected ${expected} bytes, got ${end - begin}`);
  }
  return { name, dtype: dtype as SafetensorsType, shape, begin, end };
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}

function inFolder(folder: string): string {
  for (const name of ['model.safetensors', `model${INDEX}`]) {
    const path = join(folder, name);
    if (statSync(path, { throwIfNoEntry: false })) return path;
  }
  throw new UserError(`${folder}: expected model.safetensors or model${INDEX} in it, got neither; ${WHAT_TO_DO}`);
}

/**
 * The shard of every tensor, by tensor name, from a `*.safetensors.index.json` or `*.bin.index.json`. Shards are in the
 * folder of the index.
 * @throws UserError if it is not an index, or points to another folder
 */
export function readWeightMap(index: string): ReadonlyMap<string, string> {
  let map: Record<string, unknown>;
  try {
    const json = parseJson(readText(index));
    if (!isObject(json) || !isObject(json.weight_map)) throw new Error('no weight_map');
    map = json.weight_map;
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`${index}: not an index of shards (${(error as Error).message}); ${WHAT_TO_DO}`);
  }
  for (const shard of Object.values(map)) {
    if (typeof shard !== 'string' || basename(shard) !== shard || shard === '..') {
      throw new UserError(`${index}: expected shards in the same folder, got ${JSON.stringify(shard)}; ${WHAT_TO_DO}`);
    }
  }
  return new Map(Object.entries(map as Record<string, string>));
}

/** The error for a shard that does not have a tensor of the index. */
export function lacksTensor(shard: string, name: string, index: string): UserError {
  return new UserError(`${shard}: tensor ${name} is missing, although ${index} lists it; ${WHAT_TO_DO}`);
}

/** Reads the selected tensors of an index, each shard once. */
function readSharded(index: string, only: (name: string) => boolean): Safetensors {
  const map = [...readWeightMap(index)].filter(([name]) => only(name));
  const tensors = new Map<string, StoredTensor>();
  for (const shard of new Set(map.map(([, file]) => file))) {
    const path = join(dirname(index), shard);
    const wanted = new Set(map.filter(([, file]) => file === shard).map(([name]) => name));
    const read = readSafetensors(path, (name) => wanted.has(name)).tensors;
    for (const name of wanted) {
      const tensor = read.get(name);
      if (!tensor) throw lacksTensor(path, name, index);
      tensors.set(name, tensor);
    }
  }
  return { tensors, metadata: {} };
}

/**
 * The tensor's values as float32 in row-major order. F32 gives a view without a copy; F16 and BF16 convert exactly; F64 and
 * integers round to the nearest float32; 8-bit floats (E4M3, E5M2) convert exactly, without the scale of a quantized layer.
 */
export function toFloat32({ dtype, data }: StoredTensor): Float32Array {
  const view = data.byteOffset % ELEMENT_BYTES[dtype] === 0 ? data : data.slice();
  const { buffer, byteOffset: at, byteLength } = view;
  const count = byteLength / ELEMENT_BYTES[dtype];
  const widened = (decode: (bits: Uint16Array, into: Float32Array) => void) => {
    const out = new Float32Array(count);
    decode(new Uint16Array(buffer, at, count), out);
    return out;
  };
  switch (dtype) {
    case 'F32':
      return new Float32Array(buffer, at, count);
    case 'F16':
      return widened((bits, into) => decodeHalf(bits, into));
    case 'BF16':
      return widened(decodeBfloat16);
    case 'F64':
      return Float32Array.from(new Float64Array(buffer, at, count));
    case 'I64':
      return Float32Array.from(new BigInt64Array(buffer, at, count), Number);
    case 'U64':
      return Float32Array.from(new BigUint64Array(buffer, at, count), Number);
    case 'I32':
      return Float32Array.from(new Int32Array(buffer, at, count));
    case 'U32':
      return Float32Array.from(new Uint32Array(buffer, at, count));
    case 'I16':
      return Float32Array.from(new Int16Array(buffer, at, count));
    case 'U16':
      return Float32Array.from(new Uint16Array(buffer, at, count));
    case 'I8':
      return Float32Array.from(new Int8Array(buffer, at, count));
    case 'U8':
    case 'BOOL':
      return Float32Array.from(view);
    case 'F8_E4M3':
    case 'F8_E5M2':
      return decodeFloat8(view, dtype);
    default:
      throw new UserError(`safetensors: tensors of type ${dtype} cannot be read as float32; export it in float32, float16 or bfloat16`);
  }
}

/** A tensor for `writeSafetensors`; its type is not OTHER. */
export interface TensorToStore {
  readonly dtype: SafetensorsType;
  readonly shape: readonly number[];
  /** a typed array with the tensor's bytes, or a function that produces them in pieces when they are written */
  readonly data: ArrayBufferView | (() => Iterable<ArrayBufferView>);
}

/**
 * Writes a safetensors file atomically, tensor by tensor. Wider types come first and the header is padded to 8 bytes, so
 * that every tensor is aligned for readers that map the file into memory. The bytes do not depend on the order of the
 * tensors.
 */
export async function writeSafetensors(
  file: string,
  tensors: ReadonlyMap<string, TensorToStore> | Readonly<Record<string, TensorToStore>>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const entries = [...(tensors instanceof Map ? tensors : Object.entries(tensors))] as [string, TensorToStore][];
  entries.sort(
    ([a, { dtype: s }], [b, { dtype: t }]) => ELEMENT_BYTES[t] - ELEMENT_BYTES[s] || (a < b ? -1 : a > b ? 1 : 0),
  );
  const header: Record<string, unknown> = Object.keys(metadata).length ? { __metadata__: metadata } : {};
  let offset = 0;
  for (const [name, { dtype, shape, data }] of entries) {
    const expected = shape.reduce((product, size) => product * size, ELEMENT_BYTES[dtype]);
    if (typeof data !== 'function') checkBytes(data.byteLength, expected, `${file}: tensor ${name} is ${dtype} [${shape}]`);
    header[name] = { dtype, shape, data_offsets: [offset, offset + expected] };
    offset += expected;
  }
  const text = Buffer.from(JSON.stringify(header));
  const head = Buffer.alloc(8 + Math.ceil(text.length / 8) * 8, ' ');
  head.writeBigUInt64LE(BigInt(head.length - 8), 0);
  text.copy(head, 8);
  await writeAtomic(file, async (out) => {
    await out.write(head);
    for (const [name, { dtype, shape, data }] of entries) {
      const start = out.bytes;
      for (const piece of typeof data === 'function' ? data() : [data]) await out.write(piece);
      const expected = shape.reduce((product, size) => product * size, ELEMENT_BYTES[dtype]);
      checkBytes(out.bytes - start, expected, `${file}: tensor ${name} is ${dtype} [${shape}]`);
    }
  });
}

function checkBytes(got: number, expected: number, what: string): void {
  if (got !== expected) throw new Error(`${what}: expected ${expected} bytes, got ${got}`);
}
