/** The real stages on a file system that fails: one line, nothing lost, and the next run ends in the same bytes. */
import { attacked, KINDS, made } from '../rigs/attack.js';
import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { registry } from '../../pipelines/index.js';
import { Random } from '../../src/random.js';
import { emptyFolder } from '../rigs/process.js';
import { TINY_OFFLINE, TINY_TASKS } from '../rigs/tiny-settings.js';

const STAGES = ['demos', 'sft', 'collect', 'candidates', 'vlm', 'represent', 'critic', 'eval', 'report'];

test('every real stage meets one kind of fault', async (t) => {
  const tasks = join(emptyFolder(t), 'tasks.jsonl');
  writeFileSync(tasks, TINY_TASKS);
  const settings = [
    ...TINY_OFFLINE,
    ...[
      `tasks.train_file=${tasks}`,
      `tasks.test_file=${tasks}`,
      'tasks.max_steps=3',
      'tasks.rows=8',
      'tasks.columns=4',
    ],
    ...[
      'device.count=4',
      'demos.episodes=8',
      'demos.shard=4',
      'sft.epochs=1',
      'sft.batch=4',
      'sft.width=16',
      'sft.heads=2',
    ],
    ...['sft.layers=1', 'sft.feed_forward=16', 'candidates.samples=3', 'workers=1', 'threads=1'],
    ...['report.evals=[base-test]', 'report.compare=[base-test, base-test]'],
  ];
  const random = new Random(Number(process.env.CRITIQ_FAULT_SEED ?? 1), 'real faults');
  let before = emptyFolder(t);
  for (const [i, stage] of STAGES.entries()) {
    await attacked(t, registry, before, (data) => [stage, ...settings, `data=${data}`], random, [KINDS[i % 4]], 1);
    const after = emptyFolder(t);
    cpSync(before, after, { recursive: true });
    await made(t, registry, [stage, ...settings], after);
    before = after;
  }
});
