import type { Frame } from './frame.js';
import { decodePng, mostPixels } from './png.js';

/** The formats in which screenshots come. */
export type PictureType = 'image/png' | 'image/jpeg' | 'image/webp';

/** The format of a picture, by its first bytes; undefined for others. */
export function pictureType(bytes: Uint8Array): PictureType | undefined {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(12, bytes.byteLength)).toString('latin1');
  if (head.startsWith('\x89PNG\r\n')) return 'image/png';
  if (head.startsWith('\xff\xd8\xff')) return 'image/jpeg';
  return head.startsWith('RIFF') && head.endsWith('WEBP') ? 'image/webp' : undefined;
}

/**
 * Decodes a screenshot: PNG by critiq's own codec, JPEG and WebP by Skia's (@napi-rs/canvas), whose pixels may differ by a
 * step or two from those of another library's JPEG.
 * @throws Error with the reason: another format, truncated, damaged, or too large
 */
export async function decodePicture(file: Uint8Array): Promise<Frame> {
  const type = pictureType(file);
  if (type === undefined) throw new Error('not a PNG, JPEG or WebP file');
  if (type === 'image/png') return decodePng(file);
  const name = type === 'image/jpeg' ? 'JPEG' : 'WebP';
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  const size = type === 'image/jpeg' ? jpegSize(bytes) : webpSize(bytes);
  if (!size) throw new Error(`damaged or truncated ${name}: it has no size`);
  // before anything is allocated for them
  const most = mostPixels(bytes.length);
  if (!(size.width > 0 && size.height > 0 && size.width * size.height <= most))
    throw new Error(`unsupported ${name}: expected 1 to ${most} pixels, got ${size.width}×${size.height}`);
  if (type === 'image/jpeg' && !bytes.subarray(size.at).includes(END)) throw new Error('truncated JPEG: it has no end');
  if (type === 'image/webp' && bytes.readUInt32LE(4) + 8 > bytes.length)
    throw new Error(`truncated WebP: it ends after ${bytes.length} bytes of ${bytes.readUInt32LE(4) + 8}`);
  const { createCanvas, loadImage } = await import('@napi-rs/canvas');
  const image = await loadImage(bytes).catch((error: unknown) => {
    throw new Error(`damaged ${name}: ${(error as Error).message}`, { cause: error });
  });
  const { width, height } = image;
  if (width * height !== size.width * size.height) throw new Error(`damaged ${name}: its sizes contradict each other`);
  const context = createCanvas(width, height).getContext('2d');
  context.drawImage(image, 0, 0);
  return { width, height, rgba: new Uint8ClampedArray(context.getImageData(0, 0, width, height).data) };
}

interface Size {
  readonly width: number;
  readonly height: number;
  /** where the header ends */
  readonly at: number;
}

/** JPEG's end of image. */
const END = Buffer.from([0xff, 0xd9]);

/** The size in a JPEG's frame header (ITU-T T.81, B.2.2). */
function jpegSize(bytes: Buffer): Size | undefined {
  for (let at = 2; at + 9 < bytes.length; ) {
    if (bytes[at] !== 0xff) return undefined;
    const marker = bytes[at + 1];
    // fill bytes, and markers without a segment
    if (marker === 0xff || marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8)) {
      at += marker === 0xff ? 1 : 2;
      continue;
    }
    const length = bytes.readUInt16BE(at + 2);
    const isFrame = marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;
    if (isFrame) return { height: bytes.readUInt16BE(at + 5), width: bytes.readUInt16BE(at + 7), at: at + 2 + length };
    if (marker === 0xda || marker === 0xd9 || length < 2) return undefined;
    at += 2 + length;
  }
  return undefined;
}

/** The size in a WebP's first chunk (RFC 9649): of the canvas, a lossy or a lossless picture. */
function webpSize(bytes: Buffer): Size | undefined {
  if (bytes.length < 30) return undefined;
  const at = 30;
  switch (bytes.toString('latin1', 12, 16)) {
    case 'VP8X':
      return { width: 1 + bytes.readUIntLE(24, 3), height: 1 + bytes.readUIntLE(27, 3), at };
    case 'VP8L': {
      const bits = bytes.readUInt32LE(21);
      return { width: 1 + (bits & 0x3fff), height: 1 + ((bits >>> 14) & 0x3fff), at };
    }
    case 'VP8 ':
      return { width: bytes.readUInt16LE(26) & 0x3fff, height: bytes.readUInt16LE(28) & 0x3fff, at };
    default:
      return undefined;
  }
}
