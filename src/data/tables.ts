import { parquetMetadataAsync, parquetReadObjects, type FileMetaData, type SchemaElement } from 'hyparquet';
import { ByteWriter, ParquetWriter } from 'hyparquet-writer';
import { writeAtomic, type AtomicFile, type Written } from './store/atomic.js';
import { PositionalFile } from './store/file.js';

/** What a column holds: `int64` is a JavaScript number (safe integers only), `bigint64` a bigint; both are INT64 on disk. */
export type ColumnType = 'int64' | 'bigint64' | 'int32' | 'float' | 'double' | 'bool' | 'string';

/** One column: its type, whether a row holds a list of them, and what it means (unit included). */
export interface Column {
  readonly type: ColumnType;
  readonly list: boolean;
  readonly meaning: string;
}

/** A kind of table: its columns in order. `version` changes whenever a column's name, type or meaning does. */
export interface TableKind<Row> {
  readonly name: string;
  readonly version: number;
  readonly columns: { readonly [K in keyof Row & string]: Column };
}

export function column(type: ColumnType, meaning: string): Column {
  return { type, list: false, meaning };
}

/** A column whose every row holds a list (a real Parquet LIST group). */
export function listColumn(type: ColumnType, meaning: string): Column {
  return { type, list: true, meaning };
}

/** Rows in a row group: the unit of reading and of the memory that writing takes. */
export const ROW_GROUP = 500;

const PHYSICAL: Record<ColumnType, Pick<SchemaElement, 'type' | 'converted_type' | 'logical_type'>> = {
  int64: { type: 'INT64' },
  bigint64: { type: 'INT64' },
  int32: { type: 'INT32' },
  float: { type: 'FLOAT' },
  double: { type: 'DOUBLE' },
  bool: { type: 'BOOLEAN' },
  string: { type: 'BYTE_ARRAY', converted_type: 'UTF8', logical_type: { type: 'STRING' } },
};

