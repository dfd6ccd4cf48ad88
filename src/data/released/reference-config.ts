/**
 * The settings files of DigiRL, Digi-Q and CoSo (`scripts/config/main/*.yaml`) in terms of critiq's settings. Facts of the
 * keys: the files and trainers of these projects (docs/algorithms.md §2 to §4).
 */

/** Whose file it is: Digi-Q trains critic and actor, the others train online (or from offline to online). */
export type ReferenceProject = 'digiq' | 'digirl';

export interface Translation {
  readonly project: ReferenceProject;
  /** critiq's settings file of the published run, which holds what the reference does and no key of its files says */
  readonly base: string;
  /** critiq's settings by dotted path, and the reference's keys they come from, in the order of the file */
  readonly settings: readonly { readonly path: string; readonly value: unknown; readonly from: string }[];
  /** keys without a meaning in critiq, and why or what to do instead */
  readonly meaningless: readonly { readonly key: string; readonly why: string }[];
  /** keys that no version of these projects is known to have */
  readonly unknown: readonly string[];
  /** keys whose value is not one that the reference knows */
  readonly wrong: readonly { readonly key: string; readonly value: unknown; readonly expected: string }[];
}

type Values = Readonly<Record<string, unknown>>;

/** A key's meaning: settings with the same value, or settings computed from the value; or why it has none. */
type Meaning =
  | { readonly to: readonly string[] }
  | { readonly as: (value: unknown, all: Values) => Readonly<Record<string, unknown>> | undefined; readonly expected: string }
  | { readonly none: string };

const to = (...paths: string[]): Meaning => ({ to: paths });
const none = (why: string): Meaning => ({ none: why });

/** A value from a list of words. @param words what each word of the reference means */
function oneOf(words: Readonly<Record<string, Readonly<Record<string, unknown>>>>): Meaning {
  return {
    as: (value) => (Object.hasOwn(words, String(value)) ? words[String(value)] : undefined),
    expected: Object.keys(words).join(' or '),
  };
}

const wholeNumber = (value: unknown): value is number => typeof value === 'number' && Number.isInteger(value);

const MACHINE = 'a folder of the machine it ran on';
const SECRET = 'a secret: put it in an environment variable (docs/judges.md), never in a file';
const FARM = "machines of the reference's ssh loop; critiq runs episodes on device.count devices (docs/devices.md)";

/** Keys that mean the same in all three projects. */
const COMMON: Readonly<Record<string, Meaning>> = {
  task_set: oneOf({ general: { 'tasks.set': 'general' }, webshop: { 'tasks.set': 'webshop' } }),
  task_split: oneOf({ train: { 'eval.split': 'train' }, test: { 'eval.split': 'test' } }),
  eval_sample_mode: oneOf({ sequential: { 'eval.protocol': 'first96' }, random: { 'eval.protocol': 'all' } }),
  // the reference replaces the last step by a stop
  max_steps: {
    as: (value) => (wholeNumber(value) && value > 1 ? { 'tasks.max_steps': value - 1 } : undefined),
    expected: 'a whole number above 1',
  },
  policy_lm: to('models.policy'),
  critic_lm: to('models.text'),
  bsize: to('device.count'),
  seed: to('seed'),
  run_name: {
    as: (value) => (typeof value === 'string' ? { run: value.replaceAll(/[^\w.+-]/g, '-').slice(0, 100) } : undefined),
    expected: 'a name',
  },
  record: oneOf({ true: { 'recordings.keep': 'all' }, false: { 'recordings.keep': 'none' } }),
  agent_name: oneOf({ autoui: {}, cogagent: { 'eval.agent': 'served', 'served.format': 'cogagent' } }),
  use_lora: oneOf({ false: {} }),
  do_sample: oneOf({ true: {}, false: { 'eval.temperature': 0 } }),
  max_new_tokens: none("the policy's generation_config.json decides (max_new_tokens)"),
  save_path: none('critiq writes to data/<run>; see the settings data and run'),
  save_freq: none('every result and checkpoint is kept as it is made'),
  eval_iterations: none('eval.episodes says how many episodes an evaluation has'),
  offline_data_path: none('critiq import digiq FILE reads that file'),
  huggingface_token: none(SECRET),
  wandb_key: none(SECRET),
  gemini_key: none(SECRET),
  use_wandb: none('metrics are always written to the run'),
  entity_name: none('metrics are always written to the run'),
  project_name: none('metrics are always written to the run'),
  android_avd_home: none(MACHINE),
  emulator_path: none(MACHINE),
  adb_path: none(MACHINE),
  cache_dir: none(MACHINE),
  assets_path: none('tasks.train_file and tasks.test_file name the task lists (docs/data.md)'),
  parallel: none(FARM),
  worker_temp_path: none(FARM),
  worker_run_path: none(FARM),
  worker_ips: none(FARM),
  worker_username: none(FARM),
};

