import { z } from 'zod';

/** Settings of `critiq import`. */
export const ImportSettings = z.object({
  gamma: z
    .number()
    .min(0)
    .max(1)
    .nullable()
    .default(null)
    .describe(
      "discount of the Monte Carlo returns, which are computed from the file's rewards; null: `critic.gamma`. The file's own `mc_return` has another discount",
    ),
  representations: z
    .enum(['float16', 'float32'])
    .default('float16')
    .describe('type in which representations are stored: float16 takes half the space, float32 is exact'),
  images: z
    .enum(['auto', 'pair', 'single'])
    .default('auto')
    .describe(
      'image_features: the vector of one screen (single), as in the released files, which the import stacks, or those of the previous and the current screen side by side (pair); auto: by the first trajectory',
    ),
  screens: z
    .enum(['auto', 'before', 'after'])
    .default('auto')
    .describe(
      'image_path: the screen before the action, as in the released files, or after it, as in collected ones (`trajectories_eval.pt`); auto: by the first trajectory',
    ),
  shard_size: z.int().min(1).default(1000).describe('transitions per shard, rounded to whole trajectories'),
  required: z
    .boolean()
    .default(false)
    .describe(
      "whether the run's trajectories come from `critiq import`: a command that misses them then says so, instead of collecting on a device",
    )
    .meta({ added: true }),
});
export type ImportSettings = z.infer<typeof ImportSettings>;
