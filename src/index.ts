/**
 * critiq as a library: runs and their tables, stages and plugins. The parts have entry points of their own:
 * `critiq/devices`, `critiq/agents`, `critiq/graph`, `critiq/algorithms` (docs/extending.md).
 *
 * @module critiq
 */
export { z } from 'zod';
export { RunError, UserError } from './errors.js';
export { Random } from './random.js';

// a run, to be read
export { openRun, Run, type RunRecord } from './library/run.js';
export type { EvalResult } from '../pipelines/eval.js';
export type { MetricsLine } from './data/metrics.js';
export { ImageStore } from './data/images.js';
export { ImageVectors } from './data/image-vectors.js';
export { Representations, RepresentationWriter } from './data/representations.js';

// tables and data sets, for stages that read and write them
export { Dataset, openDataset } from './data/store/manifest.js';
export { writeAtomic } from './data/store/atomic.js';
export {
  column,
  listColumn,
  readTable,
  streamTable,
  writeTable,
  type Column,
  type ColumnDetails,
  type ColumnType,
  type Part,
  type TableKind,
} from './data/tables.js';
export {
  CANDIDATES,
  INVALID,
  TRANSITIONS,
  VALUES,
  type ActionColumns,
  type CandidateRow,
  type Transition,
  type ValueRow,
} from './data/transitions.js';
export { FILES, filesOf, readCandidates, readTransitions, shardIds } from '../pipelines/datasets.js';

// stages and plugins
export {
  stage,
  type Shard,
  type ShardContext,
  type ShardOutput,
  type Stage,
  type StageContext,
  type StageDefinition,
} from './runner/stage.js';
export { imagesOf, once, policyOf, runtimeOf } from '../pipelines/resources.js';
export {
  defineDevice,
  defineJudge,
  definePlugin,
  type AnswerFormat,
  type DeviceBackend,
  type JudgeKind,
  type Plugin,
} from '../pipelines/plugins/plugin.js';
export type { Config } from './settings/settings.js';
