import { Random } from '../random.js';

/** Ids of the trajectories for training and for validation. */
export interface Split {
  readonly train: ReadonlySet<string>;
  readonly validation: ReadonlySet<string>;
}

/**
 * Splits by trajectory, never by transition: steps of a trajectory share screens and return, so a validation step would be
 * known from training. By default the split depends only on the set of ids and the seed. With two or more trajectories, neither side
 * is empty.
 * @param fraction of the trajectories for training (0.8, docs/algorithms.md §2.4)
 * @param by `order`: the first trajectories, in the order of `ids`, are for training, whatever the seed
 */
export function splitTrajectories(
  ids: Iterable<string>,
  seed: number,
  fraction = 0.8,
  by: 'seed' | 'order' = 'seed',
): Split {
  const distinct = [...new Set(ids)];
  const order = by === 'order' ? distinct : new Random(seed, 'split').shuffled(distinct.sort());
  const wanted = Math.round(order.length * fraction);
  const count = order.length < 2 ? order.length : Math.min(order.length - 1, Math.max(1, wanted));
  return { train: new Set(order.slice(0, count)), validation: new Set(order.slice(count)) };
}

/**
 * The trajectories that a critic was not trained on, by the settings in its plan; undefined if these do not say.
 * @param ids trajectories in the order of collection
 */
export function heldOutBy(settings: unknown, ids: Iterable<string>): ReadonlySet<string> | undefined {
  const recorded = settings as
    { critic?: { validation?: number; split?: 'seed' | 'order' }; seed?: number } | null | undefined;
  const { validation, split } = recorded?.critic ?? {};
  if (typeof validation !== 'number' || typeof recorded?.seed !== 'number') return undefined;
  return splitTrajectories(ids, recorded.seed, 1 - validation, split).validation;
}

/**
 * Chooses the transitions of each minibatch as a pure function of seed and step, so that a run can resume at any step
 * without saved sampler state. `epochs`: a new random order per epoch, with each transition once; a batch may span two
 * epochs. `uniform`: independent draws with replacement.
 */
export class MinibatchSampler {
  private epoch = -1;
  private order: number[] = [];

  /**
   * @param count number of transitions; the sampler returns indices 0 .. count - 1
   * @param label distinguishes samplers with the same seed, for example `critic` and `actor`
   */
  constructor(
    readonly count: number,
    readonly batch: number,
    readonly seed: number,
    readonly label: string,
    readonly mode: 'epochs' | 'uniform' = 'epochs',
  ) {
    if (!Number.isInteger(count) || count < 1) throw new RangeError(`${label}: expected at least 1 transition, got ${count}`);
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
