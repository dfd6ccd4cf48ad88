import { unfilter } from './png-filters.js';

/** Colour types (PNG §11.2.1). */
const GRAY = 0;
export const RGB = 2;
const PALETTE = 3;
const GRAY_ALPHA = 4;
export const RGBA = 6;

/** Samples of a pixel by colour type. */
const CHANNELS: Readonly<Record<number, number>> = { [GRAY]: 1, [RGB]: 3, [PALETTE]: 1, [GRAY_ALPHA]: 2, [RGBA]: 4 };
/** Bits of a sample that a colour type may have. */
const DEPTHS: Readonly<Record<number, readonly number[]>> = {
  [GRAY]: [1, 2, 4, 8, 16],
  [RGB]: [8, 16],
  [PALETTE]: [1, 2, 4, 8],
  [GRAY_ALPHA]: [8, 16],
  [RGBA]: [8, 16],
};

/** Adam7's passes (PNG §8.2): first column, first row, columns apart, rows apart. */
const PASSES = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;
const WHOLE = [[0, 0, 1, 1]] as const;

/** What a PNG's header and its small chunks say about its pixels. */
export interface PngKind {
  readonly width: number;
  readonly height: number;
  /** bits per sample */
  readonly depth: number;
  readonly colour: number;
  readonly interlaced: boolean;
  /** RGB by index */
  readonly palette: Uint8Array | undefined;
  /** alpha by index of the palette, or the samples of the transparent colour, 2 bytes each */
  readonly transparent: Uint8Array | undefined;
}

/** @throws Error if the header is not one of the format */
export function kindOf(header: Buffer, palette: Uint8Array | undefined, trns: Uint8Array | undefined): PngKind {
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  const [depth, colour, compression, filter, interlace] = header.subarray(8);
  if (!DEPTHS[colour]?.includes(depth) || compression !== 0 || filter !== 0 || interlace > 1) {
    throw new Error(
      `damaged PNG: colour type ${colour} with ${depth} bits, compression ${compression}, filter ${filter}, interlace ${interlace} is not of the format`,
    );
  }
  if (colour === PALETTE && (palette === undefined || palette.length === 0 || palette.length % 3 !== 0))
    throw new Error('damaged PNG: it has no palette');
  // alpha channels leave no room for a transparent colour
  const expected = colour === GRAY ? 2 : colour === RGB ? 6 : 0;
  const transparent = colour === PALETTE || (expected > 0 && trns?.length === expected) ? trns : undefined;
  return { width, height, depth, colour, interlaced: interlace === 1, palette, transparent };
}

/** The passes of a picture, with the size of each; an empty pass has no lines. */
function passesOf({ width, height, interlaced }: PngKind) {
  return (interlaced ? PASSES : WHOLE).map(([x, y, dx, dy]) => ({
    ...{ x, y, dx, dy },
    columns: Math.max(0, Math.ceil((width - x) / dx)),
    rows: Math.max(0, Math.ceil((height - y) / dy)),
  }));
}

/** Bytes of a line of `columns` pixels, without its filter type. */
function stride({ depth, colour }: PngKind, columns: number): number {
  return Math.ceil((columns * depth * CHANNELS[colour]) / 8);
}

/** Bytes of all lines with their filter types. */
export function lineBytes(kind: PngKind): number {
  return passesOf(kind).reduce(
    (sum, { columns, rows }) => sum + (columns === 0 ? 0 : rows * (1 + stride(kind, columns))),
    0,
  );
}

/**
 * The pixels as RGBA with 8 bits.
 * @param lines filtered lines of all passes; they are changed
 * @throws Error for an unknown filter, or an index outside the palette
 */
export function pixelsOf(kind: PngKind, lines: Uint8Array): Uint8ClampedArray {
  const { width, height, depth, colour } = kind;
  const rgba = new Uint8ClampedArray(4 * width * height);
  const channels = CHANNELS[colour];
  const back = Math.max(1, (depth * channels) >> 3);
  const write = writerOf(kind, rgba);
  const samples = new Uint16Array(width * channels);
  let at = 0;
  for (const { x, y, dx, dy, columns, rows } of passesOf(kind)) {
    if (columns === 0) continue;
    const length = stride(kind, columns);
    let above: Uint8Array = new Uint8Array(length);
    for (let row = 0; row < rows; row++, at += 1 + length) {
      const line = lines.subarray(at + 1, at + 1 + length);
      const filter = lines[at];
      if (filter === 2) for (let i = 0; i < length; i++) line[i] += above[i];
      else unfilter(filter, line, above, back, y + row * dy);
      unpack(line, depth, samples.subarray(0, columns * channels));
      const start = 4 * ((y + row * dy) * width + x);
      for (let column = 0; column < columns; column++) {
        write(samples, column * channels, start + 4 * column * dx);
      }
      above = line;
    }
  }
  return rgba;
}

/** The samples of a line; several in a byte begin with its highest bits. */
function unpack(line: Uint8Array, depth: number, samples: Uint16Array): void {
  if (depth === 8) samples.set(line.subarray(0, samples.length));
  else if (depth === 16) for (let i = 0; i < samples.length; i++) samples[i] = (line[2 * i] << 8) | line[2 * i + 1];
  else {
    const each = 8 / depth;
    const mask = (1 << depth) - 1;
    for (let i = 0; i < samples.length; i++) {
      samples[i] = (line[Math.floor(i / each)] >> (8 - depth * ((i % each) + 1))) & mask;
    }
  }
}

/** Writes the pixel whose samples begin at `from` to `to`. */
type Writer = (samples: Uint16Array, from: number, to: number) => void;

function writerOf({ depth, colour, palette, transparent }: PngKind, rgba: Uint8ClampedArray): Writer {
  if (colour === PALETTE) {
    const colours = palette!.length / 3;
    return (samples, from, to) => {
      const index = samples[from];
      if (index >= colours) throw new Error(`damaged PNG: the colour ${index} is outside its palette of ${colours}`);
      for (let i = 0; i < 3; i++) rgba[to + i] = palette![3 * index + i];
      rgba[to + 3] = transparent?.[index] ?? 255;
    };
  }
  // rounds to the nearest of 256 steps
  const most = 2 ** depth - 1;
  const steps = Uint8Array.from({ length: most + 1 }, (_, sample) => Math.floor((sample * 255) / most + 0.5));
  const gray = colour === GRAY || colour === GRAY_ALPHA;
  const colours = gray ? 1 : 3;
  const alpha = colour === GRAY_ALPHA || colour === RGBA;
  const clear = transparent && Array.from({ length: colours }, (_, i) => (transparent[2 * i] << 8) | transparent[2 * i + 1]);
  return (samples, from, to) => {
    for (let i = 0; i < 3; i++) rgba[to + i] = steps[samples[from + (gray ? 0 : i)]];
    const isClear = clear?.every((sample, i) => samples[from + i] === sample) ?? false;
    rgba[to + 3] = alpha ? steps[samples[from + colours]] : isClear ? 0 : 255;
  };
}
