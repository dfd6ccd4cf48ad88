/** A small run whose trajectories are demonstrations on the embedded phone, with a few candidates for each state. */
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { formatAction } from '../../../src/agents/grammar.js';
import { recordFile } from '../../../src/data/store/integrity.js';
import { openDataset } from '../../../src/data/store/manifest.js';
import { readTable, writeTable } from '../../../src/data/tables.js';
import { CANDIDATES, TRANSITIONS, type CandidateRow } from '../../../src/data/transitions.js';
import { tap } from '../../../src/data/action.js';
import { succeed } from '../process.js';

export const program = fileURLToPath(new URL('../../../src/cli/main.js', import.meta.url));

const VARIANTS = [
  formatAction(tap([0.25, 0.75])),
  formatAction({ type: 'DUAL_POINT', touch: [0.8, 0.5], lift: [0.3, 0.5] }),
  formatAction({ type: 'TYPE', text: 'lamp <image>' }),
  formatAction({ type: 'PRESS_HOME' }),
  formatAction({ type: 'STATUS_TASK_COMPLETE' }),
  'Action Plan: nothing',
];

/** The size of a small run; `rows` counts the actions of all transitions. */
export interface SmallRun {
  readonly transitions: number;
  readonly rows: number;
}

/** Makes `data/pocket` in `cwd` with the data sets `trajectories`, `images` and `candidates`, as if they were imported. */
export async function smallRun(cwd: string): Promise<SmallRun> {
  await succeed(['demos', 'demos.episodes=5', 'demos.shard=3', 'tasks.max_steps=6', 'device.count=2'], {
    cwd,
    program,
  });
  const run = join(cwd, 'data/pocket');
  const [trajectories, candidates] = [join(run, 'trajectories'), join(run, 'candidates')];
  cpSync(join(run, 'demos'), trajectories, { recursive: true });
  // without its plan no stage rebuilds it
  rmSync(join(trajectories, '_plan.json'));
  const target = await openDataset(candidates);
  let [transitions, rows] = [0, 0];
  for (const { shard } of (await openDataset(trajectories)).shards) {
    const steps = await readTable(join(trajectories, `transitions-${shard}.parquet`), TRANSITIONS);
    const list = steps.map(({ tid, action }, i): CandidateRow => {
      const actions = [action, ...VARIANTS.slice(i % 3, (i % 3) + 4).filter((text) => text !== action)];
      const all = <T>(value: T): T[] => Array<T>(actions.length).fill(value);
      return { tid, actions, counts: all(1), valid: all(true), logProbs: all(-1) };
    });
    const file = `candidates-${shard}.parquet`;
    await writeTable(join(candidates, file), CANDIDATES, list);
    await target.commit({ shard, files: [await recordFile(join(candidates, file), file)], inputs: '', settings: '' });
    transitions += steps.length;
    rows += list.reduce((sum, { actions }) => sum + actions.length, 0);
  }
  return { transitions, rows };
}
