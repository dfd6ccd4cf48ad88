import { join } from 'node:path';
import { packageRoot } from '../src/package.js';
import type { Registry } from '../src/runner/registry.js';

/** The stages of critiq, in the order of the pipeline. */
export const registry: Registry = {
  module: import.meta.url,
  stages: [
    {
      name: 'demos',
      summary: 'record demonstrations by a scripted, imperfect person',
      load: async () => (await import('./demos.js')).demos,
    },
    {
      name: 'sft',
      summary: 'build the base policy: imitate the demonstrations, or use the checkpoint of models.policy',
      load: async () => (await import('./sft.js')).sft,
    },
    {
      name: 'collect',
      summary: 'collect trajectories with a policy',
      load: async () => (await import('./collect.js')).collect,
    },
    {
      name: 'candidates',
      summary: 'sample more actions for every state',
      load: async () => (await import('./candidates.js')).candidates,
    },
    {
      name: 'vlm',
      summary: 'fine-tune the VLM of the representations: does an action change the screen?',
      load: async () => (await import('./vlm.js')).vlm,
    },
    {
      name: 'represent',
      summary: 'extract the VLM representation of every state and action',
      load: async () => (await import('./represent.js')).represent,
    },
    {
      name: 'critic',
      summary: 'train the critic (Q and V) by temporal differences',
      load: async () => (await import('./critic.js')).critic,
    },
    {
      name: 'actor',
      summary: 'extract a policy: imitate the action that the critic ranks best of N',
      load: async () => (await import('./actor.js')).actor,
    },
    {
      name: 'online',
      summary: 'fine-tune a policy on live devices (DigiRL, Filtered BC, CoSo)',
      load: async () => (await import('./online.js')).online,
    },
    {
      name: 'eval',
      summary: 'measure the success rate of a policy',
      load: async () => (await import('./eval.js')).evaluate,
    },
    {
      name: 'report',
      summary: 'write report.html and report.json',
      load: async () => (await import('./report.js')).report,
    },
  ],
  sections: async () => {
    const { DeviceSettings, ModelSettings, TaskSettings } = await import('./sections.js');
    const { ImportSettings } = await import('./commands/import.js');
    const { JudgeSettings } = await import('./episodes/judge.js');
    const { RecordingSettings } = await import('./episodes/recordings.js');
    const { ServedSettings } = await import('./episodes/served.js');
    const { extendSection, extensions } = await import('./plugins/extensions.js');
    const { devices, judges, answers } = extensions();
    return {
      import: ImportSettings,
      models: ModelSettings,
      device: extendSection(DeviceSettings, 'backend', devices),
      tasks: TaskSettings,
      judge: extendSection(JudgeSettings, 'kind', judges),
      served: extendSection(ServedSettings, 'format', new Map([...answers.keys()].map((name) => [name, {}]))),
      recordings: RecordingSettings,
    };
  },
  extend: async (plugins) => (await import('./plugins/load.js')).withPlugins(registry, plugins),
  // names from the configuration files of DigiRL, Digi-Q and CoSo
  aliases: {
    gamma: 'critic.gamma',
    tau: 'critic.tau',
    critic_lr: 'critic.lr',
    critic_epochs: 'critic.epochs',
    actor_lr: 'actor.lr',
    lm_lr: 'actor.lr',
    actor_epochs: 'actor.epochs',
    batch_size: 'critic.batch_size',
    grad_accum_steps: 'critic.grad_accum_steps',
    max_grad_norm: 'critic.max_grad_norm',
    threshold: 'actor.threshold',
    advantage_estimation: 'actor.loss',
    temperature: 'candidates.temperature',
    rollout_size: 'collect.episodes',
  },
  library: join(packageRoot(), 'configs'),
  defaultConfig: join(packageRoot(), 'configs', 'pocket.yaml'),
};
