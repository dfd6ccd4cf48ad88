import { column, listColumn, type TableKind } from './tables.js';

/** Iteration and policy version of each live step; stored next to the transitions of an online run. */
export interface OnlineStepRow {
  tid: number;
  iteration: number;
  version: number;
}

export const ONLINE_STEPS: TableKind<OnlineStepRow> = {
  name: 'online-steps',
  version: 2,
  reads: [1],
  columns: {
    tid: column('int64', 'the transition', { name: 'transition_id' }),
    iteration: column('int32', 'iteration that first learned from it', { range: [1, null] }),
    version: column('int32', 'version of the policy that acted: how many iterations had trained it', {
      name: 'policy_version',
      range: [0, null],
    }),
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
  version: 2,
  reads: [1],
  columns: {
    iteration: column('int32', 'iterations done', { range: [0, null] }),
    phase: column('string', 'offline: from collected trajectories; live: from live episodes; start: nothing trained yet'),
    environmentSteps: column('int64', 'device steps that the policy has learned from so far, without those of evaluations', {
      unit: 'steps',
      range: [0, null],
    }),
    liveEpisodes: column('int32', 'judged live episodes of this iteration, on training tasks', { unit: 'episodes', range: [0, null] }),
    liveSuccesses: column('int32', 'of these the successes', { unit: 'episodes', range: [0, null] }),
    evaluated: column('int32', 'judged episodes of the evaluation on test tasks after this iteration; 0 if there was none', {
      name: 'test_episodes',
      unit: 'episodes',
      range: [0, null],
    }),
    successes: column('int32', 'of these the successes', { name: 'test_successes', unit: 'episodes', range: [0, null] }),
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
  version: 2,
  reads: [1],
  columns: {
    iteration: column('int32', 'iterations done', { range: [1, null] }),
    phase: column('string', 'offline or live'),
    action: column('string', 'text of the action'),
    tokens: listColumn('string', 'its tokens, the end token among them as the empty text'),
    weights: listColumn('float', 'B_i of each token: how much it decides the action (docs/algorithms.md §4)', {
      name: 'token_weights',
      range: [0, 1],
    }),
  },
};
