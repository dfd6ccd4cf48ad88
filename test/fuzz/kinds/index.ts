import type { Kind } from '../kind.js';
import { REPLIED } from './answers.js';
import { LINES } from './lines.js';
import { MODELS } from './models.js';
import { PICTURES } from './pictures.js';
import { RUNS } from './runs.js';
import { WRITTEN } from './settings.js';
import { TENSORS } from './tensors.js';

/** All kinds of inputs, by group. */
export const GROUPS: Readonly<Record<string, readonly Kind[]>> = {
  pictures: PICTURES,
  tensors: TENSORS,
  lines: LINES,
  models: MODELS,
  settings: WRITTEN,
  answers: REPLIED,
  runs: RUNS,
};

export const KINDS: ReadonlyMap<string, Kind> = new Map(
  Object.values(GROUPS).flatMap((kinds) => kinds.map((kind) => [kind.name, kind] as const)),
);
