import { decodeBfloat16, decodeHalf } from './half.js';
import { Payload } from './pickle-cursor.js';
import { Tuple, type PickleWorld } from './pickle.js';
import type { SafetensorsType } from './safetensors.js';

/**
 * numpy.dtype: kind and size, as in its `str`: `f4` is a 4-byte float, `U5` a text of 5 characters, `S5` one of 5 bytes,
 * `O8` any Python object. Little-endian only.
 */
export class NumpyType {
  constructor(readonly code: string) {}

  get kind(): string {
    return this.code.charAt(0);
  }

  /** bytes per element; numpy keeps a character as four bytes (UTF-32) */
  get bytes(): number {
    return Number(this.code.slice(1)) * (this.kind === 'U' ? 4 : 1);
  }
}

/** numpy.ndarray: its type, its shape and a reference to its bytes. */
export class NumpyArray {
  type = new NumpyType('');
  shape: readonly number[] = [];
  /** whether it is column-major instead of row-major */
  fortran = false;
  data: unknown = null;
}

/** `_codecs.encode(text, 'latin1')`: bytes that protocol 2 has to write as text. They are decoded when used. */
export class EncodedBytes {
  constructor(readonly text: unknown) {}
}

/** A torch storage: the zip entry `data/<key>`. */
export class TorchStorage {
  constructor(
    readonly type: SafetensorsType,
    readonly key: number,
    /** number of elements */
    readonly count: number,
  ) {}
}

/** A torch tensor: a strided view of a storage. Offset and stride count elements. */
export class TorchTensor {
  constructor(
    readonly storage: TorchStorage,
    readonly offset: number,
    readonly shape: readonly number[],
    readonly stride: readonly number[],
  ) {}
}

const STORAGES = new Map<string, SafetensorsType>([
  ['FloatStorage', 'F32'],
  ['DoubleStorage', 'F64'],
  ['HalfStorage', 'F16'],
  ['BFloat16Storage', 'BF16'],
  ['LongStorage', 'I64'],
  ['IntStorage', 'I32'],
  ['ShortStorage', 'I16'],
  ['CharStorage', 'I8'],
  ['ByteStorage', 'U8'],
  ['BoolStorage', 'BOOL'],
]);

/** All callables that a torch file may use. They run only these few lines. */
const CALLABLES: Record<string, (args: readonly unknown[]) => unknown> = {
  'collections.OrderedDict': (args) => {
    if (args.length > 0) throw new Error(`expected an OrderedDict without arguments, got ${args.length}`);
    return new Map();
  },
  '_codecs.encode': ([text, codec = 'latin1']) => {
    if (codec !== 'latin1' && codec !== 'latin-1') throw new Error(`expected the codec latin1, got ${excerpt(codec)}`);
    return new EncodedBytes(text);
  },
  'numpy.dtype': ([code]) => {
    const type = typeof code === 'string' ? /^[<|=]?([fiub][1248]|[US]\d{1,5}|O8?)$/.exec(code) : null;
    if (!type) throw new Error(`expected a numpy type of numbers or texts, got ${excerpt(code)}`);
    return new NumpyType(type[1]);
  },
  'numpy.core.multiarray._reconstruct': () => new NumpyArray(),
  // protocol 5
  'numpy.core.numeric._frombuffer': ([data, type, shape, order]) => {
    if (!(type instanceof NumpyType) || type.kind === 'O' || (order !== 'C' && order !== 'F')) {
      throw new Error('expected a numpy array with a type and an order');
    }
    return Object.assign(new NumpyArray(), { type, shape: counts(shape), fortran: order === 'F', data });
  },
  'numpy.core.multiarray.scalar': ([type, data]) => {
    const scalar = new NumpyArray();
    if (!(type instanceof NumpyType)) throw new Error('expected a numpy scalar with a type');
    scalar.type = type;
    scalar.data = data;
    return scalar;
  },
  'torch._utils._rebuild_tensor_v2': ([storage, offset, shape, stride]) => rebuiltTensor(storage, offset, shape, stride),
  'torch._utils._rebuild_parameter': ([tensor]) => {
    if (!(tensor instanceof TorchTensor)) throw new Error('expected a tensor as parameter');
    return tensor;
  },
};

/** Types that are only arguments and never called: `numpy.ndarray` for `_reconstruct`. */
const TYPES = new Set(['numpy.ndarray']);

class Global {
  constructor(readonly name: string) {}
}

