import { createCanvas, ImageData } from '@napi-rs/canvas';
import { parentPort } from 'node:worker_threads';
import { decodePng } from '../data/formats/png.js';
import { Resampler } from '../models/resample.js';

/** A picture to shrink; `number` comes back in the answer. */
export interface ThumbnailRequest {
  readonly number: number;
  readonly png: Uint8Array;
  /** pixels */
  readonly width: number;
}

export type ThumbnailAnswer =
  { readonly number: number; readonly webp: Uint8Array } | { readonly number: number; readonly error: string };

const QUALITY = 82;

/** For the size of the last picture: the next one is probably from the same device. */
let resampler: Resampler | undefined;

parentPort!.on('message', ({ number, png, width }: ThumbnailRequest) => {
  small(png, width).then(
    (webp) => parentPort!.postMessage({ number, webp } satisfies ThumbnailAnswer),
    (error: unknown) => parentPort!.postMessage({ number, error: (error as Error).message } satisfies ThumbnailAnswer),
  );
});

/** Without a canvas for the large picture: V8 does not see its memory, and would free it too late. */
async function small(png: Uint8Array, width: number): Promise<Uint8Array> {
  const frame = decodePng(png);
  const to = { width, height: Math.max(1, Math.round((frame.height * width) / frame.width)) };
  const { from } = resampler ?? {};
  if (from?.width !== frame.width || from.height !== frame.height)
    resampler = new Resampler({ width: frame.width, height: frame.height }, to, 'bilinear');
  const planes = resampler!.resample(frame);
  const pixels = to.width * to.height;
  const rgba = new Uint8ClampedArray(4 * pixels).fill(255);
  for (let i = 0; i < pixels; i++) {
    rgba[4 * i] = planes[i];
    rgba[4 * i + 1] = planes[pixels + i];
    rgba[4 * i + 2] = planes[2 * pixels + i];
  }
  const canvas = createCanvas(to.width, to.height);
  canvas.getContext('2d').putImageData(new ImageData(rgba, to.width, to.height), 0, 0);
  return canvas.encode('webp', QUALITY);
}
