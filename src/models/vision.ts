import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { writeAtomic } from '../data/store/atomic.js';
import type { Point } from '../data/action.js';
import type { Frame } from '../data/formats/frame.js';
import { UserError } from '../errors.js';
import { Forward, input, type Parameters, type Runtime } from '../graph/index.js';
import { rowBucket } from './buckets.js';
import { readJson } from './checkpoint/checkpoint.js';
import { convTower, convTowerDim, shrink, shrunkLength, type ConvTowerConfig } from './conv-tower.js';
import { withCursor } from './cursor.js';

/** Pixels in the form a vision tower takes them, small enough to queue by the hundred. */
export type Pixels = Uint8Array;

/** Turns screenshots into image vectors. */
export interface VisionTower {
  /** length of an image vector */
  readonly dim: number;
  /** Prepare a screenshot. */
  prepare(frame: Frame): Pixels;
  /** Prepare a screenshot with a cursor at each of some points. */
  prepareWithCursors(frame: Frame, points: readonly Point[]): Pixels[];
  /** Image vectors, one for each prepared screenshot, in order. */
  vectors(pixels: readonly Pixels[]): Promise<Float32Array[]>;
}

/** Screenshots that go through the tower together. */
const BATCH = 64;

/** The pocket tower (conv-tower.ts) at work. */
export class ConvTower implements VisionTower {
  readonly dim: number;
  private readonly forward: Forward<number>;

  /** @param params holds the tower's weights under `vision.*` (and possibly others); read in place */
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
      // written in place: these are megabytes
      const { vectors } = await this.forward.run(rows, ({ pixels: feed }) =>
        batch.forEach((image, i) => (feed as Float32Array).set(image, i * size)),
      );
      const flat = vectors as Float32Array;
      batch.forEach((_, i) => out.push(flat.slice(i * this.dim, (i + 1) * this.dim)));
    }
    return out;
  }
}

/** Read a tower's config.json. @throws UserError for a kind of tower that critiq does not know */
export function readTowerConfig(folder: string): ConvTowerConfig {
  const file = join(folder, 'config.json');
  const config = readJson(file) as Partial<ConvTowerConfig>;
  if (config.model_type !== 'critiq-conv' || !Array.isArray(config.layers) || !Array.isArray(config.image_size)) {
    throw new UserError(`${file}: model_type: expected "critiq-conv", got ${JSON.stringify(config.model_type)}`);
  }
  return config as ConvTowerConfig;
}

/** Write a tower's config.json into its folder. */
export async function writeTowerConfig(folder: string, config: ConvTowerConfig): Promise<void> {
  mkdirSync(folder, { recursive: true });
  await writeAtomic(join(folder, 'config.json'), JSON.stringify(config, null, 2));
}