/** The allow-list for the pickle reader. */
export const torchWorld: PickleWorld = {
  global(module, name) {
    const full = `${module.replace(/^numpy\._core\./, 'numpy.core.')}.${name}`;
    if (Object.hasOwn(CALLABLES, full) || TYPES.has(full)) return new Global(full);
    if (module === 'torch' && STORAGES.has(name)) return new Global(full);
    throw new Error(`the global ${excerpt(`${module}.${name}`)} is not allowed: data files do not need it`);
  },
  reduce(callable, args) {
    const call = callable instanceof Global && Object.hasOwn(CALLABLES, callable.name) ? CALLABLES[callable.name] : undefined;
    if (!call) throw new Error('expected a function to call');
    return call(args);
  },
  build(object, state) {
    if (object instanceof NumpyArray) setArray(object, state);
    else if (object instanceof NumpyType) setType(state);
    else if (!(object instanceof Map)) throw new Error('expected an array, a type or an OrderedDict to set a state');
    // The state of an OrderedDict (a Map) is `_metadata`, module versions that critiq does not need.
  },
  persistent(id) {
    const [tag, type, key, , count] = id instanceof Tuple ? id.items : [];
    const stored = type instanceof Global ? STORAGES.get(type.name.slice('torch.'.length)) : undefined;
    if (tag !== 'storage' || !stored || typeof key !== 'string' || !/^\d{1,9}$/.test(key) || !isCount(count)) {
      throw new Error('expected a storage as persistent id');
    }
    return new TorchStorage(stored, Number(key), count);
  },
};

function rebuiltTensor(storage: unknown, offset: unknown, shape: unknown, stride: unknown): TorchTensor {
  if (!(storage instanceof TorchStorage) || !isCount(offset)) throw new Error('expected a tensor with storage and offset');
  const sizes = counts(shape);
  const steps = counts(stride);
  if (sizes.length !== steps.length) throw new Error(`expected a stride per axis, got shape [${sizes}], strides [${steps}]`);
  const elements = product(sizes);
  const last = elements === 0 ? offset : sizes.reduce((at, size, i) => at + (size - 1) * steps[i], offset + 1);
  if (last > storage.count || elements > storage.count) {
    throw new Error(
      `a tensor of shape [${sizes}], strides [${steps}] does not fit into its storage of ${storage.count} elements`,
    );
  }
  return new TorchTensor(storage, offset, sizes, steps);
}

function setArray(array: NumpyArray, state: unknown): void {
  const [, shape, type, fortran, data] = state instanceof Tuple ? state.items : [];
  if (!(type instanceof NumpyType) || typeof fortran !== 'boolean') throw new Error('expected a numpy array with a type');
  Object.assign(array, { shape: counts(shape), type, fortran, data });
}

function setType(state: unknown): void {
  const order = state instanceof Tuple ? state.items[1] : undefined;
  if (order !== '<' && order !== '|' && order !== '=') throw new Error('expected a little-endian numpy type');
}

