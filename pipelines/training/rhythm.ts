import { z } from 'zod';

/** How often a training writes metrics. */
export const Logged = {
  log_every: z
    .int()
    .min(0)
    .default(0)
    .describe(
      'optimizer steps between two lines of metrics, which hold the means since the line before; 0: about 200 lines in the whole training',
    )
    .meta({ added: true }),
};

/** The same for a training that measures held-out data, and what it does with that. */
export const Validated = {
  ...Logged,
  validate_every: z
    .int()
    .min(0)
    .default(0)
    .describe('optimizer steps between two validations; 0: one after each iteration')
    .meta({ added: true }),
  keep_best: z
    .boolean()
    .default(false)
    .describe('keep the weights with the lowest validation loss instead of the last ones')
    .meta({ added: true }),
  early_stop: z
    .int()
    .min(0)
    .default(0)
    .describe('stop training after this many validations in a row without a new lowest validation loss; 0: never')
    .meta({ added: true }),
};
export type Validated = z.infer<z.ZodObject<typeof Validated>>;

/** Lines of metrics in a training, if the settings do not say how often. */
const LINES = 200;

/** Optimizer steps between two lines of metrics. */
export function logEvery({ log_every: every }: { log_every: number }, steps: number): number {
  return every || Math.max(1, Math.round(steps / LINES));
}
