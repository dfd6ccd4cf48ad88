import { parquetSchema, snappyUncompress, type ColumnMetaData, type FileMetaData } from 'hyparquet';

/**
 * Checks the pages of a Parquet column before they are decoded (https://parquet.apache.org/docs/file-format/). hyparquet
 * believes the numbers of values, the sizes and the run lengths that they state: a file of 24 KB could cost 500 MB, and one
 * wrong run length all memory.
 */

/** Most values of a column in a row group: critiq writes 500 rows a group. */
const MOST_VALUES = 1 << 20;
/** Snappy makes at most 64 bytes of 3. */
const MOST_EXPANSION = 22;
/** Types of pages, and encodings of values, by their numbers in the format. */
const DATA = 0;
const DICTIONARY = 2;
const DATA_V2 = 3;
const PLAIN = 0;
const INDICES: ReadonlySet<number> = new Set([2, 8]);
const RLE = 3;

/** Most that levels can be in a column, by the path of its schema. */
interface Levels {
  readonly repetition: number;
  readonly definition: number;
}

/**
 * @param bytes all pages of the column in a row group
 * @throws Error that says what is wrong
 */
export function checkPages(bytes: Uint8Array, column: ColumnMetaData, metadata: FileMetaData): void {
  const most = Number(column.num_values);
  if (!(most <= MOST_VALUES)) throw new Error(`column ${column.path_in_schema.join('.')} has ${most} values, expected at most ${MOST_VALUES}`);
  const levels = levelsOf(column.path_in_schema, metadata);
  const snappy = column.codec === 'SNAPPY';
  if (!snappy && column.codec !== 'UNCOMPRESSED') throw new Error(`unsupported compression ${String(column.codec)}`);
  const reader = new Cursor(bytes);
  let seen = 0;
  // as hyparquet does: a single byte after the last page counts as its end
  while (reader.at < bytes.length - 1) {
    const page = readHeader(reader);
    const body = reader.take(page.compressed);
    if (page.uncompressed > MOST_EXPANSION * page.compressed + 64 && snappy)
      throw new Error(`a page of ${page.compressed} bytes cannot hold ${page.uncompressed}`);
    if (page.type !== DICTIONARY) seen += page.values;
    // pyarrow writes all categories of a column as its dictionary, however few rows there are
    const allowed = page.type === DICTIONARY ? MOST_VALUES : most;
    if (page.values > allowed || seen > most) throw new Error(`its pages have more than the ${allowed} values of the column`);
    if (page.type === DICTIONARY) continue;
    if (page.encoding !== PLAIN && page.encoding !== RLE && !INDICES.has(page.encoding))
      throw new Error(`unsupported encoding ${page.encoding}`);
    if (page.type === DATA) checkData(plain(body, page, snappy), page, levels);
    else if (page.type === DATA_V2) checkDataV2(body, page, levels, snappy);
    else throw new Error(`unsupported page type ${page.type}`);
  }
}

/** Checks the lists of a file's footer in the same way. @throws Error that says what is wrong */
export function checkFooter(bytes: Uint8Array): void {
  struct(new Cursor(bytes), 0);
}

interface Page {
  readonly type: number;
  readonly uncompressed: number;
  readonly compressed: number;
  readonly values: number;
  readonly encoding: number;
  /** bytes of the levels, in pages of version 2 */
  readonly definitions: number;
  readonly repetitions: number;
  readonly isCompressed: boolean;
}

function plain(body: Uint8Array, { uncompressed }: Page, snappy: boolean): Uint8Array {
  if (!snappy) return body;
  const page = new Uint8Array(uncompressed);
  snappyUncompress(body, page);
  return page;
}

function checkData(bytes: Uint8Array, page: Page, { repetition, definition }: Levels): void {
  const reader = new Cursor(bytes);
  for (const level of [repetition, definition]) {
    if (level > 0) checkRuns(new Cursor(reader.take(reader.uint32())), bitsOf(level), page.values);
  }
  checkValues(reader, page);
}

function checkDataV2(body: Uint8Array, page: Page, { repetition, definition }: Levels, snappy: boolean): void {
  const reader = new Cursor(body);
  const levels = [
    [repetition, reader.take(page.repetitions)],
    [definition, reader.take(page.definitions)],
  ] as const;
  for (const [level, bytes] of levels) if (level > 0) checkRuns(new Cursor(bytes), bitsOf(level), page.values);
  if (page.encoding === PLAIN) return;
  const rest = reader.take(body.length - reader.at);
  const values = { ...page, uncompressed: page.uncompressed - page.repetitions - page.definitions };
  checkValues(new Cursor(plain(rest, values, snappy && page.isCompressed)), page);
}

/** Numbers of dictionary entries, or truth values. Null values take none, so there may be fewer than `page.values`. */
function checkValues(reader: Cursor, page: Page): void {
  if (page.encoding === PLAIN || reader.at >= reader.bytes.length) return;
  const indices = INDICES.has(page.encoding);
  const bits = indices ? reader.byte() : 1;
  if (bits > 32) throw new Error(`damaged: indices of ${bits} bits`);
  if (bits === 0) return;
  if (!indices) reader.uint32();
  checkRuns(reader, bits, page.values);
}

