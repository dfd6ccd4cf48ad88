import { z } from 'zod';

const evaluation = z.string().regex(/^[\w+-][\w.+-]*$/, 'the name of a folder below `eval/`');

export const ReportSettings = z.object({
  evals: z
    .array(evaluation)
    .default([
      'base-test',
      'filteredbc-test',
      'digiq-test',
      'base+bestofq-test',
      'base-test-greedy',
      'filteredbc-test-greedy',
      'digiq-test-greedy',
    ])
    .describe('evaluations to show, by their names below `eval/`; those that are missing are made'),
  compare: z
    .tuple([evaluation, evaluation])
    .default(['base-test', 'digiq-test'])
    .describe('two of them, before and after: the headline, and an episode that only the second wins'),
  online: z
    .array(z.string().regex(/^[\w+-][\w.+-]*$/, 'the name of a folder below `online/`'))
    .default([])
    .describe('runs of `online` to show, by their names below `online/`; those that are missing are made'),
  sources: z
    .array(z.enum(['trajectories', 'candidates', 'values']))
    .default(['trajectories', 'candidates', 'values'])
    .describe('data sets to look into; without `values` the page says nothing of the critic, and no critic is needed'),
  trajectories: z
    .int()
    .min(0)
    .max(10)
    .default(2)
    .describe('trajectories to picture: so many successes and as many failures'),
  steps: z.int().min(1).max(100).default(20).describe('steps of each that are pictured at most'),
});
export type ReportSettings = z.infer<typeof ReportSettings>;
