/** Settings files of the reference code, in critiq's settings. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { importConfig } from '../../../pipelines/commands/import-config.js';
import { registry } from '../../../pipelines/index.js';
import { UserError } from '../../../src/errors.js';
import { loadRegistry } from '../../../src/runner/registry.js';
import { loadSettings } from '../../../src/settings/settings.js';
import { emptyFolder } from '../../rigs/process.js';

const { schema, aliases } = await loadRegistry(registry);

function folderWith(t: TestContext, files: Readonly<Record<string, string>>): (name: string) => string {
  const folder = emptyFolder(t);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return (name) => join(folder, name);
}

/** The settings that the translation of a file resolves to. */
function resolved(t: TestContext, yaml: string): (path: string) => unknown {
  const at = folderWith(t, { 'mine.yaml': yaml });
  const config = loadSettings(schema, { file: at('mine.yaml'), library: registry.library, aliases });
  return (path) => path.split('.').reduce<unknown>((value, key) => (value as Record<string, unknown>)[key], config);
}

/** The keys of DigiRL's default.yaml, with values that differ from every default of critiq. */
const DIGIRL = `task_set: "webshop"
task_split: "train"
eval_sample_mode: "sequential"
max_steps: 12
gemini_key: 'AIza-not-a-key'
policy_lm: '/models/Auto-UI-Base'
critic_lm: '/models/roberta-base'
capacity: 1999
epochs: 6
batch_size: 3
bsize: 5
rollout_size: 17
grad_accum_steps: 31
warmup_iter: 2
actor_epochs: 21
trajectory_critic_epochs: 7
lm_lr: 2e-4
critic_lr: 3e-4
max_grad_norm: 0.02
gamma: 0.6
use_lora: False
agent_name: "autoui"
do_sample: True
temperature: 0.9
tau: 0.01
max_new_tokens: 128
use_entropy: True
use_causal: True
entropy_coeff: 0.5
causal_lr: 2e-5
causal_pretrain: 250
causal_epochs: 3
record: True
`;

test("DigiRL's and CoSo's files, with the defaults that they name", (t) => {
  const at = folderWith(t, {
    'default.yaml': `\uFEFF${DIGIRL.replaceAll('\n', '\r\n')}`,
    'off2on.yaml': `defaults:
  - default
  - _self_
run_name: 'a run/of mine'
train_algorithm: "digirl"
train_mode: "off2on"
task_mode: "train"
offline_data_path: "/data/t.pt"
offline_actor_iterations: 31
offline_critic_iterations: 22
offline_trajectory_critic_iterations: 23
train_iterations: 401
gamma: 0.7
something_new: 1
`,
  });
  const imported = importConfig(at('off2on.yaml'), schema);
  assert.equal(imported.base, 'aitw-coso');
  assert.deepEqual(imported.unknown, ['something_new']);
  const meaningless = imported.meaningless.map(({ key }) => key);
  assert.deepEqual(meaningless.sort(), ['gemini_key', 'max_new_tokens', 'offline_data_path', 'tau']);
  assert.ok(!JSON.stringify(imported).includes('AIza'), 'keys are not repeated');
  const setting = resolved(t, imported.yaml);
  const expected = {
    run: 'a-run-of-mine',
    'tasks.set': 'webshop',
    'tasks.max_steps': 11,
    'eval.split': 'train',
    'eval.protocol': 'first96',
    'models.policy': '/models/Auto-UI-Base',
    'models.text': '/models/roberta-base',
    'device.count': 5,
    'recordings.keep': 'all',
    'online.algorithm': 'digirl',
    'online.mode': 'off2on',
    'online.entropy': 'causal',
    'online.alpha': 0.5,
    'online.iterations': 401,
    'online.rollout_size': 17,
    'online.capacity': 1999,
    'online.warmup': 2,
    'online.actor_steps': 21,
    'online.batch_size': 3,
    'online.grad_accum_steps': 31,
    'online.lr': 2e-4,
    'online.max_grad_norm': 0.02,
    'online.temperature': 0.9,
    'online.eval_temperature': 0.9,
    'online.offline_phases': [23, 22, 31],
    'online.digirl.critic_steps': 6,
    'online.digirl.instruction_steps': 7,
    'online.digirl.critic_lr': 3e-4,
    // the file's own value, not the one of default.yaml
    'online.digirl.gamma': 0.7,
    'online.coso.lr': 2e-5,
    'online.coso.pretrain_rounds': 500,
    'online.coso.rounds': 3,
    // what the code does and no key says
    'online.digirl.ties': 'keep',
    'online.top_k': 50,
  };
  assert.deepEqual(Object.fromEntries(Object.keys(expected).map((path) => [path, setting(path)])), expected);
});

