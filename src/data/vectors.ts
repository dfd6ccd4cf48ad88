import { DataType, Field, FixedSizeList, Float16, Float32, makeData, type Data } from 'apache-arrow';
import { Precision } from 'apache-arrow/enum';
import { arrowLayout, type BatchLayout } from './formats/arrow.js';
import type { PositionalFile } from './store/file.js';
import { decodeHalf, encodeHalf } from './formats/half.js';

/** Stored type of a vector's elements. float16 has half the size and is precise enough for the critic; float32 is exact. */
export type VectorType = 'float16' | 'float32';

/** The Arrow field of a vector column of `dim` floats. */
export function vectorField(name: string, dim: number, type: VectorType): Field {
  return new Field(name, new FixedSizeList(dim, new Field('item', elementType(type), false)), false);
}

function elementType(type: VectorType): Float16 | Float32 {
  return type === 'float16' ? new Float16() : new Float32();
}

/**
 * The column's data for `values` [rows * dim].
 * @param name the name of a row's vector, for the error
 * @throws RangeError if a value is not finite or out of range for float16 (±65504)
 */
export function vectorData(values: Float32Array, dim: number, type: VectorType, name: (row: number) => string): Data {
  const element = elementType(type);
  let data: Float32Array | Uint16Array = values;
  let bad: number;
  if (type === 'float16') {
    const halves = new Uint16Array(values.length);
    encodeHalf(values, halves);
    bad = halves.findIndex((half) => (half & 0x7c00) === 0x7c00);
    data = halves;
  } else {
    bad = values.findIndex((value) => !Number.isFinite(value));
  }
  if (bad >= 0) {
    throw new RangeError(
      Number.isFinite(values[bad])
        ? `${name(Math.floor(bad / dim))}: element ${bad % dim}: expected at most 65504 for float16, got ${values[bad]}; store float32 instead`
        : `${name(Math.floor(bad / dim))}: element ${bad % dim}: expected a finite number, got ${values[bad]}`,
    );
  }
  const child = makeData({ type: element, length: values.length, nullCount: 0, data } as never) as Data;
  const list = new FixedSizeList(dim, new Field('item', element, false));
  return makeData({ type: list, length: values.length / dim, nullCount: 0, child } as never) as Data;
}

/** Size and type of the vectors in a column. */
export interface VectorWidth {
  readonly dim: number;
  readonly type: VectorType;
}

/** A kind of Arrow file with vectors: its metadata and its columns, of which the last has the vectors. */
export interface VectorFileKind {
  /** `critiq.file` in the schema's metadata */
  readonly kind: string;
  readonly version: string;
  readonly columns: readonly string[];
}

/** The schema metadata of a new file of this kind. */
export function vectorMetadata({ kind, version }: VectorFileKind): Map<string, string> {
  return new Map([
    ['critiq.file', kind],
    ['schema_version', version],
  ]);
}

/**
 * The positions of the batches in a file of this kind, and the width of its vectors.
 * @param like the width in earlier shards, if any
 * @throws UserError if the file is damaged, or of another kind, version or width
 */
export function vectorLayout(
  source: PositionalFile,
  { kind, version, columns }: VectorFileKind,
  like?: VectorWidth,
): { batches: readonly BatchLayout[]; width: VectorWidth } {
  const { schema, batches } = arrowLayout(source);
  const names = schema.fields.map(({ name }) => name).join(', ');
  const width = vectorWidth(schema.fields.at(-1));
  if (schema.metadata.get('critiq.file') !== kind || names !== columns.join(', ') || !width) {
    throw source.fault(`expected an Arrow file of kind ${kind} (${columns.join(', ')}), got columns ${names}`);
  }
  const got = schema.metadata.get('schema_version');
  if (got !== version) {
    throw source.fault(`written by another version of critiq: expected schema_version ${version}, got ${got}`);
  }
  if (like && (width.dim !== like.dim || width.type !== like.type)) {
    throw source.fault(
      `expected ${like.type}[${like.dim}] as in the first shard, got ${width.type}[${width.dim}]`,
    );
  }
  return { batches, width };
}

function vectorWidth(field: Field | undefined): VectorWidth | undefined {
  if (!field || !DataType.isFixedSizeList(field.type)) return undefined;
  // A damaged footer can describe a list without elements or of negative length.
  const element: DataType | undefined = field.type.children?.[0]?.type;
  if (field.type.listSize < 1 || !element || !DataType.isFloat(element) || element.precision === Precision.DOUBLE) {
    return undefined;
  }
  return { dim: field.type.listSize, type: element.precision === Precision.HALF ? 'float16' : 'float32' };
}

/** Bytes per stored vector. */
export function vectorBytes(dim: number, type: VectorType): number {
  return dim * (type === 'float16' ? 2 : 4);
}

/** The position of a batch's vectors: that of its last buffer, whose length is checked. */
export function vectorStart(source: PositionalFile, batch: BatchLayout, dim: number, type: VectorType): number {
  const values = batch.buffers.at(-1);
  if (!values || values.length < batch.rows * vectorBytes(dim, type)) {
    throw source.fault(
      `damaged: expected ${batch.rows * vectorBytes(dim, type)} bytes of vectors in a batch of ${batch.rows} rows, got ${values?.length ?? 0}`,
    );
  }
  return values.position;
}

/** Reads stored vectors as float32, through a buffer that grows to the largest read. */
export class VectorReader {
  private raw = new Uint8Array(0);

  /** Reads `count` consecutive vectors from `position` into `into[at .. at + count * dim)`. */
  read(
    source: PositionalFile,
    position: number,
    count: number,
    { dim, type }: VectorWidth,
    into: Float32Array,
    at: number,
  ): void {
    if (type === 'float32') {
      source.read(new Uint8Array(into.buffer, into.byteOffset + 4 * at, 4 * count * dim), position);
      return;
    }
    if (this.raw.length < 2 * count * dim) this.raw = new Uint8Array(2 * count * dim);
    source.read(this.raw.subarray(0, 2 * count * dim), position);
    decodeHalf(new Uint16Array(this.raw.buffer, 0, count * dim), into, at);
  }
}
