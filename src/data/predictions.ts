import { column, type TableKind } from './tables.js';

/** What a policy would have done in a step of a recorded episode, and whether it matches. `PREDICTIONS` describes each field. */
export interface PredictionRow {
  tid: number;
  trajectory: string;
  step: number;
  family: string;
  kind: string;
  reference: string;
  prediction: string;
  parsed: boolean;
  matched: boolean;
  typeMatched: boolean;
  textMatched: boolean | null;
}

export const PREDICTIONS: TableKind<PredictionRow> = {
  name: 'predictions',
  version: 1,
  columns: {
    tid: column('int64', 'the transition of the recorded data', { name: 'transition_id' }),
    trajectory: column('string', 'id of the trajectory', { name: 'trajectory_id' }),
    step: column('int32', 'position in the trajectory', { unit: 'steps', range: [0, null] }),
    family: column('string', 'part of the data set', { name: 'task_family' }),
    kind: column(
      'string',
      'kind of the recorded action: tap, swipe, or its type; `outside` if it is no action of the grammar, so that the step does not count',
    ),
    reference: column('string', 'text of the recorded action'),
    prediction: column('string', "the policy's text"),
    parsed: column('bool', "whether the policy's text is a valid action", { name: 'is_valid' }),
    matched: column('bool', 'whether the two actions match'),
    typeMatched: column('bool', 'whether they are of the same type'),
    textMatched: column('bool', 'whether the typed texts are the same; null unless the recorded action is TYPE', { optional: true }),
  },
};
