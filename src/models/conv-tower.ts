import { z } from 'zod';
import type { Frame } from '../data/formats/frame.js';
import { add, conv2d, mul, relu, reshape, type Tensor } from '../graph/index.js';
import { size } from './checkpoint/bounds.js';
import type { ParameterSpecs } from './checkpoint/checkpoint.js';
import type { Region } from './cursor.js';
import { Resampler } from './resample.js';

/**
 * The pocket vision tower: a few strided convolutions whose last, coarse feature map is flattened. It keeps the layout of
 * the screen (its vector has channels × rows × columns numbers, where BLIP-2's pooled vector has 1408), because a small
 * policy must read positions from it. `sft` trains it with the policy; later stages keep it frozen.
 */
export interface ConvTowerConfig {
  readonly model_type: 'critiq-conv';
  /** size of the downscaled screenshot in pixels, [height, width]; screenshots of a multiple of it are averaged, others resampled */
  readonly image_size: readonly [height: number, width: number];
  readonly layers: readonly { channels: number; kernel: number; stride: number; pad: number }[];
}

/** A tower's config.json; see ConvTowerConfig. */
export const ConvTowerFile = z.object({
  model_type: z.literal('critiq-conv'),
  image_size: z.tuple([size, size]),
  layers: z
    .array(z.object({ channels: size, kernel: size, stride: size, pad: z.int().min(0).max(1000) }))
    .max(1000, 'more than 1000 layers'),
});

/** For screens of 270 × 585, downscaled by 3; the last map is 17 × 8. */
export const POCKET_TOWER: ConvTowerConfig = {
  model_type: 'critiq-conv',
  image_size: [195, 90],
  layers: [
    { channels: 12, kernel: 5, stride: 3, pad: 1 },
    { channels: 24, kernel: 3, stride: 2, pad: 1 },
    { channels: 32, kernel: 3, stride: 2, pad: 1 },
    { channels: 6, kernel: 1, stride: 1, pad: 0 },
  ],
};

/** Channels, rows and columns of the last map. */
export function convTowerMap(config: ConvTowerConfig): { channels: number; rows: number; columns: number } {
  let [rows, columns] = config.image_size;
  for (const { kernel, stride, pad } of config.layers) {
    rows = Math.floor((rows + 2 * pad - kernel) / stride) + 1;
    columns = Math.floor((columns + 2 * pad - kernel) / stride) + 1;
  }
  return { channels: config.layers[config.layers.length - 1].channels, rows, columns };
}

/** Length of the image vector. */
export function convTowerDim(config: ConvTowerConfig): number {
  const { channels, rows, columns } = convTowerMap(config);
  return channels * rows * columns;
}

/** Parameters by name (`vision.0.weight` [out, in, k, k], ...), with He initialization. */
export function convTowerSpecs(config: ConvTowerConfig): ParameterSpecs {
  const specs: ParameterSpecs = {};
  let inputs = 3;
  config.layers.forEach(({ channels, kernel }, i) => {
    const std = Math.sqrt(2 / (inputs * kernel * kernel));
    specs[`vision.${i}.weight`] = { shape: [channels, inputs, kernel, kernel], init: { normal: std } };
    specs[`vision.${i}.bias`] = { shape: [channels], init: 'zeros' };
    inputs = channels;
  });
  return specs;
}

/** Image vectors [N, dim] of downscaled screenshots [N, 3, height, width] with values 0..255. */
export function convTower(p: Record<string, Tensor>, config: ConvTowerConfig, pixels: Tensor): Tensor {
  let x = mul(add(pixels, -127.5), 1 / 64);
  config.layers.forEach(({ stride, pad }, i) => {
    x = conv2d(x, p[`vision.${i}.weight`], p[`vision.${i}.bias`], { stride, pad });
    if (i + 1 < config.layers.length) x = relu(x);
  });
  return reshape(x, [pixels.shape[0], convTowerDim(config)]);
}

/** The resamplers of the last sizes of screenshots. */
const resamplers = new Map<string, Resampler>();
const MOST_SIZES = 8;

function resampler(from: Size, to: Size): Resampler {
  const key = `${from.width}x${from.height} ${to.width}x${to.height}`;
  let made = resamplers.get(key);
  if (!made) {
    made = new Resampler({ width: from.width, height: from.height }, to, 'bilinear');
    if (resamplers.size === MOST_SIZES) resamplers.clear();
    resamplers.set(key, made);
  }
  return made;
}

interface Size {
  readonly width: number;
  readonly height: number;
}

/** Maximum width of a block in pixels: a row of this many bytes adds up to less than 2¹⁶. */
const MAX_BLOCK = 257;

/**
 * Downscales a screenshot to the tower's input by averaging blocks of pixels, or by a bilinear filter where the screenshot's
 * size is not a multiple of the tower's (other devices, imported data): it is then stretched to the tower's aspect ratio, so
 * that points in fractions of the screen stay where they are. Writes [3, height, width] bytes into `out` (default: a new array).
 * @param only restricts this to the blocks that a region of the screenshot touches
 */
export function shrink(
  frame: Frame,
  config: ConvTowerConfig,
  out = new Uint8Array(shrunkLength(config)),
  only: Region = { top: 0, bottom: frame.height, left: 0, right: frame.width },
): Uint8Array {
  const [height, width] = config.image_size;
  const fy = frame.height / height;
  const fx = frame.width / width;
  if (!Number.isInteger(fx) || !Number.isInteger(fy) || fx > MAX_BLOCK) {
    out.set(resampler(frame, { width, height }).resample(frame));
    return out;
  }
  const scale = 1 / (fx * fy);
  const plane = height * width;
  const stride = frame.width * 4;
  // Each pixel is read as a little-endian word; red and blue are summed together, in the two halves of a word.
  const pixels = new DataView(frame.rgba.buffer, frame.rgba.byteOffset, frame.rgba.byteLength);
  for (let y = Math.floor(only.top / fy); y < Math.ceil(only.bottom / fy); y++) {
    for (let x = Math.floor(only.left / fx); x < Math.ceil(only.right / fx); x++) {
      let r = 0;
      let g = 0;
      let b = 0;
      let row = y * fy * stride + x * fx * 4;
      for (let dy = 0; dy < fy; dy++, row += stride) {
        let both = 0;
        if (fx === 3) {
          // The loop below, unrolled: this takes three quarters of the time for the pocket tower's blocks.
          const first = pixels.getInt32(row, true);
          const second = pixels.getInt32(row + 4, true);
          const third = pixels.getInt32(row + 8, true);
          both = (first & 0xff00ff) + (second & 0xff00ff) + (third & 0xff00ff);
          g += ((first >>> 8) & 0xff) + ((second >>> 8) & 0xff) + ((third >>> 8) & 0xff);
        } else {
          for (let at = row, end = row + fx * 4; at < end; at += 4) {
            const pixel = pixels.getInt32(at, true);
            both += pixel & 0xff00ff;
            g += (pixel >>> 8) & 0xff;
          }
        }
        r += both & 0xffff;
        b += both >>> 16;
      }
      const to = y * width + x;
      out[to] = r * scale + 0.5;
      out[plane + to] = g * scale + 0.5;
      out[2 * plane + to] = b * scale + 0.5;
    }
  }
  return out;
}

/** Bytes of a downscaled screenshot. */
export function shrunkLength(config: ConvTowerConfig): number {
  return 3 * config.image_size[0] * config.image_size[1];
}
