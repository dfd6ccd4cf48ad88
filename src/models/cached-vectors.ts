import type { VectorCache } from '../data/vector-cache.js';

/** Opens the cache of a kind of vectors. `name` says all that decides them beside the key: model, weights, preprocessing. */
export type OpenCache = (name: string, dim: number) => VectorCache | Promise<VectorCache>;

/** Vectors kept in memory. */
const MEMORY = 4096;

/**
 * Vectors of things that come again: looked up by key in memory (those used last) and in a cache on disk, if there is
 * one; what is in neither is computed, each distinct key once. Calls are served one after the other, so that what one
 * computes the next finds.
 */
export class CachedVectors<T> {
  /** those used last, at the end */
  private readonly recent = new Map<string, Float32Array>();
  private last: Promise<unknown> = Promise.resolve();

  /**
   * @param compute vectors of some things with distinct keys, in any order; what is given to `keep` is kept even if a
   * later one fails
   */
  constructor(
    private readonly compute: (
      things: readonly T[],
      keep: (index: number, vector: Float32Array) => void,
    ) => Promise<void>,
    private readonly cache?: VectorCache,
    private readonly memory = MEMORY,
  ) {}

  /** The vectors of things, in arrays of their own, in order. */
  get(things: readonly T[], keyOf: (thing: T) => string): Promise<Float32Array[]> {
    const result = this.last.then(() => this.found(things, things.map(keyOf)));
    this.last = result.catch(() => undefined);
    return result;
  }

  private async found(things: readonly T[], keys: readonly string[]): Promise<Float32Array[]> {
    const vectors = new Map<string, Float32Array>();
    const missing = new Map<string, T>();
    for (const [i, key] of keys.entries()) {
      if (vectors.has(key) || missing.has(key)) continue;
      const known = this.recent.get(key) ?? this.cache?.get(key);
      if (known) vectors.set(key, known);
      else missing.set(key, things[i]);
    }
    if (missing.size > 0) {
      const names = [...missing.keys()];
      await this.compute([...missing.values()], (index, vector) => {
        vectors.set(names[index], vector);
        this.cache?.put(names[index], vector);
      });
    }
    for (const [key, vector] of vectors) this.remember(key, vector);
    return keys.map((key) => vectors.get(key)!.slice());
  }

  private remember(key: string, vector: Float32Array): void {
    this.recent.delete(key);
    this.recent.set(key, vector);
    if (this.recent.size <= this.memory) return;
    for (const oldest of this.recent.keys()) {
      this.recent.delete(oldest);
      break;
    }
  }
}
