import { z } from 'zod';
import {
  add,
  clip,
  div,
  exp,
  greater,
  maximum,
  mean,
  minimum,
  mul,
  neg,
  square,
  stopGradient,
  sub,
  cast,
  concat,
  type Tensor,
} from '../graph/index.js';
import type { Weights } from '../models/attention.js';
import { asValue, q, v, type CriticConfig } from '../models/critic/critic.js';
import { successCrossEntropy } from '../models/mlp.js';

/**
 * Digi-Q (arXiv 2502.15760; docs/algorithms.md §2), offline: train a critic by TD learning on frozen representations of
 * states and actions, then a policy that imitates the best of N stored actions according to that critic.
 * P: the paper, C: the released code. Where P gives no number, the default is C's.
 */
const Optimizer = {
  iterations: z
    .int()
    .min(1)
    .describe(
      'iterations of `epochs` epochs each; after each comes a checkpoint, and a validation if there is held-out data',
    ),
  epochs: z
    .int()
    .min(1)
    .describe('epochs per iteration; an epoch is a pass over the training data, or `epoch_steps` optimizer steps'),
  epoch_steps: z
    .int()
    .min(0)
    .default(0)
    .describe(
      'optimizer steps of an epoch, on transitions drawn independently (with replacement); 0: an epoch is a pass over the training data, each transition once. C: 1, so 40 iterations of 20 epochs are 800 steps',
    )
    .meta({ added: true }),
  batch_size: z.int().min(1).default(32).describe('transitions per micro-batch'),
  grad_accum_steps: z.int().min(1).default(4).describe('micro-batches per optimizer step; gradients are averaged'),
  max_grad_norm: z
    .number()
    .positive()
    .default(0.01)
    .describe('maximum global norm of the gradient, which is clipped to it (C: 0.01)'),
  weight_decay: z.number().min(0).default(0).describe('decoupled weight decay (AdamW); 0 is plain Adam'),
  lr_schedule: z
    .enum(['constant', 'linear', 'cosine'])
    .default('constant')
    .describe('schedule of the learning rate: constant (P and C), or decay from lr to 0 over all steps'),
};

/** Inputs of the critic that can be dropped, for ablations. A dropped input is replaced by zeros of the same width. */
export const CRITIC_INPUTS = ['previous', 'goal', 'image', 'action', 'rep'] as const;

export const CriticSettings = z
  .object({
    target: z
      .enum(['td', 'mc'])
      .default('td')
      .describe('td: bootstrap from the target critic (eqs. 1, 2); mc: the return of the episode (ablation)'),
    mc_loss: z
      .enum(['classification', 'regression'])
      .default('classification')
      .describe('mc only: two-class cross-entropy against mc_return > 0 (C), or mean squared error against the return'),
    mc_weight: z
      .number()
      .min(0)
      .max(1)
      .default(0)
      .describe(
        'td only: weight of the Monte-Carlo return (discounted by `collect.gamma`) in the target of Q; 0 is eq. 1. The return helps a small critic that cannot see the harm of an action in the next state',
      ),
    backup_action: z
      .enum(['taken', 'sampled'])
      .default('taken')
      .describe("the action a' of eq. 2: the one taken, or a candidate that is drawn at random each time"),
    gamma: z.number().min(0).max(1).default(0.95).describe('discount of eq. 1'),
    tau: z
      .number()
      .min(0)
      .max(1)
      .default(0.1)
      .describe('weight of the online critic in each Polyak update of the target critic'),
    target_update_every: z
      .int()
      .min(0)
      .default(0)
      .describe('optimizer steps between Polyak updates; 0: one update per epoch (C, where an epoch is one step)'),
    target_init: z
      .enum(['copy', 'random'])
      .default('copy')
      .describe('initial target critic: a copy of the critic, or other random weights (C)'),
    drop: z
      .array(z.enum(CRITIC_INPUTS))
      .default([])
      .describe('inputs replaced by zeros (ablations): previous action, goal, image, action text, representation'),
    train_text_tower: z
      .boolean()
      .default(false)
      .describe('whether to train the text encoder with the critic (C); otherwise it stays frozen'),
    q_hidden: z
      .array(z.int().min(1))
      .nullable()
      .default(null)
      .describe('widths of the hidden layers of Q; null: as released, the width of the input, then 3840 three times'),
    v_hidden: z
      .array(z.int().min(1))
      .nullable()
      .default(null)
      .describe('widths of the hidden layers of V; null: as released, 2304 three times'),
    validation: z
      .number()
      .min(0)
      .max(0.9)
      .default(0.2)
      .describe('fraction of the trajectories that is held out for validation'),
    split: z
      .enum(['seed', 'order'])
      .default('seed')
      .describe(
        'which trajectories train: drawn by the seed, or the first ones in the order of collection or of the imported file (C)',
      )
      .meta({ added: true }),
    lr: z.number().positive().default(1e-5).describe('learning rate (C)'),
    ...Optimizer,
    iterations: Optimizer.iterations.default(40),
    epochs: Optimizer.epochs.default(20),
  })
  .describe('training of the critic');

