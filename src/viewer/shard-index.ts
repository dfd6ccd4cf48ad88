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

/** The trajectories of one file of transitions, for the list; arrays have one entry for each trajectory, [count]. */
export interface ShardIndex {
  readonly file: string;
  readonly count: number;
  readonly ids: readonly string[];
  /** first row and number of rows of each trajectory */
  readonly start: Uint32Array;
  readonly steps: Uint32Array;
  /** numbers of interned texts */
  readonly task: Uint32Array;
  readonly goal: Uint32Array;
  readonly family: Uint32Array;
  readonly reward: Float64Array;
  readonly truncated: Uint8Array;
  /** content id of the final screenshot */
  readonly last: readonly string[];
  /** for imported data, the path of the last step's screenshot; else empty */
  readonly lastPath: readonly string[];
}

/**
 * Reads the columns that the index needs, one row group at a time. The rows of a trajectory follow each other: all stages
 * and imports write them so.
 * @throws UserError if the file is truncated, foreign or damaged
 */
export async function indexShard(file: string, texts: Interned): Promise<ShardIndex> {
  const table = await Table.open(file, TRANSITIONS);
  try {
    const ids: string[] = [];
    const last: string[] = [];
    const lastPath: string[] = [];
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
      last[at] = read.nextImage;
      lastPath[at] = read.imagePath;
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
      lastPath,
    };
  } finally {
    table.close();
  }
}
