import { z } from 'zod';

/**
 * Filtered behaviour cloning (docs/algorithms.md §3), offline: imitate the actions of successful trajectories. The baseline
 * for Digi-Q.
 */
export const FilteredBC = z.object({
  top: z
    .number()
    .min(0)
    .max(1)
    .default(0)
    .describe('fraction of the trajectories to imitate, the best by reward; 0: all trajectories with a reward above 0'),
});
export type FilteredBC = z.infer<typeof FilteredBC>;

/**
 * The ids of the trajectories to imitate: all with a reward above 0, or of these only the best fraction `top` of all
 * trajectories (rounded up; ties go to the smaller id).
 * @param rewards reward of each trajectory by id
 */
export function imitated(rewards: ReadonlyMap<string, number>, { top }: FilteredBC): Set<string> {
  const good = [...rewards].filter(([, reward]) => reward > 0);
  if (top === 0) return new Set(good.map(([id]) => id));
  const count = Math.ceil(top * rewards.size);
  const ranked = good.sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
  return new Set(ranked.slice(0, count).map(([id]) => id));
}
