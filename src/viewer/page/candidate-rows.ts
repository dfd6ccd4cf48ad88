import type { Candidate, PolicyScores, State } from '../api.js';

/** A candidate in one or two runs. */
export interface CandidateRow {
  readonly action: string;
  /** its number in the picture and the table: 1 is the one with the largest advantage */
  readonly number: number;
  readonly valid: boolean;
  readonly taken: boolean;
  /** index in this run's state; -1 where only the other run has it */
  readonly index: number;
  readonly here: Candidate | undefined;
  readonly there: Candidate | undefined;
}

/** A column of numbers that the table can be sorted by. */
export interface Column {
  /** its name in the address */
  readonly key: string;
  readonly label: string;
  readonly meaning: string;
  readonly digits?: number;
  readonly signed?: boolean;
  /** the policy whose colour the column has */
  readonly policy?: string;
  readonly of: (row: CandidateRow) => number | null;
}

/** A column and a direction: `-q` is Q, the largest first. */
export const FIRST_ORDER = '-advantage';

/** The candidates of a state, with those that only the other run has at the end, numbered by advantage. */
export function candidateRows(here: State, there: State | undefined): CandidateRow[] {
  const others = new Map(there?.candidates.map((candidate) => [candidate.action, candidate]));
  const own = here.candidates.map((candidate, index) => ({ action: candidate.action, index, here: candidate }));
  const known = new Set(own.map(({ action }) => action));
  const more = (there?.candidates ?? [])
    .filter(({ action }) => !known.has(action))
    .map(({ action }) => ({ action, index: -1, here: undefined }));
  const rows = [...own, ...more].map((row) => ({ ...row, there: others.get(row.action) }));
  const ranked = [...rows.keys()].sort((a, b) => byNumber(advantageOf(rows[a]), advantageOf(rows[b]), -1) || a - b);
  return rows.map((row, i) => ({
    ...row,
    number: ranked.indexOf(i) + 1,
    valid: (row.here ?? row.there)!.valid,
    taken: i === 0,
  }));
}

function advantageOf({ here, there }: Pick<CandidateRow, 'here' | 'there'>): number | null {
  return here ? here.advantage : (there?.advantage ?? null);
}

/**
 * The columns of the table: for a state of one run, or of two with their differences.
 * @param measured whether this run's state has true values
 */
export function columnsOf(
  policies: readonly PolicyScores[],
  runs: readonly [here: string, there?: string],
  measured = false,
): Column[] {
  const [here, there] = runs;
  const value = (key: 'q' | 'advantage', label: string, meaning: string): Column[] => {
    const own = (row: CandidateRow) => row.here?.[key] ?? null;
    const other = (row: CandidateRow) => row.there?.[key] ?? null;
    if (there === undefined) return [{ key, label, meaning, of: own }];
    return [
      { key, label: `${label} ${here}`, meaning: `${meaning}, in run ${here}`, of: own },
      { key: `${key}:other`, label: `${label} ${there}`, meaning: `${meaning}, in run ${there}`, of: other },
      {
        key: `${key}:difference`,
        label: `Δ${label}`,
        meaning: `${label} in run ${there} minus ${label} in run ${here}`,
        signed: true,
        of: (row) => {
          const [a, b] = [own(row), other(row)];
          return a === null || b === null ? null : b - a;
        },
      },
    ];
  };
  return [
    {
      key: 'count',
      label: 'n',
      meaning: 'how often it was sampled',
      digits: 0,
      of: ({ here: one }) => one?.count ?? null,
    },
    {
      key: 'logProb',
      label: 'log p',
      meaning: 'log-probability under the policy that sampled it, in nats',
      of: ({ here: one }) => one?.logProb ?? null,
    },
    ...policies.map(({ policy, logProbs }): Column => ({
      key: `p:${policy}`,
      label: `log p ${policy}`,
      meaning: `log-probability under policy ${policy}, in nats, computed now`,
      policy,
      of: ({ index }) => logProbs[index] ?? null,
    })),
    ...value('q', 'Q', 'value of taking the action'),
    ...value('advantage', 'A', 'advantage: Q − V'),
    ...(measured
      ? [
          {
            key: 'truth',
            label: 'true Q',
            meaning:
              'true value of taking the action: mean return of episodes played on from this state (critiq oracle)',
            of: (row: CandidateRow) => row.here?.truth ?? null,
          },
        ]
      : []),
  ];
}

/** The rows in the order of a column; rows without a number come last, equal ones keep their order. */
export function sortedRows(rows: readonly CandidateRow[], columns: readonly Column[], order: string): CandidateRow[] {
  const column =
    columns.find(({ key }) => key === order.replace(/^-/, '')) ?? columns.find(({ key }) => key === 'advantage')!;
  const sign = order.startsWith('-') ? -1 : 1;
  return [...rows].sort((a, b) => byNumber(column.of(a), column.of(b), sign) || rows.indexOf(a) - rows.indexOf(b));
}

function byNumber(x: number | null, y: number | null, sign: number): number {
  if (x === null || y === null) return Number(x === null) - Number(y === null);
  return sign * (x - y);
}

/** The largest advantage of some candidates, for colours. */
export function advantageScale(candidates: readonly Candidate[]): number {
  return Math.max(0, ...candidates.map(({ advantage }) => Math.abs(advantage ?? 0)));
}
