import type { ImageStore } from '../../src/data/images.js';
import type { Policy } from '../../src/agents/policy/policy.js';

/** Screens whose vectors are made together. */
const BATCH = 64;

/** Vectors of the screens in the replay, by content id; those that nobody has made yet are made from the stored pictures. */
export class ScreenVectors {
  private known = new Map<string, Float32Array>();

  constructor(
    private readonly images: ImageStore,
    /** its tower makes them; one without a tower learns from vectors of others */
    private readonly policy: Policy,
  ) {}

  get dim(): number {
    return this.policy.config.image;
  }

  /** Vectors that others have made. */
  add(vectors: Iterable<readonly [id: string, vector: Float32Array]>): void {
    for (const [id, vector] of vectors) this.known.set(id, vector);
  }

  has(id: string): boolean {
    return this.known.has(id);
  }

  /** From now on exactly the vectors of these screens are known. */
  async keep(ids: ReadonlySet<string>): Promise<void> {
    const missing = [...ids].filter((id) => !this.known.has(id));
    const { policy } = this;
    for (let start = 0; start < missing.length; start += BATCH) {
      const batch = missing.slice(start, start + BATCH);
      const pixels = [];
      for (const id of batch) pixels.push(policy.tower.prepare(await this.images.get(id)));
      (await policy.tower.vectors(pixels)).forEach((vector, i) => this.known.set(batch[i], vector));
    }
    this.known = new Map([...ids].map((id) => [id, this.known.get(id)!]));
  }

  /** Writes a screen's vector at `at`. */
  read(id: string, into: Float32Array, at: number): void {
    const vector = this.known.get(id);
    if (!vector) throw new RangeError(`no vector of screen ${id}`);
    into.set(vector, at);
  }
}