export const ActorSettings = z
  .object({
    loss: z
      .enum(['best_of_n', 'pg', 'awr', 'sft'])
      .default('best_of_n')
      .describe(
        'best_of_n: eq. 3; pg: REINFORCE with the advantage; awr: advantage-weighted regression; sft: imitation',
      ),
    n: z
      .int()
      .min(1)
      .default(16)
      .describe('number of stored actions that are scored per state, always including the one taken'),
    scored: z
      .enum(['actions', 'samples'])
      .default('actions')
      .describe(
        'the n that are scored: distinct actions, drawn once for each state, of which only those above the threshold are trained on; or samples (C): drawn anew for each batch, an action as often as it was sampled, from all states, where those below the threshold count as 0 in the mean',
      )
      .meta({ added: true }),
    action: z
      .enum(['taken', 'best'])
      .default('taken')
      .describe('pg, awr and sft: the action they train on, the one taken (P) or the best of n (C)')
      .meta({ added: true }),
    advantage_clamp: z
      .tuple([z.number(), z.number()])
      .nullable()
      .default(null)
      .describe('pg and awr: range to which advantages are clamped (C: [0, 1]); null: none')
      .meta({ added: true }),
    data: z
      .enum(['all', 'training'])
      .default('all')
      .describe(
        'trajectories to train on: all, or those that the critic trains on (C), by `critic.validation` and `critic.split`',
      )
      .meta({ added: true }),
    threshold: z
      .number()
      .default(0)
      .describe('the best action is imitated if its advantage is above this (P: 0; C: 0.10 general, 0.05 webshop)'),
    aggregate: z
      .enum(['max', 'min', 'mean'])
      .default('max')
      .describe('how twin Q and twin V values are combined (C: max)'),
    pg_factor: z.number().positive().default(1).describe('pg only: factor of the advantage (C: 5)'),
    beta: z
      .number()
      .positive()
      .default(0.05)
      .describe('awr only: temperature of the weight exp(advantage / beta) (C: 0.01)'),
    awr_max: z.number().positive().default(100).describe('awr only: maximum of the weight exp(advantage / beta)'),
    log_prob_clamp: z
      .tuple([z.number().min(0), z.number().max(1)])
      .nullable()
      .default(null)
      .describe(
        'range to which token probabilities are clamped before the logarithm; outside it the gradient is 0 (C: [0.001, 0.99])',
      ),
    lr: z.number().positive().default(1e-4).describe('learning rate (C)'),
    ...Optimizer,
    iterations: Optimizer.iterations.default(30),
    epochs: Optimizer.epochs.default(30),
  })
  .describe('training of the policy on the frozen critic');

/** The settings of Digi-Q by stage. */
export const DigiQ = z.object({ critic: CriticSettings.prefault({}), actor: ActorSettings.prefault({}) });
export type CriticSettings = z.infer<typeof CriticSettings>;
export type ActorSettings = z.infer<typeof ActorSettings>;
export type DigiQ = z.infer<typeof DigiQ>;

/** The values of both twins, the first twin at index 0. */
export type Twins = readonly [Tensor, Tensor];

/** Eq. 1: TD targets of a Q head, r + γ (1 - done) V̄(s'). All [B]; done is 1 at the last step of an episode. */
export function qTarget(reward: Tensor, done: Tensor, nextValue: Tensor, gamma: number): Tensor {
  return add(reward, mul(mul(sub(1, done), nextValue), gamma));
}

/** A mixture of TD target and Monte-Carlo return (not in the paper): (1 - w) TD target + w G. All [B]. */
export function mixedTarget(tdTarget: Tensor, mcReturn: Tensor, weight: number): Tensor {
  return add(mul(tdTarget, 1 - weight), mul(mcReturn, weight));
}

