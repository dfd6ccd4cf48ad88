import { parquetMetadataAsync, parquetReadObjects, type FileMetaData } from 'hyparquet';
import { ByteWriter, ParquetWriter } from 'hyparquet-writer';
import { describeColumns, namesInFile, parquetSchema, type Column, type TableKind } from './columns.js';
import { arrowSchema } from './formats/arrow-schema.js';
import { checkFooter, checkPages } from './formats/parquet-pages.js';
import { writeAtomic, type AtomicFile, type Written } from './store/atomic.js';
import { PositionalFile } from './store/file.js';

export { column, listColumn, type Column, type ColumnDetails, type ColumnType, type TableKind } from './columns.js';

/** Rows per row group: the unit of reading, and of the memory for writing. */
export const ROW_GROUP = 500;

/** Most rows per group that are read: earlier versions wrote no more. */
const MOST_ROWS = 1 << 20;

/** Collects the bytes of a row group in memory, then writes them to the file. */
class GroupWriter extends ByteWriter {
  constructor(private readonly out: AtomicFile) {
    super(1 << 20);
  }

  async flush(): Promise<void> {
    await this.out.write(this.getBytes());
    this.index = 0;
  }

  override finish(): Promise<void> {
    return this.flush();
  }
}

/**
 * Writes a Parquet table atomically: Snappy, row groups of 500 rows. Key-value metadata: `critiq.table`, `schema_version`,
 * and the descriptions of the columns, as JSON (`critiq.columns`) and for pyarrow (`ARROW:schema`). One row group at a time
 * is in memory.
 * @param notes additions to the descriptions of columns, for this file only: for example a discount
 * @throws Error with table, row and column if a value has the wrong type
 */
export async function writeTable<Row extends object>(
  file: string,
  kind: TableKind<Row>,
  rows: Iterable<Row> | AsyncIterable<Row>,
  notes?: Readonly<Partial<Record<keyof Row & string, string>>>,
): Promise<Written & { rows: number }> {
  const columns = [...namesInFile(kind)].map(([field, name]) => ({ field: field as keyof Row & string, name }));
  const described = describeColumns(kind, notes);
  let count = 0;
  const written = await writeAtomic(file, async (out) => {
    const writer = new ParquetWriter({
      writer: new GroupWriter(out),
      schema: parquetSchema(kind),
      codec: 'SNAPPY',
      createdBy: 'critiq',
      kvMetadata: [
        { key: 'critiq.table', value: kind.name },
        { key: 'schema_version', value: String(kind.version) },
        { key: 'critiq.columns', value: JSON.stringify(Object.fromEntries(described.map(({ name, about }) => [name, about]))) },
        { key: 'ARROW:schema', value: arrowSchema(described) },
      ],
    });
    let group: Row[] = [];
    const flush = async () => {
      const columnData = columns.map(({ field, name }) => ({
        name,
        // RLE booleans are part of the format, but @dsnp/parquetjs misreads them.
        ...(kind.columns[field].type === 'bool' ? { encoding: 'PLAIN' as const } : {}),
        data: group.map((row, i) => encoded(row[field], kind.columns[field], kind.name, count + i, field)),
      }));
      count += group.length;
      group = [];
      await writer.write({ columnData, rowGroupSize: ROW_GROUP });
    };
    for await (const row of rows) {
      group.push(row);
      if (group.length === ROW_GROUP) await flush();
    }
    if (group.length > 0) await flush();
    await writer.finish();
  });
  return { ...written, rows: count };
}

function encoded(value: unknown, { type, list, optional }: Column, table: string, row: number, name: string): unknown {
  if (optional && value === null) return null;
  const fits = (item: unknown) => {
    switch (type) {
      case 'int64':
        return Number.isSafeInteger(item);
      case 'int32':
        return Number.isInteger(item) && item === ((item as number) | 0);
      case 'bigint64':
        return typeof item === 'bigint';
      case 'bool':
        return typeof item === 'boolean';
      case 'string':
        return typeof item === 'string';
      default:
        return typeof item === 'number';
    }
  };
  const items = list ? (value as unknown[]) : [value];
  if (!Array.isArray(items) || !items.every(fits)) {
    throw new Error(
      `table ${table}, row ${row}, column ${name}: expected ${list ? 'a list of ' : ''}${type}, got ${JSON.stringify(value)}`,
    );
  }
  if (type !== 'int64') return value;
  return list ? items.map((item) => BigInt(item as number)) : BigInt(value as number);
}

