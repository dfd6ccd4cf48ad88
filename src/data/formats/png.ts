import { crc32 } from '@node-rs/crc32';
import PQueue from 'p-queue';
import { constants, createDeflate, inflateSync } from 'node:zlib';
import type { Frame } from './frame.js';
import { addAbove, unfilter } from './png-filters.js';
import { kindOf, lineBytes, pixelsOf, RGB, RGBA } from './png-kinds.js';

/**
 * PNG (W3C, third edition) for screenshots: written with 8 bits per channel, RGB or RGBA, not interlaced; read in every kind. critiq has its own codec
 * because it writes tens of thousands of screenshots: 270×585 pixels take 2 ms here, but 10.5 ms with @napi-rs/canvas
 * (7.2 ms as its lossless WebP). A canvas also premultiplies alpha, which changes some pixels.
 */
const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

/** Maximum side in pixels: more than any phone has, and still small enough to allocate. */
const MAX_SIDE = 16384;
/** Pixels that any picture may have: twice those of a 4K screen, four times those of a phone. */
const PIXELS = 1 << 24;
/** Pixels of a larger file, such as a screenshot of a whole page, and how many a byte may stand for. */
const MAX_PIXELS = 1 << 26;
const PIXELS_PER_BYTE = 16;
/** Bytes behind the picture data that are ignored, as other readers do; some Android drivers write them. */
const MOST_SPARE = 1 << 20;
/** The chunks without which a picture cannot be read; others of this kind (their first letter is a capital) change it. */
const CRITICAL = new Set(['IHDR', 'PLTE', 'IDAT', 'IEND']);

/** Images that are compressed at the same time: the default number of libuv threads. */
const encoding = new PQueue({ concurrency: 4 });
const idle: Encoder[] = [];

/**
 * Encodes an image as a PNG file. Compression runs on libuv's thread pool; the pixels must not change until the promise is
 * settled.
 */
export function encodePng(frame: Frame): Promise<Buffer> {
  return encoding.add(async () => {
    const encoder = idle.pop() ?? new Encoder();
    try {
      return await encoder.encode(frame);
    } finally {
      idle.push(encoder);
    }
  });
}

/**
 * The memory of one compression (lines and zlib state, 0.9 MB for a phone's screen), reused for the next image: page faults
 * and garbage collection of new memory would cost more than packing the pixels.
 */
class Encoder {
  private lines = new DataView(new ArrayBuffer(0));
  private deflate = newDeflate();

  async encode(frame: Frame): Promise<Buffer> {
    const { width, height } = frame;
    // One extra byte, because packOpaque writes 4 bytes for a pixel of 3.
    const room = height * (1 + 4 * width) + 1;
    if (this.lines.byteLength < room) this.lines = new DataView(new ArrayBuffer(room));
    const opaque = packOpaque(frame, this.lines);
    if (!opaque) packTranslucent(frame, this.lines);
    const header = Buffer.alloc(13);
    header.writeUInt32BE(width, 0);
    header.writeUInt32BE(height, 4);
    header[8] = 8;
    header[9] = opaque ? RGB : RGBA;
    const length = height * (1 + width * (opaque ? 3 : 4));
    const data = await this.compressed(new Uint8Array(this.lines.buffer, 0, length));
    return Buffer.concat([SIGNATURE, ...chunk('IHDR', header), ...chunk('IDAT', data), ...chunk('IEND', Buffer.alloc(0))]);
  }

  private compressed(bytes: Uint8Array): Promise<Buffer> {
    const { deflate } = this;
    return new Promise((resolve, reject) => {
      const failed = (error: Error) => {
        this.deflate = newDeflate();
        reject(error);
      };
      deflate.once('error', failed);
      deflate.write(bytes, () => {
        deflate.off('error', failed);
        const data = deflate.read() as Buffer;
        deflate.reset();
        resolve(data);
      });
    });
  }
}

