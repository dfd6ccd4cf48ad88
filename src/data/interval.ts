/**
 * Wilson's 95 % score interval of a success rate: [low, high] in [0, 1] (E. B. Wilson, JASA 22, 1927). It also holds for
 * small counts and rates near 0 or 1. [0, 1] for no episodes.
 */
export function wilson95(successes: number, episodes: number): [low: number, high: number] {
  if (episodes === 0) return [0, 1];
  const z = 1.959963984540054;
  const rate = successes / episodes;
  const shrink = 1 + (z * z) / episodes;
  const centre = (rate + (z * z) / (2 * episodes)) / shrink;
  const half = (z / shrink) * Math.sqrt((rate * (1 - rate)) / episodes + (z * z) / (4 * episodes * episodes));
  return [Math.max(0, centre - half), Math.min(1, centre + half)];
}
