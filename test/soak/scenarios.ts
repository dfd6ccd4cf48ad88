/** What the soak kills: chains of commands on small pipelines and on the real stages. */
import { fileURLToPath } from 'node:url';
import { TINY_OFFLINE, TINY_ONLINE, TINY_TASKS } from '../rigs/tiny-settings.js';

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

export interface Scenario {
  readonly name: string;
  readonly program: string;
  /** milliseconds by which the small pipelines are slowed down, so that kills meet them at work */
  readonly delayMs?: number;
  readonly files?: Readonly<Record<string, string>>;
  readonly commands: readonly (readonly string[])[];
}

const GROWING = at('../rigs/growing.js');
const CRITIQ = at('../../src/cli/main.js');

/** Settings of a run of all stages, given once: a run keeps them. */
const REAL = [
  ...TINY_OFFLINE,
  ...TINY_ONLINE,
  'tasks.train_file=tasks.jsonl',
  'tasks.test_file=tasks.jsonl',
  'tasks.max_steps=3',
  'tasks.rows=8',
  'tasks.columns=4',
  'device.count=4',
  'demos.episodes=8',
  'demos.shard=4',
  'demos.noise=0',
  'sft.epochs=2',
  'sft.batch=4',
  'sft.width=16',
  'sft.heads=2',
  'sft.layers=1',
  'sft.feed_forward=16',
  'candidates.samples=3',
  'online.iterations=2',
  'online.rollout_size=2',
  'online.eval_episodes=1',
  'online.entropy=causal',
  'report.evals=[base-test]',
  'report.compare=[base-test, base-test]',
];

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'checkpoints',
    program: at('../rigs/stages.js'),
    delayMs: 40,
    commands: [
      ['total'],
      ['total', 'total.name=other', 'total.lr=1'],
      ['versus'],
      ['total', 'numbers.count=60', '--redo'],
    ],
  },
  {
    name: 'growing',
    program: GROWING,
    delayMs: 25,
    commands: [
      ['score', 'items.count=9'],
      ['copies', 'items.count=15'],
      ['score', 'fit.steps=12', '--redo'],
      ['score', 'items.count=6', '--redo'],
      ['score', 'items.count=15', '--redo'],
      ['score', 'items.scale=7', '--redo'],
      ['score', 'copies.count=3', '--redo'],
    ],
  },
  {
    name: 'forks and sweeps',
    program: GROWING,
    delayMs: 25,
    commands: [
      ['score', 'items.count=9'],
      ['fork', 'pocket', 'other'],
      ['score', 'run=other', 'fit.lr=0.25', '--redo'],
      ['sweep', 'fit.lr=0.5,0.25', 'seed=0..1', '--stages', 'fit,score', '--name', 'swept'],
    ],
  },
  {
    name: 'real stages',
    program: CRITIQ,
    files: { 'tasks.jsonl': TINY_TASKS },
    commands: [
      ['sft', ...REAL],
      ['candidates', ...REAL],
      ['represent', ...REAL],
      ['critic', ...REAL],
      ['actor', ...REAL],
      ['eval', ...REAL],
      ['online', ...REAL],
      ['report', ...REAL],
    ],
  },
];
