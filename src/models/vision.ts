import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { writeAtomic } from '../data/store/atomic.js';
import type { Point } from '../data/action.js';
import type { Frame } from '../data/formats/frame.js';
import { Forward, input, type Parameters, type Runtime } from '../graph/index.js';
import { rowBucket } from './buckets.js';
import { readJson, schemaError } from './checkpoint/checkpoint.js';
import { convTower, convTowerDim, shrink, shrunkLength, ConvTowerFile, type ConvTowerConfig } from './conv-tower.js';
import { withCursor } from './cursor.js';

/** A screenshot prepared for a vision tower, small enough to queue hundreds of them. */
export type Pixels = Uint8Array;

/** Turns screenshots into image vectors. */
export interface VisionTower {
  /** length of an image vector */
  readonly dim: number;
  prepare(frame: Frame): Pixels;
  /** Prepares a screenshot once for each point, with a cursor there. */
  prepareWithCursors(frame: Frame, points: readonly Point[]): Pixels[];
  /** The image vectors of prepared screenshots, in order. */
  vectors(pixels: readonly Pixels[]): Promise<Float32Array[]>;
}

/** Screenshots per batch. */
const BATCH = 64;

/** The pocket tower (conv-tower.ts), ready to run. */
export class ConvTower implements VisionTower {
  readonly dim: number;
  private readonly forward: Forward<number>;

  /** @param params has the tower's weights under `vision.*` (and possibly others), which are read in place */
  constructor(
    runtime: Runtime,
    params: Parameters,
    readonly config: ConvTowerConfig,
  ) {
    this.dim = convTowerDim(config);
    this.forward = new Forward<number>(runtime, params, (p, rows) => ({
      vectors: convTower(p, config, input('pixels', [rows, 3, ...config.image_size])),
    }));
  }

  prepare(frame: Frame): Pixels {
    return shrink(frame, this.config);
  }

  prepareWithCursors(frame: Frame, points: readonly Point[]): Pixels[] {
    const plain = this.prepare(frame);
    return points.map((point) =>
      withCursor(frame, point, (changed) => shrink(frame, this.config, plain.slice(), changed)),
    );
  }

  async vectors(pixels: readonly Pixels[]): Promise<Float32Array[]> {
    const out: Float32Array[] = [];
    const size = shrunkLength(this.config);
    for (let start = 0; start < pixels.length; start += BATCH) {
      const batch = pixels.slice(start, start + BATCH);
      const rows = rowBucket(batch.length);
      // Written in place, because these are megabytes.
      const { vectors } = await this.forward.run(rows, ({ pixels: feed }) =>
        batch.forEach((image, i) => (feed as Float32Array).set(image, i * size)),
      );
      const flat = vectors as Float32Array;
      batch.forEach((_, i) => out.push(flat.slice(i * this.dim, (i + 1) * this.dim)));
    }
    return out;
  }
}

/** Reads a pocket tower's config.json. @throws UserError if it is that of something else */
export function readTowerConfig(folder: string): ConvTowerConfig {
  const file = join(folder, 'config.json');
  const { success, data, error } = ConvTowerFile.safeParse(readJson(file));
  if (success) return data;
  throw schemaError(file, error, 'model_type "critiq-conv" with image_size and layers');
}

/** Writes a tower's config.json into its folder. */
export async function writeTowerConfig(folder: string, config: ConvTowerConfig): Promise<void> {
  mkdirSync(folder, { recursive: true });
  await writeAtomic(join(folder, 'config.json'), JSON.stringify(config, null, 2));
}
