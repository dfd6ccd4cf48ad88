import { createCanvas, loadImage } from '@napi-rs/canvas';
import { parentPort } from 'node:worker_threads';

/** A picture to make smaller; `number` goes back with the answer. */
export interface ThumbnailRequest {
  readonly number: number;
  readonly png: Uint8Array;
  /** pixels */
  readonly width: number;
}

export type ThumbnailAnswer =
  { readonly number: number; readonly webp: Uint8Array } | { readonly number: number; readonly error: string };

const QUALITY = 82;

parentPort!.on('message', ({ number, png, width }: ThumbnailRequest) => {
  small(png, width).then(
    (webp) => parentPort!.postMessage({ number, webp } satisfies ThumbnailAnswer),
    (error: unknown) => parentPort!.postMessage({ number, error: (error as Error).message } satisfies ThumbnailAnswer),
  );
});

async function small(png: Uint8Array, width: number): Promise<Uint8Array> {
  const picture = await loadImage(Buffer.from(png.buffer, png.byteOffset, png.byteLength));
  const height = Math.max(1, Math.round((picture.height * width) / picture.width));
  const canvas = createCanvas(width, height);
  const context = canvas.getContext('2d');
  context.imageSmoothingQuality = 'high';
  context.drawImage(picture, 0, 0, width, height);
  return canvas.encode('webp', QUALITY);
}
