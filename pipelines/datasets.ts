import { basename, join } from 'node:path';
import { ANNOTATIONS } from '../src/data/annotations.js';
import { openDataset } from '../src/data/store/manifest.js';
import { UserError } from '../src/errors.js';
import { readTable, type TableKind } from '../src/data/tables.js';
import { LABELS, type LabelRow } from '../src/data/labels.js';
import { CANDIDATES, TRANSITIONS, type CandidateRow, type Transition } from '../src/data/transitions.js';

/** File names of shard `id` in the data sets of the pipeline and of `critiq import`. */
export const FILES = {
  transitions: (id: string) => `transitions-${id}.parquet`,
  answers: (id: string) => `_answers-${id}.jsonl`,
  // the other tables of an online run; each has its own folder, so that both it and the transitions read as one table
  onlineSteps: '_steps/steps.parquet',
  curve: '_curve/curve.parquet',
  tokenInfluence: '_token-influence/token-influence.parquet',
  // what imported data say of a step beyond the transition, and what a policy would have done in it
  annotations: (id: string) => `_annotations/annotations-${id}.parquet`,
  predictions: (id: string) => `_predictions/predictions-${id}.parquet`,
  candidates: (id: string) => `candidates-${id}.parquet`,
  vectors: (id: string) => `images-${id}.arrow`,
  representations: (id: string) => `representations-${id}.arrow`,
  labels: (id: string) => `labels-${id}.parquet`,
  oracle: (id: string) => `oracle-${id}.parquet`,
} as const;

/** Ids of the committed shards of a data set, in order. */
export async function shardIds(folder: string, stage: string): Promise<string[]> {
  return (await openDataset(folder, { stage })).shards.map(({ shard }) => shard);
}

/** Paths of the committed files of a data set whose names end with `suffix`. */
export async function filesOf(folder: string, stage: string, suffix = ''): Promise<string[]> {
  return (await openDataset(folder, { stage })).files(suffix);
}

/** All transitions of a data set, in the order of their tids. @param columns reads only these */
export function readTransitions<K extends keyof Transition & string = keyof Transition & string>(
  folder: string,
  stage: string,
  columns?: readonly K[],
): Promise<Pick<Transition, K>[]> {
  return readAll(folder, stage, TRANSITIONS, columns);
}

/** The annotations beside the transitions of a shard; undefined if it has none, as only imported data have some. */
export async function readAnnotations(folder: string, shard: string) {
  const file = FILES.annotations(shard);
  const there = (await filesOf(folder, 'collect', file)).length > 0;
  return there ? readTable(join(folder, file), ANNOTATIONS) : undefined;
}

/** All candidate rows of a data set, in the order of their tids. */
export function readCandidates(folder: string, stage: string): Promise<CandidateRow[]> {
  return readAll(folder, stage, CANDIDATES);
}

/** All labels of a data set, in the order of their tids. */
export function readLabels(folder: string): Promise<LabelRow[]> {
  return readAll(folder, 'label', LABELS);
}

/** Rows of the only file of a table in a data set. @param file its name in `FILES`; older runs have it in another folder */
export async function readOnce<Row extends object>(
  folder: string,
  stage: string,
  file: string,
  kind: TableKind<Row>,
): Promise<Row[]> {
  const [found] = await filesOf(folder, stage, basename(file));
  if (found === undefined)
    throw new UserError(`${folder}: has no ${basename(file)}; delete ${folder} and run \`critiq ${stage}\` again`);
  return readTable(found, kind);
}

async function readAll<Row extends object, K extends keyof Row & string>(
  folder: string,
  stage: string,
  kind: TableKind<Row>,
  columns?: readonly K[],
): Promise<Pick<Row, K>[]> {
  const rows: Row[] = [];
  // a data set may hold tables of several kinds; a file's name contains its kind (FILES)
  const files = (await filesOf(folder, stage, '.parquet')).filter((file) => basename(file).includes(kind.name));
  for (const file of files) {
    for (const row of await readTable(file, kind, columns ? { columns } : {})) rows.push(row);
  }
  return rows;
}
