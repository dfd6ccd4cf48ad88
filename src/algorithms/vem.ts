import { z } from 'zod';
import { mean, mul, neg, stopGradient, sum, type Tensor } from '../graph/index.js';
import { logProb } from '../models/autoui/autoui.js';

/**
 * VEM (arXiv 2502.18906; docs/algorithms.md §5), offline: a value model learns to rate the steps of labelled trajectories as
 * bad (1) or good (2); a policy is then trained on its own samples, weighted by the ratings that the frozen value model
 * gives them. Nothing is executed. P: the paper, C: the released code. Where P gives no number, the default is C's.
 */
export const VemSettings = z
  .object({
    weights: z
      .tuple([z.number().min(0), z.number().min(0)])
      .default([0, 1])
      .describe(
        'weight in the loss of a sample that is rated bad, and of one rated good; P and C: [0.5, 1], which also trains the policy towards bad actions. A sample that is no valid action always has weight 0',
      ),
    weighting: z
      .enum(['rating', 'expected'])
      .default('rating')
      .describe(
        'rating: the weight of the likelier rating (C); expected: the mean of both weights by their probabilities',
      ),
    threshold: z
      .number()
      .min(0)
      .max(1)
      .default(0.5)
      .describe('rating only: a sample is good if the value model gives rating 2 a probability above this'),
    temperature: z
      .number()
      .positive()
      .default(1)
      .describe('temperature at which the policy samples the actions (C: 1)'),
    log_prob_clamp: z
      .tuple([z.number().min(0), z.number().max(1)])
      .nullable()
      .default([0.001, 0.99])
      .describe(
        'range to which token probabilities are clamped before the logarithm; outside it the gradient is 0 (C: [0.001, 0.99]); null: none',
      ),
    lr: z.number().positive().default(1e-6).describe('learning rate (P and C)'),
    lr_schedule: z
      .enum(['constant', 'linear', 'cosine'])
      .default('constant')
      .describe('schedule of the learning rate: constant (P and C), or decay from lr to 0 over all steps'),
    batch_size: z.int().min(1).default(3).describe('states per micro-batch (C: 3)'),
    grad_accum_steps: z
      .int()
      .min(1)
      .default(32)
      .describe('micro-batches per optimizer step; gradients are averaged (C: 32, so 96 states)'),
    epochs: z.int().min(1).default(20).describe('passes over the training states (P and C: 20)'),
    max_grad_norm: z
      .number()
      .positive()
      .default(0.01)
      .describe('maximum global norm of the gradient, which is clipped to it (C: 0.01)'),
    weight_decay: z.number().min(0).default(0).describe('decoupled weight decay (AdamW); 0 is plain Adam (C)'),
    validation: z
      .number()
      .min(0)
      .max(0.9)
      .default(0.05)
      .describe('fraction of the trajectories that is held out (C: 0.05 of the rows)'),
  })
  .describe('VEM: training of the policy on the frozen value model');
export type VemSettings = z.infer<typeof VemSettings>;

/** The weight w(q) of a sample. @param good its probability of rating 2; undefined: the sample is no valid action */
export function sampleWeight(
  good: number | undefined,
  { weights: [bad, best], weighting, threshold }: Pick<VemSettings, 'weights' | 'weighting' | 'threshold'>,
): number {
  if (good === undefined) return 0;
  if (weighting === 'expected') return bad + (best - bad) * good;
  return good > threshold ? best : bad;
}

/** Eq. V1: -mean of w(q) · log π(a|s), both [B], over all rows. The weights get no gradient. */
export function vemLoss(logs: Tensor, weights: Tensor): Tensor {
  return neg(mean(mul(logs, stopGradient(weights))));
}

/**
 * log π(a|s) [B] of sampled actions: the sum over all tokens of the text that the policy wrote, plan, decision and end token,
 * and never of the value model's short form of it.
 * @param logits [B, T, V] @param labels int64 [B, T], the sampled tokens @param mask float32 [B, T]
 */
export function sampledLogProb(
  logits: Tensor,
  labels: Tensor,
  mask: Tensor,
  { log_prob_clamp: clamp }: Pick<VemSettings, 'log_prob_clamp'>,
): Tensor {
  return sum(logProb(logits, labels, mask, { clamp: clamp ?? undefined }), [1]);
}
