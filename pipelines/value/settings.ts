import { z } from 'zod';
import { Url, VLLM_REQUESTS } from '../episodes/server-settings.js';
import { Validated } from '../training/rhythm.js';

export const Value = z.object({
  labels: z
    .string()
    .regex(/^(?:[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}:)?labels$/, '`labels`, or RUN:labels')
    .default('labels')
    .describe('ratings to learn: the labels of this run, or `RUN:labels` for those of another run'),
  policy: z
    .string()
    .default('base')
    .describe(
      'name of the policy whose weights initialise the pocket value model, below `policy/`; `RUN:name` takes one of another run',
    ),
  history: z
    .int()
    .min(0)
    .default(20)
    .describe('earlier actions that the value model reads as text, the newest ones (P and C: all)'),
  steps: z.int().min(8).default(10_000).describe('labelled steps to train on, drawn from all (C: 10,000)'),
  validation: z
    .number()
    .min(0.01)
    .max(0.9)
    .default(0.1)
    .describe('fraction of the trajectories that is held out to measure the value model'),
  measured: z
    .int()
    .min(1)
    .default(2048)
    .describe('maximum held-out steps on which the value model is measured; a served one is asked about each'),
  epochs: z.number().positive().default(3).describe('passes over the labelled steps (C: 20, with LoRA)'),
  batch: z.int().min(1).default(32).describe('labelled steps per micro-batch'),
  grad_accum_steps: z.int().min(1).default(2).describe('micro-batches per optimizer step; gradients are averaged'),
  lr: z.number().positive().default(3e-4).describe('peak learning rate, after the warm-up; it then decays linearly'),
  warmup: z.int().min(0).default(20).describe('training steps of the linear warm-up'),
  weight_decay: z.number().min(0).default(0.01).describe('decoupled weight decay (AdamW)'),
  clip: z.number().positive().default(1).describe('maximum global norm of the gradient, which is clipped to it'),
  hidden: z
    .int()
    .min(1)
    .default(128)
    .describe("hidden width of the network that reads the pocket value model's hidden states"),
  ...Validated,
  url: Url.default('http://127.0.0.1:8000').describe(
    'URL of the OpenAI-compatible server of a value model that is not the pocket one (vLLM); it must return log-probabilities',
  ),
  max_pixels: z
    .int()
    .min(3136)
    .default(56_000)
    .describe(
      'pixels of the pictures that a served value model gets, at most; larger screenshots are made smaller (C: 56,000)',
    ),
  ...VLLM_REQUESTS,
});
export type Value = z.infer<typeof Value>;

/** Settings that say how a server is reached, and not what it answers. */
export const SERVER_SETTINGS = ['url', ...(Object.keys(VLLM_REQUESTS) as (keyof typeof VLLM_REQUESTS)[])] as const;
