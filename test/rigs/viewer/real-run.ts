/** A small real run for tests of the viewer's page, made by the stages themselves through the command line. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { emptyFolder, succeed } from '../process.js';
import { TINY_OFFLINE, TINY_ONLINE } from '../tiny-settings.js';

/** The command line of critiq. */
export const PROGRAM = fileURLToPath(new URL('../../../src/cli/main.js', import.meta.url));

/** Tiny sizes: everything runs and little is learned; the base policy learns to write a valid action now and then. */
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
  'candidates.samples=4',
  'online.iterations=1',
  'online.rollout_size=2',
  'online.capacity=20',
  'online.actor_steps=1',
  'online.eval_episodes=2',
  'online.coso.pretrain_rounds=1',
  ...TINY_OFFLINE,
  ...TINY_ONLINE,
];

export interface RealRun {
  /** the folder of run folders */
  readonly data: string;
  readonly folder: string;
}

/** Runs every stage from demonstrations to evaluations of two policies, and CoSo's online stage. */
export async function realRun(t: Parameters<typeof emptyFolder>[0]): Promise<RealRun> {
  const cwd = emptyFolder(t);
  const stage = async (...args: string[]) => succeed([...args, ...TINY], { cwd, program: PROGRAM });
  await stage('eval', 'eval.policy=digiq');
  await stage('eval', 'eval.policy=base');
  await stage('online', 'online.mode=off2on', 'online.entropy=causal');
  return { data: join(cwd, 'data'), folder: join(cwd, 'data/pocket') };
}
