import { crc32 } from '@node-rs/crc32';
import PQueue from 'p-queue';
import { constants, createDeflate, inflateSync } from 'node:zlib';
import type { Frame } from './frame.js';

/**
 * PNG (W3C, third edition) for screenshots: 8 bits per channel, RGB or RGBA, not interlaced. critiq has its own codec
 * because it writes tens of thousands of screenshots: 270×585 pixels take 2 ms here, but 10.5 ms with @napi-rs/canvas
 * (7.2 ms as its lossless WebP). A canvas also premultiplies alpha, which changes some pixels.
 */
const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const RGB = 2;
const RGBA = 6;

/** Maximum side in pixels: more than any phone has, and still small enough to allocate. */
const MAX_SIDE = 16384;

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
 * Decodes a PNG file of 8-bit RGB or RGBA.
 * @throws Error with the reason: not a PNG, truncated, damaged, or of a kind that is not supported
 */
export function decodePng(file: Uint8Array): Frame {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  if (!bytes.subarray(0, 8).equals(SIGNATURE)) throw new Error('not a PNG file');
  let header: Buffer | undefined;
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
    if (type === 'IHDR') header = body;
    if (type === 'IDAT') data.push(body);
    at += 12 + length;
  }
  if (header?.length !== 13) throw new Error('damaged PNG: it has no header');
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  const channels = header[9] === RGB ? 3 : 4;
  if (header[8] !== 8 || (header[9] !== RGB && header[9] !== RGBA) || header[12] !== 0) {
    throw new Error('unsupported PNG: expected 8-bit RGB or RGBA, not interlaced');
  }
  if (width === 0 || height === 0 || width > MAX_SIDE || height > MAX_SIDE) {
    throw new Error(`unsupported PNG: expected 1 to ${MAX_SIDE} pixels per side, got ${width}×${height}`);
  }
  const expected = height * (1 + width * channels);
  // One chunk for a phone's screen (plus a byte, or zlib would request a second one), but at most 1 MiB at once.
  const chunkSize = Math.min(Math.max(expected + 1, constants.Z_MIN_CHUNK), 1 << 20);
  const lines = inflateSync(data.length === 1 ? data[0] : Buffer.concat(data), { maxOutputLength: expected, chunkSize });
  if (lines.length !== expected) throw new Error(`damaged PNG: expected ${expected} bytes of pixels, got ${lines.length}`);
  return { width, height, rgba: unfiltered(lines, width, height, channels) };
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

/**
 * Reverses filter 2 (up), which Chromium uses for whole screenshots: adds to each of `count` bytes from `start` the byte of
 * the line above. It adds four bytes at a time as a word, with their top bits separate so that they don't carry into each
 * other, which takes a quarter of the time.
 */
function addAbove(lines: DataView, start: number, count: number): void {
  const back = count + 1;
  const end = start + count;
  let at = start;
  for (; at + 4 <= end; at += 4) {
    const [a, b] = [lines.getInt32(at, true), lines.getInt32(at - back, true)];
    lines.setInt32(at, ((a & 0x7f7f7f7f) + (b & 0x7f7f7f7f)) ^ ((a ^ b) & 0x80808080), true);
  }
  for (; at < end; at++) lines.setUint8(at, lines.getUint8(at) + lines.getUint8(at - back));
}

/** Reverses the other filters. */
function unfilter(filter: number, line: Uint8Array, above: Uint8Array, channels: number, y: number): void {
  if (filter === 0) return;
  if (filter > 4) throw new Error(`damaged PNG: expected a filter of at most 4 in line ${y}, got ${filter}`);
  // Browsers use filter 1 for many lines; a separate loop is five times as fast.
  if (filter === 1) {
    for (let i = channels; i < line.length; i++) line[i] += line[i - channels];
    return;
  }
  for (let i = 0; i < line.length; i++) {
    const left = i < channels ? 0 : line[i - channels];
    const corner = i < channels ? 0 : above[i - channels];
    line[i] += prediction(filter, left, above[i], corner);
  }
}

function prediction(filter: number, left: number, above: number, corner: number): number {
  if (filter === 3) return (left + above) >> 1;
  const estimate = left + above - corner;
  const [a, b, c] = [Math.abs(estimate - left), Math.abs(estimate - above), Math.abs(estimate - corner)];
  return a <= b && a <= c ? left : b <= c ? above : corner;
}
