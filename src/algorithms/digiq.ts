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
 * Digi-Q (arXiv 2502.15760; docs/algorithms.md §2), offline: a critic learned by temporal differences on frozen representations
 * of a state and an action, then a policy that imitates the best of N stored actions by that critic.
 * P: the paper, C: the released code; defaults are C's where a run needs a number and P and C agree otherwise.
 */
const Optimizer = {
  iterations: z.int().min(1).describe('rounds of `epochs` passes; metrics and checkpoints are written after each'),
  epochs: z.int().min(1).describe('passes over the training transitions in an iteration'),
  batch_size: z.int().min(1).default(32).describe('transitions in a micro-batch'),
  grad_accum_steps: z.int().min(1).default(4).describe('micro-batches whose gradients are averaged for one step'),
  max_grad_norm: z
    .number()
    .positive()
    .default(0.01)
    .describe('gradients are scaled down to this global norm (C: 0.01)'),
  weight_decay: z.number().min(0).default(0).describe('decoupled weight decay (AdamW); 0 is Adam'),
  lr_schedule: z
    .enum(['constant', 'linear', 'cosine'])
    .default('constant')
    .describe('how the learning rate goes from lr to 0 over all steps; constant leaves it (P and C)'),
};

/** What the critic can be made blind to, for ablations; the input keeps its width and is filled with zeros. */
export const CRITIC_INPUTS = ['previous', 'goal', 'image', 'action', 'rep'] as const;

export const CriticSettings = z
  .object({
    target: z
      .enum(['td', 'mc'])
      .default('td')
      .describe('td: bootstrapped from the target critic (eqs. 1, 2); mc: from the return of the episode (ablation)'),
    mc_loss: z
      .enum(['classification', 'regression'])
      .default('classification')
      .describe('mc only: two-class cross-entropy against mc_return > 0 (C), or mean squared error to the return'),
    mc_weight: z
      .number()
      .min(0)
      .max(1)
      .default(0)
      .describe(
        'td only: share of the Monte-Carlo return (with the discount of `collect.gamma`) in the target of Q; 0 is eq. 1. A small critic that cannot see in the next state what the action has spoilt learns it from the return',
      ),
    backup_action: z
      .enum(['taken', 'sampled'])
      .default('taken')
      .describe("a' of eq. 2: the action taken, or one of the candidates drawn at random each time"),
    gamma: z.number().min(0).max(1).default(0.95).describe('discount of eq. 1'),
    tau: z
      .number()
      .min(0)
      .max(1)
      .default(0.1)
      .describe('share of the online critic in each Polyak update of the target'),
    target_update_every: z
      .int()
      .min(0)
      .default(0)
      .describe('optimizer steps between Polyak updates; 0: once an epoch (C)'),
    target_init: z
      .enum(['copy', 'random'])
      .default('copy')
      .describe('the target starts as a copy of the critic, or from other random weights (C)'),
    drop: z
      .array(z.enum(CRITIC_INPUTS))
      .default([])
      .describe('inputs replaced by zeros (ablations): previous action, goal, image, action text, representation'),
    train_text_tower: z
      .boolean()
      .default(false)
      .describe('train the text encoder with the critic (C); otherwise it stays as it was pre-trained'),
    q_hidden: z
      .array(z.int().min(1))
      .nullable()
      .default(null)
      .describe('widths of the hidden layers of Q; null: as released, the input width and 3840 three times'),
    v_hidden: z.array(z.int().min(1)).nullable().default(null).describe('the same for V; null: 2304 three times'),
    validation: z
      .number()
      .min(0)
      .max(0.9)
      .default(0.2)
      .describe('share of the trajectories, whole ones, that is held out for validation'),
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
        'eq. 3 (best_of_n), REINFORCE with the advantage (pg), advantage-weighted regression (awr), imitation (sft)',
      ),
    n: z
      .int()
      .min(1)
      .default(16)
      .describe('stored actions that are scored for a state; the taken one is always among them'),
    threshold: z
      .number()
      .default(0)
      .describe('the best action is imitated where its advantage is above this (P: 0; C: 0.10 general, 0.05 webshop)'),
    aggregate: z.enum(['max', 'min', 'mean']).default('max').describe('how the two Q and the two V make one (C: max)'),
    pg_factor: z.number().positive().default(1).describe('pg only: the advantage is multiplied by this'),
    beta: z.number().positive().default(0.05).describe('awr only: temperature of the weight exp(advantage / beta)'),
    awr_max: z.number().positive().default(100).describe('awr only: largest weight'),
    log_prob_clamp: z
      .tuple([z.number().min(0), z.number().max(1)])
      .nullable()
      .default(null)
      .describe(
        'clamp token probabilities to this range before the logarithm (C: [0.001, 0.99], which kills gradients outside)',
      ),
    lr: z.number().positive().default(1e-4).describe('learning rate (C)'),
    ...Optimizer,
    iterations: Optimizer.iterations.default(30),
    epochs: Optimizer.epochs.default(30),
  })
  .describe('training of the policy on the frozen critic');

/** Every setting of Digi-Q, by the stage that uses it. */
export const DigiQ = z.object({ critic: CriticSettings.prefault({}), actor: ActorSettings.prefault({}) });
export type CriticSettings = z.infer<typeof CriticSettings>;
export type ActorSettings = z.infer<typeof ActorSettings>;
export type DigiQ = z.infer<typeof DigiQ>;

