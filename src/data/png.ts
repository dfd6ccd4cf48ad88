import { crc32 } from '@node-rs/crc32';
import { promisify } from 'node:util';
import { deflate, inflateSync } from 'node:zlib';
import type { Frame } from '../devices/device.js';

/**
 * PNG (W3C, third edition) for screenshots: 8 bits a channel, RGB or RGBA, not interlaced. A codec of our own because
 * screenshots are written by the ten thousand: 3.2 ms for 270×585 pixels, where @napi-rs/canvas takes 10.5 (its lossless
 * WebP 7.2), and because a canvas premultiplies alpha, so that not every pixel comes back as it was.
 */
const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const RGB = 2;
const RGBA = 6;

/** Largest side that is read: more than any phone has, and few enough pixels to allocate. */
const MAX_SIDE = 16384;

const deflateAsync = promisify<Uint8Array, { level: number; memLevel: number }, Buffer>(deflate);

/** The picture as a PNG file. Compression runs on a thread of libuv's pool. */
export async function encodePng({ width, height, rgba }: Frame): Promise<Buffer> {
  const opaque = isOpaque(rgba);
  const channels = opaque ? 3 : 4;
  const stride = 1 + width * channels; // every line starts with its filter type: 0, none
  const lines = new Uint8Array(height * stride);
  for (let y = 0, from = 0; y < height; y++) {
    let to = y * stride + 1;
    if (opaque) {
      for (let x = 0; x < width; x++, from += 4) {
        lines[to++] = rgba[from];
        lines[to++] = rgba[from + 1];
        lines[to++] = rgba[from + 2];
      }
    } else {
      lines.set(rgba.subarray(from, from + 4 * width), to);
      from += 4 * width;
    }
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header[8] = 8;
  header[9] = opaque ? RGB : RGBA;
  const data = await deflateAsync(lines, { level: 1, memLevel: 9 });
  return Buffer.concat([SIGNATURE, chunk('IHDR', header), chunk('IDAT', data), chunk('IEND', Buffer.alloc(0))]);
}

function isOpaque(rgba: Uint8ClampedArray): boolean {
  for (let at = 3; at < rgba.length; at += 4) if (rgba[at] !== 255) return false;
  return true;
}

function chunk(type: string, data: Uint8Array): Buffer {
  const out = Buffer.alloc(12 + data.length);
  out.writeUInt32BE(data.length, 0);
  out.write(type, 4, 'latin1');
  out.set(data, 8);
  out.writeUInt32BE(crc32(out.subarray(4, 8 + data.length)), 8 + data.length);
  return out;
}

/**
 * The pixels of a PNG file of 8-bit RGB or RGBA.
 * @throws Error saying what is wrong with it: not a PNG, truncated, damaged, or of a kind that is not read here
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
      throw new Error(`damaged PNG: the checksum of its ${type} chunk is wrong`);
    }
    if (type === 'IHDR') header = body;
    if (type === 'IDAT') data.push(body);
    at += 12 + length;
  }
  if (header?.length !== 13) throw new Error('damaged PNG: it has no header');
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  const channels = header[9] === RGB ? 3 : 4;
  if (header[8] !== 8 || (header[9] !== RGB && header[9] !== RGBA) || header[12] !== 0) {
    throw new Error('a PNG of another kind: expected 8-bit RGB or RGBA, not interlaced');
  }
  if (width === 0 || height === 0 || width > MAX_SIDE || height > MAX_SIDE) {
    throw new Error(`a PNG of ${width}×${height} pixels: expected 1 to ${MAX_SIDE} a side`);
  }
  const expected = height * (1 + width * channels);
  const lines = inflateSync(Buffer.concat(data), { maxOutputLength: expected });
  if (lines.length !== expected) throw new Error(`damaged PNG: expected ${expected} bytes of pixels, got ${lines.length}`);
  return { width, height, rgba: unfiltered(lines, width, height, channels) };
}

/** Undoes the line filters (PNG §9.2) and widens to RGBA. */
function unfiltered(lines: Uint8Array, width: number, height: number, channels: 3 | 4): Uint8ClampedArray {
  const rgba = new Uint8ClampedArray(4 * width * height);
  const stride = width * channels;
  let above: Uint8Array = new Uint8Array(stride);
  for (let y = 0, to = 0; y < height; y++) {
    const filter = lines[y * (stride + 1)];
    const line = lines.subarray(y * (stride + 1) + 1, (y + 1) * (stride + 1));
    if (filter > 4) throw new Error(`damaged PNG: line ${y} has the unknown filter ${filter}`);
    for (let i = 0; filter > 0 && i < stride; i++) {
      const left = i < channels ? 0 : line[i - channels];
      const corner = i < channels ? 0 : above[i - channels];
      line[i] += prediction(filter, left, above[i], corner);
    }
    for (let i = 0; i < stride; i += channels, to += 4) {
      rgba[to] = line[i];
      rgba[to + 1] = line[i + 1];
      rgba[to + 2] = line[i + 2];
      rgba[to + 3] = channels === 4 ? line[i + 3] : 255;
    }
    above = line;
  }
  return rgba;
}

function prediction(filter: number, left: number, above: number, corner: number): number {
  if (filter === 1) return left;
  if (filter === 2) return above;
  if (filter === 3) return (left + above) >> 1;
  const estimate = left + above - corner;
  const [a, b, c] = [Math.abs(estimate - left), Math.abs(estimate - above), Math.abs(estimate - corner)];
  return a <= b && a <= c ? left : b <= c ? above : corner;
}
