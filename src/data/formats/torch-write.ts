import { crc32 } from '@node-rs/crc32';
import { UserError } from '../../errors.js';
import { writeAtomic } from '../store/atomic.js';

/** A tensor to write: float32 in row-major order. Tensors with the same `data` share a storage, as tied weights do. */
export interface TensorToSave {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** A value that torch.save can write: a dict is a Map, a tuple is in `Tuples`. */
export type Saved = null | boolean | number | string | TensorToSave | Tuples | readonly Saved[] | ReadonlyMap<string, Saved>;

/** A Python tuple of numbers. */
export class Tuples {
  constructor(readonly items: readonly number[]) {}
}

/** Largest file without the 64-bit fields of zip. */
const LARGEST = 2 ** 32 - 2 ** 20;

/**
 * Writes a file as torch.save does (PyTorch 1.6 and later: a zip of a pickle of protocol 2 and the storages), for
 * torch.load, also with `weights_only=True`.
 * @throws UserError if it would be larger than 4 GB
 */
export async function writeTorch(file: string, value: Saved): Promise<void> {
  const pickler = new Pickler();
  const pickle = pickler.dump(value);
  const entries: [name: string, data: Uint8Array][] = [
    ['archive/data.pkl', pickle],
    ['archive/byteorder', Buffer.from('little')],
    ...pickler.storages.map(({ buffer, byteOffset, byteLength }, key): [string, Uint8Array] => [
      `archive/data/${key}`,
      new Uint8Array(buffer, byteOffset, byteLength),
    ]),
    ['archive/version', Buffer.from('3\n')],
  ];
  const bytes = entries.reduce((sum, [, data]) => sum + data.length + 128, 0);
  if (bytes > LARGEST) throw new UserError(`${file}: expected at most 4 GB, got ${bytes} bytes of tensors`);
  await writeAtomic(file, async (out) => {
    const directory: Buffer[] = [];
    let offset = 0;
    for (const [name, data] of entries) {
      const fields = Buffer.alloc(26);
      fields.writeUInt16LE(20, 0);
      fields.writeUInt32LE(crc32(data), 10);
      fields.writeUInt32LE(data.length, 14);
      fields.writeUInt32LE(data.length, 18);
      fields.writeUInt16LE(name.length, 22);
      const local = Buffer.concat([Buffer.from('PK\x03\x04'), fields, Buffer.from(name)]);
      await out.write(local);
      await out.write(data);
      const central = Buffer.alloc(16);
      central.writeUInt32LE(offset, 12);
      directory.push(Buffer.concat([Buffer.from('PK\x01\x02\0\0'), fields.subarray(0, 26), central.subarray(2), Buffer.from(name)]));
      offset += local.length + data.length;
    }
    const all = Buffer.concat(directory);
    const end = Buffer.alloc(22);
    end.write('PK\x05\x06', 'latin1');
    end.writeUInt16LE(entries.length, 8);
    end.writeUInt16LE(entries.length, 10);
    end.writeUInt32LE(all.length, 12);
    end.writeUInt32LE(offset, 16);
    await out.write(all);
    await out.write(end);
  });
}

/** Pickles of protocol 2 (Lib/pickletools.py of CPython) of the values that state dicts have. */
class Pickler {
  readonly storages: Float32Array[] = [];
  private readonly keys = new Map<Float32Array, number>();
  private readonly parts: (Buffer | string)[] = [];

  dump(value: Saved): Buffer {
    this.put('\x80\x02');
    this.save(value);
    this.put('.');
    return Buffer.concat(this.parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : part)));
  }

  private save(value: Saved): void {
    if (value === null) this.put('N');
    else if (typeof value === 'boolean') this.put(value ? '\x88' : '\x89');
    else if (typeof value === 'number') this.number(value);
    else if (typeof value === 'string') this.text(value);
    else if (value instanceof Tuples) this.tuple(value.items);
    else if (value instanceof Map) this.dict(value as ReadonlyMap<string, Saved>);
    else if (Array.isArray(value)) this.list(value as readonly Saved[]);
    else this.tensor(value as TensorToSave);
  }

  private put(...parts: (Buffer | string)[]): void {
    this.parts.push(...parts);
  }

  private number(value: number): void {
    const bytes = Buffer.alloc(8);
    if (Number.isInteger(value) && Math.abs(value) < 2 ** 31) {
      bytes.writeInt32LE(value);
      this.put('J', bytes.subarray(0, 4));
    } else if (Number.isSafeInteger(value)) {
      bytes.writeBigInt64LE(BigInt(value));
      this.put('\x8a\x08', bytes);
    } else {
      bytes.writeDoubleBE(value);
      this.put('G', bytes);
    }
  }

  private text(value: string): void {
    const text = Buffer.from(value, 'utf8');
    const length = Buffer.alloc(4);
    length.writeUInt32LE(text.length);
    this.put('X', length, text);
  }

  private tuple(items: readonly number[]): void {
    this.put('(');
    for (const item of items) this.number(item);
    this.put('t');
  }

  private list(items: readonly Saved[]): void {
    this.put(']', '(');
    for (const item of items) this.save(item);
    this.put('e');
  }

  private dict(entries: ReadonlyMap<string, Saved>): void {
    this.put('}', '(');
    for (const [key, value] of entries) {
      this.text(key);
      this.save(value);
    }
    this.put('u');
  }

  private tensor({ shape, data }: TensorToSave): void {
    let key = this.keys.get(data);
    if (key === undefined) {
      key = this.storages.push(data) - 1;
      this.keys.set(data, key);
    }
    const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((size, one) => size * one, 1));
    this.put('ctorch._utils\n_rebuild_tensor_v2\n', '(', '(');
    this.text('storage');
    this.put('ctorch\nFloatStorage\n');
    this.text(String(key));
    this.text('cpu');
    this.number(data.length);
    this.put('t', 'Q');
    this.number(0);
    this.tuple(shape);
    this.tuple(strides);
    this.put('\x89', 'ccollections\nOrderedDict\n', ')', 'R', 't', 'R');
  }
}
