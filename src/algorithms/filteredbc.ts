import { z } from 'zod';

/**
 * Filtered behaviour cloning (docs/algorithms.md §3), offline: imitate what was done in the trajectories that succeeded. The
 * baseline that Digi-Q is compared with.
 */
export const FilteredBC = z.object({
  top: z
    .number()
    .min(0)
    .max(1)
    .default(0)
    .describe(
      'imitate this share of the trajectories, the best by reward; 0: all trajectories whose reward is above 0',
    ),
});
export type FilteredBC = z.infer<typeof FilteredBC>;

/**
 * Which trajectories are imitated: those of reward above 0, or the best `top` of all (rounded up, never one of reward 0;
 * among equals the first ids).
 * @param rewards trajectory id and reward of each trajectory
 */
export function imitated(rewards: ReadonlyMap<string, number>, { top }: FilteredBC): Set<string> {
  const good = [...rewards].filter(([, reward]) => reward > 0);
  if (top === 0) return new Set(good.map(([id]) => id));
  const count = Math.ceil(top * rewards.size);
  const ranked = good.sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
  return new Set(ranked.slice(0, count).map(([id]) => id));
}
