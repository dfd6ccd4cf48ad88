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
  validation: z
    .number()
    .min(0)
    .max(1)
    .default(0.05)
    .meta({ added: true })
    .describe(
      'fraction of the episodes for validation, by the hash of their ids, where the imported files do not say the split',
    ),
  test: z
    .number()
    .min(0)
    .max(1)
    .default(0.05)
    .meta({ added: true })
    .describe('fraction of the episodes for the test, chosen in the same way'),
  scrolls: z
    .enum(['recorded', 'seeclick', 'vem'])
    .default('recorded')
    .meta({ added: true })
    .describe(
      "where the finger goes in a scroll of SeeClick's or VEM's files: as the recorded points say (by its name where they are no swipe), or always by its name, in SeeClick's meaning (scroll down shows what is below) or in that of VEM's code (the finger moves down)",
    ),
  damaged: z
    .enum(['stop', 'skip'])
    .default('stop')
    .meta({ added: true })
    .describe('a TFRecord whose checksum is wrong ends the import, or only its episode is left out'),
  required: z
    .boolean()
    .default(false)
    .describe(
      "whether the run's trajectories come from `critiq import`: a command that misses them then says so, instead of collecting on a device",
    )
    .meta({ added: true }),
});
export type ImportSettings = z.infer<typeof ImportSettings>;