/** Two values of everything: index 0 is the first twin's. */
export type Twins = readonly [Tensor, Tensor];

/** Eq. 1: TD targets of a Q head, r + γ (1 - done) V̄(s'). All [B]; done is 1 at the last step of an episode. */
export function qTarget(reward: Tensor, done: Tensor, nextValue: Tensor, gamma: number): Tensor {
  return add(reward, mul(mul(sub(1, done), nextValue), gamma));
}

/** A target of Q that is partly the Monte-Carlo return (not in the paper): (1 - w) TD target + w G. All [B]. */
export function mixedTarget(tdTarget: Tensor, mcReturn: Tensor, weight: number): Tensor {
  return add(mul(tdTarget, 1 - weight), mul(mcReturn, weight));
}

/** Eq. 2: targets of a V head, the target critic's Q̄(s, a') [B] as it stands. */
export function vTarget(targetQ: Tensor): Tensor {
  return stopGradient(targetQ);
}

/** What the target critic says of a batch: V̄_i(s') and Q̄_i(s, a'), each [B]. */
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
  /** sum of the four */
  readonly loss: Tensor;
  readonly q1: Tensor;
  readonly q2: Tensor;
  readonly v1: Tensor;
  readonly v2: Tensor;
}

/** Mean squared errors of both Q and both V, and their sum. Predictions and targets [B]; targets get no gradient. */
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
 * The TD loss of a batch (eqs. 1 and 2), given what the target critic said of it (`targetValues`). With `mixed`, the
 * targets of Q are partly returns [B].
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

/** The Monte-Carlo variant: all four heads learn the episode's return [B]. Classification needs heads of two outputs. */
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

/** What both twins say of states [B, stateWidth] and actions: [B], or [B, 2] with classifying heads. */
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

/** A(s, a) = agg(Q1, Q2) - agg(V1, V2), each [B]; what best-of-N ranks actions by. */
export function advantage(predicted: { q: Twins; v: Twins }, aggregate: ActorSettings['aggregate']): Tensor {
  const of = ([a, b]: Twins) => aggregated(asValue(a), asValue(b), aggregate);
  return sub(of(predicted.q), of(predicted.v));
}

function aggregated(a: Tensor, b: Tensor, how: ActorSettings['aggregate']): Tensor {
  if (how === 'mean') return mul(add(a, b), 0.5);
  return how === 'max' ? maximum(a, b) : minimum(a, b);
}

/** The same of two numbers: one value of the twins'. */
export const AGGREGATES: Readonly<Record<ActorSettings['aggregate'], (a: number, b: number) => number>> = {
  max: Math.max,
  min: Math.min,
  mean: (a, b) => (a + b) / 2,
};

/** A(s, a) of each candidate of a state (docs/algorithms.md §2.5), from what the critic said of them. */
export function advantages(
  { q1, q2, v1, v2 }: { q1: ArrayLike<number>; q2: ArrayLike<number>; v1: number; v2: number },
  aggregate: ActorSettings['aggregate'],
): number[] {
  const of = AGGREGATES[aggregate];
  const value = of(v1, v2);
  return Array.from(q1, (first, i) => of(first, q2[i]) - value);
}

/** A candidate of a state as best-of-N sees it. */
export interface Candidate {
  readonly advantage: number;
  /** an action text that is not valid counts as advantage 0 (C) */
  readonly valid: boolean;
}

/**
 * The candidate that best-of-N imitates: the one of largest advantage, the earliest if several are (so the taken action,
 * candidate 0, wins a tie); undefined where that is not above the threshold or it is not a valid action.
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
 * Which of a state's stored actions are scored: the taken one (index 0) and n - 1 others drawn without replacement from
 * `total`, by `draw(k)` in [0, k). Sorted; all of them where there are no more than n. (C draws among all stored ones and
 * may so count the taken one twice.)
 */
export function scoredCandidates(total: number, n: number, draw: (k: number) => number): number[] {
  const rest = Array.from({ length: Math.max(0, total - 1) }, (_, i) => i + 1);
  const chosen = total > 0 ? [0] : [];
  while (chosen.length < n && rest.length > 0) chosen.push(...rest.splice(draw(rest.length), 1));
  return chosen.sort((a, b) => a - b);
}

/** Eq. 3: -mean of log π(a*|s) [B] where the advantage [B] of a* is above the threshold; the others count as 0. */
export function bestOfN(logProb: Tensor, advantages: Tensor, threshold: number): Tensor {
  return neg(mean(mul(logProb, cast(greater(advantages, threshold), logProb.dtype))));
}

/** REINFORCE with the critic's advantage: -mean of factor · A · log π(a|s), all [B]. */
export function pg(logProb: Tensor, advantages: Tensor, factor: number): Tensor {
  return neg(mean(mul(logProb, mul(stopGradient(advantages), factor))));
}

/** Advantage-weighted regression: -mean of min(exp(A / β), largest) · log π(a|s), all [B]. */
export function awr(logProb: Tensor, advantages: Tensor, beta: number, largest: number): Tensor {
  // clipped before exp as well, so that a huge advantage cannot overflow to infinity
  const exponent = clip(div(stopGradient(advantages), beta), -80, Math.log(largest));
  return neg(mean(mul(logProb, exp(exponent))));
}

/** Imitation: -mean of log π(a|s) [B]. */
export function sft(logProb: Tensor): Tensor {
  return neg(mean(logProb));
}
