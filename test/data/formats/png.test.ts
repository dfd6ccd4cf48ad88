/** PNG files of every kind, as other programs write them, against a writer of the test's own and against Skia's reader. */
import assert from 'node:assert/strict';
import { crc32 } from '@node-rs/crc32';
import { createCanvas, loadImage } from '@napi-rs/canvas';
import { test } from 'node:test';
import { deflateSync } from 'node:zlib';
import { decodePng, mostPixels } from '../../../src/data/formats/png.js';
import { Random } from '../../../src/random.js';

const SIGNATURE = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
const CHANNELS: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };
const PASSES = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
];

interface Kind {
  readonly colour: number;
  readonly depth: number;
  readonly interlaced?: boolean;
}

interface Picture extends Kind {
  readonly width: number;
  readonly height: number;
  /** by row, column, channel */
  readonly samples: readonly number[];
  readonly palette?: readonly number[];
  readonly trns?: readonly number[];
}

const chunk = (type: string, data: Uint8Array): Buffer => {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const ends = Buffer.alloc(8);
  ends.writeUInt32BE(data.length, 0);
  ends.writeUInt32BE(crc32(body), 4);
  return Buffer.concat([ends.subarray(0, 4), body, ends.subarray(4)]);
};

/** The bytes of a line from its samples. */
function packed(samples: readonly number[], depth: number): number[] {
  if (depth === 16) return samples.flatMap((sample) => [sample >> 8, sample & 255]);
  const bits = samples.map((sample) => sample.toString(2).padStart(depth, '0')).join('');
  return (bits.padEnd(Math.ceil(bits.length / 8) * 8, '0').match(/.{8}/g) ?? []).map((byte) => parseInt(byte, 2));
}

/** A line under one of the five filters (PNG §9.2), by the definition. */
function filtered(filter: number, line: readonly number[], above: readonly number[], back: number): number[] {
  return line.map((byte, i) => {
    const [a, b, c] = [line[i - back] ?? 0, above[i] ?? 0, above[i - back] ?? 0];
    const p = a + b - c;
    const nearest = [a, b, c].sort((x, y) => Math.abs(p - x) - Math.abs(p - y))[0];
    const paeth = Math.abs(p - a) === Math.abs(p - nearest) ? a : Math.abs(p - b) === Math.abs(p - nearest) ? b : c;
    return (byte - [0, a, b, (a + b) >> 1, paeth][filter]) & 255;
  });
}

