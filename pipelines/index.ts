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
      name: 'label',
      summary: 'rate every step good or bad: by a judge, its outcome, or the state of the embedded phone',
      load: async () => (await import('./label.js')).label,
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
      name: 'value',
      summary: 'train the value model of VEM: is an action good or bad?',
      load: async () => (await import('./value.js')).value,
    },
    {
      name: 'vem',
      summary: 'train a policy on its own samples, weighted by the value model (VEM)',
      load: async () => (await import('./vem.js')).vem,
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
      name: 'oracle',
      summary: 'measure true values: play on from collected states after every candidate',
      load: async () => (await import('./oracle.js')).oracle,
    },
    {
      name: 'offline',
      summary: 'compare what a policy would do with recorded episodes',
      load: async () => (await import('./offline.js')).offline,
    },
    {
      name: 'report',
      summary: 'write report.html and report.json',
      load: async () => (await import('./report.js')).report,
    },
  ],
  sections: async () => {
    const { DeviceSettings, ModelSettings, TaskSettings, TrainingSettings } = await import('./sections.js');
    const { ImportSettings } = await import('./import-settings.js');
    const { JudgeSettings } = await import('./episodes/judge.js');
    const { RecordingSettings } = await import('./episodes/recordings.js');
    const { ServedSettings } = await import('./episodes/served.js');
    const { MlflowSettings } = await import('../src/tracking/mlflow.js');
    const { extendSection, extensions } = await import('./plugins/extensions.js');
    const { devices, judges, answers } = extensions();
    return {
      import: ImportSettings,
      models: ModelSettings,
      device: extendSection(DeviceSettings, 'backend', devices),
      tasks: TaskSettings,
      training: TrainingSettings,
      judge: extendSection(JudgeSettings, 'kind', judges),
      served: extendSection(ServedSettings, 'format', new Map([...answers.keys()].map((name) => [name, {}]))),
      recordings: RecordingSettings,
      mlflow: MlflowSettings,
    };
  },
  extend: async (plugins) => (await import('./plugins/load.js')).withPlugins(registry, plugins),
  // names from the configuration files of DigiRL, Digi-Q and CoSo that mean one setting; those that mean several, such as
  // `temperature` and `batch_size`, are left to `critiq import config` (src/data/released/reference-config.ts)
  aliases: {
    gamma: 'critic.gamma',
    tau: 'critic.tau',
    critic_lr: 'critic.lr',
    critic_epochs: 'critic.epochs',
    offline_critic_iterations: 'critic.iterations',
    advantage_estimation: { path: 'critic.target', values: { bellman: 'td' } },
    learn_metric: 'critic.mc_loss',
    actor_lr: 'actor.lr',
    lm_lr: 'actor.lr',
    actor_epochs: 'actor.epochs',
    offline_actor_iterations: 'actor.iterations',
    num_action_resampling: 'actor.n',
    actor_loss_type: { path: 'actor.loss', values: { 'best-of-n': 'best_of_n' } },
    pg_multiplier: 'actor.pg_factor',
    awr_beta: 'actor.beta',
    threshold: 'actor.threshold',
    rollout_size: 'online.rollout_size',
    train_iterations: 'online.iterations',
    train_mode: 'online.mode',
    warmup_iter: 'online.warmup',
    capacity: 'online.capacity',
    trajectory_critic_epochs: 'online.digirl.instruction_steps',
    entropy_coeff: 'online.alpha',
    task_set: 'tasks.set',
    policy_lm: 'models.policy',
    critic_lm: 'models.text',
  },
  library: join(packageRoot(), 'configs'),
  defaultConfig: join(packageRoot(), 'configs', 'pocket.yaml'),
};
