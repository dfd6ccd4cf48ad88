import { z } from 'zod';
import { CoSo } from '../../src/algorithms/coso.js';
import { DigiRL } from '../../src/algorithms/digirl.js';
import { FilteredBC } from '../../src/algorithms/filteredbc.js';

export const ENTROPIES = ['none', 'naive', 'causal'] as const;

export const Online = z.object({
  mode: z
    .enum(['offline', 'online', 'off2on', 'eval'])
    .default('online')
    .describe(
      'online: from live episodes alone; off2on: from the collected trajectories first and then live; offline: from those alone; eval: train nothing',
    ),
  algorithm: z.enum(['digirl', 'filteredbc']).default('digirl').describe('what of the episodes is imitated'),
  entropy: z
    .enum(ENTROPIES)
    .default('none')
    .describe('entropy bonus: none, of all tokens alike (naive), or where it matters (causal: CoSo)'),
  alpha: z.number().min(0).default(1).describe('weight of the entropy bonus (CoSo: 1.0)'),
  name: z
    .string()
    .default('')
    .describe(
      'name of the policy that is made, below `policy/`, and of its data below `online/`; empty: coso with entropy=causal, naive with naive, else the algorithm; with mode=eval the policy it starts from and -tested',
    ),
  from: z.string().default('base').describe('the policy it starts from'),
  iterations: z.int().min(0).default(20).describe('iterations with live episodes'),
  offline_iterations: z
    .int()
    .min(0)
    .default(20)
    .describe('iterations on collected trajectories, in the modes offline and off2on'),
  warmup: z.int().min(0).default(0).describe('iterations at the beginning in which only the values are trained'),
  rollout_size: z.int().min(1).default(16).describe('episodes in an iteration (C: 16)'),
  temperature: z.number().positive().default(1).describe('divides the logits of the policy while it collects'),
  async_rollouts: z
    .boolean()
    .default(false)
    .describe(
      'episodes go on while the networks are trained, and no episode is waited for; what comes of it then depends on timing',
    ),
  max_age: z
    .int()
    .min(1)
    .default(2)
    .describe(
      'async_rollouts: the policy does not imitate episodes with a step that is more versions of it old; the values still learn from them',
    ),
  capacity: z
    .int()
    .min(1)
    .default(2000)
    .describe('steps that the replay holds; the oldest trajectories go first (C: 2000)'),
  actor_steps: z
    .int()
    .min(1)
    .default(20)
    .describe('optimizer steps of the policy in an iteration (C: 20, which it calls actor_epochs)'),
  batch_size: z.int().min(1).default(4).describe('steps in a micro-batch (C: 4)'),
  grad_accum_steps: z
    .int()
    .min(1)
    .default(32)
    .describe('micro-batches whose gradients are averaged for one step (C: 32)'),
  lr: z.number().positive().default(1e-4).describe('learning rate of the policy (C: 1e-4)'),
  max_grad_norm: z.number().positive().default(0.01).describe('gradients are scaled down to this norm (C: 0.01)'),
  weight_decay: z.number().min(0).default(0).describe('decoupled weight decay (AdamW) of the policy'),
  eval_every: z
    .int()
    .min(0)
    .default(5)
    .describe('iterations between two evaluations on test tasks; 0: only at the beginning and the end'),
  eval_episodes: z.int().min(1).default(96).describe('episodes of each of them; the tasks come round again'),
  eval_temperature: z.number().min(0).default(1).describe('divides the logits in them; 0 is greedy'),
  tokenizer: z
    .string()
    .default('policy/base')
    .describe('tokenizer of a fresh text tower (where `models.text` is empty): a data set of the run that holds one'),
  text_width: z.int().min(4).default(768).describe("width of the values' fresh text tower (768 in RoBERTa-base)"),
  text_layers: z.int().min(1).default(12).describe('its layers (12 in RoBERTa-base)'),
  text_heads: z.int().min(1).default(12).describe('its attention heads (12 in RoBERTa-base)'),
  text_tokens: z.int().min(4).max(512).default(512).describe('tokens of a prompt that it reads, the last ones'),
  digirl: DigiRL.prefault({}),
  filteredbc: FilteredBC.prefault({}),
  coso: CoSo.prefault({}),
});
export type Online = z.infer<typeof Online>;

/** Name of what these settings make, below `policy/` and `online/`. */
export function onlineName({ name, algorithm, entropy, mode, from }: Online): string {
  if (name !== '') return name;
  if (mode === 'eval') return `${from}-tested`;
  return { none: algorithm, naive: 'naive', causal: 'coso' }[entropy];
}

/** Iterations on collected trajectories, then live ones. */
export function iterationsOf({ mode, iterations, offline_iterations }: Online): { offline: number; live: number } {
  return {
    offline: mode === 'offline' || mode === 'off2on' ? offline_iterations : 0,
    live: mode === 'online' || mode === 'off2on' ? iterations : 0,
  };
}
