import type { UiBox } from './episodes/episode.js';
import { column, listColumn, type TableKind } from './tables.js';

/** What imported data say of a step beyond the transition. `ANNOTATIONS` describes each field. */
export interface Annotation {
  tid: number;
  trajectory: string;
  step: number;
  split: string;
  boxes: number[];
  boxTypes: string[];
  boxTexts: string[];
  instruction: string;
}

export const ANNOTATIONS: TableKind<Annotation> = {
  name: 'annotations',
  version: 1,
  columns: {
    tid: column('int64', 'the transition', { name: 'transition_id' }),
    trajectory: column('string', 'id of the trajectory', { name: 'trajectory_id' }),
    step: column('int32', 'position in the trajectory', { unit: 'steps', range: [0, null] }),
    split: column('string', 'part of the data that the episode belongs to: train, val or test'),
    boxes: listColumn('double', 'boxes of the UI elements on the screen before the action, four numbers each: y, x, height, width', {
      unit: "fractions of the screen's height and width",
    }),
    boxTypes: listColumn('string', 'kind of each element; empty if the data do not say'),
    boxTexts: listColumn('string', 'text of each element; empty if the data do not say'),
    instruction: column('string', 'instruction of this step alone; empty if the data have none'),
  },
};

/** The boxes of a step as [y, x, height, width]. */
export function boxesOf({ boxes }: Pick<Annotation, 'boxes'>): UiBox[] {
  return Array.from({ length: Math.floor(boxes.length / 4) }, (_, i) => {
    const [y, x, height, width] = boxes.slice(4 * i, 4 * i + 4);
    return [y, x, height, width] as const;
  });
}

/** An episode of imported files, and what became of it. `IMPORTED_EPISODES` describes each field. */
export interface ImportedEpisode {
  trajectory: string;
  split: string;
  family: string;
  steps: number;
  outside: number;
  reward: number;
  leftOut: string;
  where: string;
}

export const IMPORTED_EPISODES: TableKind<ImportedEpisode> = {
  name: 'episodes',
  version: 1,
  columns: {
    trajectory: column('string', 'id of the trajectory; empty if the entry could not be read', { name: 'trajectory_id' }),
    split: column('string', 'train: it is in `trajectories`; val or test: it is in `heldout`'),
    family: column('string', 'part of the data set', { name: 'task_family' }),
    steps: column('int32', 'its steps', { unit: 'steps', range: [0, null] }),
    outside: column('int32', "steps whose action critiq's grammar does not have", {
      name: 'outside_steps',
      unit: 'steps',
      range: [0, null],
    }),
    reward: column('double', 'reward at its end', { range: [0, 1] }),
    leftOut: column('string', 'why it was left out; empty if it was imported', { name: 'left_out' }),
    where: column('string', 'its place in the imported files', { name: 'source' }),
  },
};
