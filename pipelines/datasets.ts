import { openDataset } from '../src/data/manifest.js';
import { readTable, type TableKind } from '../src/data/tables.js';
import { CANDIDATES, TRANSITIONS, type CandidateRow, type Transition } from '../src/data/transitions.js';

/** Names of the files of shard `id` in the data sets of the pipeline. */
export const FILES = {
  transitions: (id: string) => `${id}.transitions.parquet`,
  candidates: (id: string) => `${id}.candidates.parquet`,
  vectors: (id: string) => `${id}.vectors.arrow`,
  representations: (id: string) => `${id}.representations.arrow`,
} as const;

/** Ids of the committed shards of a data set, in order. */
export async function shardIds(folder: string, stage: string): Promise<string[]> {
  return (await openDataset(folder, { stage })).shards.map(({ shard }) => shard);
}

/** Paths of the committed files of a data set whose names end with `suffix`. */
export async function filesOf(folder: string, stage: string, suffix: string): Promise<string[]> {
  return (await openDataset(folder, { stage })).files(suffix);
}

/** All transitions of a data set, in the order of their tids; only some columns if given. */
export function readTransitions<K extends keyof Transition & string = keyof Transition & string>(
  folder: string,
  stage: string,
  columns?: readonly K[],
): Promise<Pick<Transition, K>[]> {
  return readAll(folder, stage, '.transitions.parquet', TRANSITIONS, columns);
}

/** All candidate rows of a data set, in the order of their tids. */
export function readCandidates(folder: string, stage: string): Promise<CandidateRow[]> {
  return readAll(folder, stage, '.candidates.parquet', CANDIDATES);
}

async function readAll<Row extends object, K extends keyof Row & string>(
  folder: string,
  stage: string,
  suffix: string,
  kind: TableKind<Row>,
  columns?: readonly K[],
): Promise<Pick<Row, K>[]> {
  const rows: Row[] = [];
  for (const file of await filesOf(folder, stage, suffix)) {
    for (const row of await readTable(file, kind, columns ? { columns } : {})) rows.push(row);
  }
  return rows;
}
