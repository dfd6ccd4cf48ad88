import { column, listColumn, type TableKind } from './tables.js';

/** Iteration and policy version of each live step; stored next to the transitions of an online run. */
export interface OnlineStepRow {
  tid: number;
  iteration: number;
  version: number;
}

export const ONLINE_STEPS: TableKind<OnlineStepRow> = {
  name: 'online-steps',
  version: 1,
  columns: {
    tid: column('int64', 'the transition'),
    iteration: column('int32', 'iteration that first learned from it, from 1'),
    version: column('int32', 'version of the policy that acted: how many iterations had trained it'),
  },
};

/** A point of an online run's curves. */
export interface CurveRow {
  iteration: number;
  phase: string;
  environmentSteps: number;
  liveEpisodes: number;
  liveSuccesses: number;
  evaluated: number;
  successes: number;
}

export const CURVE: TableKind<CurveRow> = {
  name: 'online-curve',
  version: 1,
  columns: {
    iteration: column('int32', 'iterations done'),
    phase: column('string', 'offline: from collected trajectories; live: from live episodes; start: nothing trained yet'),
    environmentSteps: column('int64', 'steps on devices that the policy had learned from until then, evaluations not counted'),
    liveEpisodes: column('int32', 'judged live episodes of this iteration, on training tasks'),
    liveSuccesses: column('int32', 'of these the successes'),
    evaluated: column('int32', 'judged episodes of an evaluation on test tasks after it; 0: there was none'),
    successes: column('int32', 'of these the successes'),
  },
};

/** The influence of each token of an action according to CoSo's causal model, at some iteration of its training. */
export interface InfluenceRow {
  iteration: number;
  phase: string;
  action: string;
  tokens: string[];
  weights: number[];
}

export const TOKEN_INFLUENCE: TableKind<InfluenceRow> = {
  name: 'token-influence',
  version: 1,
  columns: {
    iteration: column('int32', 'iterations done'),
    phase: column('string', 'offline or live'),
    action: column('string', 'text of the action'),
    tokens: listColumn('string', 'its tokens, the end token among them as the empty text'),
    weights: listColumn('float', 'B_i of each token (docs/algorithms.md §4), 0 to 1'),
  },
};
