import { join } from 'node:path';
import { namesIn, VectorCache } from '../../data/vector-cache.js';
import { UserError } from '../../errors.js';

/**
 * The vectors that one VLM has answered with, on disk. Their width is known only after the first answer, so they are in a
 * `VectorCache` in a sub-folder with the width as its name.
 */
export class AnswerCache {
  private constructor(
    readonly folder: string,
    private vectors: VectorCache | undefined,
  ) {}

  /**
   * @param folder created at the first write; its name identifies the model
   * @throws UserError if it holds vectors of several widths
   */
  static open(folder: string): AnswerCache {
    const widths = namesIn(folder).filter((name) => /^[1-9]\d{0,8}$/.test(name));
    if (widths.length > 1) {
      throw new UserError(
        `${folder}: expected vectors of one width, got sub-folders for ${widths.join(' and ')} floats; delete those that do not fit the model`,
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

  /** @throws RangeError if the vector's length differs from the first one's, or if it is not finite */
  put(key: string, vector: Float32Array): void {
    this.vectors ??= VectorCache.open(join(this.folder, String(vector.length)), vector.length);
    this.vectors.put(key, vector);
  }

  close(): void {
    this.vectors?.close();
  }
}
