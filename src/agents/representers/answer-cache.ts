import { join } from 'node:path';
import { namesIn, VectorCache } from '../../data/vector-cache.js';
import { UserError } from '../../errors.js';

/**
 * The vectors that one VLM has answered with, on disk. How wide they are is known only when it has answered: they lie in
 * a `VectorCache` in a sub-folder that is named after their width.
 */
export class AnswerCache {
  private constructor(
    readonly folder: string,
    private vectors: VectorCache | undefined,
  ) {}

  /**
   * @param folder made when first written to; its name says which model answers
   * @throws UserError where it holds vectors of several widths
   */
  static open(folder: string): AnswerCache {
    const widths = namesIn(folder).filter((name) => /^[1-9]\d{0,8}$/.test(name));
    if (widths.length > 1) {
      throw new UserError(
        `${folder}: vectors of one model, but ${widths.join(' and ')} floats wide; delete those that the model does not make`,
      );
    }
    const [width] = widths;
    return new AnswerCache(folder, width ? VectorCache.open(join(folder, width), Number(width)) : undefined);
  }

  /** floats in a vector; undefined before the first one */
  get dim(): number | undefined {
    return this.vectors?.dim;
  }

  has(key: string): boolean {
    return this.vectors?.has(key) ?? false;
  }

  get(key: string): Float32Array | undefined {
    return this.vectors?.get(key);
  }

  /** @throws RangeError where the vector is of another length than the first one, or not finite */
  put(key: string, vector: Float32Array): void {
    this.vectors ??= VectorCache.open(join(this.folder, String(vector.length)), vector.length);
    this.vectors.put(key, vector);
  }

  close(): void {
    this.vectors?.close();
  }
}
