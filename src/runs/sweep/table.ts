import { join } from 'node:path';
import { meanInterval } from '../../data/student-t.js';
import { columns, percent, points } from '../columns.js';
import { evaluationResults, storedSets, type EvaluationResult } from '../results.js';
import type { Member } from './axes.js';
import type { Sweep } from './definition.js';

/** What a setting of the sweep reached in one evaluation, over its seeds. */
export interface SweepRow {
  readonly settings: Readonly<Record<string, string>>;
  /** its name below `eval/`; null if the sweep evaluates nothing */
  readonly evaluation: string | null;
  /** the runs with a result; `seed` is null where the sweep has no seeds */
  readonly runs: readonly {
    readonly run: string;
    readonly seed: string | null;
    readonly successes: number;
    readonly episodes: number;
    readonly rate: number;
  }[];
  /** runs without a result yet */
  readonly missing: number;
  readonly mean: number | null;
  /** Student's t over seeds; with one seed Wilson's interval over episodes */
  readonly ci95: readonly [number, number] | null;
  readonly interval: 't over seeds' | 'Wilson over episodes' | null;
  /** mean difference to the baseline on the same seeds, with Student's t over seeds; null for the baseline */
  readonly against_baseline: {
    readonly seeds: number;
    readonly mean: number;
    readonly ci95: readonly [number, number] | null;
  } | null;
}

export interface SweepTable {
  readonly sweep: string;
  readonly base: string;
  readonly stages: readonly string[];
  /** the settings that the others are compared with: the first */
  readonly baseline: Readonly<Record<string, string>>;
  readonly done: number;
  readonly members: number;
  readonly rows: readonly SweepRow[];
}

/** The table of a sweep from the results that its runs have now. */
export function sweepTable(data: string, sweep: Sweep): SweepTable {
  const results = new Map(
    sweep.members.map(({ run }) => [run, evaluationResults(storedSets(join(data, run)))] as const),
  );
  const groups = new Map<string, Member[]>();
  for (const member of sweep.members) {
    const key = JSON.stringify(Object.entries(member.settings).sort());
    groups.set(key, [...(groups.get(key) ?? []), member]);
  }
  const all = [...groups.values()];
  const rows = all.map((members) => rowOf(members, all[0], results));
  const done = sweep.members.filter(({ run }) => isDone(join(data, run), sweep.stages));
  return {
    sweep: sweep.name,
    base: sweep.base,
    stages: sweep.stages,
    baseline: all[0][0].settings,
    done: done.length,
    members: sweep.members.length,
    rows,
  };
}

/** Whether a run has finished results of all these stages. */
function isDone(run: string, stages: readonly string[]): boolean {
  const sets = storedSets(run);
  return stages.every((stage) => {
    const own = sets.filter(({ plan }) => plan?.stage === stage);
    return own.length > 0 && own.every(({ plan }) => plan!.finished);
  });
}

function rowOf(
  members: readonly Member[],
  baseline: readonly Member[],
  results: ReadonlyMap<string, ReadonlyMap<string, EvaluationResult>>,
): SweepRow {
  const resultOf = ({ run, evaluation }: Member): EvaluationResult | undefined =>
    evaluation === null ? undefined : results.get(run)!.get(evaluation);
  const found = members.flatMap((member) => {
    const { run, seed } = member;
    const result = resultOf(member);
    return result ? [{ run, seed, result }] : [];
  });
  const { mean, ci95 } = meanInterval(found.map(({ result }) => result.rate));
  const pairs = found.flatMap(({ seed, result }) => {
    const twin = baseline.find((one) => one.seed === seed);
    const other = twin && resultOf(twin);
    return other ? [result.rate - other.rate] : [];
  });
  const difference = meanInterval(pairs);
  return {
    settings: members[0].settings,
    evaluation: members[0].evaluation,
    runs: found.map(({ run, seed, result: { successes, episodes, rate } }) => ({
      run,
      seed,
      successes,
      episodes,
      rate,
    })),
    missing: members.length - found.length,
    mean: found.length > 0 ? mean : null,
    ci95: found.length === 1 ? found[0].result.ci95 : ci95,
    interval: found.length === 0 ? null : found.length === 1 ? 'Wilson over episodes' : 't over seeds',
    against_baseline:
      members === baseline || pairs.length === 0
        ? null
        : { seeds: pairs.length, mean: difference.mean, ci95: difference.ci95 },
  };
}

/** The table of a sweep for a terminal. */
export function sweepText(table: SweepTable): string {
  const paths = Object.keys(table.baseline);
  const seeded = table.rows.some(({ runs }) => runs.some(({ seed }) => seed !== null));
  const several = new Set(table.rows.map(({ evaluation }) => evaluation)).size > 1;
  const head = [
    ...(several ? ['EVALUATION'] : []),
    ...paths,
    'RUNS',
    'SUCCESS %',
    '95 % INTERVAL',
    ...(paths.length > 0 ? ['AGAINST THE FIRST (points)'] : []),
  ];
  const rows = table.rows.map((row) => [
    ...(several ? [row.evaluation ?? '–'] : []),
    ...paths.map((path) => row.settings[path]),
    row.missing > 0 ? `${row.runs.length} of ${row.runs.length + row.missing}` : String(row.runs.length),
    row.mean === null ? '–' : percent(row.mean),
    row.ci95 ? `${bounded(row.ci95[0])} to ${bounded(row.ci95[1])}` : '–',
    ...(paths.length > 0 ? [againstText(row)] : []),
  ]);
  const [first] = table.rows;
  const kinds = new Set(table.rows.map(({ interval }) => interval));
  const note = [
    `${table.sweep}: ${table.done} of ${table.members} runs done; forks of ${table.base}, which differ in ${table.stages.join(', ')}`,
    ...(several || !first?.evaluation ? [] : [`Evaluation: ${first.evaluation}.`]),
    ...(kinds.has('t over seeds')
      ? ['Intervals: Student’s t over seeds; differences are paired by seed. They cover training and test episodes.']
      : []),
    ...(kinds.has('Wilson over episodes')
      ? [
          `With ${seeded ? 'one seed' : 'no seeds'}: Wilson over test episodes, which says nothing on how much training varies.`,
        ]
      : []),
  ];
  return `${columns([head, ...rows]).join('\n')}\n\n${note.join('\n')}`;
}

/** In percent, within 0 and 100: a mean of rates cannot be outside. */
function bounded(rate: number): string {
  return percent(Math.min(1, Math.max(0, rate)));
}

function againstText({ against_baseline: against }: SweepRow): string {
  if (!against) return '';
  const { mean, ci95, seeds } = against;
  return `${points(mean)}${ci95 ? ` (${points(ci95[0])} to ${points(ci95[1])}; ${seeds} seeds)` : ''}`;
}
