import { crc32c } from '@node-rs/crc32';
import { createReadStream, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { createGunzip } from 'node:zlib';
import { UserError } from '../../errors.js';

/** A record of a TFRecord file: its number from 0, the position of its header in the uncompressed file, and its bytes. */
export interface TfRecord {
  readonly index: number;
  readonly offset: number;
  readonly bytes: Buffer;
}

/** A record whose bytes do not fit its checksum. */
export interface DamagedRecord {
  readonly index: number;
  readonly offset: number;
  readonly damaged: string;
}

export interface TfRecordOptions {
  /** most bytes of a record @default 512 MiB */
  readonly largest?: number;
  /** whether a record with a wrong checksum is told (`DamagedRecord`) instead of ending the reading @default false */
  readonly skipDamaged?: boolean;
  /** called with the number of bytes that were read from the file */
  readonly onBytes?: (bytes: number) => void;
}

/** A record: length (8 bytes), masked CRC-32C of the length (4), data, masked CRC-32C of the data (4). Little endian. */
const HEADER = 12;
const FOOTER = 4;
/** Deflate makes at most this many bytes of one. */
const INFLATION = 1032;

/** TensorFlow stores CRC-32C values rotated and with a constant added, so that data that contain CRCs have other ones. */
export function maskedCrc(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/**
 * The records of a TFRecord file, plain or GZIP (told by its first bytes), with one of them in memory. Lengths are checked
 * against their own checksum, the limit, and the size of the file before anything is allocated.
 * @throws UserError with file, record and offset where the file is damaged or truncated
 */
export async function* tfRecords(file: string, options: TfRecordOptions = {}): AsyncGenerator<TfRecord | DamagedRecord> {
  const { largest = 512 << 20, skipDamaged = false, onBytes } = options;
  const zipped = await isGzip(file);
  const { size } = statSync(file);
  const most = zipped ? size * INFLATION : size;
  const pieces = new Pieces(bytesOf(file, zipped, onBytes));
  let [index, offset] = [0, 0];
  const fault = (what: string): UserError => new UserError(`${file}: record ${index} at byte ${offset}: ${what}`);
  for (;;) {
    const header = await pieces.take(HEADER).catch((error: unknown) => {
      throw unzipFault(error, fault);
    });
    if (header.length === 0) return;
    if (header.length < HEADER) throw fault(`truncated: expected ${HEADER} bytes, got ${header.length}; download it again`);
    const length = header.readBigUInt64LE(0);
    if (header.readUInt32LE(8) !== maskedCrc(header.subarray(0, 8)))
      throw fault('damaged, or not a TFRecord file: the checksum of its length is wrong; download it again');
    if (length > BigInt(largest)) throw fault(`refused: it says that it has ${length} bytes; expected at most ${largest}`);
    const bytes = Number(length);
    if (offset + HEADER + bytes + FOOTER > most)
      throw fault(`truncated: it says that it has ${bytes} bytes, but the file has ${size}; download it again`);
    const body = await pieces.take(bytes + FOOTER).catch((error: unknown) => {
      throw unzipFault(error, fault);
    });
    if (body.length < bytes + FOOTER)
      throw fault(`truncated: expected ${bytes + FOOTER} bytes, got ${body.length}; download it again`);
    const data = body.subarray(0, bytes);
    if (body.readUInt32LE(bytes) === maskedCrc(data)) yield { index, offset, bytes: data };
    else {
      const damaged = 'damaged: the checksum of its content is wrong';
      if (!skipDamaged) throw fault(`${damaged}; download the file again, or leave the record out with import.damaged=skip`);
      yield { index, offset, damaged };
    }
    index++;
    offset += HEADER + bytes + FOOTER;
  }
}

function unzipFault(error: unknown, fault: (what: string) => UserError): unknown {
  const { code, message } = error as NodeJS.ErrnoException;
  return code?.startsWith('Z_') ? fault(`damaged: it cannot be decompressed (${message}); download it again`) : error;
}

async function isGzip(file: string): Promise<boolean> {
  let handle;
  try {
    handle = await open(file, 'r');
  } catch (error) {
    throw new UserError(`${file}: cannot be read (${(error as NodeJS.ErrnoException).code}); check the path`);
  }
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(2), 0, 2, 0);
    return bytesRead === 2 && buffer[0] === 0x1f && buffer[1] === 0x8b;
  } finally {
    await handle.close();
  }
}

async function* bytesOf(file: string, zipped: boolean, onBytes?: (bytes: number) => void): AsyncGenerator<Buffer> {
  const raw = createReadStream(file, { highWaterMark: 1 << 20 });
  if (onBytes) raw.on('data', (piece) => onBytes(piece.length));
  if (!zipped) {
    for await (const piece of raw) yield piece as Buffer;
    return;
  }
  const unzip = createGunzip({ chunkSize: 1 << 18 });
  raw.on('error', (error) => unzip.destroy(error));
  raw.pipe(unzip);
  try {
    for await (const piece of unzip) yield piece as Buffer;
  } finally {
    raw.destroy();
  }
}

/** Takes numbers of bytes from a stream of pieces. */
class Pieces {
  private held: Buffer[] = [];
  private size = 0;
  private readonly source: AsyncIterator<Buffer>;

  constructor(source: AsyncIterable<Buffer>) {
    this.source = source[Symbol.asyncIterator]();
  }

  /** The next `count` bytes, or fewer at the end. */
  async take(count: number): Promise<Buffer> {
    while (this.size < count) {
      const next = await this.source.next();
      if (next.done) break;
      this.held.push(next.value);
      this.size += next.value.length;
    }
    const all = this.held.length === 1 ? this.held[0] : Buffer.concat(this.held);
    const taken = all.subarray(0, count);
    this.held = [all.subarray(taken.length)];
    this.size = this.held[0].length;
    return taken;
  }
}
