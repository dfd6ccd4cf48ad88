/** Mutations that keep a container whole, so that what is in it reaches the reader: checksums and lengths are made again. */
import { crc32 } from '@node-rs/crc32';
import { deflateSync, inflateSync } from 'node:zlib';
import { encodeLine } from '../../src/data/formats/jsonl.js';
import type { Random } from '../../src/random.js';
import { storedZip } from '../rigs/files.js';
import { mutatedBytes } from './bytes.js';
import { mutatedText, mutatedValue } from './texts.js';

interface Chunk {
  readonly type: string;
  readonly data: Buffer;
}

function pngChunks(png: Buffer): Chunk[] {
  const chunks: Chunk[] = [];
  for (let at = 8; at + 12 <= png.length;) {
    const length = png.readUInt32BE(at);
    chunks.push({ type: png.toString('latin1', at + 4, at + 8), data: png.subarray(at + 8, at + 8 + length) });
    at += 12 + length;
  }
  return chunks;
}

export function pngOf(chunks: readonly Chunk[]): Buffer {
  const parts = chunks.map(({ type, data }) => {
    const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
    const out = Buffer.alloc(8 + body.length);
    out.writeUInt32BE(data.length, 0);
    body.copy(out, 4);
    out.writeUInt32BE(crc32(body), 4 + body.length);
    return out;
  });
  return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), ...parts]);
}

const SIDES = [0, 1, 2, 255, 16384, 16385, 1 << 20, 0x7fffffff, 0xffffffff];

/** A PNG whose chunks have right checksums: another header, other pixels in whole zlib data, chunks that go, come or move. */
export function mutatedPng(random: Random, png: Buffer, other: Buffer): Buffer {
  const chunks = pngChunks(png);
  const at = random.int(chunks.length);
  const [first] = chunks;
  switch (random.int(7)) {
    case 0: {
      const data = Buffer.from(first.data);
      if (random.chance(0.5)) data.writeUInt32BE(random.pick(SIDES), random.pick([0, 4]));
      else data[8 + random.int(5)] = random.pick([0, 1, 2, 3, 4, 5, 6, 7, 8, 16, 32, 255]);
      return pngOf([{ type: 'IHDR', data }, ...chunks.slice(1)]);
    }
    case 1: {
      const packed = chunks.filter(({ type }) => type === 'IDAT').map(({ data }) => data);
      let lines = Buffer.alloc(0);
      try {
        lines = inflateSync(Buffer.concat(packed), { maxOutputLength: 1 << 24 });
      } catch {
        // the seed of another kind
      }
      // other filters, fewer or more lines, or as many zeros as compress to little
      const changed = random.chance(0.15) ? Buffer.alloc(random.pick([1 << 20, 1 << 24])) : mutatedBytes(random, lines);
      return pngOf(replaced(chunks, deflateSync(changed, { level: random.pick([0, 1, 9]) })));
    }
    case 2:
      return pngOf(
        replaced(
          chunks,
          mutatedBytes(random, Buffer.concat(chunks.filter(({ type }) => type === 'IDAT').map(({ data }) => data))),
        ),
      );
    case 3:
      return pngOf(chunks.filter((_, i) => i !== at));
    case 4:
      return pngOf([...chunks.slice(0, at), random.pick(pngChunks(other)), ...chunks.slice(at)]);
    case 5: {
      const { type, data } = chunks[at];
      const changed = {
        type: random.chance(0.5) ? type : random.pick(['PLTE', 'tRNS', 'tEXt', 'CgBI', 'fdAT', 'IHDR', 'AAAA']),
        data: mutatedBytes(random, data),
      };
      return pngOf([...chunks.slice(0, at), changed, ...chunks.slice(at + 1)]);
    }
    default:
      return pngOf(random.shuffled(chunks));
  }
}

function replaced(chunks: readonly Chunk[], data: Buffer): Chunk[] {
  const rest = chunks.filter(({ type }) => type !== 'IDAT');
  return [...rest.slice(0, -1), { type: 'IDAT', data }, ...rest.slice(-1)];
}