/** The part of a table to read; default all. */
export interface Part<Row> {
  readonly columns?: readonly (keyof Row & string)[];
  /** first row, counted from 0 */
  readonly rowStart?: number;
  /** one past the last row */
  readonly rowEnd?: number;
}

/** An open Parquet table of a known kind. It reads only the requested row groups and columns. Close it after use. */
export class Table<Row extends object> {
  /** the columns of row groups whose pages were checked */
  private readonly checked = new Set<string>();

  private constructor(
    private readonly source: PositionalFile,
    private readonly metadata: FileMetaData,
    private readonly kind: TableKind<Row>,
    /** names in the file by field; files of an older version lack later fields */
    private readonly names: ReadonlyMap<string, string>,
  ) {}

  /**
   * @param whatToDo end of error messages, for example "run `critiq collect` again after deleting it"
   * @throws UserError if the file is missing, truncated, of another format, or of another version or kind
   */
  static async open<Row extends object>(
    file: string,
    kind: TableKind<Row>,
    whatToDo = 'delete it and run the stage that writes it again',
  ): Promise<Table<Row>> {
    const source = new PositionalFile(file, whatToDo);
    try {
      const metadata = await readMetadata(source);
      return new Table(source, metadata, kind, namesInFile(kind, checkKind(source, metadata, kind)));
    } catch (error) {
      source.close();
      throw error;
    }
  }

  get rows(): number {
    return Number(this.metadata.num_rows);
  }

  /** The rows of a part, with the requested columns only. */
  async read(part: Part<Row> = {}): Promise<Row[]> {
    const fields = part.columns ?? (Object.keys(this.kind.columns) as (keyof Row & string)[]);
    const stored = fields.flatMap((field) => this.names.get(field) ?? []);
    const rowStart = part.rowStart ?? 0;
    const rowEnd = Math.min(part.rowEnd ?? this.rows, this.rows);
    if (rowEnd <= rowStart) return [];
    const read = stored.length === 0 ? undefined : await this.stored(stored, rowStart, rowEnd);
    return Array.from({ length: rowEnd - rowStart }, (_, i) => {
      const row: Record<string, unknown> = {};
      for (const field of fields) {
        const name = this.names.get(field);
        row[field] = name === undefined ? null : this.decoded(read![i][name], this.kind.columns[field], name);
      }
      return row as Row;
    });
  }

  private async stored(columns: string[], rowStart: number, rowEnd: number): Promise<Record<string, unknown>[]> {
    let read: Record<string, unknown>[];
    try {
      this.check(columns, rowStart, rowEnd);
      read = await parquetReadObjects({
        ...{ file: asyncBuffer(this.source), metadata: this.metadata },
        ...{ columns, rowStart, rowEnd },
      });
    } catch (error) {
      throw this.source.fault(`damaged: ${(error as Error).message}`);
    }
    if (read.length !== rowEnd - rowStart) {
      throw this.source.fault(`damaged: expected ${rowEnd - rowStart} rows, got ${read.length}`);
    }
    return read;
  }

  /** Checks the pages that are about to be read, once. */
  private check(columns: readonly string[], rowStart: number, rowEnd: number): void {
    let start = 0;
    for (const [number, group] of this.metadata.row_groups.entries()) {
      const end = start + Number(group.num_rows);
      for (const { meta_data: column } of end > rowStart && start < rowEnd ? group.columns : []) {
        if (!column || !columns.includes(column.path_in_schema[0])) continue;
        const key = `${number} ${column.path_in_schema.join('.')}`;
        if (this.checked.has(key)) continue;
        const from = Number(column.dictionary_page_offset ?? column.data_page_offset);
        checkPages(this.source.bytes(from, Number(column.total_compressed_size)), column, this.metadata);
        this.checked.add(key);
      }
      start = end;
    }
  }

  /** The rows of a part in order, with one row group at a time in memory. */
  async *stream(part: Part<Row> = {}): AsyncGenerator<Row> {
    const rowEnd = Math.min(part.rowEnd ?? this.rows, this.rows);
    for (let start = part.rowStart ?? 0; start < rowEnd; ) {
      const end = Math.min(rowEnd, (Math.floor(start / ROW_GROUP) + 1) * ROW_GROUP);
      yield* await this.read({ ...part, rowStart: start, rowEnd: end });
      start = end;
    }
  }

  close(): void {
    this.source.close();
  }

  private decoded(value: unknown, { type, optional }: Column, name: string): unknown {
    if (optional && (value === null || value === undefined)) return null;
    return type === 'int64' ? this.narrowed(value, name) : value;
  }

