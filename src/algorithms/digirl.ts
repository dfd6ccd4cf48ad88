import { z } from 'zod';
import { add, mean, mul, neg, type Tensor } from '../graph/index.js';
import { successCrossEntropy } from '../models/mlp.js';

/**
 * DigiRL (arXiv 2406.11896; docs/algorithms.md §3): advantage-filtered imitation. An instruction-level value picks trajectories that
 * went better than their task usually does, a step-level value picks the steps that brought them on, and these are
 * imitated. P: the paper, C: the released code; defaults are C's where a run needs a number and P and C agree otherwise.
 */
export const DigiRL = z
  .object({
    gamma: z.number().min(0).max(1).default(0.5).describe('discount of the returns (C: 0.5)'),
    lambda: z
      .number()
      .min(0)
      .max(1)
      .default(0.5)
      .describe('P: how fast the weight of the outcome falls towards the beginning of a trajectory'),
    advantage: z
      .enum(['paper', 'released'])
      .default('paper')
      .describe('which steps are kept: by the paper’s doubly robust advantage, or by the rule of the released code'),
    keep_above: z
      .number()
      .nullable()
      .default(null)
      .describe('paper: steps are kept above this advantage; null: 1 / tasks.max_steps (P)'),
    margin: z.number().default(0.05).describe('released: subtracted from the advantage before its sign counts (C)'),
    curriculum: z
      .enum(['instruction', 'reward'])
      .default('instruction')
      .describe('trajectories are ranked by reward - V_instr(task), or by reward alone'),
    offline_curriculum: z
      .enum(['instruction', 'reward'])
      .default('reward')
      .describe('the same in the offline phase (C: reward)'),
    top: z
      .number()
      .gt(0)
      .max(1)
      .default(0.1)
      .describe('share of the trajectories that are kept, the best (P and C: 0.1)'),
    critic_steps: z
      .int()
      .min(1)
      .default(5)
      .describe('optimizer steps of the step-level value in an iteration (C calls them critic_epochs)'),
    instruction_steps: z
      .int()
      .min(1)
      .default(5)
      .describe('the same of the instruction-level value (C: trajectory_critic_epochs)'),
    critic_lr: z.number().positive().default(1e-4).describe('learning rate of both values'),
    hidden: z
      .array(z.int().min(1))
      .default([768, 768])
      .describe('widths of the hidden layers of both values (C: 768 twice)'),
  })
  .describe('DigiRL: how values are learnt and used');
export type DigiRL = z.infer<typeof DigiRL>;

/**
 * Both values are classifiers of success: the sum of the twins' cross-entropies against G_h > 0.
 * @param twins logits [B, 2] each @param returns Monte-Carlo returns [B]
 */
export function stepValueLoss(twins: readonly [Tensor, Tensor], returns: Tensor): Tensor {
  return add(successCrossEntropy(twins[0], returns), successCrossEntropy(twins[1], returns));
}

/** The instruction's: cross-entropy of logits [B, 2] against the trajectory's reward [B] > 0. */
export function instructionValueLoss(logits: Tensor, rewards: Tensor): Tensor {
  return successCrossEntropy(logits, rewards);
}

/** A trajectory as the curriculum sees it. */
export interface Attempt {
  readonly id: string;
  /** 1 success, 0 not */
  readonly reward: number;
  /** V_instr(task): how likely the task's success is; not read where trajectories are ranked by reward */
  readonly instructionValue: number;
}

/**
 * The curriculum: the best `top` of all trajectories by reward - V_instr(task) (rounded up; among equals the first ids), or
 * by reward. Successes on tasks that usually fail come first, and tasks that always succeed teach nothing more.
 */
export function curriculum(attempts: readonly Attempt[], by: DigiRL['curriculum'], top: number): Set<string> {
  const score = ({ reward, instructionValue }: Attempt) => (by === 'reward' ? reward : reward - instructionValue);
  const ranked = [...attempts].sort((a, b) => score(b) - score(a) || (a.id < b.id ? -1 : 1));
  return new Set(ranked.slice(0, Math.ceil(top * ranked.length)).map(({ id }) => id));
}

/** What the step-level values say of one trajectory of T steps, and what came of it. */
export interface ValuedTrajectory {
  /** rewards [T] */
  readonly rewards: ArrayLike<number>;
  /** V(s_h) [T]: of twins the smaller */
  readonly values: ArrayLike<number>;
}

/** V(s_{h+1}), 0 after the end. */
function nextValue({ values }: ValuedTrajectory, h: number): number {
  return h + 1 < values.length ? values[h + 1] : 0;
}

/**
 * P: A_h = λ^(H-h) r_H + (1 - λ^(H-h) r_H) (V(s_{h+1}) + r_h - V(s_h)) [T], where H is the last step: near a success the
 * outcome itself, far from it (and in failures) the difference of values.
 */
export function doublyRobustAdvantages(trajectory: ValuedTrajectory, lambda: number): Float64Array {
  const { rewards, values } = trajectory;
  const last = values.length - 1;
  return Float64Array.from({ length: values.length }, (_, h) => {
    const outcome = lambda ** (last - h) * rewards[last];
    return outcome + (1 - outcome) * (nextValue(trajectory, h) + rewards[h] - values[h]);
  });
}

/** C: V(s_{h+1}) - V(s_h) - margin + r_h + G_h [T], kept above 0. @param returns Monte-Carlo returns [T] */
export function releasedAdvantages(
  trajectory: ValuedTrajectory,
  returns: ArrayLike<number>,
  margin: number,
): Float64Array {
  const { rewards, values } = trajectory;
  return Float64Array.from(
    { length: values.length },
    (_, h) => nextValue(trajectory, h) - values[h] - margin + rewards[h] + returns[h],
  );
}

/** Which steps of a trajectory are imitated [T]: advantages above the threshold. @param horizon steps an episode may have */
export function keptSteps(
  trajectory: ValuedTrajectory,
  returns: ArrayLike<number>,
  settings: Pick<DigiRL, 'advantage' | 'lambda' | 'keep_above' | 'margin'>,
  horizon: number,
): boolean[] {
  const [advantages, threshold] =
    settings.advantage === 'paper'
      ? [doublyRobustAdvantages(trajectory, settings.lambda), settings.keep_above ?? 1 / horizon]
      : [releasedAdvantages(trajectory, returns, settings.margin), 0];
  return Array.from(advantages, (advantage) => advantage > threshold);
}

/** The actor's loss: -mean of kept · log π(a|s), both [B]; the mean is over all rows, kept or not. */
export function filteredImitation(logProb: Tensor, kept: Tensor): Tensor {
  return neg(mean(mul(logProb, kept)));
}
