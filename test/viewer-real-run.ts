/** A small real run, made by the stages themselves through the command line: what the viewer's page is tested on. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { emptyFolder, succeed } from './runner-process.js';

/** The command line of critiq. */
export const PROGRAM = fileURLToPath(new URL('../src/cli.js', import.meta.url));

/** Sizes at which little is learned and everything is done; the base policy learns to say a valid action now and then. */
const TINY = [
  'device.count=4',
  'tasks.max_steps=5',
  'demos.episodes=60',
  'demos.shard=60',
  'sft.epochs=14',
  'sft.batch=8',
  'sft.lr=0.01',
  'sft.warmup=10',
  'sft.width=32',
  'sft.heads=2',
  'sft.layers=1',
  'sft.feed_forward=32',
  'collect.episodes=8',
  'collect.shard=5',
  'candidates.samples=4',
  'vlm.transitions=20',
  'vlm.epochs=1',
  'vlm.batch=4',
  'critic.text_width=8',
  'critic.q_hidden=[16]',
  'critic.v_hidden=[16]',
  'critic.batch_size=8',
  'critic.iterations=2',
  'critic.epochs=2',
  'actor.loss=sft',
  'actor.batch_size=4',
  'actor.iterations=2',
  'eval.episodes=6',
  'eval.shard=4',
  'online.iterations=1',
  'online.offline_iterations=1',
  'online.rollout_size=2',
  'online.capacity=20',
  'online.actor_steps=1',
  'online.batch_size=4',
  'online.eval_every=2',
  'online.eval_episodes=2',
  'online.text_width=8',
  'online.text_layers=1',
  'online.text_heads=2',
  'online.text_tokens=32',
  'online.digirl.hidden=[8]',
  'online.digirl.top=1',
  'online.digirl.keep_above=-1',
  'online.coso.width=8',
  'online.coso.layers=1',
  'online.coso.heads=2',
  'online.coso.feed_forward=8',
  'online.coso.pretrain_rounds=1',
  'online.coso.batch_size=8',
];

export interface RealRun {
  /** the folder of run folders */
  readonly data: string;
  readonly folder: string;
}

/** Every stage from demonstrations to evaluations of two policies, and CoSo's online one. */
export async function realRun(t: Parameters<typeof emptyFolder>[0]): Promise<RealRun> {
  const cwd = emptyFolder(t);
  const stage = async (...args: string[]) => succeed([...args, ...TINY], { cwd, program: PROGRAM });
  await stage('eval', 'eval.policy=digiq');
  await stage('eval', 'eval.policy=base');
  await stage('online', 'online.mode=off2on', 'online.entropy=causal');
  return { data: join(cwd, 'data'), folder: join(cwd, 'data/pocket') };
}
