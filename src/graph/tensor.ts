import { encodeHalf } from '../data/formats/half.js';
import { RunError } from '../errors.js';

/** Element types of a tensor. `float16` is stored as its bits in a Uint16Array, `bool` as 0 or 1 in a Uint8Array. */
export type DType = 'float32' | 'float64' | 'float16' | 'int64' | 'int32' | 'bool';

export type TypedArray = Float32Array | Float64Array | Uint16Array | BigInt64Array | Int32Array | Uint8Array;

export type Attr = number | string | boolean | readonly number[] | TypedArray | ScanBody;
export type Attrs = Readonly<Record<string, Attr>>;

/** The body of a `scan`: the computation for one slice of each scanned tensor. */
export interface ScanBody {
  readonly slices: readonly Tensor[];
  readonly results: readonly Tensor[];
}

/** A node of the graph: the value of `op` applied to `inputs`. Immutable, with a static shape. */
export interface Tensor {
  readonly op: string;
  readonly inputs: readonly Tensor[];
  readonly attrs: Attrs;
  readonly shape: readonly number[];
  readonly dtype: DType;
  /** set for graph inputs only */
  readonly name?: string;
}

/** A tensor, or a number, which becomes a scalar of the other operand's type. */
export type Operand = Tensor | number;

/** Storage of an element type: array class, bytes per element, code in ONNX's TensorProto.DataType. */
export const STORAGE = {
  float32: { array: Float32Array, bytes: 4, onnx: 1 },
  float64: { array: Float64Array, bytes: 8, onnx: 11 },
  float16: { array: Uint16Array, bytes: 2, onnx: 10 },
  int64: { array: BigInt64Array, bytes: 8, onnx: 7 },
  int32: { array: Int32Array, bytes: 4, onnx: 6 },
  bool: { array: Uint8Array, bytes: 1, onnx: 9 },
} as const;

/** Number of elements of a shape; 1 for a scalar. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** A shape as error messages print it: `[2,3]`. */
export function shapeText(shape: readonly number[]): string {
  return `[${shape.join(',')}]`;
}

export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, i) => size === b[i]);
}

export function isFloat(dtype: DType): boolean {
  return dtype === 'float32' || dtype === 'float64' || dtype === 'float16';
}

/** Throws a RunError whose message starts with the operation's name. */
export function fail(op: string, text: string): never {
  throw new RunError(`${op}: ${text}`);
}

function checkShape(op: string, shape: readonly number[]): void {
  if (!shape.every((size) => Number.isSafeInteger(size) && size > 0))
    fail(op, `expected positive whole numbers as sizes, got ${shapeText(shape)}`);
}

/** A zeroed array for a tensor, in shared memory, so that it can go to a worker thread without a copy. */
export function allocate(dtype: DType, shape: readonly number[]): TypedArray {
  const { array, bytes } = STORAGE[dtype];
  return new array(new SharedArrayBuffer(sizeOf(shape) * bytes) as unknown as ArrayBuffer);
}

/**
 * Checks that an array can hold a tensor of this type and shape.
 * @throws RunError with `where`, and the expected and actual type or length
 */
export function checkData(where: string, data: TypedArray, dtype: DType, shape: readonly number[]): void {
  const { array } = STORAGE[dtype];
  if (!(data instanceof array))
    fail(
      where,
      `expected a ${array.name} for ${dtype}, got ${(data as object | undefined)?.constructor?.name ?? data}`,
    );
  if (data.length !== sizeOf(shape))
    fail(where, `expected ${sizeOf(shape)} values for shape ${shapeText(shape)}, got ${data.length}`);
}

/** A graph input: a value that every run supplies by name. */
export function input(name: string, shape: readonly number[], dtype: DType = 'float32'): Tensor {
  checkShape(`input ${name}`, shape);
  return { op: 'input', inputs: [], attrs: {}, shape: [...shape], dtype, name };
}

function typeOfArray(data: TypedArray): DType {
  const found = (Object.keys(STORAGE) as DType[]).find((dtype) => data instanceof STORAGE[dtype].array);
  return found ?? fail('constant', `expected a typed array, got ${typeof data}`);
}

/**
 * A value stored in the model. Plain numbers are converted to `dtype` (default float32). A typed array keeps its own
 * type (Uint16Array is float16, Uint8Array is bool) and is not copied: don't change it afterwards.
 */
export function constant(data: TypedArray | readonly number[], shape: readonly number[], dtype?: DType): Tensor {
  checkShape('constant', shape);
  const typed = ArrayBuffer.isView(data);
  const type = dtype ?? (typed ? typeOfArray(data as TypedArray) : 'float32');
  const values = typed ? (data as TypedArray) : fromNumbers(data as readonly number[], type);
  checkData('constant', values, type, shape);
  return { op: 'constant', inputs: [], attrs: { data: values }, shape: [...shape], dtype: type };
}

/** Converts plain numbers to the array class of the type (half-precision bits for float16). */
export function fromNumbers(data: readonly number[], dtype: DType): TypedArray {
  if (dtype === 'int64') return BigInt64Array.from(data, (value) => BigInt(value));
  if (dtype === 'float16') {
    const bits = new Uint16Array(data.length);
    encodeHalf(Float32Array.from(data), bits);
    return bits;
  }
  return STORAGE[dtype].array.from(data) as TypedArray;
}

/** A constant of shape []. */
export function scalar(value: number, dtype: DType = 'float32'): Tensor {
  return constant([value], [], dtype);
}