test("Digi-Q's files", (t) => {
  const at = folderWith(t, {
    'digiq.yaml': `train_algorithm: "digiq"
task_set: "general"
task_mode: "train"
batch_size: 5
grad_accum_steps: 30
epochs: 21
actor_epochs: 31
offline_critic_iterations: 41
offline_actor_iterations: 29
critic_lr: 2e-5
lm_lr: 3e-4
gamma: 0.9
tau: 0.2
temperature: 0.7
max_grad_norm: 0.03
num_action_resampling: 8
advantage_estimation: "bellman"
learn_metric: "regression"
critc_use_original_action_to_backup: False
actor_always_include_original_action: True
actor_loss_type: "best-of-n"
pg_multiplier: 10.0
awr_beta: 0.05
`,
  });
  const imported = importConfig(at('digiq.yaml'), schema);
  assert.deepEqual([imported.base, imported.unknown], ['aitw-general', []]);
  const setting = resolved(t, imported.yaml);
  const expected = {
    'critic.iterations': 41,
    'critic.epochs': 21,
    'critic.epoch_steps': 1,
    'critic.batch_size': 5,
    'critic.grad_accum_steps': 30,
    'critic.lr': 2e-5,
    'critic.gamma': 0.9,
    'critic.tau': 0.2,
    'critic.max_grad_norm': 0.03,
    'critic.target': 'td',
    'critic.mc_loss': 'regression',
    'critic.backup_action': 'sampled',
    'actor.iterations': 29,
    'actor.epochs': 31,
    'actor.batch_size': 5,
    'actor.grad_accum_steps': 30,
    'actor.lr': 3e-4,
    'actor.max_grad_norm': 0.03,
    'actor.n': 8,
    'actor.loss': 'best_of_n',
    'actor.pg_factor': 10,
    'actor.beta': 0.05,
    'collect.temperature': 0.7,
    'eval.temperature': 0.7,
    'collect.episodes': 1008,
  };
  assert.deepEqual(Object.fromEntries(Object.keys(expected).map((path) => [path, setting(path)])), expected);
});

test('a file that cannot be meant is an error in plain lines', (t) => {
  const at = folderWith(t, {
    'wrong.yaml': 'task_set: "weather"\nbatch_size: many\nactor_loss_type: ppo\n',
    'cycle.yaml': 'defaults: [cycle]\n',
    'outside.yaml': 'defaults: [../secret]\n',
    'other.yaml': 'model:\n  name: bert\n',
    'broken.yaml': 'a: [1\n',
    'list.yaml': '- 1\n',
    'twins.yaml': 'defaults: [twins1, twins1]\n',
    ...Object.fromEntries(
      Array.from({ length: 8 }, (_, i) => [`twins${i + 1}.yaml`, `defaults: [twins${i + 2}, twins${i + 2}]\n`]),
    ),
    'twins9.yaml': 'gamma: 0.5\n',
    'long.yaml': `# ${'x'.repeat(1 << 17)}\n`,
    'deep.yaml': `a: ${'['.repeat(100)}${']'.repeat(100)}\n`,
    'aliases.yaml': `a: &a [x]\n${Array.from({ length: 200 }, (_, i) => `k${i}: *a`).join('\n')}\n`,
  });
  const fails = (name: string, pattern: RegExp) =>
    assert.throws(
      () => importConfig(at(name), schema),
      (error) => error instanceof UserError && pattern.test(error.message),
      name,
    );
  fails('wrong.yaml', /task_set: expected general or webshop, got "weather"/);
  fails('wrong.yaml', /batch_size: expected integer >= 1 \(critiq's critic\.batch_size\), got "many"/);
  fails('wrong.yaml', /actor_loss_type: expected best-of-n or pg or awr or sft, got "ppo"/);
  fails('cycle.yaml', /names itself/);
  fails('outside.yaml', /expected the name of a file in its folder, got "\.\.\/secret"/);
  fails('other.yaml', /no key of DigiRL, Digi-Q or CoSo/);
  fails('broken.yaml', /broken\.yaml:\d+:\d+: not valid YAML: /);
  fails('list.yaml', /expected a map of settings/);
  fails('aliases.yaml', /alias/);
  fails('missing.yaml', /missing\.yaml: no such settings file/);
  fails('twins.yaml', /expected at most 100 files in all/);
  fails('long.yaml', /settings file of \d+ bytes, expected at most 131072/);
  fails('deep.yaml', /nested more than 64 deep/);
  assert.throws(() => importConfig('/dev/zero', schema), /\/dev\/zero: expected a settings file, got a device or pipe/);
});

test('aliases of one setting work with their own values; names that mean several say which', () => {
  const at = (...overrides: string[]) => loadSettings(schema, { overrides, aliases });
  const critic = (overrides: string) => (at(overrides).critic as { target: string }).target;
  assert.deepEqual([critic('advantage_estimation=bellman'), critic('advantage_estimation=mc')], ['td', 'mc']);
  assert.equal((at('actor_loss_type=best-of-n').actor as { loss: string }).loss, 'best_of_n');
  assert.equal((at('rollout_size=5').online as { rollout_size: number }).rollout_size, 5);
  assert.throws(
    () => at('temperature=0.8'),
    /did you mean .*collect\.temperature or candidates\.temperature .*or eval\.temperature/,
  );
  assert.throws(() => at('batch_size=8'), /did you mean critic\.batch_size or actor\.batch_size/);
  assert.throws(() => at('advantage_estimation=ppo'), /critic\.target: expected "td" or "mc", got "ppo"/);
});
