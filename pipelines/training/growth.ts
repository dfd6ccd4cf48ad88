import type { Shard } from '../../src/runner/stage.js';

/** The settings of a training that decide whether it can go on from its end. */
interface Trained {
  readonly iterations: number;
  readonly lr_schedule: 'constant' | 'linear' | 'cosine';
}

/** More iterations go on from the end of fewer, unless the learning rate falls over all of them. */
export function countsOf({ lr_schedule }: Trained): ['iterations'] | [] {
  return lr_schedule === 'constant' ? ['iterations'] : [];
}

/** Why another number of iterations is another training. */
export function startsOverBy({ lr_schedule }: Trained): Readonly<Record<string, string>> {
  return lr_schedule === 'constant'
    ? {}
    : { iterations: `with lr_schedule=${lr_schedule} the learning rate depends on the number of all iterations` };
}

/** The extent of the only shard of a training. */
export function trainedFor(settings: Trained): Pick<Shard, 'extent'> {
  return countsOf(settings).length > 0 ? { extent: { iterations: settings.iterations } } : {};
}