function png(picture: Picture, random: Random, spare = 0): Buffer {
  const { width, height, depth, colour, interlaced, samples, palette, trns } = picture;
  const channels = CHANNELS[colour];
  const lines: number[] = [];
  for (const [x0, y0, dx, dy] of interlaced ? PASSES : [[0, 0, 1, 1]]) {
    let above: number[] = [];
    for (let y = y0; y < height && x0 < width; y += dy) {
      const row: number[] = [];
      for (let x = x0; x < width; x += dx) row.push(...samples.slice((y * width + x) * channels, (y * width + x + 1) * channels));
      const line = packed(row, depth);
      const filter = random.int(5);
      lines.push(filter, ...filtered(filter, line, above, Math.max(1, (depth * channels) >> 3)));
      above = line;
    }
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([depth, colour, 0, 0, interlaced ? 1 : 0], 8);
  const data = deflateSync(Uint8Array.from([...lines, ...new Array<number>(spare).fill(7)]));
  const half = data.length >> 1;
  return Buffer.concat([
    SIGNATURE,
    chunk('IHDR', header),
    chunk('tIME', Buffer.alloc(7)),
    ...(palette ? [chunk('PLTE', Uint8Array.from(palette))] : []),
    ...(trns ? [chunk('tRNS', Uint8Array.from(trns))] : []),
    chunk('IDAT', data.subarray(0, half)),
    chunk('IDAT', data.subarray(half)),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

/** The pixels that a picture stands for, by the definition of its kind. */
function pixels({ colour, depth, samples, palette, trns }: Picture): number[] {
  const channels = CHANNELS[colour];
  const most = 2 ** depth - 1;
  const eight = (sample: number) => Math.round((sample * 255) / most);
  const key = trns && colour !== 3 ? trns.flatMap((_, i) => (i % 2 ? [] : [trns[i] * 256 + trns[i + 1]])) : undefined;
  const out: number[] = [];
  for (let i = 0; i < samples.length; i += channels) {
    const own = samples.slice(i, i + channels);
    const clear = key !== undefined && own.every((sample, c) => sample === key[c]);
    if (colour === 3) out.push(...palette!.slice(3 * own[0], 3 * own[0] + 3), trns?.[own[0]] ?? 255);
    else if (channels < 3) out.push(eight(own[0]), eight(own[0]), eight(own[0]), channels === 2 ? eight(own[1]) : clear ? 0 : 255);
    else out.push(...own.slice(0, 3).map(eight), channels === 4 ? eight(own[3]) : clear ? 0 : 255);
  }
  return out;
}

function randomPicture(kind: Kind, random: Random, { width = 1 + random.int(19), height = 1 + random.int(19) } = {}): Picture {
  const { colour, depth } = kind;
  const colours = colour === 3 ? 1 + random.int(2 ** depth) : 2 ** depth;
  const count = width * height * CHANNELS[colour];
  const samples = Array.from({ length: count }, () => random.int(colours));
  const bytes = (length: number) => Array.from({ length }, () => random.int(256));
  if (colour === 3) return { ...kind, width, height, samples, palette: bytes(3 * colours), trns: random.chance(0.5) ? bytes(random.int(colours + 1)) : undefined };
  if (colour > 3 || random.chance(0.5)) return { ...kind, width, height, samples };
  // a transparent colour that occurs
  return { ...kind, width, height, samples, trns: samples.slice(0, CHANNELS[colour]).flatMap((sample) => [sample >> 8, sample & 255]) };
}

const KINDS: readonly Kind[] = [
  ...[1, 2, 4, 8, 16].map((depth) => ({ colour: 0, depth })),
  ...[1, 2, 4, 8].map((depth) => ({ colour: 3, depth })),
  ...[2, 4, 6].flatMap((colour) => [8, 16].map((depth) => ({ colour, depth }))),
];

for (const kind of KINDS) {
  for (const interlaced of [false, true]) {
    test(`colour type ${kind.colour} with ${kind.depth} bits${interlaced ? ', interlaced' : ''}`, async () => {
      const random = new Random(1, 'png', kind.colour, kind.depth, Number(interlaced));
      for (let i = 0; i < 25; i++) {
        const picture = randomPicture({ ...kind, interlaced }, random);
        const file = png(picture, random);
        const { width, height, rgba } = decodePng(file);
        assert.deepEqual([width, height], [picture.width, picture.height]);
        const expected = pixels(picture);
        assert.deepEqual([...rgba], expected);
        if (i >= 5 || kind.depth === 16 || expected.some((value, at) => at % 4 === 3 && value < 255)) continue;
        // Skia reads the test's own file in the same way
        const context = createCanvas(width, height).getContext('2d');
        context.drawImage(await loadImage(file), 0, 0);
        assert.deepEqual([...context.getImageData(0, 0, width, height).data], expected);
      }
    });
  }
}

const GRAY = { colour: 0, depth: 8 };

test('spare bytes behind the pixels are ignored', () => {
  const random = new Random(2, 'spare');
  for (const kind of [GRAY, { colour: 2, depth: 8 }, { colour: 6, depth: 8 }]) {
    const picture = { ...randomPicture(kind, random, { width: 20, height: 30 }), trns: undefined };
    assert.deepEqual([...decodePng(png(picture, random, 1000)).rgba], pixels(picture));
  }
});

/** A file with one byte of its header changed, and a fitting CRC. */
function withHeader(file: Buffer, change: (header: Buffer) => void): Buffer {
  const header = Buffer.from(file.subarray(16, 29));
  change(header);
  return Buffer.concat([file.subarray(0, 8), chunk('IHDR', header), file.subarray(33)]);
}

test('what cannot be read is said in a word', () => {
  const random = new Random(3, 'bad');
  const file = png({ ...randomPicture(GRAY, random, { width: 9, height: 9 }), trns: undefined }, random);
  const insert = (type: string) => Buffer.concat([file.subarray(0, 33), chunk(type, Buffer.alloc(4)), file.subarray(33)]);
  const indexed = png({ colour: 3, depth: 8, width: 2, height: 1, samples: [0, 1], palette: [1, 2, 3] }, random);
  for (const [bytes, reason] of [
    [Buffer.from('GIF89a'), /not a PNG/],
    [file.subarray(0, -20), /truncated PNG: it ends after \d+ bytes/],
    [insert('CgBI'), /unsupported PNG: it has a CgBI chunk.*another program/],
    [withHeader(file, (header) => header.writeUInt32BE(1 << 20, 0)), /1 to 16384 pixels per side .* got 1048576×9/],
    [withHeader(file, (header) => header.fill(0x3f, 2, 4).fill(0x3f, 6, 8)), /at most 16777216 in all/],
    [withHeader(file, (header) => (header[8] = 3)), /colour type 0 with 3 bits/],
    [withHeader(file, (header) => (header[9] = 3)), /no palette/],
    [withHeader(file, (header) => (header[12] = 2)), /interlace 2 is not of the format/],
    [withHeader(file, (header) => header.writeUInt32BE(10, 4)), /expected 100 bytes of pixels, got 90/],
    [withHeader(file, (header) => header.writeUInt32BE(0, 4)), /got 9×0/],
    [indexed, /the colour 1 is outside its palette of 1/],
    [Buffer.concat([file.subarray(0, 33), chunk('IDAT', Buffer.from('not zlib')), chunk('IEND', Buffer.alloc(0))]), /cannot be decompressed/],
  ] as const) {
    assert.throws(() => decodePng(bytes), reason);
  }
  const bomb = Buffer.concat([file.subarray(0, 33), chunk('IDAT', deflateSync(Buffer.alloc(64 << 20))), chunk('IEND', Buffer.alloc(0))]);
  assert.throws(() => decodePng(bomb), /cannot be decompressed/);
});

test('damaged files are errors, never exceptions of another kind, and never take long', () => {
  const random = new Random(4, 'damaged');
  for (let i = 0; i < 1500; i++) {
    const file = png(randomPicture({ ...random.pick(KINDS), interlaced: random.chance(0.5) }, random), random);
    const bytes = Buffer.from(file);
    for (let times = random.int(3); times >= 0; times--) bytes[random.int(bytes.length)] = random.int(256);
    try {
      decodePng(bytes);
    } catch (error) {
      assert.match((error as Error).message, /PNG/);
    }
  }
});

test('a screenshot of a whole page may have more pixels than any screen; a small file may not', () => {
  assert.equal(mostPixels(100_000), 1 << 24);
  // 1440 x 15,000 pixels in 2 MB
  assert.ok(1440 * 15_000 <= mostPixels(2_000_000));
  assert.equal(mostPixels(50_000_000), 1 << 26);
});
