import { DataType, Field, FixedSizeList, Float16, Float32, makeData, type Data } from 'apache-arrow';
import { Precision } from 'apache-arrow/enum';
import { arrowLayout, type BatchLayout } from './formats/arrow.js';
import type { PositionalFile } from './store/file.js';
import { decodeHalf, encodeHalf } from './formats/half.js';

/** How a vector's elements are stored. float16 halves the reading and is what the critic needs; float32 is exact. */
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
 * @param name says which vectors these are in the error
 * @throws RangeError where a value is not finite or does not fit float16 (beyond ±65504)
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
      `${name(Math.floor(bad / dim))}: element ${bad % dim} is ${values[bad]}: expected a finite ${type}` +
        (Number.isFinite(values[bad]) ? ' (at most 65504); store float32 instead' : ''),
    );
  }
  const child = makeData({ type: element, length: values.length, nullCount: 0, data } as never) as Data;
  const list = new FixedSizeList(dim, new Field('item', element, false));
  return makeData({ type: list, length: values.length / dim, nullCount: 0, child } as never) as Data;
}

/** What a vector column holds. */
export interface VectorWidth {
  readonly dim: number;
  readonly type: VectorType;
}

/** A kind of Arrow file with vectors: what its metadata says, and its columns, of which the last holds the vectors. */
export interface VectorFileKind {
  /** `critiq.file` in the schema's metadata */
  readonly kind: string;
  readonly version: string;
  readonly columns: readonly string[];
}

/** The metadata of a new file of the kind. */
export function vectorMetadata({ kind, version }: VectorFileKind): Map<string, string> {
  return new Map([
    ['critiq.file', kind],
    ['schema_version', version],
  ]);
}

/**
 * Where the batches of a file of the kind lie, and its width.
 * @param like the width of the shards before it, if any
 * @throws UserError where the file is damaged, of another kind, version or width
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
    throw source.fault(`foreign: expected ${kind} (${columns.join(', ')}), got ${names}`);
  }
  const got = schema.metadata.get('schema_version');
  if (got !== version) {
    throw source.fault(`written by another version of critiq: expected schema_version ${version}, got ${got}`);
  }
  if (like && (width.dim !== like.dim || width.type !== like.type)) {
    throw source.fault(
      `expected ${like.type}[${like.dim}] like the shards before it, got ${width.type}[${width.dim}]`,
    );
  }
  return { batches, width };
}

function vectorWidth(field: Field | undefined): VectorWidth | undefined {
  if (!field || !DataType.isFixedSizeList(field.type)) return undefined;
  // a damaged footer can describe a list of nothing, or of negative length
  const element: DataType | undefined = field.type.children?.[0]?.type;
  if (field.type.listSize < 1 || !element || !DataType.isFloat(element) || element.precision === Precision.DOUBLE) {
    return undefined;
  }
  return { dim: field.type.listSize, type: element.precision === Precision.HALF ? 'float16' : 'float32' };
}

/** Bytes of one stored vector. */
export function vectorBytes(dim: number, type: VectorType): number {
  return dim * (type === 'float16' ? 2 : 4);
}

/** Where a batch's vectors begin; its last buffer, checked against its rows. */
export function vectorStart(source: PositionalFile, batch: BatchLayout, dim: number, type: VectorType): number {
  const values = batch.buffers.at(-1);
  if (!values || values.length < batch.rows * vectorBytes(dim, type)) {
    throw source.fault(`damaged: a batch of ${batch.rows} rows has ${values?.length ?? 0} bytes of vectors`);
  }
  return values.position;
}

/** Reads stored vectors into float32, through one buffer that grows to the largest read. */
export class VectorReader {
  private raw = new Uint8Array(0);

  /** Reads `count` vectors lying one after the other from `position`; fills `into[at .. at + count * dim)`. */
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
