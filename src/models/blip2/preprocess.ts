import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Point } from '../../data/action.js';
import type { Frame } from '../../data/formats/frame.js';
import { UserError } from '../../errors.js';
import { readJson, schemaError } from '../checkpoint/checkpoint.js';
import { withCursor } from '../cursor.js';
import { Resampler, type ResampleFilter } from '../resample.js';

/** How a screenshot is prepared for the tower. */
export interface Blip2Preprocessing {
  /** size in pixels after resizing, which ignores the aspect ratio */
  readonly size: { readonly width: number; readonly height: number };
  readonly filter: ResampleFilter;
  /** a byte b of channel c becomes b * scale[c] + shift[c] */
  readonly scale: readonly number[];
  readonly shift: readonly number[];
}

/** Pillow's filter numbers, as in the field `resample`. */
const FILTERS: Partial<Record<number, ResampleFilter>> = { 2: 'bilinear', 3: 'bicubic' };

const size = z.int().positive();
const channels = z.array(z.number()).length(3);

/** The fields of a BlipImageProcessor's file. Its defaults are CLIP's mean and standard deviation. */
const ProcessorFile = z.object({
  do_resize: z.boolean().nullish(),
  size: z.union([size, z.object({ height: size, width: size })]).nullish(),
  resample: z.int().nullish(),
  do_center_crop: z.literal(false).nullish(),
  do_rescale: z.boolean().nullish(),
  rescale_factor: z.number().positive().nullish(),
  do_normalize: z.boolean().nullish(),
  image_mean: channels.nullish(),
  image_std: channels.refine((std) => std.every((value) => value > 0), 'expected positive numbers').nullish(),
});

const CLIP_MEAN = [0.48145466, 0.4578275, 0.40821073];
const CLIP_STD = [0.26862954, 0.26130258, 0.27577711];

/**
 * Reads how the processor of a BLIP-2 folder prepares images: from preprocessor_config.json, or from `image_processor` in
 * the processor_config.json of transformers 5. A folder with neither (a vision tower saved alone) gets BLIP's defaults.
 * @param imageSize the tower's input size; a processor with another size is an error
 * @throws UserError that names the wrong field
 */
export function readBlip2Preprocessing(folder: string, imageSize: number): Blip2Preprocessing {
  const { file, json } = processorFile(folder);
  const parsed = ProcessorFile.safeParse(json);
  if (!parsed.success) throw schemaError(file, parsed.error, "a BlipImageProcessor's file");
  const p = parsed.data;
  const made = typeof p.size === 'number' ? { width: p.size, height: p.size } : p.size;
  if (made && (made.width !== imageSize || made.height !== imageSize)) {
    throw new UserError(
      `${file}: size: expected ${imageSize}x${imageSize} as in config.json, got ${made.height}x${made.width}`,
    );
  }
  if (p.do_resize === false)
    throw new UserError(`${file}: do_resize: expected true, got false; critiq has to resize screenshots`);
  const filter = FILTERS[p.resample ?? 3];
  if (!filter) throw new UserError(`${file}: resample: expected 3 (bicubic) or 2 (bilinear), got ${p.resample}`);
  const factor = p.do_rescale === false ? 1 : (p.rescale_factor ?? 1 / 255);
  const mean = p.do_normalize === false ? [0, 0, 0] : (p.image_mean ?? CLIP_MEAN);
  const std = p.do_normalize === false ? [1, 1, 1] : (p.image_std ?? CLIP_STD);
  return {
    size: { width: imageSize, height: imageSize },
    filter,
    scale: std.map((value) => factor / value),
    shift: std.map((value, c) => -mean[c] / value),
  };
}

function processorFile(folder: string): { file: string; json: unknown } {
  for (const name of ['preprocessor_config.json', 'processor_config.json']) {
    const file = join(folder, name);
    if (!existsSync(file)) continue;
    const json = readJson(file) as { image_processor?: unknown } | null;
    if (name === 'preprocessor_config.json') return { file, json };
    // transformers 4 writes this file too, but without the image processor
    if (json?.image_processor) return { file, json: json.image_processor };
  }
  return { file: folder, json: {} };
}

/** Resizes screenshots of any size. It keeps the resampling weights for the last size. */
export class Blip2Preprocessor {
  private resampler?: Resampler;

  constructor(readonly config: Blip2Preprocessing) {}

  /** Bytes [3, height, width]. */
  prepare(frame: Frame): Uint8Array {
    return this.of(frame).resample(frame);
  }

  /** The same with a cursor at each of the points. Pixels that no cursor touches are computed once. */
  prepareWithCursors(frame: Frame, points: readonly Point[]): Uint8Array[] {
    const resampler = this.of(frame);
    const plain = resampler.resample(frame);
    return points.map((point) =>
      withCursor(frame, point, (changed) => resampler.resampleChanged(frame, plain, changed)),
    );
  }

  private of({ width, height }: Frame): Resampler {
    const { from } = this.resampler ?? {};
    if (from?.width !== width || from.height !== height) {
      this.resampler = new Resampler({ width, height }, this.config.size, this.config.filter);
    }
    return this.resampler!;
  }
}
