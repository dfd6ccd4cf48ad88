import { createCanvas, ImageData } from '@napi-rs/canvas';
import { encodePng } from '../../data/formats/png.js';
import type { Frame } from '../../data/formats/frame.js';
import { RunError } from '../../errors.js';
import { Resampler } from '../../models/resample.js';

export interface PictureOptions {
  readonly type: 'png' | 'jpeg';
  /** JPEG quality, 1 to 100 */
  readonly quality: number;
  /** resize to whole patches, as the model's own preprocessing does; undefined: send the screen unchanged */
  readonly patches?: PatchOptions;
}

export interface PatchOptions {
  /** side of a patch in pixels: 28 for Qwen2-VL and Qwen2.5-VL, 32 for Qwen3-VL */
  readonly factor: number;
  readonly minPixels: number;
  readonly maxPixels: number;
}

/** A screen in the form in which it is sent. */
export interface SentPicture {
  /** data URL */
  readonly url: string;
  readonly width: number;
  readonly height: number;
}

/** Largest ratio of the long to the short side; the released code refuses more too. */
const LARGEST_RATIO = 200;

/**
 * The size to which Qwen's preprocessing resizes a picture: whole patches, a number of pixels within limits, proportions
 * kept as nearly as that allows (`smart_resize` of qwen-vl-utils, https://github.com/QwenLM/Qwen3-VL). The server does not
 * resize a picture of this size again, so pixel coordinates mean the same to both sides.
 * @throws RunError if the long side is more than 200 times the short side
 */
export function patchedSize(
  { width, height }: Pick<Frame, 'width' | 'height'>,
  { factor, minPixels, maxPixels }: PatchOptions,
): { width: number; height: number } {
  if (Math.max(width, height) / Math.min(width, height) > LARGEST_RATIO) {
    throw new RunError(
      `a screen of ${width} x ${height} pixels is too long for the model: expected a ratio of at most ${LARGEST_RATIO} to 1`,
    );
  }
  // the same order of operations as in the released code, so that sides between two patches round the same way
  const sized = (patchesOf: (side: number) => number) => ({
    width: Math.max(factor, patchesOf(width) * factor),
    height: Math.max(factor, patchesOf(height) * factor),
  });
  const near = sized((side) => halfToEven(side / factor));
  if (near.width * near.height > maxPixels) {
    const beta = Math.sqrt((height * width) / maxPixels);
    return sized((side) => Math.floor(side / beta / factor));
  }
  if (near.width * near.height < minPixels) {
    const beta = Math.sqrt(minPixels / (height * width));
    return sized((side) => Math.ceil((side * beta) / factor));
  }
  return near;
}

/** Python's `round`. */
function halfToEven(n: number): number {
  const floor = Math.floor(n);
  if (n - floor !== 0.5) return Math.round(n);
  return floor % 2 === 0 ? floor : floor + 1;
}

/** Resizes and encodes a screen for the model. */
export async function sentPicture(frame: Frame, { type, quality, patches }: PictureOptions): Promise<SentPicture> {
  const { width, height } = patches ? patchedSize(frame, patches) : frame;
  const sent = width === frame.width && height === frame.height ? frame : resized(frame, width, height);
  const bytes = type === 'png' ? await encodePng(sent) : await jpeg(sent, quality);
  return { url: `data:image/${type};base64,${bytes.toString('base64')}`, width, height };
}

function jpeg({ width, height, rgba }: Frame, quality: number): Promise<Buffer> {
  const canvas = createCanvas(width, height);
  canvas.getContext('2d').putImageData(new ImageData(new Uint8ClampedArray(rgba), width, height), 0, 0);
  return canvas.encode('jpeg', quality);
}

/** Resamplers by size; a run needs one or two. */
const resamplers = new Map<string, Resampler>();

/** Resizes like Pillow's bicubic filter, which the models' own preprocessing uses. */
function resized(frame: Frame, width: number, height: number): Frame {
  const key = `${frame.width}x${frame.height} ${width}x${height}`;
  let resampler = resamplers.get(key);
  if (!resampler) {
    if (resamplers.size >= 8) resamplers.clear();
    resampler = new Resampler(frame, { width, height }, 'bicubic');
    resamplers.set(key, resampler);
  }
  const planes = resampler.resample(frame);
  const count = width * height;
  const rgba = new Uint8ClampedArray(4 * count);
  for (let i = 0; i < count; i++) {
    rgba[4 * i] = planes[i];
    rgba[4 * i + 1] = planes[count + i];
    rgba[4 * i + 2] = planes[2 * count + i];
    rgba[4 * i + 3] = 255;
  }
  return { width, height, rgba };
}