/** Eq. 2: targets of a V head, which are the target critic's Q̄(s, a') [B]. */
export function vTarget(targetQ: Tensor): Tensor {
  return stopGradient(targetQ);
}

/** The target critic's values for a batch: V̄_i(s') and Q̄_i(s, a'), each [B]. */
export function targetValues(
  target: Weights,
  config: CriticConfig,
  batch: { nextState: Tensor; state: Tensor; backupAction: Tensor },
): { nextV: Twins; q: Twins } {
  const stateAction = concat([batch.state, batch.backupAction], 1);
  return {
    nextV: [v(target, config, 1, batch.nextState), v(target, config, 2, batch.nextState)],
    q: [q(target, config, 1, stateAction), q(target, config, 2, stateAction)],
  };
}

export interface CriticLoss {
  /** sum of the four losses */
  readonly loss: Tensor;
  readonly q1: Tensor;
  readonly q2: Tensor;
  readonly v1: Tensor;
  readonly v2: Tensor;
}

/** The losses of both Q and both V heads, and their sum. Predictions and targets [B]; targets get no gradient. */
export function criticLoss(
  predicted: { q: Twins; v: Twins },
  targets: { q: Twins; v: Twins },
  error: (prediction: Tensor, target: Tensor) => Tensor = meanSquaredError,
): CriticLoss {
  const [q1, q2] = [0, 1].map((i) => error(predicted.q[i], stopGradient(targets.q[i])));
  const [v1, v2] = [0, 1].map((i) => error(predicted.v[i], stopGradient(targets.v[i])));
  return { loss: add(add(q1, q2), add(v1, v2)), q1, q2, v1, v2 };
}

/**
 * The TD loss of a batch (eqs. 1 and 2).
 * @param target the target critic's values, from `targetValues`
 * @param mixed mixes returns [B] into the targets of Q; see `mixedTarget`
 */
export function tdLoss(
  w: Weights,
  config: CriticConfig,
  batch: { state: Tensor; action: Tensor; reward: Tensor; done: Tensor },
  target: { nextV: Twins; q: Twins },
  gamma: number,
  mixed?: { mcReturn: Tensor; weight: number },
): CriticLoss {
  const predicted = predictions(w, config, batch.state, batch.action);
  const targetOf = (nextValue: Tensor) => {
    const td = qTarget(batch.reward, batch.done, nextValue, gamma);
    return mixed ? mixedTarget(td, mixed.mcReturn, mixed.weight) : td;
  };
  const qTargets: Twins = [targetOf(target.nextV[0]), targetOf(target.nextV[1])];
  return criticLoss(predicted, { q: qTargets, v: [vTarget(target.q[0]), vTarget(target.q[1])] });
}

/** The Monte-Carlo variant: all four heads learn the return [B]. Classification needs heads with two outputs. */
export function mcLoss(
  w: Weights,
  config: CriticConfig,
  batch: { state: Tensor; action: Tensor; mcReturn: Tensor },
  kind: CriticSettings['mc_loss'],
): CriticLoss {
  const both: Twins = [batch.mcReturn, batch.mcReturn];
  const error = kind === 'classification' ? successCrossEntropy : meanSquaredError;
  return criticLoss(predictions(w, config, batch.state, batch.action), { q: both, v: both }, error);
}

/** Both twins' predictions for states [B, stateWidth] and actions: [B], or [B, 2] for classification heads. */
export function predictions(w: Weights, config: CriticConfig, state: Tensor, action: Tensor): { q: Twins; v: Twins } {
  const stateAction = concat([state, action], 1);
  return {
    q: [q(w, config, 1, stateAction), q(w, config, 2, stateAction)],
    v: [v(w, config, 1, state), v(w, config, 2, state)],
  };
}

function meanSquaredError(prediction: Tensor, target: Tensor): Tensor {
  return mean(square(sub(prediction, target)));
}

/** The advantage A(s, a) = agg(Q1, Q2) - agg(V1, V2) [B], by which best-of-N ranks actions. */
export function advantage(predicted: { q: Twins; v: Twins }, aggregate: ActorSettings['aggregate']): Tensor {
  const of = ([a, b]: Twins) => aggregated(asValue(a), asValue(b), aggregate);
  return sub(of(predicted.q), of(predicted.v));
}

function aggregated(a: Tensor, b: Tensor, how: ActorSettings['aggregate']): Tensor {
  if (how === 'mean') return mul(add(a, b), 0.5);
  return how === 'max' ? maximum(a, b) : minimum(a, b);
}

