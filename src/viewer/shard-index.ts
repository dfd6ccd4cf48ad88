import { Table } from '../data/tables.js';
import { TRANSITIONS } from '../data/transitions.js';
import type { Interned } from './interned.js';

const COLUMNS = [
  'trajectory',
  'task',
  'goal',
  'family',
  'nextImage',
  'imagePath',
  'done',
  'truncated',
  'trajectoryReward',
] as const;

/** Where the trajectories of one file of transitions lie, and what the list says of them: a number each, [count]. */
export interface ShardIndex {
  readonly file: string;
  readonly count: number;
  readonly ids: readonly string[];
  /** first row of each trajectory, and the number of its rows */
  readonly start: Uint32Array;
  readonly steps: Uint32Array;
  /** numbers of texts */
  readonly task: Uint32Array;
  readonly goal: Uint32Array;
  readonly family: Uint32Array;
  readonly reward: Float64Array;
  readonly truncated: Uint8Array;
  /** content id of the screenshot at the end; for imported data where the last screen is said to be */
  readonly last: readonly string[];
}

/**
 * Reads the columns that the index needs, a row group at a time. Rows of a trajectory lie together, as every stage and the
 * import write them.
 * @throws UserError where the file is truncated, foreign or damaged
 */
export async function indexShard(file: string, texts: Interned): Promise<ShardIndex> {
  const table = await Table.open(file, TRANSITIONS);
  try {
    const ids: string[] = [];
    const last: string[] = [];
    const numbers = { start: [] as number[], task: [] as number[], goal: [] as number[], family: [] as number[] };
    const reward: number[] = [];
    const truncated: number[] = [];
    let row = 0;
    for await (const read of table.stream({ columns: COLUMNS })) {
      if (row === 0 || ids[ids.length - 1] !== read.trajectory) {
        ids.push(read.trajectory);
        numbers.start.push(row);
        numbers.task.push(texts.of(read.task));
        numbers.goal.push(texts.of(read.goal));
        numbers.family.push(texts.of(read.family));
        reward.push(0);
        truncated.push(0);
      }
      const at = ids.length - 1;
      reward[at] = read.trajectoryReward;
      truncated[at] = read.truncated ? 1 : 0;
      last[at] = read.imagePath || read.nextImage;
      row++;
    }
    const start = Uint32Array.from(numbers.start);
    return {
      file,
      count: ids.length,
      ids,
      start,
      steps: start.map((first, i) => (start[i + 1] ?? row) - first),
      task: Uint32Array.from(numbers.task),
      goal: Uint32Array.from(numbers.goal),
      family: Uint32Array.from(numbers.family),
      reward: Float64Array.from(reward),
      truncated: Uint8Array.from(truncated),
      last,
    };
  } finally {
    table.close();
  }
}