/** A zlib stream that finishes with every write: one round trip to libuv's pool if the output fits a chunk. */
function newDeflate() {
  return createDeflate({
    level: 1,
    memLevel: 9,
    flush: constants.Z_FINISH,
    chunkSize: 1 << 16,
    // The output must wait for `read`. A full stream would wait for its reader, which waits for the end of the write.
    readableHighWaterMark: Number.MAX_SAFE_INTEGER,
  } as Parameters<typeof createDeflate>[0]);
}

/** Writes lines of RGB, each after its filter type (0, none), into `lines`. @returns whether the image is opaque */
function packOpaque({ width, height, rgba }: Frame, lines: DataView): boolean {
  // One pixel at a time as a little-endian word is three times as fast as byte by byte.
  const pixels = new DataView(rgba.buffer, rgba.byteOffset, rgba.byteLength);
  let alpha = -1;
  for (let y = 0, from = 0, to = 0; y < height; y++) {
    lines.setUint8(to++, 0);
    for (let x = 0; x < width; x++, from += 4, to += 3) {
      const pixel = pixels.getInt32(from, true);
      alpha &= pixel;
      // The alpha byte is overwritten by the next pixel or the next line's filter type.
      lines.setInt32(to, pixel, true);
    }
  }
  return alpha >>> 24 === 255;
}

/** Writes lines of RGBA, each after its filter type (0, none), into `lines`. */
function packTranslucent({ width, height, rgba }: Frame, lines: DataView): void {
  const out = new Uint8Array(lines.buffer);
  for (let y = 0, to = 0; y < height; y++, to += 1 + 4 * width) {
    out[to] = 0;
    out.set(rgba.subarray(y * 4 * width, (y + 1) * 4 * width), to + 1);
  }
}

/** The parts of a chunk (PNG §5.3): length and type, data, CRC. */
function chunk(type: string, data: Uint8Array): [Buffer, Uint8Array, Buffer] {
  const start = Buffer.alloc(8);
  start.writeUInt32BE(data.length, 0);
  start.write(type, 4, 'latin1');
  const end = Buffer.alloc(4);
  end.writeUInt32BE(crc32(data, crc32(start.subarray(4))), 0);
  return [start, data, end];
}

/**
 * Decodes a PNG file of any kind: gray, RGB, palette, with or without alpha or a transparent colour, 1 to 16 bits per
 * channel, interlaced or not. 16 bits are rounded to 8. Colour profiles are ignored. Of an animation it gives the first
 * picture.
 * @throws Error with the reason: not a PNG, truncated, damaged, too large, or with chunks that are not PNG's own
 */
export function decodePng(file: Uint8Array): Frame {
  const { header, palette, transparent, data } = chunksOf(Buffer.from(file.buffer, file.byteOffset, file.byteLength));
  const kind = kindOf(header, palette, transparent);
  const { width, height } = kind;
  const most = mostPixels(file.byteLength);
  if (width === 0 || height === 0 || width > MAX_SIDE || height > MAX_SIDE || width * height > most) {
    throw new Error(
      `unsupported PNG: expected 1 to ${MAX_SIDE} pixels per side and at most ${most} in all, got ${width}×${height}`,
    );
  }
  const expected = lineBytes(kind);
  const lines = inflated(data.length === 1 ? data[0] : Buffer.concat(data), expected);
  if (lines.length < expected) throw new Error(`damaged PNG: expected ${expected} bytes of pixels, got ${lines.length}`);
  const plain = kind.depth === 8 && !kind.interlaced && kind.transparent === undefined;
  const rgba =
    plain && (kind.colour === RGB || kind.colour === RGBA)
      ? unfiltered(lines, width, height, kind.colour === RGB ? 3 : 4)
      : pixelsOf(kind, lines);
  return { width, height, rgba };
}

/** Maximum number of pixels of a picture file of so many bytes: a small file must not cost much memory. */
export function mostPixels(bytes: number): number {
  return Math.max(PIXELS, Math.min(MAX_PIXELS, PIXELS_PER_BYTE * bytes));
}

