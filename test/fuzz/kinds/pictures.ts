/** Pictures: PNG by critiq's codec, JPEG and WebP by another's. */
import { createCanvas } from '@napi-rs/canvas';
import { readFileSync } from 'node:fs';
import { deflateSync } from 'node:zlib';
import { decodePicture } from '../../../src/data/formats/picture.js';
import { decodePng, encodePng } from '../../../src/data/formats/png.js';
import { pngText, withPngText } from '../../../src/data/formats/png-text.js';
import { UserError } from '../../../src/errors.js';
import { Random } from '../../../src/random.js';
import { fixture } from '../../rigs/files.js';
import { mutatedBytes } from '../bytes.js';
import { mutatedPng, pngOf } from '../containers.js';
import type { Kind, Seed } from '../kind.js';

/** A PNG of any kind, with random pixels. */
function pngKind(colour: number, depth: number, interlace: number): Buffer {
  const [width, height] = [9, 5];
  const random = new Random(colour, 'png', depth, interlace);
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([depth, colour, 0, 0, interlace], 8);
  const samples = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 }[colour]!;
  const passes = interlace ? [[0, 0, 8, 8], [4, 0, 8, 8], [0, 4, 4, 8], [2, 0, 4, 4], [0, 2, 2, 4], [1, 0, 2, 2], [0, 1, 1, 2]] : [[0, 0, 1, 1]]; // prettier-ignore
  const lines = passes.flatMap(([x, y, dx, dy]) => {
    const [columns, rows] = [Math.ceil((width - x) / dx), Math.ceil((height - y) / dy)];
    if (columns <= 0) return [];
    return Array.from({ length: rows }, () => [
      random.int(5),
      ...Array.from({ length: Math.ceil((columns * samples * depth) / 8) }, () => random.int(256)),
    ]);
  });
  return pngOf([
    { type: 'IHDR', data: header },
    ...(colour === 3
      ? [
          { type: 'PLTE', data: Buffer.alloc(3 * 2 ** depth, 7) },
          { type: 'tRNS', data: Buffer.alloc(2, 9) },
        ]
      : []),
    { type: 'IDAT', data: deflateSync(Buffer.from(lines.flat())) },
    { type: 'IEND', data: Buffer.alloc(0) },
  ]);
}

async function pngSeeds(): Promise<Seed[]> {
  const rgba = new Uint8ClampedArray(12 * 7 * 4).map((_, i) => (i * 37) % 256);
  const own = await encodePng({ width: 12, height: 7, rgba });
  const kinds = [[0, 1], [0, 8], [0, 16], [2, 8], [2, 16], [3, 2], [3, 8], [4, 8], [6, 8], [6, 16]]; // prettier-ignore
  return [
    { name: 'phone', bytes: readFileSync(fixture('preprocess', 'phone.png')) },
    { name: 'own', bytes: own },
    { name: 'named', bytes: withPngText(own, 'critiq-image', `${'a'.repeat(32)} ${'b'.repeat(32)}`) },
    ...kinds.flatMap(([colour, depth]) =>
      [0, 1].map((interlace) => ({
        name: `${colour}-${depth}-${interlace}`,
        bytes: pngKind(colour, depth, interlace),
      })),
    ),
  ];
}

function checkFrame({ width, height, rgba }: { width: number; height: number; rgba: Uint8ClampedArray }): void {
  if (rgba.length !== 4 * width * height) throw new RangeError(`${width} x ${height} pixels in ${rgba.length} bytes`);
}

/** Decodes as the readers of picture files do: decoders throw plain errors, to which their callers add the file. */
async function told(decode: () => unknown): Promise<void> {
  try {
    await decode();
  } catch (error) {
    if ((error as Error).constructor !== Error || (error as Error).message.includes('\n')) throw error;
    throw new UserError(`input: ${(error as Error).message}`);
  }
}

export const PICTURES: readonly Kind[] = [
  {
    name: 'png',
    weight: 2,
    seeds: pngSeeds,
    mutate: (random, bytes, other) =>
      random.chance(0.6) ? mutatedPng(random, bytes, other) : mutatedBytes(random, bytes, other),
    read: (input) =>
      told(() => {
        checkFrame(decodePng(input));
        pngText(input, 'critiq-image');
      }),
  },
  {
    name: 'jpeg-webp',
    seeds: async () => {
      const canvas = createCanvas(33, 20);
      const context = canvas.getContext('2d');
      context.fillStyle = '#35f';
      context.fillRect(3, 4, 20, 9);
      return [
        { name: 'jpeg', bytes: await canvas.encode('jpeg', 80) },
        { name: 'webp', bytes: await canvas.encode('webp', 80) },
        { name: 'lossless', bytes: await canvas.encode('webp', 100) },
      ];
    },
    mutate: mutatedBytes,
    read: (input) => told(async () => checkFrame(await decodePicture(input))),
  },
];
