import { z } from 'zod';
import { BackoffMs, JUDGE_QUESTIONS, JUDGE_SERVER } from '../episodes/server-settings.js';

/** The settings of one judge of steps. */
const LabelJudge = z.object({
  kind: z
    .enum(['openai', 'gemini'])
    .default('openai')
    .describe('server of the judge: an OpenAI-compatible one, or Gemini'),
  model: z.string().default('').describe('name of the VLM on its server'),
  ...JUDGE_SERVER,
  temperature: z.number().min(0).max(2).default(0.7).describe('sampling temperature (published: 0.7)'),
  max_tokens: z
    .int()
    .min(0)
    .default(100)
    .describe(
      "maximum tokens of an answer (published: 100); a model that thinks first needs more, such as 4000; 0: the server's own limit",
    ),
  reasoning: z
    .boolean()
    .default(false)
    .describe('the model thinks before it answers: no temperature is sent, and it needs more `max_tokens`'),
  format: z
    .enum(['auto', 'json', 'text'])
    .default('auto')
    .describe(
      'JSON by a schema that the server enforces, or JSON as text; auto: the first unless the server rejects it',
    ),
  ...JUDGE_QUESTIONS,
  retries: z
    .int()
    .min(0)
    .max(100)
    .default(5)
    .describe(
      'retries of a question when the server fails or its answer is unusable; after that the rating is unknown',
    ),
  backoff_ms: BackoffMs,
});
export type LabelJudge = z.infer<typeof LabelJudge>;

export const Label = z.object({
  from: z
    .enum(['outcome', 'state', 'judge'])
    .default('outcome')
    .describe(
      'what rates a step: the outcome of its trajectory, the state of the embedded phone, which is exact, or a VLM on a server (docs/labels.md)',
    ),
  data: z
    .string()
    .regex(/^[\w+-][\w.+:/-]*$/, 'the name of a data set, or RUN:name')
    .default('trajectories')
    .describe(
      'data set whose steps are rated: `trajectories` (collected or imported), `demos`, `eval/NAME`, or one of another run as `RUN:trajectories`',
    ),
  compare: z
    .boolean()
    .default(true)
    .describe(
      'also rate each step by the outcome and, if the embedded phone can replay it, by its state, to measure the labels',
    ),
  shows: z
    .enum(['episode', 'past'])
    .default('episode')
    .describe('what a judge sees beside the current step: the whole episode, as published, or only the earlier steps'),
  judge: LabelJudge.prefault({}),
  second: LabelJudge.prefault({}),
  budget_calls: z
    .int()
    .min(0)
    .default(0)
    .describe('total requests that a run folder may send to its judges of steps, including retries; 0: no limit'),
  budget_tokens: z
    .int()
    .min(0)
    .default(0)
    .describe('total tokens that a run folder may spend on them, as the servers count them; 0: no limit'),
  when_spent: z
    .enum(['stop', 'unknown'])
    .default('stop')
    .describe(
      'when the budget is spent: stop, and go on with the same command and a larger budget; or finish with unknown ratings',
    ),
});
export type Label = z.infer<typeof Label>;