/** Combines the values of both twins, as plain numbers. */
export const AGGREGATES: Readonly<Record<ActorSettings['aggregate'], (a: number, b: number) => number>> = {
  max: Math.max,
  min: Math.min,
  mean: (a, b) => (a + b) / 2,
};

/** The advantage A(s, a) of each candidate of a state (docs/algorithms.md §2.5), from the critic's values. */
export function advantages(
  { q1, q2, v1, v2 }: { q1: ArrayLike<number>; q2: ArrayLike<number>; v1: number; v2: number },
  aggregate: ActorSettings['aggregate'],
): number[] {
  const of = AGGREGATES[aggregate];
  const value = of(v1, v2);
  return Array.from(q1, (first, i) => of(first, q2[i]) - value);
}

/** A candidate of a state for best-of-N. */
export interface Candidate {
  readonly advantage: number;
  /** whether the action is valid; an invalid one counts as advantage 0 (C) */
  readonly valid: boolean;
}

/**
 * The index of the candidate that best-of-N imitates: the one with the largest advantage. Ties go to the first, so the
 * taken action (candidate 0) wins them. Undefined if its advantage is not above the threshold or it is invalid.
 */
export function bestCandidate(candidates: readonly Candidate[], threshold: number): number | undefined {
  const score = (i: number) => (candidates[i].valid ? candidates[i].advantage : 0);
  let best = 0;
  for (let i = 1; i < candidates.length; i++) {
    if (score(i) > score(best) || (score(i) === score(best) && candidates[i].valid && !candidates[best].valid))
      best = i;
  }
  return candidates.length > 0 && candidates[best].valid && score(best) > threshold ? best : undefined;
}

/**
 * The sorted indices of a state's stored actions that are scored: the taken one (index 0) and n - 1 others, drawn without
 * replacement from `total`; all if there are at most n. (C draws from all stored actions, so it may count the taken one
 * twice.)
 * @param draw returns a random integer in [0, k)
 */
export function scoredCandidates(total: number, n: number, draw: (k: number) => number): number[] {
  const rest = Array.from({ length: Math.max(0, total - 1) }, (_, i) => i + 1);
  const chosen = total > 0 ? [0] : [];
  while (chosen.length < n && rest.length > 0) chosen.push(...rest.splice(draw(rest.length), 1));
  return chosen.sort((a, b) => a - b);
}

/**
 * The distinct indices, sorted, of n of a state's samples: the taken action (index 0) and n - 1 others, drawn without
 * replacement from the remaining samples, where an action counts as often as it was sampled. (C may draw the taken one
 * twice.)
 * @param counts samples of each stored action; the first one's includes the action taken
 * @param draw returns a random integer in [0, k)
 */
export function scoredSamples(counts: readonly number[], n: number, draw: (k: number) => number): number[] {
  const left = counts.map((count, i) => (i === 0 ? count - 1 : count));
  let total = left.reduce((sum, count) => sum + count, 0);
  const chosen = new Set([0]);
  for (let drawn = 1; drawn < n && total > 0; drawn++, total--) {
    let at = draw(total);
    const action = left.findIndex((count) => (at -= count) < 0);
    left[action]--;
    chosen.add(action);
  }
  return [...chosen].sort((a, b) => a - b);
}

/** Eq. 3: -mean of log π(a*|s) [B], where rows whose advantage [B] is not above the threshold count as 0. */
export function bestOfN(logProb: Tensor, advantages: Tensor, threshold: number): Tensor {
  return neg(mean(mul(logProb, cast(greater(advantages, threshold), logProb.dtype))));
}

/** REINFORCE with the critic's advantage: -mean of factor · A · log π(a|s), all [B]. */
export function pg(logProb: Tensor, advantages: Tensor, factor: number): Tensor {
  return neg(mean(mul(logProb, mul(stopGradient(advantages), factor))));
}

/** Advantage-weighted regression: -mean of min(exp(A / β), largest) · log π(a|s), all [B]. */
export function awr(logProb: Tensor, advantages: Tensor, beta: number, largest: number): Tensor {
  // The exponent is clipped, because exp of a huge advantage would overflow to infinity.
  const exponent = clip(div(stopGradient(advantages), beta), -80, Math.log(largest));
  return neg(mean(mul(logProb, exp(exponent))));
}

/** Imitation: -mean of log π(a|s) [B]. */
export function sft(logProb: Tensor): Tensor {
  return neg(mean(logProb));
}
