import { Random } from '../random.js';

/** Trajectories for training and for validation. */
export interface Split {
  readonly train: ReadonlySet<string>;
  readonly validation: ReadonlySet<string>;
}

/**
 * Splits by trajectory, never by transition: steps of one trajectory share its screens and its return, so that a random
 * step in validation would be known from training. Depends only on the set of ids and the seed. Where there are two or
 * more trajectories, neither side is empty.
 * @param fraction of the trajectories that train (0.8, docs/algorithms.md §2.4)
 */
export function splitTrajectories(ids: Iterable<string>, seed: number, fraction = 0.8): Split {
  const order = new Random(seed, 'split').shuffled([...new Set(ids)].sort());
  const wanted = Math.round(order.length * fraction);
  const count = order.length < 2 ? order.length : Math.min(order.length - 1, Math.max(1, wanted));
  return { train: new Set(order.slice(0, count)), validation: new Set(order.slice(count)) };
}

/**
 * Which transitions make up each minibatch, as a pure function of the seed and the step, so that a run resumes at any step
 * without saved sampler state. `epochs`: one random order after the other, each transition once an epoch, batches running
 * over from one epoch into the next. `uniform`: independent draws with replacement.
 */
export class MinibatchSampler {
  private epoch = -1;
  private order: number[] = [];

  /**
   * @param count transitions to draw from; the sampler gives indices 0 .. count - 1
   * @param label tells samplers of the same seed apart, for example `critic` and `actor`
   */
  constructor(
    readonly count: number,
    readonly batch: number,
    readonly seed: number,
    readonly label: string,
    readonly mode: 'epochs' | 'uniform' = 'epochs',
  ) {
    if (!Number.isInteger(count) || count < 1) throw new RangeError(`${label}: expected transitions to draw, got ${count}`);
    if (!Number.isInteger(batch) || batch < 1) throw new RangeError(`${label}: expected a batch of at least 1, got ${batch}`);
  }

  /** The indices of minibatch `step` (from 0): [batch]. */
  indices(step: number): Int32Array {
    const out = new Int32Array(this.batch);
    if (this.mode === 'uniform') {
      const random = new Random(this.seed, this.label, 'minibatch', step);
      for (let i = 0; i < out.length; i++) out[i] = random.int(this.count);
      return out;
    }
    for (let i = 0; i < out.length; i++) {
      const at = step * this.batch + i;
      out[i] = this.permutation(Math.floor(at / this.count))[at % this.count];
    }
    return out;
  }

  private permutation(epoch: number): number[] {
    if (epoch !== this.epoch) {
      this.order = new Random(this.seed, this.label, 'epoch', epoch).shuffled(Array(this.count).keys());
      this.epoch = epoch;
    }
    return this.order;
  }
}
