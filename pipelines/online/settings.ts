import { z } from 'zod';
import { CoSo } from '../../src/algorithms/coso.js';
import { DigiRL } from '../../src/algorithms/digirl.js';
import { TruncationSettings } from '../../src/agents/policy/truncation.js';
import { FilteredBC } from '../../src/algorithms/filteredbc.js';
import { folderName } from '../../src/runner/reference.js';

export const ENTROPIES = ['none', 'naive', 'causal'] as const;

export const Online = z.object({
  mode: z
    .enum(['offline', 'online', 'off2on', 'eval'])
    .default('online')
    .describe(
      'online: train on live episodes; off2on: first on the collected trajectories, then live; offline: only on the collected trajectories; eval: evaluate without training',
    )
    .meta({ scope: 'result' }),
  algorithm: z
    .enum(['digirl', 'filteredbc'])
    .default('digirl')
    .describe('which steps of the episodes the policy imitates')
    .meta({ scope: 'result' }),
  entropy: z
    .enum(ENTROPIES)
    .default('none')
    .describe('entropy bonus: none, on all tokens equally (naive), or on the tokens that matter (causal: CoSo)')
    .meta({ scope: 'result' }),
  alpha: z.number().min(0).default(1).describe('weight of the entropy bonus (CoSo: 1.0)'),
  name: z
    .string()
    .default('')
    .describe(
      'name of the new policy, below `policy/`, and of its data, below `online/`; empty: coso with entropy=causal, naive with entropy=naive, otherwise the algorithm; with mode=eval, the starting policy followed by -tested',
    )
    .meta({ scope: 'result' }),
  from: z
    .string()
    .default('base')
    .describe('name of the policy to start from, below `policy/`; `RUN:name` takes one of another run'),
  iterations: z.int().min(0).default(20).describe('iterations with live episodes'),
  offline_iterations: z
    .int()
    .min(0)
    .default(20)
    .describe('iterations on collected trajectories (modes offline and off2on)'),
  offline_phases: z
    .tuple([z.int().min(0), z.int().min(0), z.int().min(0)])
    .nullable()
    .default(null)
    .describe(
      'iterations on collected trajectories as released, one network after the other: instruction-level value, step-level value, policy (C: [20, 20, 30]); null: all three in each of `offline_iterations` iterations',
    )
    .meta({ added: true }),
  offline_entropy: z
    .boolean()
    .default(true)
    .describe('whether the entropy bonus also counts in the iterations on collected trajectories (C: false)')
    .meta({ added: true }),
  warmup: z.int().min(0).default(0).describe('initial iterations that train only the value functions'),
  rollout_size: z.int().min(1).default(16).describe('episodes per iteration (C: 16)'),
  temperature: z.number().positive().default(1).describe('sampling temperature of live episodes'),
  ...TruncationSettings,
  async_rollouts: z
    .boolean()
    .default(false)
    .describe(
      'play episodes while the networks are trained, without waiting for any particular one; results then depend on timing',
    ),
  max_age: z
    .int()
    .min(1)
    .default(2)
    .describe(
      'with async_rollouts: the policy does not imitate an episode with a step that is older than this many policy versions; the value functions still learn from it',
    ),
  capacity: z
    .int()
    .min(1)
    .default(2000)
    .describe('steps in the replay buffer; the oldest trajectories are dropped first (C: 2000)'),
  actor_steps: z
    .int()
    .min(1)
    .default(20)
    .describe('optimizer steps of the policy per iteration (C: 20, called actor_epochs)'),
  batch_size: z.int().min(1).default(4).describe('steps per micro-batch (C: 4)'),
  grad_accum_steps: z
    .int()
    .min(1)
    .default(32)
    .describe('micro-batches per optimizer step; gradients are averaged (C: 32)'),
  lr: z.number().positive().default(1e-4).describe('learning rate of the policy (C: 1e-4)'),
  max_grad_norm: z
    .number()
    .positive()
    .default(0.01)
    .describe('maximum global norm of the gradient, which is clipped to it (C: 0.01)'),
  log_prob_clamp: z
    .tuple([z.number().min(0), z.number().max(1)])
    .nullable()
    .default(null)
    .describe(
      'range to which token probabilities are clamped before the logarithm; outside it the gradient is 0 (C: [0.001, 0.99])',
    )
    .meta({ added: true }),
  weight_decay: z.number().min(0).default(0).describe('decoupled weight decay (AdamW) of the policy'),
  eval_every: z
    .int()
    .min(0)
    .default(5)
    .describe('iterations between two evaluations on test tasks; 0: only at the start and the end'),
  eval_episodes: z
    .int()
    .min(1)
    .default(96)
    .describe('episodes per evaluation; after the last task the list starts over'),
  eval_temperature: z.number().min(0).default(1).describe('sampling temperature of evaluations; 0 is greedy'),
  tokenizer: z
    .string()
    .default('policy/base')
    .describe('tokenizer of a new text tower (if `models.text` is empty): a data set of the run that contains one'),
  text_width: z.int().min(4).default(768).describe('width of a new text tower of the values (768 in RoBERTa-base)'),
  text_layers: z.int().min(1).default(12).describe('layers of that tower (12 in RoBERTa-base)'),
  text_heads: z.int().min(1).default(12).describe('attention heads of that tower (12 in RoBERTa-base)'),
  text_tokens: z.int().min(4).max(512).default(512).describe('maximum tokens that it reads of a prompt, the last ones'),
  digirl: DigiRL.prefault({}),
  filteredbc: FilteredBC.prefault({}),
  coso: CoSo.prefault({}),
});
export type Online = z.infer<typeof Online>;

