import { createCanvas, ImageData } from '@napi-rs/canvas';
import { encodePng } from '../../data/formats/png.js';
import type { Frame } from '../../data/formats/frame.js';
import { RunError } from '../../errors.js';
import { Resampler } from '../../models/resample.js';

export interface PictureOptions {
  readonly type: 'png' | 'jpeg';
  /** of a JPEG, 1 to 100 */
  readonly quality: number;
  /** resize to whole patches, as the model's own preprocessing does; undefined: send the screen as it is */
  readonly patches?: PatchOptions;
}

export interface PatchOptions {
  /** side of a patch in pixels: 28 for Qwen2-VL and Qwen2.5-VL, 32 for Qwen3-VL */
  readonly factor: number;
  readonly minPixels: number;
  readonly maxPixels: number;
}

/** A screen as it is sent. */
export interface SentPicture {
  /** data URL */
  readonly url: string;
  readonly width: number;
  readonly height: number;
}

/** Taller or wider pictures than this (long side to short side) are refused, as the released code does. */
const MOST_STRETCHED = 200;

/**
 * The size that Qwen's preprocessing gives a picture: sides in whole patches, the number of pixels within limits, the
 * proportions as nearly kept as that allows (`smart_resize` of qwen-vl-utils, https://github.com/QwenLM/Qwen3-VL). A
 * picture that has it is not resized again by the server, so that pixels mean the same to both.
 * @throws RunError where the picture is more than 200 times as long as wide
 */
export function patchedSize(
  { width, height }: Pick<Frame, 'width' | 'height'>,
  { factor, minPixels, maxPixels }: PatchOptions,
): { width: number; height: number } {
  if (Math.max(width, height) / Math.min(width, height) > MOST_STRETCHED) {
    throw new RunError(
      `a screen of ${width} x ${height} pixels is too long for the model (at most ${MOST_STRETCHED} to 1)`,
    );
  }
  // in the order of the released code's operations, so that sides at the edge of a patch are rounded alike
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

/** A screen as the model is to see it. */
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

/** Resizers by their sizes: a run has one or two. */
const resamplers = new Map<string, Resampler>();

/** Bicubic as Pillow's, which is what the models' own preprocessing uses. */
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
