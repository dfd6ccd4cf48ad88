import type { VectorCache } from '../data/vector-cache.js';

/** Opens a cache of vectors. `name` identifies all they depend on besides the key: model, weights, preprocessing. */
export type OpenCache = (name: string, dim: number) => VectorCache | Promise<VectorCache>;

/** Number of vectors kept in memory. */
const MEMORY = 4096;

/**
 * Vectors of recurring items, such as screenshots or texts. They are looked up by key in memory (the most recently used)
 * and, if there is one, in a cache on disk. Missing vectors are computed, once per distinct key. Calls run one after
 * another, so that each finds what the one before computed.
 */
export class CachedVectors<T> {
  /** the most recently used vectors, the latest at the end */
  private readonly recent = new Map<string, Float32Array>();
  private last: Promise<unknown> = Promise.resolve();

  /**
   * @param compute computes the vectors of items with distinct keys, in any order. A vector passed to `keep` goes to the
   * disk cache at once, even if a later one fails.
   */
  constructor(
    private readonly compute: (
      things: readonly T[],
      keep: (index: number, vector: Float32Array) => void,
    ) => Promise<void>,
    private readonly cache?: VectorCache,
    private readonly memory = MEMORY,
  ) {}

  /** The vectors of the items in order, each in a new array. */
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