/** Name of the policy and its data with these settings, below `policy/` and `online/`. */
export function onlineName({ name, algorithm, entropy, mode, from }: Online): string {
  if (name !== '') return name;
  if (mode === 'eval') return `${folderName(from)}-tested`;
  return { none: algorithm, naive: 'naive', causal: 'coso' }[entropy];
}

/** Number of iterations on collected trajectories, and of live ones after them. */
export function iterationsOf(settings: Pick<Online, 'mode' | 'iterations' | 'offline_iterations' | 'offline_phases'>): {
  offline: number;
  live: number;
} {
  const { mode, iterations, offline_iterations, offline_phases } = settings;
  const collected = offline_phases ? offline_phases.reduce((sum, count) => sum + count, 0) : offline_iterations;
  return {
    offline: mode === 'offline' || mode === 'off2on' ? collected : 0,
    live: mode === 'online' || mode === 'off2on' ? iterations : 0,
  };
}

/** What an iteration trains. */
export interface Trained {
  readonly instruction: boolean;
  readonly steps: boolean;
  readonly policy: boolean;
}

/** What an iteration trains: everything, or in the released offline phase one network after the other. @param iteration from 0 */
export function trainedIn(settings: Online, iteration: number): Trained {
  const { offline_phases: phases, warmup } = settings;
  if (phases === null || iteration >= iterationsOf(settings).offline)
    return { instruction: true, steps: true, policy: iteration >= warmup };
  const [instruction, steps] = phases;
  const phase = iteration < instruction ? 'instruction' : iteration < instruction + steps ? 'steps' : 'policy';
  return { instruction: phase === 'instruction', steps: phase === 'steps', policy: phase === 'policy' };
}

/** The setting that only says how many iterations a run has, where a longer run goes on from the end of a shorter one. */
export function countsOf({ mode, async_rollouts }: Online): ('iterations' | 'offline_iterations')[] {
  // their episodes depend on timing, and some are played ahead
  if (async_rollouts || mode === 'eval') return [];
  return mode === 'offline' ? ['offline_iterations'] : ['iterations'];
}
