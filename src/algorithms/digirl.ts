import { z } from 'zod';
import { add, mean, mul, neg, type Tensor } from '../graph/index.js';
import { successCrossEntropy } from '../models/mlp.js';

/**
 * DigiRL (arXiv 2406.11896; docs/algorithms.md §3): advantage-filtered imitation. An instruction-level value selects
 * trajectories that went better than usual for their task, a step-level value selects the steps that made progress, and the
 * policy imitates these. P: the paper, C: the released code. Where P gives no number, the default is C's.
 */
export const DigiRL = z
  .object({
    gamma: z.number().min(0).max(1).default(0.5).describe('discount of the return (C: 0.5)'),
    lambda: z
      .number()
      .min(0)
      .max(1)
      .default(0.5)
      .describe('paper: decay of the weight of the outcome per step before the end of a trajectory'),
    advantage: z
      .enum(['paper', 'released'])
      .default('paper')
      .describe("rule for which steps are imitated: the paper's doubly robust advantage, or that of the released code"),
    keep_above: z
      .number()
      .nullable()
      .default(null)
      .describe('paper: steps with an advantage above this are imitated; null: 1 / tasks.max_steps (P)'),
    margin: z
      .number()
      .default(0.05)
      .describe('released: subtracted from the advantage, which must then be above 0 (C)'),
    curriculum: z
      .enum(['instruction', 'reward'])
      .default('instruction')
      .describe('ranking of trajectories: by reward - V_instr(task), or by reward alone'),
    offline_curriculum: z
      .enum(['instruction', 'reward'])
      .default('reward')
      .describe('ranking of trajectories in the offline phase (C: reward)'),
    top: z
      .number()
      .gt(0)
      .max(1)
      .default(0.1)
      .describe('fraction of the trajectories that is kept, the best first (P and C: 0.1)'),
    ties: z
      .enum(['cut', 'keep'])
      .default('cut')
      .describe(
        'trajectories as good as the last one in `top`: cut keeps exactly the fraction; keep keeps them all (C: at or above the quantile), so all successes where more than `top` succeed',
      )
      .meta({ added: true }),
    rank: z
      .enum(['replay', 'all'])
      .default('replay')
      .describe(
        'trajectories that are ranked, and among which the policy imitates: those in the replay buffer, or all so far (C), of whose chosen steps the newest `online.capacity` are imitated',
      )
      .meta({ added: true }),
    next_value: z
      .enum(['zero', 'network'])
      .default('zero')
      .describe(
        "value of the state after the last step: 0, or the network's (C); with network, the step-level value also learns the return of a step from the state after it (C)",
      )
      .meta({ added: true }),
    instruction_value: z
      .enum(['heads', 'encoder'])
      .default('heads')
      .describe(
        'the instruction-level value: an MLP on the text vector that the step-level value reads, or a text encoder of its own that is trained, with one linear layer (C)',
      )
      .meta({ added: true }),
    instruction_batch: z
      .int()
      .min(0)
      .default(0)
      .describe('trajectories per micro-batch of the instruction-level value; 0: `online.batch_size` (C: 8)')
      .meta({ added: true }),
    critic_steps: z
      .int()
      .min(1)
      .default(5)
      .describe('optimizer steps of the step-level value per iteration (C: critic_epochs)'),
    instruction_steps: z
      .int()
      .min(1)
      .default(5)
      .describe('optimizer steps of the instruction-level value per iteration (C: trajectory_critic_epochs)'),
    critic_lr: z.number().positive().default(1e-4).describe('learning rate of both values'),
    hidden: z
      .array(z.int().min(1))
      .default([768, 768])
      .describe('widths of the hidden layers of both values (C: 768 twice)'),
  })
  .describe('DigiRL: training and use of the value functions');
export type DigiRL = z.infer<typeof DigiRL>;

/**
 * Loss of the step-level value, a classifier of success: the sum of the twins' cross-entropies against G_h > 0.
 * @param twins logits [B, 2] each @param returns Monte-Carlo returns [B]
 */