function schemaOf(columns: Record<string, Column>): SchemaElement[] {
  const schema: SchemaElement[] = [{ name: 'root', num_children: Object.keys(columns).length }];
  for (const [name, { type, list }] of Object.entries(columns)) {
    if (list) {
      schema.push(
        { name, repetition_type: 'REQUIRED', num_children: 1, converted_type: 'LIST', logical_type: { type: 'LIST' } },
        { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
      );
    }
    schema.push({ name: list ? 'element' : name, repetition_type: 'REQUIRED', ...PHYSICAL[type] });
  }
  return schema;
}

/** Gathers a row group's bytes in memory, then hands them to the file and waits for it. */
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
 * Writes a Parquet table atomically: Snappy, row groups of 500 rows, key-value metadata `critiq.table` and
 * `schema_version`. Holds one row group in memory.
 * @throws Error where a value does not fit its column (table, row and column named)
 */
export async function writeTable<Row extends object>(
  file: string,
  kind: TableKind<Row>,
  rows: Iterable<Row> | AsyncIterable<Row>,
): Promise<Written & { rows: number }> {
  const columns = Object.entries<Column>(kind.columns);
  let count = 0;
  const written = await writeAtomic(file, async (out) => {
    const writer = new ParquetWriter({
      writer: new GroupWriter(out),
      schema: schemaOf(kind.columns),
      codec: 'SNAPPY',
      createdBy: 'critiq',
      kvMetadata: [
        { key: 'critiq.table', value: kind.name },
        { key: 'schema_version', value: String(kind.version) },
      ],
    });
    let group: Row[] = [];
    const flush = async () => {
      const columnData = columns.map(([name, column]) => ({
        name,
        // RLE booleans are within the format, but @dsnp/parquetjs misreads them
        ...(column.type === 'bool' ? { encoding: 'PLAIN' as const } : {}),
        data: group.map((row, i) => encoded((row as Record<string, unknown>)[name], column, kind.name, count + i, name)),
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

function encoded(value: unknown, { type, list }: Column, table: string, row: number, name: string): unknown {
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

/** Which part of a table to read. */
export interface Part<Row> {
  readonly columns?: readonly (keyof Row & string)[];
  /** first row, counted from 0 */
  readonly rowStart?: number;
  /** one past the last row */
  readonly rowEnd?: number;
}

/** An open Parquet table of a known kind; close it after use. Reads only the row groups and columns asked for. */
export class Table<Row extends object> {
  private constructor(
    private readonly source: PositionalFile,
    private readonly metadata: FileMetaData,
    private readonly kind: TableKind<Row>,
  ) {}

  /**
   * @param whatToDo ends the error messages, for example "run `critiq collect` again after deleting it"
   * @throws UserError where the file is missing, truncated, foreign, or of another version or kind
   */
  static async open<Row extends object>(
    file: string,
    kind: TableKind<Row>,
    whatToDo = 'delete it and run the stage that writes it again',
  ): Promise<Table<Row>> {
    const source = new PositionalFile(file, whatToDo);
    try {
      const metadata = await readMetadata(source);
      checkKind(source, metadata, kind);
      return new Table(source, metadata, kind);
    } catch (error) {
      source.close();
      throw error;
    }
  }

  get rows(): number {
    return Number(this.metadata.num_rows);
  }

  /** The rows of the part, each with just the columns asked for. */
  async read(part: Part<Row> = {}): Promise<Row[]> {
    const names = part.columns ?? (Object.keys(this.kind.columns) as (keyof Row & string)[]);
    const rowStart = part.rowStart ?? 0;
    const rowEnd = Math.min(part.rowEnd ?? this.rows, this.rows);
    if (rowEnd <= rowStart) return [];
    let read: Record<string, unknown>[];
    try {
      read = await parquetReadObjects({
        file: asyncBuffer(this.source),
        metadata: this.metadata,
        columns: [...names],
        rowStart,
        rowEnd,
      });
    } catch (error) {
      throw this.source.fault(`damaged: ${(error as Error).message}`);
    }
    if (read.length !== rowEnd - rowStart) {
      throw this.source.fault(`damaged: expected ${rowEnd - rowStart} rows, got ${read.length}`);
    }
    const wide = names.filter((name) => this.kind.columns[name].type === 'int64');
    for (const row of read) for (const name of wide) row[name] = this.narrowed(row[name], name);
    return read as Row[];
  }

  /** All rows of the part, in order, holding one row group at a time. */
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

  private narrowed(value: unknown, name: string): number | number[] {
    if (Array.isArray(value)) return value.map((item) => this.narrowed(item, name) as number);
    if (typeof value !== 'bigint' || !Number.isSafeInteger(Number(value))) {
      throw this.source.fault(`damaged: column ${name} holds ${String(value)}: expected an integer below 2^53`);
    }
    return Number(value);
  }
}

/** Rows of a table in a file, all or a part of them. See `Table.open` for the errors. */
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

/** The rows of a table in a file one by one, holding one row group in memory. See `Table.open` for the errors. */
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

/** The number of rows that a Parquet file's footer states. Throws a UserError where it has none. */
export async function parquetRows(source: PositionalFile): Promise<number> {
  return Number((await readMetadata(source)).num_rows);
}

async function readMetadata(source: PositionalFile): Promise<FileMetaData> {
  const expected = 'expected a Parquet file (PAR1 at both ends)';
  if (source.size < 12) throw source.fault(`${expected}, got ${source.size} bytes`);
  const magic = [source.bytes(0, 4), source.bytes(source.size - 4, 4)].map((bytes) => Buffer.from(bytes).toString('latin1'));
  if (magic[0] !== 'PAR1') throw source.fault(`${expected}, got ${JSON.stringify(magic[0])} at its start`);
  if (magic[1] !== 'PAR1') throw source.fault(`truncated: ${expected}, got ${JSON.stringify(magic[1])} at its end`);
  try {
    return await parquetMetadataAsync(asyncBuffer(source));
  } catch (error) {
    throw source.fault(`damaged: its footer cannot be read (${(error as Error).message})`);
  }
}

function checkKind(source: PositionalFile, metadata: FileMetaData, kind: TableKind<never>): void {
  const keys = new Map(metadata.key_value_metadata?.map(({ key, value }) => [key, value]));
  const name = keys.get('critiq.table');
  if (name !== kind.name) {
    throw source.fault(`foreign: expected critiq's table ${kind.name}, got ${name ?? 'another Parquet file'}`);
  }
  if (keys.get('schema_version') !== String(kind.version)) {
    throw source.fault(
      `written by another version of critiq: expected ${kind.name} schema_version ${kind.version}, got ${keys.get('schema_version')}`,
    );
  }
  const expected = schemaOf(kind.columns).map(({ name, type }) => `${name}:${type ?? 'group'}`);
  const got = metadata.schema.map(({ name, type }) => `${name}:${type ?? 'group'}`);
  if (expected.join() !== got.join()) {
    throw source.fault(`foreign: expected the columns ${expected.slice(1).join(' ')}, got ${got.slice(1).join(' ')}`);
  }
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