  private narrowed(value: unknown, name: string): number | number[] {
    if (Array.isArray(value)) return value.map((item) => this.narrowed(item, name) as number);
    if (typeof value !== 'bigint' || !Number.isSafeInteger(Number(value))) {
      throw this.source.fault(`damaged: column ${name}: expected an integer below 2^53, got ${String(value)}`);
    }
    return Number(value);
  }
}

/** Reads a table, or a part of it. See `Table.open` for errors. */
export async function readTable<Row extends object>(
  file: string,
  kind: TableKind<Row>,
  part: Part<Row> = {},
): Promise<Row[]> {
  const table = await Table.open(file, kind);
  try {
    return await table.read(part);
  } finally {
    table.close();
  }
}

/** Reads the rows of a table one by one, with one row group at a time in memory. See `Table.open` for errors. */
export async function* streamTable<Row extends object>(
  file: string,
  kind: TableKind<Row>,
  part: Part<Row> = {},
): AsyncGenerator<Row> {
  const table = await Table.open(file, kind);
  try {
    yield* table.stream(part);
  } finally {
    table.close();
  }
}

/** The number of rows from a Parquet file's footer. @throws UserError if it is not a Parquet file or is damaged */
export async function parquetRows(source: PositionalFile): Promise<number> {
  return Number((await readMetadata(source)).num_rows);
}

async function readMetadata(source: PositionalFile): Promise<FileMetaData> {
  const expected = 'expected a Parquet file (PAR1 at both ends)';
  if (source.size < 12) throw source.fault(`${expected}, got ${source.size} bytes`);
  const magic = [source.bytes(0, 4), source.bytes(source.size - 4, 4)].map((bytes) => Buffer.from(bytes).toString('latin1'));
  if (magic[0] !== 'PAR1') throw source.fault(`${expected}, got ${JSON.stringify(magic[0])} at its start`);
  if (magic[1] !== 'PAR1') throw source.fault(`truncated: ${expected}, got ${JSON.stringify(magic[1])} at its end`);
  const footer = Buffer.from(source.bytes(source.size - 8, 4)).readUInt32LE();
  let metadata: FileMetaData;
  try {
    if (footer > source.size - 12) throw new Error(`it has ${footer} bytes, the file ${source.size}`);
    checkFooter(source.bytes(source.size - 8 - footer, footer));
    metadata = await parquetMetadataAsync(asyncBuffer(source));
  } catch (error) {
    throw source.fault(`damaged: the footer cannot be read (${(error as Error).message})`);
  }
  const rows = metadata.row_groups.map(({ num_rows: count }) => Number(count));
  const all = rows.reduce((sum, count) => sum + count, 0);
  if (all !== Number(metadata.num_rows) || rows.some((count) => !(count >= 0 && count <= MOST_ROWS)))
    throw source.fault(`damaged: expected ${metadata.num_rows} rows in groups of at most ${MOST_ROWS}, got ${all}`);
  return metadata;
}

/** Checks that the file has this kind of table. @returns the version of the table in the file */
function checkKind(source: PositionalFile, metadata: FileMetaData, kind: TableKind<never>): number {
  // a damaged footer has things of other types
  const listed: unknown = metadata.key_value_metadata;
  const pairs = Array.isArray(listed) ? (listed as { readonly key?: unknown; readonly value?: unknown }[]) : [];
  const keys = new Map(pairs.map((pair) => [pair.key, pair.value]));
  const name = keys.get('critiq.table');
  if (name !== kind.name) {
    throw source.fault(`expected critiq's table ${kind.name}, got ${String(name ?? 'another Parquet file')}`);
  }
  const version = [kind.version, ...(kind.reads ?? [])].find((one) => keys.get('schema_version') === String(one));
  if (version === undefined) {
    throw source.fault(
      `written by another version of critiq: expected ${kind.name} schema_version ${kind.version}, got ${String(keys.get('schema_version'))}`,
    );
  }
  const expected = parquetSchema(kind, version).map(({ name, type }) => `${name}:${type ?? 'group'}`);
  const got = metadata.schema.map(({ name, type }) => `${name}:${type ?? 'group'}`);
  if (expected.join() !== got.join()) {
    throw source.fault(`expected columns ${expected.slice(1).join(' ')}, got ${got.slice(1).join(' ')}`);
  }
  return version;
}

function asyncBuffer(source: PositionalFile) {
  return {
    byteLength: source.size,
    slice: (start: number, end = source.size): ArrayBuffer => {
      const from = start < 0 ? source.size + start : start;
      return source.bytes(from, Math.min(end, source.size) - from).buffer;
    },
  };
}
