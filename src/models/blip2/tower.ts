import { createHash } from 'node:crypto';
import type { Point } from '../../data/action.js';
import type { Frame } from '../../data/formats/frame.js';
import { Forward, add, constant, input, mul, type Parameters, type Runtime } from '../../graph/index.js';
import { blip2Pooled, readBlip2VisionConfig, type Blip2VisionConfig } from './blip2.js';
import { isBlip2Vision, loadBlip2Vision } from './checkpoint.js';
import { Blip2Preprocessor, readBlip2Preprocessing, type Blip2Preprocessing } from './preprocess.js';
import { CachedVectors, type OpenCache } from '../cached-vectors.js';
import { checkpointFingerprint } from '../checkpoint/fingerprint.js';
import type { Pixels, VisionTower } from '../vision.js';

/**
 * Screenshots per batch. A remainder is computed one by one: each image is already 257 rows of a matrix product, so padding
 * the batch would only add work.
 */
const BATCH = 4;

/**
 * BLIP-2's vision tower, ready to run. It loads its weights (4 GB for ViT-g) only when a vector is not in the cache.
 */
export class Blip2Tower implements VisionTower {
  readonly dim: number;
  private readonly preprocessor: Blip2Preprocessor;
  private readonly known: CachedVectors<Pixels>;
  private forward?: Promise<Forward<number>>;

  private constructor(
    private readonly runtime: Runtime,
    private readonly config: Blip2VisionConfig,
    private readonly preprocessing: Blip2Preprocessing,
    /** of the checkpoint: see checkpointFingerprint */
    readonly fingerprint: string,
    private readonly weights: () => Promise<Parameters>,
    cache?: Awaited<ReturnType<OpenCache>>,
  ) {
    this.dim = config.hidden_size;
    this.preprocessor = new Blip2Preprocessor(preprocessing);
    this.known = new CachedVectors((pixels, keep) => this.compute(pixels, keep), cache);
  }

  /**
   * @param folder of a full BLIP-2 or of its vision tower alone
   * @param openCache opens the cache of vectors, whose keys are hashes of the prepared pixels
   * @throws UserError if a file is missing, broken, or not that of a BLIP-2
   */
  static async open(runtime: Runtime, folder: string, openCache?: OpenCache): Promise<Blip2Tower> {
    const config = readBlip2VisionConfig(folder);
    const preprocessing = readBlip2Preprocessing(folder, config.image_size);
    const fingerprint = await blip2Fingerprint(folder);
    const cache = await openCache?.(`blip2-${fingerprint}`, config.hidden_size);
    const weights = async () => (await loadBlip2Vision(folder)).params;
    return new Blip2Tower(runtime, config, preprocessing, fingerprint, weights, cache);
  }

  prepare(frame: Frame): Pixels {
    return this.preprocessor.prepare(frame);
  }

  prepareWithCursors(frame: Frame, points: readonly Point[]): Pixels[] {
    return this.preprocessor.prepareWithCursors(frame, points);
  }

  vectors(pixels: readonly Pixels[]): Promise<Float32Array[]> {
    return this.known.get(pixels, (bytes) => createHash('sha256').update(bytes).digest('hex'));
  }

  private async compute(pixels: readonly Pixels[], keep: (index: number, vector: Float32Array) => void): Promise<void> {
    this.forward ??= this.opened();
    const forward = await this.forward;
    for (let start = 0; start < pixels.length;) {
      const rows = pixels.length - start >= BATCH ? BATCH : 1;
      const { vectors } = await forward.run(rows, ({ pixels: feed }) => {
        for (let i = 0; i < rows; i++) (feed as Float32Array).set(pixels[start + i], i * pixels[start].length);
      });
      for (let i = 0; i < rows; i++) {
        keep(start + i, (vectors as Float32Array).slice(i * this.dim, (i + 1) * this.dim));
      }
      start += rows;
    }
  }

  private async opened(): Promise<Forward<number>> {
    const { size, scale, shift } = this.preprocessing;
    const params = await this.weights();
    return new Forward<number>(this.runtime, params, (p, rows) => {
      const bytes = input('pixels', [rows, 3, size.height, size.width]);
      const normalized = add(
        mul(bytes, constant(Float32Array.from(scale), [3, 1, 1])),
        constant(Float32Array.from(shift), [3, 1, 1]),
      );
      return { vectors: blip2Pooled(p, this.config, normalized) };
    });
  }
}

/** Fingerprint of the vision tower in a BLIP-2 folder. */
export function blip2Fingerprint(folder: string): Promise<string> {
  return checkpointFingerprint(folder, isBlip2Vision);
}
