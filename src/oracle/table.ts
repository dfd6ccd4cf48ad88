import { column, listColumn, type TableKind } from '../data/tables.js';

/**
 * True values of a collected state, measured by playing on from it. Only diagnosis reads them: a critic or a policy that was
 * trained on them would say nothing about learning from data (test/oracle/diagnosis-only.test.ts).
 */
export interface OracleRow {
  tid: number;
  rollouts: number;
  q: number[];
  qError: number[];
  v: number;
  vError: number;
  outcomes: number[];
  stateOutcomes: number[];
}

const OUTCOME = 'number of actions until the success, including the first one; 0: the episode failed';

export const ORACLE: TableKind<OracleRow> = {
  name: 'oracle',
  version: 1,
  columns: {
    tid: column('int64', 'the transition of `trajectories` at whose state the phone was copied', {
      name: 'transition_id',
    }),
    rollouts: column('int32', 'episodes played from the state for each candidate, and for the state itself'),
    q: listColumn(
      'double',
      'mean discounted return after each candidate, in the order of the candidates (0 is the action taken)',
      {
        range: [0, 1],
      },
    ),
    qError: listColumn('double', 'standard error of each mean; 0 where all episodes ended alike', {
      name: 'q_standard_error',
      range: [0, null],
    }),
    v: column('double', 'mean discounted return of the policy from the state', { range: [0, 1] }),
    vError: column('double', 'standard error of that mean', { name: 'v_standard_error', range: [0, null] }),
    outcomes: listColumn(
      'int32',
      `every episode: first those of candidate 0, then those of candidate 1, ...; ${OUTCOME}`,
      {
        unit: 'actions',
        range: [0, null],
      },
    ),
    stateOutcomes: listColumn('int32', `every episode from the state itself; ${OUTCOME}`, {
      name: 'state_outcomes',
      unit: 'actions',
      range: [0, null],
    }),
  },
};

/** The return of an episode by its outcome: γ^(n − 1) where it succeeds with action n. */
export function returnOf(outcome: number, gamma: number): number {
  return outcome === 0 ? 0 : gamma ** (outcome - 1);
}

/** Mean and standard error of some returns. */
export function meanOf(returns: readonly number[]): { readonly mean: number; readonly error: number } {
  const n = returns.length;
  const mean = returns.reduce((sum, value) => sum + value, 0) / n;
  const squares = returns.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, error: n > 1 ? Math.sqrt(squares / (n - 1) / n) : 0 };
}