/** The run-length and bit-packed hybrid: no run is longer than what is left. The last packed run is filled up to eight. */
function checkRuns(reader: Cursor, bits: number, values: number): void {
  for (let seen = 0; seen < values && reader.at < reader.bytes.length; ) {
    const header = reader.varint();
    const packed = header % 2 === 1;
    const count = packed ? 8 * ((header - 1) / 2) : header / 2;
    if (count === 0 && reader.at >= reader.bytes.length) return;
    if (count > values - seen + (packed ? 7 : 0)) throw new Error(`damaged: a run of ${count} values where ${values - seen} are left`);
    // the last packed run may be cut
    reader.skip(packed ? (bits * count) / 8 : Math.ceil(bits / 8), packed);
    seen += count;
  }
}

function bitsOf(level: number): number {
  return 32 - Math.clz32(level);
}

function levelsOf(path: readonly string[], metadata: FileMetaData): Levels {
  let [repetition, definition] = [0, 0];
  let tree = parquetSchema(metadata);
  for (const name of path) {
    const next = tree.children.find(({ element }) => element.name === name);
    if (!next) throw new Error(`column ${path.join('.')} is not in its schema`);
    if (next.element.repetition_type === 'REPEATED') repetition++;
    if (next.element.repetition_type !== 'REQUIRED') definition++;
    tree = next;
  }
  return { repetition, definition };
}

/** The header of a page, in Thrift's compact protocol. */
function readHeader(reader: Cursor): Page {
  const header = struct(reader, 0);
  const number = (value: Thrift | undefined): number => {
    if (typeof value !== 'number' || value < 0) throw new Error('damaged: a page has no valid header');
    return value;
  };
  const type = number(header[1]);
  const details = header[type === DICTIONARY ? 7 : type === DATA ? 5 : 8];
  if (typeof details !== 'object') throw new Error('damaged: a page has no valid header');
  const v2 = type === DATA_V2;
  return {
    type,
    uncompressed: number(header[2]),
    compressed: number(header[3]),
    values: number(details[1]),
    encoding: number(details[v2 ? 4 : 2]),
    definitions: v2 ? number(details[5]) : 0,
    repetitions: v2 ? number(details[6]) : 0,
    isCompressed: details[7] !== false,
  };
}

type Thrift = number | boolean | { [field: number]: Thrift };

const DEEPEST = 16;

function struct(reader: Cursor, depth: number): { [field: number]: Thrift } {
  if (depth > DEEPEST) throw new Error('damaged: its structures nest too deep');
  const fields: { [field: number]: Thrift } = {};
  for (let id = 0; ; ) {
    const byte = reader.byte();
    const type = byte & 15;
    if (type === 0) return fields;
    id = byte >> 4 ? id + (byte >> 4) : reader.zigzag();
    fields[id] = value(reader, type, depth);
  }
}

function value(reader: Cursor, type: number, depth: number): Thrift {
  switch (type) {
    case 1:
    case 2:
      return type === 1;
    case 3:
      return reader.byte();
    case 4:
    case 5:
    case 6:
      return reader.zigzag();
    case 7:
      reader.take(8);
      return 0;
    case 8:
      return reader.take(reader.varint()).length;
    case 9:
      list(reader, depth);
      return 0;
    case 12:
      return struct(reader, depth + 1);
    default:
      throw new Error(`damaged: an element of type ${type}`);
  }
}

/** Walks over a list: each of its elements takes at least a byte. */
function list(reader: Cursor, depth: number): void {
  const byte = reader.byte();
  const count = byte >> 4 === 15 ? reader.varint() : byte >> 4;
  const type = byte & 15;
  if (count > reader.bytes.length - reader.at) throw new Error(`damaged: a list of ${count} elements in ${reader.bytes.length} bytes`);
  for (let i = 0; i < count; i++) value(reader, type <= 2 ? 3 : type, depth);
}

class Cursor {
  at = 0;
  private readonly view: DataView;

  constructor(readonly bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  byte(): number {
    return this.take(1)[0];
  }

  uint32(): number {
    this.take(4);
    return this.view.getUint32(this.at - 4, true);
  }

  varint(): number {
    for (let value = 0, scale = 1; ; scale *= 128) {
      const byte = this.byte();
      value += (byte & 127) * scale;
      if (byte < 128) return value;
      if (scale > 2 ** 42) throw new Error('damaged: a number is too long');
    }
  }

  zigzag(): number {
    const value = this.varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  take(length: number): Uint8Array {
    this.skip(length, false);
    return this.bytes.subarray(this.at - length, this.at);
  }

  skip(length: number, clipped: boolean): void {
    const room = this.bytes.length - this.at;
    if (length > room && !clipped) throw new Error(`truncated: ${length} bytes expected, ${room} left`);
    this.at += Math.min(length, room);
  }
}
