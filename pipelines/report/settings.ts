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
    .describe('evaluations to show, by their names below `eval/`; missing ones are run first'),
  compare: z
    .tuple([evaluation, evaluation])
    .default(['base-test', 'digiq-test'])
    .describe(
      'two of them, before and after: for the headline, the paired test and an episode that only the second wins',
    ),
  online: z
    .array(z.string().regex(/^[\w+-][\w.+-]*$/, 'the name of a folder below `online/`'))
    .default([])
    .describe('runs of `online` to show, by their names below `online/`; missing ones are run first'),
  sources: z
    .array(z.enum(['trajectories', 'candidates', 'values', 'oracle', 'labels', 'value']))
    .default(['trajectories', 'candidates', 'values'])
    .describe(
      "data sets to read; without `values` the report needs no critic and says nothing about it; add `oracle` to compare the critic with true values (docs/oracle.md), `labels` for the agreement of ratings with others (docs/labels.md), `value` for the quality of VEM's value model",
    ),
  trajectories: z
    .int()
    .min(0)
    .max(10)
    .default(2)
    .describe('trajectories to show: this many successes, and as many failures'),
  steps: z.int().min(1).max(100).default(20).describe('maximum steps to show of each trajectory'),
});
export type ReportSettings = z.infer<typeof ReportSettings>;
