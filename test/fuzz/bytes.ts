/** Mutations of bytes that know nothing of their format, and of the numbers that most formats have in them. */
import type { Random } from '../../src/random.js';

/** Numbers at which sizes, counts and offsets break. */
const EXTREMES = [
  0, 1, 2, 7, 8, 127, 128, 255, 256, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff,
];
const WIDE = [0n, 1n, 0x7fffffffn, 0xffffffffn, 1n << 32n, 1n << 53n, (1n << 63n) - 1n, 1n << 63n, (1n << 64n) - 1n];
/** Most bytes of an input. */
export const LONGEST = 1 << 20;

/** A place in the bytes; ends, where headers and footers are, are likelier than the middle. */
export function place(random: Random, length: number): number {
  const near = Math.min(length, 256);
  switch (random.int(4)) {
    case 0:
      return random.int(near);
    case 1:
      return length - 1 - random.int(near);
    default:
      return random.int(length);
  }
}

type Edit = (random: Random, bytes: Buffer, other: Buffer) => Buffer;

/** Changes a part of the bytes in place. */
const within =
  (width: number, change: (random: Random, copy: Buffer, at: number) => void): Edit =>
  (random, bytes) => {
    if (bytes.length < width) return bytes;
    const copy = Buffer.from(bytes);
    change(random, copy, place(random, bytes.length - width + 1));
    return copy;
  };

const aligned = (random: Random, at: number, width: number): number => (random.chance(0.7) ? at - (at % width) : at);

const EDITS: readonly Edit[] = [
  within(1, (random, copy, at) => (copy[at] ^= 1 << random.int(8))),
  within(1, (random, copy, at) => (copy[at] = random.int(256))),
  within(2, (random, copy, at) => {
    const value = random.pick(EXTREMES) & 0xffff;
    if (random.chance(0.5)) copy.writeUInt16LE(value, aligned(random, at, 2));
    else copy.writeUInt16BE(value, at);
  }),
  within(4, (random, copy, at) => {
    const value = random.pick(EXTREMES);
    if (random.chance(0.6)) copy.writeUInt32LE(value, aligned(random, at, 4));
    else copy.writeUInt32BE(value, at);
  }),
  within(8, (random, copy, at) => copy.writeBigUInt64LE(random.pick(WIDE), aligned(random, at, 8))),
  // a number a little larger or smaller than it was
  within(4, (random, copy, at) => {
    const start = aligned(random, at, 4);
    copy.writeUInt32LE((copy.readUInt32LE(start) + random.pick([-8, -1, 1, 8, 64])) >>> 0, start);
  }),
  // cut at the end, at the start, in the middle
  (random, bytes) => bytes.subarray(0, random.int(bytes.length + 1)),
  (random, bytes) => bytes.subarray(random.int(Math.min(bytes.length, 64) + 1)),
  (random, bytes) => {
    const from = random.int(bytes.length + 1);
    return Buffer.concat([bytes.subarray(0, from), bytes.subarray(Math.min(bytes.length, from + 1 + random.int(64)))]);
  },
  // a part again, some bytes more, a part of another input
  (random, bytes) => {
    const [from, to] = range(random, bytes.length);
    return Buffer.concat([bytes.subarray(0, to), bytes.subarray(from, to), bytes.subarray(to)]);
  },
  (random, bytes) => {
    const at = random.int(bytes.length + 1);
    const more = Buffer.alloc(1 + random.int(32), random.pick([0, 0xff, 0x20, random.int(256)]));
    return Buffer.concat([bytes.subarray(0, at), more, bytes.subarray(at)]);
  },
  (random, bytes, other) => {
    const [from, to] = range(random, other.length);
    const at = random.int(bytes.length + 1);
    return Buffer.concat([bytes.subarray(0, at), other.subarray(from, to), bytes.subarray(at + (to - from))]);
  },
  // a part is zeros
  within(1, (random, copy, at) =>
    copy.fill(random.pick([0, 0xff]), at, Math.min(copy.length, at + 1 + random.int(64))),
  ),
];

function range(random: Random, length: number): [from: number, to: number] {
  const [from, to] = [random.int(length + 1), random.int(length + 1)].sort((a, b) => a - b);
  return [from, to];
}

/** One to four edits. @param other bytes of the same kind, for splices */
export function mutatedBytes(random: Random, bytes: Buffer, other: Buffer = bytes): Buffer {
  let out = bytes;
  for (let times = random.chance(0.6) ? 1 : 2 + random.int(3); times > 0; times--)
    out = random.pick(EDITS)(random, out, other);
  return out.subarray(0, LONGEST);
}
