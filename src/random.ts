import { createHash } from 'node:crypto';
import { xoroshiro128plusFromState } from 'pure-rand/generator/xoroshiro128plus';
import type { RandomGenerator } from 'pure-rand/types/RandomGenerator';
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';

/**
 * A stream of random numbers that depends only on its seed and labels. An episode, a shard or a training step draws the
 * same numbers whatever ran before it, so a killed run resumes to the same result.
 */
export class Random {
  private readonly generator: RandomGenerator;

  /** @param labels what the stream is for, for example `new Random(seed, 'collect', episode)` */
  constructor(seed: number, ...labels: (string | number)[]) {
    const digest = createHash('sha256')
      .update(JSON.stringify([seed, ...labels]))
      .digest();
    this.generator = xoroshiro128plusFromState([0, 4, 8, 12].map((at) => digest.readInt32LE(at)));
  }

  /** uniform in [0, 1) */
  next(): number {
    return uniformFloat64(this.generator);
  }

  /** uniform integer in [0, n) */
  int(n: number): number {
    return Math.floor(this.next() * n);
  }

  /** standard normal (Box-Muller; the second number of each pair is not used) */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.next()));
    return radius * Math.cos(2 * Math.PI * this.next());
  }

  /** one of the items, uniformly */
  pick<T>(items: readonly T[]): T {
    if (items.length === 0) throw new RangeError('Random.pick: expected at least one item, got none');
    return items[this.int(items.length)];
  }

  /** a new array with the items in random order (Fisher-Yates) */
  shuffled<T>(items: Iterable<T>): T[] {
    const out = [...items];
    for (let i = out.length - 1; i > 0; i--) {
      const j = this.int(i + 1);
      [out[i], out[j]] = [out[j], out[i]];
    }
    return out;
  }

  /** true with probability p */
  chance(p: number): boolean {
    return this.next() < p;
  }
}
