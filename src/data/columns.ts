import type { SchemaElement } from 'hyparquet';
import type { DescribedField } from './formats/arrow-schema.js';

/** Type of a column. `int64` is a JavaScript number (safe integers only), `bigint64` a bigint; both are INT64 on disk. */
export type ColumnType = 'int64' | 'bigint64' | 'int32' | 'float' | 'double' | 'bool' | 'string';

export interface ColumnDetails {
  /** name in the file; by default the field's name in snake_case */
  readonly name?: string;
  /** whether rows may have null; default false */
  readonly optional?: boolean;
  /** unit of the numbers, for example `nats` */
  readonly unit?: string;
  /** lowest and highest possible value; null: no bound */
  readonly range?: readonly [lowest: number | null, highest: number | null];
  /** first version of the table that has it; default 1 */
  readonly since?: number;
}

/** One column: its type, whether a row holds a list of values, its meaning, and its details in the file. */
export interface Column extends ColumnDetails {
  readonly type: ColumnType;
  readonly list: boolean;
  readonly meaning: string;
}

/**
 * A kind of table: its columns in order, by the names of the fields of a row in TypeScript. `version` changes whenever a
 * column's name, type or meaning does.
 */
export interface TableKind<Row> {
  readonly name: string;
  readonly version: number;
  /** older versions that are also read; their columns have the names of the fields, and later columns read as null */
  readonly reads?: readonly number[];
  readonly columns: { readonly [K in keyof Row & string]: Column };
}

export function column(type: ColumnType, meaning: string, details: ColumnDetails = {}): Column {
  return { type, list: false, meaning, ...details };
}

/** A column with a list in every row (a Parquet LIST group). */
export function listColumn(type: ColumnType, meaning: string, details: ColumnDetails = {}): Column {
  return { type, list: true, meaning, ...details };
}

/** The columns of a file of this version, in order: names in the file by field. */
export function namesInFile(kind: TableKind<never>, version = kind.version): Map<string, string> {
  const columns = Object.entries<Column>(kind.columns).filter(([, { since = 1 }]) => since <= version);
  return new Map(
    columns.map(([field, { name }]) => [field, version === kind.version ? (name ?? snakeCase(field)) : field]),
  );
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

const PHYSICAL: Record<ColumnType, Pick<SchemaElement, 'type' | 'converted_type' | 'logical_type'>> = {
  int64: { type: 'INT64' },
  bigint64: { type: 'INT64' },
  int32: { type: 'INT32' },
  float: { type: 'FLOAT' },
  double: { type: 'DOUBLE' },
  bool: { type: 'BOOLEAN' },
  string: { type: 'BYTE_ARRAY', converted_type: 'UTF8', logical_type: { type: 'STRING' } },
};

/** The Parquet schema of a table's files. */
export function parquetSchema(kind: TableKind<never>, version = kind.version): SchemaElement[] {
  const names = namesInFile(kind, version);
  const schema: SchemaElement[] = [{ name: 'root', num_children: names.size }];
  for (const [field, name] of names) {
    const { type, list, optional } = columnOf(kind, field);
    const repetition_type = optional ? 'OPTIONAL' : 'REQUIRED';
    if (list) {
      schema.push(
        { name, repetition_type, num_children: 1, converted_type: 'LIST', logical_type: { type: 'LIST' } },
        { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
        { name: 'element', repetition_type: 'REQUIRED', ...PHYSICAL[type] },
      );
    } else schema.push({ name, repetition_type, ...PHYSICAL[type] });
  }
  return schema;
}

/** The descriptions of a file's columns. @param notes additions to the descriptions of fields, for this file only */
export function describeColumns(
  kind: TableKind<never>,
  notes: Readonly<Record<string, string | undefined>> = {},
): DescribedField[] {
  return [...namesInFile(kind)].map(([field, name]) => {
    const { type, list, meaning, optional = false, unit, range } = columnOf(kind, field);
    const note = notes[field];
    return {
      name,
      type: type === 'bigint64' ? 'int64' : type,
      list,
      optional,
      about: {
        description: note === undefined ? meaning : `${meaning}; ${note}`,
        ...(unit === undefined ? {} : { unit }),
        ...(range === undefined ? {} : { minimum: range[0], maximum: range[1] }),
      },
    };
  });
}

function columnOf(kind: TableKind<never>, field: string): Column {
  return (kind.columns as Record<string, Column>)[field];
}
