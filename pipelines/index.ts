import { join } from 'node:path';
import { packageRoot } from '../src/runner/package.js';
import type { Registry } from '../src/runner/registry.js';

/** The stages of critiq, in the order of the pipeline. */
export const registry: Registry = {
  stages: [],
  sections: async () => ({}),
  // the names that the reference's configuration files (DigiRL, Digi-Q, CoSo) use
  aliases: {
    gamma: 'critic.gamma',
    tau: 'critic.tau',
    critic_lr: 'critic.lr',
    critic_epochs: 'critic.epochs',
    actor_lr: 'actor.lr',
    lm_lr: 'actor.lr',
    actor_epochs: 'actor.epochs',
    batch_size: 'critic.batch',
    grad_accum_steps: 'critic.accumulate',
    max_grad_norm: 'critic.clip',
    threshold: 'actor.threshold',
    advantage_estimation: 'actor.loss',
    temperature: 'candidates.temperature',
    rollout_size: 'collect.episodes',
  },
  defaultConfig: join(packageRoot(), 'configs', 'pocket.yaml'),
};
