import protobuf from 'protobufjs/minimal.js';

/** A feature of a `tf.train.Example`: a list of one kind. */
export type Feature =
  | { readonly kind: 'bytes'; readonly values: readonly Uint8Array[] }
  | { readonly kind: 'float'; readonly values: readonly number[] }
  | { readonly kind: 'int64'; readonly values: readonly number[] };

/** The features of a `tf.train.Example` by name. */
export class Example {
  constructor(private readonly features: ReadonlyMap<string, Feature>) {}

  get names(): string[] {
    return [...this.features.keys()].sort();
  }

  /** The bytes of a feature; none if it is missing. @throws RangeError if it is of another kind */
  bytes(name: string): readonly Uint8Array[] {
    const feature = this.features.get(name);
    if (feature === undefined || feature.values.length === 0) return [];
    if (feature.kind !== 'bytes') throw new RangeError(`${name}: expected bytes, got ${feature.kind}`);
    return feature.values;
  }

  texts(name: string): string[] {
    return this.bytes(name).map((value) => Buffer.from(value).toString('utf8'));
  }

  /** The numbers of a feature, whole or not; none if it is missing. @throws RangeError if it has bytes */
  numbers(name: string): readonly number[] {
    const feature = this.features.get(name);
    if (feature === undefined || feature.values.length === 0) return [];
    if (feature.kind === 'bytes') throw new RangeError(`${name}: expected numbers, got bytes`);
    return feature.values;
  }

  /** The only text of a feature. @throws RangeError if there is none */
  text(name: string): string {
    const [text] = this.texts(name);
    if (text === undefined) throw new RangeError(`has no ${name}`);
    return text;
  }

  /** The only number of a feature. @throws RangeError if there is none */
  number(name: string): number {
    const [number] = this.numbers(name);
    if (number === undefined) throw new RangeError(`has no ${name}`);
    return number;
  }

  has(name: string): boolean {
    return (this.features.get(name)?.values.length ?? 0) > 0;
  }
}

type Reader = protobuf.Reader;

/** Calls `field` for each field of a message that is `length` bytes long; fields that it does not read are skipped. */
function message(reader: Reader, length: number, field: (number: number, wire: number) => boolean): void {
  const end = reader.pos + length;
  while (reader.pos < end) {
    const tag = reader.uint32();
    if (!field(tag >>> 3, tag & 7)) reader.skipType(tag & 7);
  }
  if (reader.pos !== end) throw new RangeError('a message ends behind its end');
}

/**
 * Decodes a `tf.train.Example` (tensorflow/core/example/example.proto): features 1 { feature 1 (map: key 1, value 2) }, where a
 * value has bytes_list 1, float_list 2 or int64_list 3, each with repeated field 1.
 * @throws RangeError or Error if the bytes are not one
 */
export function decodeExample(bytes: Uint8Array): Example {
  const reader = protobuf.Reader.create(bytes);
  const features = new Map<string, Feature>();
  message(reader, bytes.length, (number, wire) => {
    if (number !== 1 || wire !== 2) return false;
    message(reader, reader.uint32(), (inner, kind) => {
      if (inner !== 1 || kind !== 2) return false;
      let name = '';
      let feature: Feature | undefined;
      message(reader, reader.uint32(), (entry, of) => {
        if (entry === 1 && of === 2) name = reader.string();
        else if (entry === 2 && of === 2) feature = decodeFeature(reader, reader.uint32());
        else return false;
        return true;
      });
      if (feature) features.set(name, feature);
      return true;
    });
    return true;
  });
  return new Example(features);
}

function decodeFeature(reader: Reader, length: number): Feature | undefined {
  let feature: Feature | undefined;
  message(reader, length, (number, wire) => {
    if (wire !== 2 || number < 1 || number > 3) return false;
    const size = reader.uint32();
    if (number === 1) feature = { kind: 'bytes', values: bytesList(reader, size) };
    else if (number === 2) feature = { kind: 'float', values: numbers(reader, size, 5, () => reader.float()) };
    else feature = { kind: 'int64', values: numbers(reader, size, 0, () => whole(reader)) };
    return true;
  });
  return feature;
}

function bytesList(reader: Reader, length: number): Uint8Array[] {
  const values: Uint8Array[] = [];
  message(reader, length, (number, wire) => {
    if (number !== 1 || wire !== 2) return false;
    values.push(reader.bytes());
    return true;
  });
  return values;
}

/** Repeated numbers, packed (as TensorFlow writes them) or one by one. */
function numbers(reader: Reader, length: number, plain: number, read: () => number): number[] {
  const values: number[] = [];
  message(reader, length, (number, wire) => {
    if (number !== 1) return false;
    if (wire === plain) values.push(read());
    else if (wire === 2) {
      const end = reader.uint32() + reader.pos;
      while (reader.pos < end) values.push(read());
    } else return false;
    return true;
  });
  return values;
}

/** An int64 as a number. @throws RangeError above 2^53 */
function whole(reader: Reader): number {
  const value = Number(reader.int64());
  if (!Number.isSafeInteger(value)) throw new RangeError(`expected an integer below 2^53, got ${value}`);
  return value;
}
