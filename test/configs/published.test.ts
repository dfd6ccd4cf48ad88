/** The settings files of the published runs give the published values (docs/algorithms.md §0 and §2 to §5). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { registry } from '../../pipelines/index.js';
import { loadRegistry } from '../../src/runner/registry.js';
import { loadSettings } from '../../src/settings/settings.js';

const loaded = await loadRegistry(registry);

/** The value of a dotted path in the settings that a named file resolves to. */
function resolved(file: string): (path: string) => unknown {
  const config = loadSettings(loaded.schema, { file, library: registry.library });
  return (path) => path.split('.').reduce<unknown>((at, key) => (at as Record<string, unknown>)[key], config);
}

type Table = Readonly<Record<string, unknown>>;

/** Digi-Q: P and C give these, C where they differ. */
const DIGIQ: Table = {
  'collect.temperature': 0.8,
  'collect.top_k': 50,
  'candidates.temperature': 1.2,
  'candidates.top_k': 50,
  'candidates.retries': 3,
  'vlm.threshold': 30,
  'represent.answer': 'generated',
  'critic.target': 'td',
  'critic.gamma': 0.95,
  'critic.tau': 0.1,
  'critic.lr': 1e-5,
  'critic.max_grad_norm': 0.01,
  'critic.weight_decay': 0,
  'critic.backup_action': 'taken',
  'critic.mc_weight': 0,
  'critic.validation': 0.2,
  'critic.split': 'order',
  'critic.q_hidden': null,
  'critic.v_hidden': null,
  'actor.loss': 'best_of_n',
  'actor.n': 16,
  'actor.scored': 'samples',
  'actor.data': 'training',
  'actor.aggregate': 'max',
  'actor.lr': 1e-4,
  'actor.max_grad_norm': 0.01,
  'actor.log_prob_clamp': [0.001, 0.99],
  'actor.action': 'best',
  'actor.advantage_clamp': [0, 1],
  'actor.pg_factor': 5,
  'actor.beta': 0.01,
  'judge.ask': 'step',
  'judge.declare': 'ignored',
  'eval.protocol': 'first96',
  'eval.temperature': 0.8,
  'eval.top_k': 50,
};

/** DigiRL: C's default.yaml and digirl_off2on.yaml, and its trainer. */
const DIGIRL: Table = {
  'tasks.set': 'general',
  'tasks.max_steps': 9,
  'judge.ask': 'step',
  'judge.declare': 'ignored',
  'online.mode': 'off2on',
  'online.algorithm': 'digirl',
  'online.iterations': 400,
  'online.rollout_size': 16,
  'online.temperature': 1,
  'online.top_k': 50,
  'online.offline_phases': [20, 20, 30],
  'online.offline_entropy': false,
  'online.warmup': 0,
  'online.capacity': 2000,
  'online.actor_steps': 20,
  'online.batch_size': 4,
  'online.grad_accum_steps': 32,
  'online.lr': 1e-4,
  'online.max_grad_norm': 0.01,
  'online.log_prob_clamp': [0.001, 0.99],
  'online.digirl.gamma': 0.5,
  'online.digirl.advantage': 'released',
  'online.digirl.margin': 0.05,
  'online.digirl.curriculum': 'instruction',
  'online.digirl.offline_curriculum': 'reward',
  'online.digirl.top': 0.1,
  'online.digirl.ties': 'keep',
  'online.digirl.rank': 'all',
  'online.digirl.next_value': 'network',
  'online.digirl.instruction_value': 'encoder',
  'online.digirl.instruction_batch': 8,
  'online.digirl.instruction_steps': 5,
  'online.digirl.critic_steps': 5,
  'online.digirl.critic_lr': 1e-4,
  'online.digirl.hidden': [768, 768],
};

/** VEM: P and C give these, except for the weights, which are critiq's (C: [0.5, 1]). */
const VEM: Table = {
  'label.from': 'judge',
  'label.shows': 'episode',
  'label.judge.model': 'gpt-4o',
  'label.judge.temperature': 0.7,
  'label.judge.max_tokens': 100,
  'label.judge.concurrency': 8,
  'value.history': 20,
  'value.max_pixels': 56_000,
  'vem.weights': [0, 1],
  'vem.weighting': 'rating',
  'vem.threshold': 0.5,
  'vem.temperature': 1,
  'vem.top_k': 50,
  'vem.lr': 1e-6,
  'vem.lr_schedule': 'constant',
  'vem.batch_size': 3,
  'vem.grad_accum_steps': 32,
  'vem.epochs': 20,
  'vem.max_grad_norm': 0.01,
  'vem.weight_decay': 0,
  'vem.log_prob_clamp': [0.001, 0.99],
  'vem.validation': 0.05,
  'eval.temperature': 1,
  'tasks.max_steps': 11,
};

const TABLES: Readonly<Record<string, Table>> = {
  'vem-general': { ...VEM, 'tasks.set': 'general' },
  'vem-webshopping': { ...VEM, 'tasks.set': 'webshop' },
  'aitw-general': {
    ...DIGIQ,
    'tasks.set': 'general',
    'tasks.max_steps': 9,
    'collect.episodes': 1008,
    'candidates.samples': 64,
    'actor.threshold': 0.1,
  },
  'aitw-webshop': {
    ...DIGIQ,
    'tasks.set': 'webshop',
    'tasks.max_steps': 19,
    'collect.episodes': 1296,
    'candidates.samples': 16,
    'actor.threshold': 0.05,
  },
  'aitw-digirl': { ...DIGIRL, 'online.entropy': 'none' },
  'aitw-coso': {
    ...DIGIRL,
    'online.entropy': 'causal',
    'online.alpha': 1,
    'online.coso.classes': 'type',
    'online.coso.window': 4,
    'online.coso.layers': 3,
    'online.coso.width': 128,
    'online.coso.heads': 4,
    'online.coso.feed_forward': 512,
    'online.coso.pretrain_rounds': 1000,
    'online.coso.rounds': 2,
    'online.coso.batch_size': 1024,
    'online.coso.lr': 1e-5,
    'online.coso.dropout': 0.1,
    'online.coso.max_grad_norm': 0.01,
    'online.coso.invalid': 'left_out',
  },
};

for (const [file, table] of Object.entries(TABLES)) {
  test(`${file} has the published values`, () => {
    const at = resolved(file);
    assert.deepEqual(Object.fromEntries(Object.keys(table).map((path) => [path, at(path)])), table);
  });
}

for (const file of ['aitw-general', 'aitw-webshop']) {
  test(`${file}: 800 critic steps with a Polyak update each, 900 actor steps, 128 transitions a step`, () => {
    const at = resolved(file);
    const product = (...paths: string[]) => paths.reduce((sum, path) => sum * (at(path) as number), 1);
    assert.equal(product('critic.iterations', 'critic.epochs', 'critic.epoch_steps'), 800);
    // 0: one update per epoch, which is one step
    assert.deepEqual([at('critic.target_update_every'), at('critic.epoch_steps')], [0, 1]);
    assert.equal(product('actor.iterations', 'actor.epochs', 'actor.epoch_steps'), 900);
    for (const stage of ['critic', 'actor'])
      assert.equal(product(`${stage}.batch_size`, `${stage}.grad_accum_steps`), 128);
  });
}