/** What is wrong with a PNG's chunks: their order, sizes or checksums. The pixels are not decoded. */
export function pngFault(file: Uint8Array): string | undefined {
  try {
    chunksOf(Buffer.from(file.buffer, file.byteOffset, file.byteLength));
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

interface Chunks {
  readonly header: Buffer;
  readonly palette: Buffer | undefined;
  readonly transparent: Buffer | undefined;
  readonly data: readonly Buffer[];
}

function chunksOf(bytes: Buffer): Chunks {
  if (!bytes.subarray(0, 8).equals(SIGNATURE)) throw new Error('not a PNG file');
  const found = new Map<string, Buffer>();
  const data: Buffer[] = [];
  for (let at = 8, type = ''; type !== 'IEND'; ) {
    if (at + 12 > bytes.length) throw new Error(`truncated PNG: it ends after ${bytes.length} bytes`);
    const length = bytes.readUInt32BE(at);
    if (length > bytes.length - at - 12) throw new Error(`truncated PNG: it ends after ${bytes.length} bytes`);
    type = bytes.toString('latin1', at + 4, at + 8);
    const body = bytes.subarray(at + 8, at + 8 + length);
    if (crc32(bytes.subarray(at + 4, at + 8 + length)) !== bytes.readUInt32BE(at + 8 + length)) {
      throw new Error(`damaged PNG: its ${type} chunk has a wrong CRC`);
    }
    if (type === 'IDAT') data.push(body);
    else if (type === 'IHDR' || type === 'PLTE' || type === 'tRNS') found.set(type, body);
    // Xcode writes CgBI into the pictures of iOS apps, with other pixels
    else if (/^[A-Z]/.test(type) && !CRITICAL.has(type))
      throw new Error(`unsupported PNG: it has a ${type} chunk, which is not of the format; convert it with another program`);
    at += 12 + length;
  }
  const header = found.get('IHDR');
  if (header?.length !== 13) throw new Error('damaged PNG: it has no header');
  return { header, palette: found.get('PLTE'), transparent: found.get('tRNS'), data };
}

/** The lines of all pixels, filtered, and perhaps spare bytes behind them. */
function inflated(data: Buffer, expected: number): Uint8Array {
  // One chunk for a phone's screen (plus a byte, or zlib would request a second one), but at most 1 MiB at once.
  const chunkSize = Math.min(Math.max(expected + 1, constants.Z_MIN_CHUNK), 1 << 20);
  try {
    return inflateSync(data, { maxOutputLength: expected + MOST_SPARE, chunkSize });
  } catch (error) {
    const why = (error as Error).message;
    throw new Error(`damaged PNG: its pixels cannot be decompressed (${why}); expected ${expected} bytes`, { cause: error });
  }
}

/** Reverses the line filters (PNG §9.2) in place and converts to RGBA. */
function unfiltered(lines: Uint8Array, width: number, height: number, channels: 3 | 4): Uint8ClampedArray {
  const rgba = new Uint8ClampedArray(4 * width * height);
  const pixels = new DataView(rgba.buffer);
  const packed = new DataView(lines.buffer, lines.byteOffset, lines.byteLength);
  const stride = width * channels;
  let above: Uint8Array = new Uint8Array(stride);
  for (let y = 0, to = 0; y < height; y++) {
    const start = y * (stride + 1) + 1;
    const line = lines.subarray(start, start + stride);
    if (lines[start - 1] === 2) addAbove(packed, start, y === 0 ? 0 : stride);
    else unfilter(lines[start - 1], line, above, channels, y);
    if (channels === 4) {
      rgba.set(line, to);
      to += stride;
    } else {
      // Each word is a pixel and the byte before it (at the start of a line, the filter type), little-endian.
      for (let at = start - 1, end = at + stride; at < end; at += 3, to += 4) {
        pixels.setInt32(to, (packed.getInt32(at, true) >>> 8) | 0xff000000, true);
      }
    }
    above = line;
  }
  return rgba;
}
