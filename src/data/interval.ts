import { Random } from '../random.js';

/** Standard normal quantile at 97.5 %. */
export const Z975 = 1.959963984540054;

/**
 * Wilson's 95 % score interval of a success rate: [low, high] in [0, 1] (E. B. Wilson, JASA 22, 1927). It also holds for
 * small counts and rates near 0 or 1. [0, 1] for no episodes.
 */
export function wilson95(successes: number, episodes: number): [low: number, high: number] {
  if (episodes === 0) return [0, 1];
  const z = Z975;
  const rate = successes / episodes;
  const shrink = 1 + (z * z) / episodes;
  const centre = (rate + (z * z) / (2 * episodes)) / shrink;
  const half = (z / shrink) * Math.sqrt((rate * (1 - rate)) / episodes + (z * z) / (4 * episodes * episodes));
  return [Math.max(0, centre - half), Math.min(1, centre + half)];
}

/**
 * The difference of two independent success rates, second minus first, with Newcombe's 95 % score interval (method 10;
 * Statistics in Medicine 17, 1998, p. 873).
 */
export function difference95(
  first: { readonly successes: number; readonly episodes: number },
  second: { readonly successes: number; readonly episodes: number },
): { difference: number; ci95: [low: number, high: number] } {
  if (first.episodes === 0 || second.episodes === 0) return { difference: 0, ci95: [-1, 1] };
  const [before, after] = [first.successes / first.episodes, second.successes / second.episodes];
  const [beforeLow, beforeHigh] = wilson95(first.successes, first.episodes);
  const [afterLow, afterHigh] = wilson95(second.successes, second.episodes);
  const difference = after - before;
  return {
    difference,
    ci95: [
      Math.max(-1, difference - Math.hypot(after - afterLow, beforeHigh - before)),
      Math.min(1, difference + Math.hypot(afterHigh - after, before - beforeLow)),
    ],
  };
}

/** Resamples of the bootstrap. */
const RESAMPLES = 2000;

/**
 * A 95 % interval of a rate over steps that come in episodes: whole episodes are drawn with replacement, since the steps of one
 * are not independent (percentile bootstrap, 2000 resamples). Where every episode has the same rate the bootstrap says
 * nothing, so the interval is Wilson's for as many trials as there are episodes.
 * @param clusters hits among the steps of each episode
 */
export function bootstrap95(
  clusters: readonly { readonly hits: number; readonly of: number }[],
  seed: number,
): [low: number, high: number] {
  if (clusters.length === 0) return [0, 1];
  const [first] = clusters;
  if (clusters.every(({ hits, of }) => hits * first.of === first.hits * of))
    return wilson95((clusters.length * first.hits) / first.of, clusters.length);
  const random = new Random(seed, 'bootstrap');
  const rates = Float64Array.from({ length: RESAMPLES }, () => {
    let [hits, total] = [0, 0];
    for (let i = 0; i < clusters.length; i++) {
      const { hits: h, of } = clusters[random.int(clusters.length)];
      hits += h;
      total += of;
    }
    return hits / total;
  }).sort();
  return [rates[Math.floor(0.025 * (RESAMPLES - 1))], rates[Math.ceil(0.975 * (RESAMPLES - 1))]];
}

/**
 * Half of a 95 % interval of an estimate whose clusters, not rows, are independent (cluster-robust variance; Liang and Zeger,
 * Biometrika 73, 1986). Null for one cluster.
 * @param scores of the rows, summed by cluster and divided by `scale` @param clusters that of each row
 */
export function clusteredHalf95(scores: readonly number[], clusters: readonly string[], scale: number): number | null {
  const sums = new Map<string, number>();
  scores.forEach((score, i) => sums.set(clusters[i], (sums.get(clusters[i]) ?? 0) + score));
  const n = sums.size;
  if (n < 2) return null;
  const squares = [...sums.values()].reduce((sum, value) => sum + value * value, 0);
  return (Z975 * Math.sqrt((squares * n) / (n - 1))) / scale;
}
