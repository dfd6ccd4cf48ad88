import type { ImageStore } from '../../src/data/images.js';
import type { Policy } from '../../src/agents/policy/policy.js';

/** Screens encoded together. */
const BATCH = 64;

/** Vectors of the screens in the replay, by content id. Missing ones are computed from the stored screenshots. */
export class ScreenVectors {
  private known = new Map<string, Float32Array>();

  constructor(
    private readonly images: ImageStore,
    /** its vision tower computes missing vectors; a policy without a tower needs all vectors by `add` */
    private readonly policy: Policy,
  ) {}

  get dim(): number {
    return this.policy.config.image;
  }

  /** Adds computed vectors. */
  add(vectors: Iterable<readonly [id: string, vector: Float32Array]>): void {
    for (const [id, vector] of vectors) this.known.set(id, vector);
  }

  has(id: string): boolean {
    return this.known.has(id);
  }

  /** Computes missing vectors of these screens, and forgets those of all others. */
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

  /** Copies the vector of a screen into `into`, from position `at`. */
  read(id: string, into: Float32Array, at: number): void {
    const vector = this.known.get(id);
    if (!vector) throw new RangeError(`no vector for screen ${id}`);
    into.set(vector, at);
  }
}
