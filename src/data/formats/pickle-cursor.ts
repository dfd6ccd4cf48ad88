import type { PositionalFile } from '../store/file.js';

/** A text or byte string that is too long to keep in memory: the position of its bytes in the file. */
export class Payload {
  constructor(
    /** byte position in the file */
    readonly position: number,
    readonly length: number,
    /** UTF-8 text, or plain bytes */
    readonly kind: 'text' | 'bytes',
  ) {}
}

/** Reads a part of a file sequentially through a small buffer. Long strings are skipped without being read. */
export class PickleCursor {
  private readonly buffer: Buffer;
  private from: number;
  private filled = 0;
  private at = 0;

  /** @param start,length the part of the file, in bytes */
  constructor(
    readonly source: PositionalFile,
    private readonly start: number,
    private readonly length: number,
  ) {
    this.buffer = Buffer.alloc(Math.min(1 << 16, Math.max(length, 1)));
    this.from = start;
  }

  /** position in the part, from 0 */
  get offset(): number {
    return this.from + this.at - this.start;
  }

  u8(): number {
    this.need(1);
    return this.buffer[this.at++];
  }

  u16(): number {
    return this.fixed(2).readUInt16LE();
  }

  u32(): number {
    return this.fixed(4).readUInt32LE();
  }

  i32(): number {
    return this.fixed(4).readInt32LE();
  }

  /** an unsigned 8-byte length; precision beyond 2^53 does not matter, because no file is that long */
  u64(): number {
    return Number(this.fixed(8).readBigUInt64LE());
  }

  /** big-endian, as in pickle's BINFLOAT */
  f64(): number {
    return this.fixed(8).readDoubleBE();
  }

  /** The next `length` bytes, at most the buffer's size. Valid until the next call. */
  fixed(length: number): Buffer {
    this.need(length);
    this.at += length;
    return this.buffer.subarray(this.at - length, this.at);
  }

  /** A text up to the next newline, which is skipped; at most 256 bytes. */
  line(): string {
    const bytes: number[] = [];
    for (let byte = this.u8(); byte !== 10; byte = this.u8()) {
      if (bytes.push(byte) > 256) throw this.fault('expected a name of at most 256 bytes, got a longer one');
    }
    return Buffer.from(bytes).toString('utf8');
  }

  /** Skips `length` bytes. @returns their position in the file */
  skip(length: number): number {
    if (length > this.length - this.offset) {
      throw this.fault(`expected ${length} more bytes, got ${this.length - this.offset}`);
    }
    const position = this.from + this.at;
    if (this.at + length <= this.filled) {
      this.at += length;
    } else {
      this.from = position + length;
      this.at = this.filled = 0;
    }
    return position;
  }

  /** An Error with the position in the pickle: "at byte N: what". */
  fault(what: string): Error {
    return new Error(`at byte ${this.offset}: ${what}`);
  }

  private need(length: number): void {
    if (this.at + length <= this.filled) return;
    if (length > this.length - this.offset) throw this.fault(`unexpected end of the pickle (${this.length} bytes)`);
    this.from += this.at;
    this.at = 0;
    this.filled = Math.min(this.buffer.length, this.start + this.length - this.from);
    this.source.read(this.buffer.subarray(0, this.filled), this.from);
  }
}