function counts(value: unknown): number[] {
  const items = value instanceof Tuple ? value.items : value;
  if (!Array.isArray(items) || items.length > 32 || !items.every(isCount)) {
    throw new Error('expected a shape: a tuple of at most 32 sizes');
  }
  return items;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** Number of elements of a shape. */
export function product(shape: readonly number[]): number {
  // without the first case, 0 times a product beyond all numbers would be NaN
  return shape.includes(0) ? 0 : shape.reduce((all, size) => all * size, 1);
}

function excerpt(value: unknown): string {
  const text = typeof value === 'string' ? value : typeof value;
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}

/**
 * The bytes of a byte string in a pickle.
 * @param read returns the bytes of a payload in the file
 */
export function pickledBytes(value: unknown, read: (payload: Payload) => Uint8Array<ArrayBuffer>): Uint8Array {
  if (value instanceof Uint8Array) return value;
  if (value instanceof Payload && value.kind === 'bytes') return read(value);
  if (value instanceof EncodedBytes) {
    const { text } = value;
    if (typeof text === 'string') return latin1(Buffer.from(text, 'utf8'));
    if (text instanceof Payload && text.kind === 'text') return latin1(read(text));
  }
  throw new Error('expected a byte string as data of an array');
}

/**
 * The bytes of a UTF-8 text of characters up to U+00FF. It does not branch on the bytes: they are noise, so half of the
 * branches would be mispredicted. This is over twice as fast as with branches, and three times as fast as decoding a string.
 */
function latin1(utf8: Uint8Array): Uint8Array {
  const out = new Uint8Array(utf8.length);
  let to = 0;
  let afterLead = 0;
  let carry = 0;
  let wrong = 0;
  for (let from = 0; from < utf8.length; from++) {
    const byte = utf8[from];
    const high = byte >> 7;
    const lead = high & (byte >> 6);
    out[to] = (byte & (0x7f >> high)) | (carry & -high);
    wrong |= (afterLead ^ (high & ~lead)) | (((byte & 0xfe) ^ 0xc2) & -lead);
    to += 1 - lead;
    carry = (byte & 3) << 6;
    afterLead = lead;
  }
  if (wrong | afterLead) throw new Error('expected latin1 text, got other characters');
  return out.subarray(0, to);
}

/** The texts of a numpy array of texts (`U`) or byte strings (`S`): zeros at the end of an element are padding. */
export function decodeNumpyTexts(type: NumpyType, bytes: Uint8Array): string[] {
  const size = type.bytes;
  if (size === 0 || bytes.length % size !== 0) throw new Error(`expected a multiple of ${size} bytes, got ${bytes.length}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.length / size }, (_, i) => {
    if (type.kind === 'S') {
      const text = Buffer.from(bytes.subarray(i * size, (i + 1) * size)).toString('latin1');
      return text.replace(/\0+$/, '');
    }
    let text = '';
    for (let at = i * size; at < (i + 1) * size; at += 4) {
      const code = view.getUint32(at, true);
      if (code > 0x10ffff) throw new Error(`expected a character, got the number ${code}`);
      text += String.fromCodePoint(code);
    }
    return text.replace(/\0+$/, '');
  });
}

/** Numbers in column-major order, brought into row-major order. */
export function rowMajor<V extends Float32Array | Float64Array>(values: V, shape: readonly number[]): V {
  const out = values.slice() as V;
  const steps = shape.map((_, axis) => product(shape.slice(0, axis)));
  const index = new Array<number>(shape.length).fill(0);
  for (let i = 0; i < values.length; i++) {
    out[i] = values[index.reduce((sum, position, axis) => sum + position * steps[axis], 0)];
    for (let axis = shape.length - 1; axis >= 0 && ++index[axis] === shape[axis]; axis--) index[axis] = 0;
  }
  return out;
}

/** Decodes little-endian numbers of a numpy type to float64 or float32. */
export function decodeNumpy(code: string, bytes: Uint8Array): Float32Array | Float64Array {
  const size = Number(code[1]);
  if (bytes.length % size !== 0) throw new Error(`expected a multiple of ${size} bytes, got ${bytes.length}`);
  const count = bytes.length / size;
  const { buffer } = bytes.byteOffset === 0 ? bytes : Uint8Array.from(bytes);
  switch (code) {
    case 'f4':
      return new Float32Array(buffer, 0, count);
    case 'f8':
      return new Float64Array(buffer, 0, count);
    case 'f2': {
      const out = new Float32Array(count);
      decodeHalf(new Uint16Array(buffer, 0, count), out);
      return out;
    }
    case 'i8':
      return Float64Array.from(new BigInt64Array(buffer, 0, count), Number);
    case 'u8':
      return Float64Array.from(new BigUint64Array(buffer, 0, count), Number);
    case 'i4':
      return Float64Array.from(new Int32Array(buffer, 0, count));
    case 'u4':
      return Float64Array.from(new Uint32Array(buffer, 0, count));
    case 'i2':
      return Float64Array.from(new Int16Array(buffer, 0, count));
    case 'u2':
      return Float64Array.from(new Uint16Array(buffer, 0, count));
    case 'i1':
      return Float64Array.from(new Int8Array(buffer, 0, count));
    case 'u1':
    case 'b1':
      return Float64Array.from(new Uint8Array(buffer, 0, count));
    default:
      throw new Error(`unsupported numpy type ${code}`);
  }
}

/** Decodes little-endian numbers of a torch type to float64 or float32. */
export function decodeTorch(type: SafetensorsType, bytes: Uint8Array): Float32Array | Float64Array {
  const codes: Partial<Record<SafetensorsType, string>> = {
    F32: 'f4',
    F64: 'f8',
    F16: 'f2',
    I64: 'i8',
    I32: 'i4',
    I16: 'i2',
    I8: 'i1',
    U8: 'u1',
    BOOL: 'b1',
  };
  if (type === 'BF16') {
    const out = new Float32Array(bytes.length / 2);
    decodeBfloat16(new Uint16Array(bytes.slice().buffer), out);
    return out;
  }
  return decodeNumpy(codes[type]!, bytes);
}
