/**
 * Keeps up to `capacity` values and closes the least recently used one when another comes. Two callers that ask for the
 * same key while its value is being built get the same value.
 */
export class LruCache<V extends { close(): void }> {
  private readonly values = new Map<string, Promise<V>>();

  constructor(private readonly capacity: number) {
    if (!Number.isInteger(capacity) || capacity < 1)
      throw new RangeError(`cache: expected a capacity of at least 1, got ${capacity}`);
  }

  get size(): number {
    return this.values.size;
  }

  async get(key: string, make: () => Promise<V>): Promise<V> {
    const value = this.values.get(key) ?? this.made(key, make);
    this.values.delete(key);
    this.values.set(key, value);
    while (this.values.size > this.capacity) {
      const [oldest] = this.values.keys();
      this.drop(oldest);
    }
    return value;
  }

  private made(key: string, make: () => Promise<V>): Promise<V> {
    const value = make();
    // The caller gets the error; the cache must not keep it.
    value.catch(() => this.values.get(key) === value && this.values.delete(key));
    return value;
  }

  private drop(key: string): void {
    const value = this.values.get(key);
    this.values.delete(key);
    value?.then(
      (made) => made.close(),
      () => undefined,
    );
  }

  clear(): void {
    for (const key of [...this.values.keys()]) this.drop(key);
  }
}
