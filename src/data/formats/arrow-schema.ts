import { Bool, Field, Float32, Float64, Int32, Int64, List, Schema, Utf8, type DataType } from 'apache-arrow';
import { Message } from 'apache-arrow/ipc/metadata/message';

/** A column with its description for other programs. */
export interface DescribedField {
  readonly name: string;
  readonly type: 'int64' | 'int32' | 'float' | 'double' | 'bool' | 'string';
  readonly list: boolean;
  readonly optional: boolean;
  readonly about: {
    readonly description: string;
    readonly unit?: string;
    /** null: no bound */
    readonly minimum?: number | null;
    readonly maximum?: number | null;
  };
}

const TYPES: Record<DescribedField['type'], () => DataType> = {
  int64: () => new Int64(),
  int32: () => new Int32(),
  float: () => new Float32(),
  double: () => new Float64(),
  bool: () => new Bool(),
  string: () => new Utf8(),
};

/**
 * The value of `ARROW:schema` in the metadata of a Parquet file: an Arrow schema as a base64 IPC message, as Arrow's own
 * writers store it. Parquet has no field for the description of a column, but Arrow has, and pyarrow reads it
 * (`schema.field('reward').metadata`).
 */
export function arrowSchema(fields: readonly DescribedField[]): string {
  const schema = new Schema(
    fields.map(({ name, type, list, optional, about }) => {
      const element = TYPES[type]();
      const metadata = Object.entries(about).filter(([, value]) => value !== null);
      return new Field(
        name,
        list ? new List(new Field('element', element, false)) : element,
        optional,
        new Map(metadata.map(([key, value]) => [key, String(value)])),
      );
    }),
  );
  const message = Message.encode(Message.from(schema));
  const length = Math.ceil(message.length / 8) * 8;
  // an IPC message: continuation marker, length of the padded flatbuffer, flatbuffer
  const bytes = Buffer.alloc(8 + length);
  bytes.writeUInt32LE(0xffffffff, 0);
  bytes.writeUInt32LE(length, 4);
  bytes.set(message, 8);
  return bytes.toString('base64');
}
