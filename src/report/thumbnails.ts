import { createCanvas, ImageData } from '@napi-rs/canvas';
import type { Frame } from '../data/formats/frame.js';

/** A small picture as a data URI, with its size in pixels. */
export interface Thumbnail {
  readonly uri: string;
  readonly width: number;
  readonly height: number;
}

const WIDTH = 150;
/** Tallest thumbnail, for pictures that are not a phone's. */
const HEIGHT = 450;
const QUALITY = 72;

/** The screenshot as WebP, at most 150 pixels wide. */
export async function thumbnail({ width, height, rgba }: Frame): Promise<Thumbnail> {
  const scale = Math.min(1, WIDTH / width, HEIGHT / height);
  const full = createCanvas(width, height);
  full.getContext('2d').putImageData(new ImageData(new Uint8ClampedArray(rgba), width, height), 0, 0);
  const size = { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
  const small = createCanvas(size.width, size.height);
  const context = small.getContext('2d');
  context.imageSmoothingQuality = 'high';
  context.drawImage(full, 0, 0, size.width, size.height);
  const webp = await small.encode('webp', QUALITY);
  return { ...size, uri: `data:image/webp;base64,${webp.toString('base64')}` };
}
