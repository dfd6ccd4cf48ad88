import { crc32 } from '@node-rs/crc32';

/** Bytes of a PNG file's signature, before the first chunk. */
const SIGNATURE = 8;
/** Bytes of a chunk beside its data: length, type, CRC. */
const AROUND = 12;

/** Adds a text (a tEXt chunk, PNG §11.3.3) before the last chunk of a PNG file. @param text latin1, as the format asks */
export function withPngText(png: Uint8Array, keyword: string, text: string): Buffer {
  const data = Buffer.from(`${keyword}\0${text}`, 'latin1');
  const chunk = Buffer.alloc(AROUND + data.length);
  chunk.writeUInt32BE(data.length, 0);
  chunk.write('tEXt', 4, 'latin1');
  data.copy(chunk, 8);
  chunk.writeUInt32BE(crc32(chunk.subarray(4, 8 + data.length)), 8 + data.length);
  const end = png.length - AROUND;
  return Buffer.concat([png.subarray(0, end), chunk, png.subarray(end)]);
}

/** The text of a tEXt chunk; undefined if the file has none with this keyword. */
export function pngText(png: Uint8Array, keyword: string): string | undefined {
  const bytes = Buffer.from(png.buffer, png.byteOffset, png.byteLength);
  for (let at = SIGNATURE; at + AROUND <= bytes.length; at += AROUND + bytes.readUInt32BE(at)) {
    const length = bytes.readUInt32BE(at);
    if (length > bytes.length - at - AROUND) return undefined;
    if (bytes.toString('latin1', at + 4, at + 8) !== 'tEXt') continue;
    const [key, text] = bytes.toString('latin1', at + 8, at + 8 + length).split('\0');
    if (key === keyword) return text;
  }
  return undefined;
}