/** The entries of a zip that stores them uncompressed, as torch.save does. */
function zipEntries(zip: Buffer): Map<string, Buffer> {
  const entries = new Map<string, Buffer>();
  const end = zip.lastIndexOf(Buffer.from('PK\x05\x06', 'latin1'));
  if (end < 0 || end + 22 > zip.length) return entries;
  let at = zip.readUInt32LE(end + 16);
  while (at + 46 <= zip.length && zip.readUInt32LE(at) === 0x02014b50) {
    const [size, name, extra, comment] = [
      zip.readUInt32LE(at + 24),
      zip.readUInt16LE(at + 28),
      zip.readUInt16LE(at + 30),
      zip.readUInt16LE(at + 32),
    ];
    const header = zip.readUInt32LE(at + 42);
    const start = header + 30 + zip.readUInt16LE(header + 26) + zip.readUInt16LE(header + 28);
    entries.set(zip.toString('utf8', at + 46, at + 46 + name), zip.subarray(start, start + size));
    at += 46 + name + extra + comment;
  }
  return entries;
}

/** Opcodes of pickles, which a random byte rarely hits (pickletools). */
const OPCODES = [
  ...'.(0125FIJKLMNPQRSTUVXabcdeghijlopqrstu}]\x80\x81\x82\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f\x90\x91\x92\x93\x94\x95\x96',
];

function mutatedPickle(random: Random, pickle: Buffer): Buffer {
  let out: Buffer = Buffer.from(pickle);
  for (let times = 1 + random.int(3); times > 0 && out.length > 4; times--) {
    const at = random.int(out.length);
    const opcode = random.pick(OPCODES).charCodeAt(0);
    switch (random.int(5)) {
      case 0:
        out[at] = opcode;
        break;
      case 1:
        out = Buffer.concat([out.subarray(0, at), Buffer.from([opcode]), out.subarray(at)]);
        break;
      case 2: {
        // a memo is fetched where it should not be
        const fetch = Buffer.from([0x68, random.int(256)]);
        out = Buffer.concat([out.subarray(0, at), fetch, out.subarray(at)]);
        break;
      }
      default:
        out = mutatedBytes(random, out);
    }
  }
  return out;
}

/** A torch file with whole checksums around a damaged pickle, storage, name or directory. */
export function mutatedTorch(random: Random, file: Buffer, other: Buffer): Buffer {
  const entries = zipEntries(file);
  if (entries.size === 0) return mutatedBytes(random, file, other);
  const names = [...entries.keys()];
  const name = random.chance(0.7) ? (names.find((one) => one.endsWith('data.pkl')) ?? names[0]) : random.pick(names);
  const changed = new Map(entries);
  switch (random.int(6)) {
    case 0:
      changed.delete(name);
      break;
    case 1: {
      const [own, strange] = [entries.get(name)!, random.pick([...zipEntries(other).values(), Buffer.alloc(0)])];
      changed.set(name, random.chance(0.5) ? strange : Buffer.concat([own, strange]));
      break;
    }
    case 2: {
      changed.delete(name);
      changed.set(
        random.pick(['data.pkl', '../data.pkl', `${name}x`, 'archive/data/999999999', 'archive/byteorder', '']),
        entries.get(name)!,
      );
      break;
    }
    default:
      changed.set(
        name,
        name.endsWith('.pkl') ? mutatedPickle(random, entries.get(name)!) : mutatedBytes(random, entries.get(name)!),
      );
  }
  return storedZip(Object.fromEntries(changed), random.chance(0.03) ? 8 : 0);
}

/** A safetensors file with another header of the right length. */
export function mutatedSafetensors(random: Random, file: Buffer): Buffer {
  const length = Number(file.readBigUInt64LE(0));
  const text = file.toString('utf8', 8, 8 + length);
  const changed = random.chance(0.7)
    ? (JSON.stringify(mutatedValue(random, JSON.parse(text))) ?? '')
    : mutatedText(random, text);
  const header = Buffer.from(changed.slice(0, 1 << 19));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([size, header, file.subarray(8 + length)]);
}

/** A line of a log with another value and the checksum of that value. */
export function resealedLine(random: Random, text: string): string {
  try {
    const { crc32: _, ...value } = JSON.parse(text) as Record<string, unknown>;
    const changed = mutatedValue(random, value);
    return typeof changed === 'object' && changed !== null ? encodeLine(changed).trimEnd() : JSON.stringify(changed);
  } catch {
    return mutatedText(random, text);
  }
}
