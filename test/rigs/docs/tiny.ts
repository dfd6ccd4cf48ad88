/** Settings with which the docs' commands do everything within seconds, and the base policy sometimes succeeds. */
import { parse } from 'yaml';
import { TINY_OFFLINE, TINY_ONLINE } from '../tiny-settings.js';

const SIZES: readonly string[] = [
  'device.count=8',
  'tasks.max_steps=6',
  'tasks.set=general',
  'tasks.rows=16',
  'tasks.columns=6',
  'demos.episodes=120',
  'demos.shard=60',
  'demos.noise=0',
  'sft.epochs=12',
  'sft.batch=8',
  'sft.grad_accum_steps=1',
  'sft.lr=0.005',
  'sft.width=32',
  'sft.heads=2',
  'sft.layers=1',
  'sft.feed_forward=64',
  'critic.text_layers=1',
  'critic.text_heads=2',
  'candidates.samples=4',
  'online.iterations=1',
  'online.rollout_size=2',
  'online.capacity=20',
  'online.actor_steps=1',
  'online.eval_episodes=2',
  'online.coso.pretrain_rounds=1',
];

/** Enough episodes for some successes, since Filtered BC imitates those and fails without any. */
const COLLECT: readonly string[] = [
  'collect.episodes=48',
  'collect.shard=24',
  'collect.temperature=0.25',
  'eval.shard=48',
];

/** The tiny settings in the form of a settings file. @param more further ones, as on a command line */
export function tinySettings(more: readonly string[] = []): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const setting of [...SIZES, ...TINY_OFFLINE, ...TINY_ONLINE, ...COLLECT, ...more]) {
    const equals = setting.indexOf('=');
    // settings files accept dotted keys
    values[setting.slice(0, equals)] = parse(setting.slice(equals + 1)) as unknown;
  }
  return values;
}
