import type { Frame } from '../data/formats/frame.js';
import type { Region } from './cursor.js';

/** Resampling filters, with Pillow's names. */
export type ResampleFilter = 'bilinear' | 'bicubic';

interface Kernel {
  /** distance beyond which the kernel is zero, in pixels of the smaller image */
  readonly support: number;
  readonly weight: (distance: number) => number;
}

/** The free parameter of Keys' cubic convolution (1981): Pillow uses -0.5, OpenCV and PyTorch without antialiasing -0.75. */
const CUBIC = -0.5;

const KERNELS: Record<ResampleFilter, Kernel> = {
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: {
    support: 2,
    weight: (distance) => {
      const x = Math.abs(distance);
      if (x < 1) return ((CUBIC + 2) * x - (CUBIC + 3)) * x * x + 1;
      return x < 2 ? (((x - 5) * x + 8) * x - 4) * CUBIC : 0;
    },
  },
};

/** Weights are integers with this many fractional bits, so that all machines round alike (Pillow's 8-bit resampling). */
const FRACTION = 22;
const HALF = 1 << (FRACTION - 1);

/** Weights along one axis: output i is the sum over j < count[i] of weights[i * taps + j] times input first[i] + j. */
interface AxisWeights {
  readonly taps: number;
  readonly first: Int32Array;
  readonly count: Int32Array;
  readonly weights: Int32Array;
}

/**
 * Weights for resizing `from` pixels to `to`. When downscaling, the kernel is wider by the scale, which is the
 * antialiasing. Weights outside the image are dropped, and the rest are normalized to a sum of one.
 */
function axisWeights(from: number, to: number, { support, weight }: Kernel): AxisWeights {
  const scale = from / to;
  const stretch = Math.max(scale, 1);
  const reach = support * stretch;
  const taps = 2 * Math.ceil(reach) + 1;
  const axis = {
    taps,
    first: new Int32Array(to),
    count: new Int32Array(to),
    weights: new Int32Array(to * taps),
  };
  for (let i = 0; i < to; i++) {
    const center = (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - reach + 0.5));
    const count = Math.min(from, Math.trunc(center + reach + 0.5)) - first;
    const exact = Array.from({ length: count }, (_, j) => weight((j + first - center + 0.5) / stretch));
    const sum = exact.reduce((total, value) => total + value, 0);
    axis.first[i] = first;
    axis.count[i] = count;
    exact.forEach((value, j) => {
      const scaled = (value / sum) * (1 << FRACTION);
      axis.weights[i * taps + j] = Math.trunc(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
    });
  }
  return axis;
}

/** Rounds a weighted sum of bytes to a byte. */
function toByte(sum: number): number {
  const value = sum >> FRACTION;
  return value < 0 ? 0 : value > 255 ? 255 : value;
}

/**
 * Resizes screenshots of one size to another, byte-identical to Pillow's `Image.resize` on 8-bit images: first along rows,
 * then along columns, each rounded to bytes. The alpha channel is ignored, as in `convert('RGB')`.
 */
export class Resampler {
  private readonly across: AxisWeights;
  private readonly down: AxisWeights;
  /** the image of the last `resample` after its first pass: [from.height, to.width, 3] */
  private readonly narrowed: Uint8Array;
  private readonly sums: Int32Array;

  /** Sizes in pixels. */
  constructor(
    readonly from: { readonly width: number; readonly height: number },
    readonly to: { readonly width: number; readonly height: number },
    filter: ResampleFilter,
  ) {
    this.across = axisWeights(from.width, to.width, KERNELS[filter]);
    this.down = axisWeights(from.height, to.height, KERNELS[filter]);
    this.narrowed = new Uint8Array(from.height * to.width * 3);
    this.sums = new Int32Array(to.width * 3);
  }

  /** The resized image as bytes [3, to.height, to.width]: a red, a green and a blue plane. */
  resample(frame: Frame): Uint8Array {
    const out = new Uint8Array(3 * this.to.width * this.to.height);
    this.narrow(frame, 0, this.from.height, 0, this.to.width);
    this.shorten(out, 0, this.to.height, 0, this.to.width);
    return out;
  }

  /**
   * Resizes the screenshot of the last `resample` again after a region of it has changed. Only output pixels that depend
   * on the region are recomputed.
   * @param plain the result of that `resample`; stays unchanged
   */
  resampleChanged(frame: Frame, plain: Uint8Array, changed: Region): Uint8Array {
    const [left, right] = touched(this.across, changed.left, changed.right);
    const [top, bottom] = touched(this.down, changed.top, changed.bottom);
    const width = 3 * this.to.width;
    const before = this.narrowed.slice(changed.top * width, changed.bottom * width);
    this.narrow(frame, changed.top, changed.bottom, left, right);
    const out = plain.slice();
    this.shorten(out, top, bottom, left, right);
    this.narrowed.set(before, changed.top * width);
    return out;
  }

  /** First pass: rows [top, bottom) of the screenshot, columns [left, right) of the result. */
  private narrow({ rgba, width }: Frame, top: number, bottom: number, left: number, right: number): void {
    const { taps, first, count, weights } = this.across;
    for (let y = top; y < bottom; y++) {
      let to = (y * this.to.width + left) * 3;
      for (let x = left; x < right; x++) {
        let red = HALF;
        let green = HALF;
        let blue = HALF;
        const end = x * taps + count[x];
        for (let w = x * taps, at = (y * width + first[x]) * 4; w < end; w++, at += 4) {
          const weight = weights[w];
          red += rgba[at] * weight;
          green += rgba[at + 1] * weight;
          blue += rgba[at + 2] * weight;
        }
        this.narrowed[to++] = toByte(red);
        this.narrowed[to++] = toByte(green);
        this.narrowed[to++] = toByte(blue);
      }
    }
  }

  /** Second pass: rows [top, bottom) and columns [left, right) of the result. */
  private shorten(out: Uint8Array, top: number, bottom: number, left: number, right: number): void {
    const { taps, first, count, weights } = this.down;
    const { sums, narrowed } = this;
    const stride = 3 * this.to.width;
    const plane = this.to.width * this.to.height;
    const from = 3 * left;
    const to = 3 * right;
    for (let y = top; y < bottom; y++) {
      sums.fill(HALF, from, to);
      for (let j = 0; j < count[y]; j++) {
        const weight = weights[y * taps + j];
        const row = (first[y] + j) * stride;
        for (let i = from; i < to; i++) sums[i] += narrowed[row + i] * weight;
      }
      for (let x = left, i = from; x < right; x++) {
        const at = y * this.to.width + x;
        out[at] = toByte(sums[i++]);
        out[plane + at] = toByte(sums[i++]);
        out[2 * plane + at] = toByte(sums[i++]);
      }
    }
  }
}

/** The outputs [start, end) that depend on any of the inputs [from, to). Both ends of an output's range grow with its index. */
function touched({ first, count }: AxisWeights, from: number, to: number): [start: number, end: number] {
  let start = 0;
  while (start < first.length && first[start] + count[start] <= from) start++;
  let end = start;
  while (end < first.length && first[end] < to) end++;
  return [start, end];
}