const DIGIQ: Readonly<Record<string, Meaning>> = {
  ...COMMON,
  train_algorithm: oneOf({ digiq: { 'actor.method': 'digiq' }, filteredbc: { 'actor.method': 'filteredbc' } }),
  train_mode: oneOf({ offline: {} }),
  task_mode: none('a command says what is done: critiq critic, critiq actor, critiq eval'),
  offline_critic_iterations: to('critic.iterations'),
  epochs: to('critic.epochs'),
  offline_actor_iterations: to('actor.iterations'),
  actor_epochs: to('actor.epochs'),
  // one DataLoader serves both
  batch_size: to('critic.batch_size', 'actor.batch_size'),
  grad_accum_steps: to('critic.grad_accum_steps', 'actor.grad_accum_steps'),
  max_grad_norm: to('critic.max_grad_norm', 'actor.max_grad_norm'),
  critic_lr: to('critic.lr'),
  lm_lr: to('actor.lr'),
  gamma: to('critic.gamma'),
  tau: to('critic.tau'),
  temperature: to('collect.temperature', 'eval.temperature'),
  capacity: none('critiq trains on all trajectories of the run'),
  num_action_resampling: to('actor.n'),
  advantage_estimation: oneOf({ bellman: { 'critic.target': 'td' }, mc: { 'critic.target': 'mc' } }),
  learn_metric: oneOf({
    classification: { 'critic.mc_loss': 'classification' },
    regression: { 'critic.mc_loss': 'regression' },
  }),
  critc_use_original_action_to_backup: oneOf({
    true: { 'critic.backup_action': 'taken' },
    false: { 'critic.backup_action': 'sampled' },
  }),
  actor_always_include_original_action: oneOf({ true: {} }),
  actor_loss_type: oneOf({
    'best-of-n': { 'actor.loss': 'best_of_n' },
    pg: { 'actor.loss': 'pg' },
    awr: { 'actor.loss': 'awr' },
    sft: { 'actor.loss': 'sft' },
  }),
  pg_multiplier: to('actor.pg_factor'),
  awr_beta: to('actor.beta'),
  detach_model: none('critic.train_text_tower says whether the text encoder is trained'),
};

const DIGIRL: Readonly<Record<string, Meaning>> = {
  ...COMMON,
  train_algorithm: oneOf({
    digirl: { 'online.algorithm': 'digirl' },
    filteredbc: { 'online.algorithm': 'filteredbc' },
  }),
  train_mode: oneOf({
    offline: { 'online.mode': 'offline' },
    online: { 'online.mode': 'online' },
    off2on: { 'online.mode': 'off2on' },
  }),
  task_mode: oneOf({ train: {}, evaluate: { 'online.mode': 'eval' } }),
  train_iterations: to('online.iterations'),
  rollout_size: to('online.rollout_size'),
  capacity: to('online.capacity'),
  warmup_iter: to('online.warmup'),
  epochs: to('online.digirl.critic_steps'),
  trajectory_critic_epochs: to('online.digirl.instruction_steps'),
  actor_epochs: to('online.actor_steps'),
  batch_size: to('online.batch_size'),
  grad_accum_steps: to('online.grad_accum_steps'),
  max_grad_norm: to('online.max_grad_norm'),
  lm_lr: to('online.lr'),
  critic_lr: to('online.digirl.critic_lr'),
  gamma: to('online.digirl.gamma'),
  temperature: to('online.temperature', 'online.eval_temperature'),
  tau: none('DigiRL has no target network'),
  // the three make one setting
  offline_trajectory_critic_iterations: {
    as: (instruction, all) => {
      const phases = [instruction, all.offline_critic_iterations ?? 20, all.offline_actor_iterations ?? 20];
      return phases.every(wholeNumber) ? { 'online.offline_phases': phases } : undefined;
    },
    expected: 'whole numbers, of all three offline_..._iterations',
  },
  offline_critic_iterations: { as: () => ({}), expected: '' },
  offline_actor_iterations: { as: () => ({}), expected: '' },
  use_entropy: {
    as: (use, { use_causal: causal }) =>
      typeof use === 'boolean' ? { 'online.entropy': use ? (causal === true ? 'causal' : 'naive') : 'none' } : undefined,
    expected: 'true or false',
  },
  use_causal: { as: () => ({}), expected: '' },
  entropy_coeff: to('online.alpha'),
  causal_lr: to('online.coso.lr'),
  // a call makes two steps
  causal_pretrain: {
    as: (calls) => (wholeNumber(calls) ? { 'online.coso.pretrain_rounds': 2 * calls } : undefined),
    expected: 'a whole number',
  },
  causal_epochs: to('online.coso.rounds'),
};

/** Keys that only Digi-Q's files have. */
const ONLY_DIGIQ = ['actor_loss_type', 'advantage_estimation', 'num_action_resampling', 'critc_use_original_action_to_backup'];

/** Translates the values of a file (with its `defaults` merged in). */
export function translate(values: Values): Translation {
  const digiq = values.train_algorithm === 'digiq' || ONLY_DIGIQ.some((key) => key in values);
  const table = digiq ? DIGIQ : DIGIRL;
  const settings = new Map<string, { path: string; value: unknown; from: string }>();
  const meaningless: { key: string; why: string }[] = [];
  const unknown: string[] = [];
  const wrong: { key: string; value: unknown; expected: string }[] = [];
  for (const [key, value] of Object.entries(values)) {
    const meaning = Object.hasOwn(table, key) ? table[key] : undefined;
    if (!meaning) unknown.push(key);
    else if ('none' in meaning) meaningless.push({ key, why: meaning.none });
    else {
      const means = 'to' in meaning ? Object.fromEntries(meaning.to.map((path) => [path, value])) : meaning.as(value, values);
      if (!means) wrong.push({ key, value, expected: 'expected' in meaning ? meaning.expected : '' });
      // empty: the reference's value is what critiq does anyway, or another key of the group has said it
      for (const [path, set] of Object.entries(means ?? {})) settings.set(path, { path, value: set, from: key });
    }
  }
  const base = digiq
    ? { general: 'aitw-general', webshop: 'aitw-webshop' }[String(values.task_set)]
    : values.use_entropy === true && values.use_causal === true
      ? 'aitw-coso'
      : 'aitw-digirl';
  return {
    project: digiq ? 'digiq' : 'digirl',
    base: base ?? 'aitw-base',
    settings: [...settings.values()],
    meaningless,
    unknown,
    wrong,
  };
}