export function stepValueLoss(twins: readonly [Tensor, Tensor], returns: Tensor): Tensor {
  return add(successCrossEntropy(twins[0], returns), successCrossEntropy(twins[1], returns));
}

/** Loss of the instruction-level value: cross-entropy of logits [B, 2] against the trajectory's reward [B] > 0. */
export function instructionValueLoss(logits: Tensor, rewards: Tensor): Tensor {
  return successCrossEntropy(logits, rewards);
}

/** A trajectory for the curriculum. */
export interface Attempt {
  readonly id: string;
  /** 1 for success, else 0 */
  readonly reward: number;
  /** V_instr(task), the predicted probability of success; not used when ranking by reward */
  readonly instructionValue: number;
}

/**
 * The curriculum: the ids of the best fraction `top` of all trajectories, ranked by reward - V_instr(task) or by reward.
 * `cut` rounds their number up, and ties go to the smaller id; `keep` takes all at or above the (1 - top)-quantile
 * (linearly interpolated, as numpy does), so ties stay in. The former prefers successes on tasks that usually fail to those on tasks that
 * always succeed, from which there is nothing more to learn.
 */
export function curriculum(
  attempts: readonly Attempt[],
  by: DigiRL['curriculum'],
  top: number,
  ties: DigiRL['ties'] = 'cut',
): Set<string> {
  const score = ({ reward, instructionValue }: Attempt) => (by === 'reward' ? reward : reward - instructionValue);
  if (ties === 'keep') {
    const least = quantile(attempts.map(score), 1 - top);
    return new Set(attempts.filter((attempt) => score(attempt) >= least).map(({ id }) => id));
  }
  const ranked = [...attempts].sort((a, b) => score(b) - score(a) || (a.id < b.id ? -1 : 1));
  return new Set(ranked.slice(0, Math.ceil(top * ranked.length)).map(({ id }) => id));
}

/** The q-quantile of some numbers, interpolated linearly between the two nearest ranks (numpy's default). */
function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = q * (sorted.length - 1);
  const [low, high] = [sorted[Math.floor(at)], sorted[Math.ceil(at)]];
  return low + (high - low) * (at - Math.floor(at));
}

/** The rewards and step-level values of a trajectory of T steps. */
export interface ValuedTrajectory {
  /** rewards [T] */
  readonly rewards: ArrayLike<number>;
  /** V(s_h) [T], the smaller of the twins */
  readonly values: ArrayLike<number>;
  /** V of the state after the last step @default 0 */
  readonly last?: number;
}

/** V(s_{h+1}). */
function nextValue({ values, last = 0 }: ValuedTrajectory, h: number): number {
  return h + 1 < values.length ? values[h + 1] : last;
}

/**
 * P: A_h = λ^(H-h) r_H + (1 - λ^(H-h) r_H) (V(s_{h+1}) + r_h - V(s_h)) [T], where H is the last step. Close to a success
 * this is the outcome; far from it, and in failures, it is the difference of values.
 */
export function doublyRobustAdvantages(trajectory: ValuedTrajectory, lambda: number): Float64Array {
  const { rewards, values } = trajectory;
  const last = values.length - 1;
  return Float64Array.from({ length: values.length }, (_, h) => {
    const outcome = lambda ** (last - h) * rewards[last];
    return outcome + (1 - outcome) * (nextValue(trajectory, h) + rewards[h] - values[h]);
  });
}

/** C: V(s_{h+1}) - V(s_h) - margin + r_h + G_h [T]. Steps above 0 are kept. @param returns Monte-Carlo returns [T] */
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

/** Which steps of a trajectory are imitated [T]: those above the threshold. @param horizon maximum steps of an episode */
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

/** The actor's loss: -mean of kept · log π(a|s), both [B], over all rows, whether kept or not. */
export function filteredImitation(logProb: Tensor, kept: Tensor): Tensor {
  return neg(mean(mul(logProb, kept)));
}
