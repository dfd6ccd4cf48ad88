import { column, type TableKind } from './tables.js';

/** How good an action is: 1 is bad, 2 is good. */
export type Rating = 1 | 2;

/** What rates the actions: a model on a server, the end of the trajectory, or the state of the embedded phone. */
export type LabelSource = 'judge' | 'outcome' | 'state';

/** The rating of a step; `LABELS` describes each field. */
export interface LabelRow {
  tid: number;
  trajectory: string;
  step: number;
  actionType: string;
  rating: Rating | null;
  explanation: string;
  source: LabelSource;
  judge: string;
  secondRating: Rating | null;
  secondExplanation: string | null;
  secondJudge: string | null;
  outcomeRating: Rating | null;
  stateRating: Rating | null;
  stepsBefore: number | null;
  stepsAfter: number | null;
}

const rating = { range: [1, 2], optional: true } as const;
const steps = { unit: 'steps', range: [0, null], optional: true } as const;

/** Ratings of the steps of trajectories (docs/labels.md). */
export const LABELS: TableKind<LabelRow> = {
  name: 'labels',
  version: 1,
  columns: {
    tid: column('int64', 'the transition', { name: 'transition_id' }),
    trajectory: column('string', 'id of the trajectory', { name: 'trajectory_id' }),
    step: column('int32', 'position in the trajectory', { unit: 'steps', range: [0, null] }),
    actionType: column('string', 'type of the action: DUAL_POINT, TYPE, ...; INVALID if the text is not an action'),
    rating: column('int32', 'how good the action is: 1 is bad, 2 is good; null if unknown', rating),
    explanation: column('string', "the reason, in the judge's words or ours; empty if there is none"),
    source: column('string', 'what rated it: judge, outcome or state (label.from)'),
    judge: column('string', 'name of what rated it: kind and model of the judge, `outcome` or `state`'),
    secondRating: column('int32', 'rating of the second judge; null if unknown, or if there is none', rating),
    secondExplanation: column('string', 'its explanation; null if there is no second judge', { optional: true }),
    secondJudge: column('string', 'its kind and model; null if there is no second judge', { optional: true }),
    outcomeRating: column('int32', '2 in a successful trajectory, 1 in a failed one; null if that is unknown', rating),
    stateRating: column('int32', "exact rating by the embedded phone's state; null if it was not replayed", rating),
    stepsBefore: column('int32', 'shortest way to the end of the task before the action, with the declaration', steps),
    stepsAfter: column('int32', 'the same after the action; 0 after a right declaration', steps),
  },
};
