/**
 * The parts of WebP (RFC 9649) that animations need. A lossy WebP picture contains one VP8 key frame (RFC 6386), which can
 * also be a frame of a video.
 */

/** A picture of a film: a VP8 key frame and its duration. */
export interface FilmFrame {
  readonly vp8: Uint8Array;
  readonly milliseconds: number;
}

/** WebP stores sides and durations in 24 bits, VP8 sides in 14. */
const LARGEST_SIDE = 16383;
const LONGEST_MS = 0xffffff;

/**
 * The VP8 key frame of a lossy WebP picture.
 * @throws Error if it is anything else: lossless, animated, truncated
 */
export function vp8Of(webp: Uint8Array): Uint8Array {
  const bytes = Buffer.from(webp.buffer, webp.byteOffset, webp.byteLength);
  if (bytes.length < 12 || bytes.toString('latin1', 0, 4) !== 'RIFF' || bytes.toString('latin1', 8, 12) !== 'WEBP')
    throw new Error('not a WebP picture');
  for (let at = 12; at + 8 <= bytes.length;) {
    const [name, length] = [bytes.toString('latin1', at, at + 4), bytes.readUInt32LE(at + 4)];
    const end = at + 8 + length;
    if (end > bytes.length)
      throw new Error(`truncated WebP: the chunk ${name} needs ${end} bytes, the picture has ${bytes.length}`);
    if (name === 'VP8 ') return bytes.subarray(at + 8, end);
    at = end + (length & 1);
  }
  throw new Error('the WebP picture has no VP8 key frame; it is lossless or animated');
}

/** The size of a VP8 key frame in pixels (RFC 6386 §9.1). @throws Error if it is not a key frame */
export function vp8Size(vp8: Uint8Array): { width: number; height: number } {
  const view = new DataView(vp8.buffer, vp8.byteOffset, vp8.byteLength);
  const key = vp8.length >= 10 && (vp8[0] & 1) === 0 && vp8[3] === 0x9d && vp8[4] === 0x01 && vp8[5] === 0x2a;
  if (!key) throw new Error('not a VP8 key frame');
  return { width: view.getUint16(6, true) & 0x3fff, height: view.getUint16(8, true) & 0x3fff };
}

/** An animated WebP that plays once. @param frames all of the same size */
export function animatedWebp(frames: readonly FilmFrame[]): Buffer {
  const { width, height } = sizeOf(frames);
  const extended = Buffer.alloc(10);
  extended[0] = 0x02; // animation
  extended.writeUIntLE(width - 1, 4, 3);
  extended.writeUIntLE(height - 1, 7, 3);
  const animation = Buffer.alloc(6);
  animation.writeUInt32LE(0xffffffff, 0); // background: white
  animation.writeUInt16LE(1, 4); // number of plays
  const chunks = [chunk('VP8X', extended), chunk('ANIM', animation)];
  for (const { vp8, milliseconds } of frames) {
    const head = Buffer.alloc(16);
    head.writeUIntLE(width - 1, 6, 3);
    head.writeUIntLE(height - 1, 9, 3);
    head.writeUIntLE(Math.min(LONGEST_MS, Math.round(milliseconds)), 12, 3);
    head[15] = 0x02; // pixels replace those of the previous frame
    chunks.push(chunk('ANMF', Buffer.concat([head, chunk('VP8 ', vp8)])));
  }
  const body = Buffer.concat([Buffer.from('WEBP', 'latin1'), ...chunks]);
  return Buffer.concat([Buffer.from('RIFF', 'latin1'), uint32(body.length), body]);
}

/** The size of the frames. @throws Error if there are none, or if their sizes differ */
export function sizeOf(frames: readonly FilmFrame[]): { width: number; height: number } {
  if (frames.length === 0) throw new Error('a film needs at least one frame, got no frames');
  const { width, height } = vp8Size(frames[0].vp8);
  for (const { vp8 } of frames) {
    const other = vp8Size(vp8);
    if (other.width !== width || other.height !== height)
      throw new Error(`expected all frames to have ${width} x ${height} pixels, got ${other.width} x ${other.height}`);
  }
  if (width < 1 || height < 1 || width > LARGEST_SIDE || height > LARGEST_SIDE)
    throw new Error(`expected a film with sides of 1 to ${LARGEST_SIDE} pixels, got ${width} x ${height}`);
  return { width, height };
}

function chunk(name: string, data: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(name, 'latin1'), uint32(data.length), data, Buffer.alloc(data.length & 1)]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
