import { join } from 'node:path';
import { advantages, AGGREGATES, bestCandidate } from '../algorithms/digiq.js';
import { counted } from '../counted.js';
import { heldOutBy } from '../data/replay.js';
import { CANDIDATES, VALUES, type CandidateRow, type ValueRow } from '../data/transitions.js';
import { ORACLE, type OracleRow } from '../oracle/table.js';
import { readPlan } from '../runner/outputs.js';
import type { Aggregate, Candidate, Problem, StepScores } from './api.js';
import { runRecord } from './run-files.js';
import { TidTable } from './tid-table.js';

/** The data set that candidates and values belong to. */
export const SCORED = 'trajectories';

/** A state's candidates and the critic's values of them; undefined if missing. */
export interface Scored {
  readonly candidates: CandidateRow | undefined;
  readonly values: ValueRow | undefined;
}

/** The candidates of a run's collected states and the critic's values of them, read by position. */
export class CriticValues {
  readonly candidates: TidTable<CandidateRow>;
  readonly values: TidTable<ValueRow>;
  private readonly oracle: TidTable<OracleRow>;

  constructor(private readonly run: string) {
    this.candidates = new TidTable(run, 'candidates', CANDIDATES, /candidates[^/]*\.parquet$/);
    this.values = new TidTable(run, 'values', VALUES, /values[^/]*\.parquet$/);
    this.oracle = new TidTable(run, 'oracle', ORACLE, /oracle[^/]*\.parquet$/);
  }

  /** True values of a state and its candidates, if they were measured. @param candidates number of its candidates */
  async truth(
    tid: number,
    candidates: number,
  ): Promise<{ truth: OracleRow | undefined; problems: readonly Problem[] }> {
    const { rows, problems } = await this.oracle.read([tid]);
    const truth = rows.get(tid);
    if (!truth || truth.q.length === candidates) return { truth, problems };
    const message = `transition ${tid} has ${counted(truth.q.length, 'true value')} but ${counted(candidates, 'candidate')}; run \`critiq oracle\` again`;
    return { truth: undefined, problems: [...problems, { where: 'oracle', message }] };
  }

  /** Candidates and values of some transitions, by tid. A table that cannot be read counts as missing and is in `problems`. */
  async read(tids: readonly number[]): Promise<{ scored: Map<number, Scored>; problems: Problem[] }> {
    const [candidates, values] = [await this.candidates.read(tids), await this.values.read(tids)];
    const problems = [...candidates.problems, ...values.problems];
    const scored = new Map<number, Scored>();
    for (const tid of tids) {
      const of = { candidates: candidates.rows.get(tid), values: values.rows.get(tid) };
      const [texts, qs] = [of.candidates?.actions.length, of.values?.q1.length];
      if (texts !== undefined && qs !== undefined && texts !== qs) {
        const message = `transition ${tid} has ${counted(qs, 'value')} but ${counted(texts, 'candidate')}; run \`critiq critic\` again`;
        problems.push({ where: 'values', message });
        scored.set(tid, { ...of, values: undefined });
      } else scored.set(tid, of);
    }
    return { scored, problems };
  }

  /** How the actor of this run combines the twins, and above which advantage it imitates. */
  settings(): { aggregate: Aggregate; threshold: number } {
    const { aggregate, threshold } = runRecord(this.run).settings?.actor ?? {};
    const known = aggregate !== undefined && Object.hasOwn(AGGREGATES, aggregate);
    return { aggregate: known ? (aggregate as Aggregate) : 'min', threshold: threshold ?? 0 };
  }

  /** The trajectories that the critic was not trained on; undefined if its settings are not recorded. */
  heldOut(trajectories: Iterable<string>): ReadonlySet<string> | undefined {
    return heldOutBy(readPlan(join(this.run, 'values'))?.settings, trajectories);
  }
}

/** The critic's values of the action taken; null if there are none. */
export function stepScores(scored: Scored | undefined, aggregate: Aggregate, threshold: number): StepScores | null {
  const { values, candidates } = scored ?? {};
  if (!values || values.q1.length === 0) return null;
  const of = AGGREGATES[aggregate];
  const all = advantages(values, aggregate);
  const best = bestOf(all, candidates, threshold);
  return {
    q1: values.q1[0],
    q2: values.q2[0],
    q: of(values.q1[0], values.q2[0]),
    v1: values.v1,
    v2: values.v2,
    v: of(values.v1, values.v2),
    advantage: all[0],
    best: best === undefined ? null : candidates!.actions[best],
    candidates: all.length,
  };
}

/** A state's candidates, and which of them best-of-N would imitate. */
export function candidatesOf(
  { candidates, values }: Scored,
  taken: string,
  aggregate: Aggregate,
  threshold: number,
  truth: OracleRow | undefined,
): { candidates: Candidate[]; best: number | null } {
  const actions = candidates?.actions ?? [taken];
  const all = values && advantages(values, aggregate);
  const of = AGGREGATES[aggregate];
  const best = all && bestOf(all, candidates, threshold);
  return {
    candidates: actions.map((action, i) => ({
      action,
      count: candidates?.counts[i] ?? 1,
      valid: candidates?.valid[i] ?? true,
      logProb: finite(candidates?.logProbs[i]),
      q1: finite(values?.q1[i]),
      q2: finite(values?.q2[i]),
      q: values ? finite(of(values.q1[i], values.q2[i])) : null,
      advantage: finite(all?.[i]),
      truth: finite(truth?.q[i]),
      truthError: finite(truth?.qError[i]),
    })),
    best: best ?? null,
  };
}

function bestOf(all: readonly number[], candidates: CandidateRow | undefined, threshold: number): number | undefined {
  if (!candidates) return undefined;
  return bestCandidate(
    all.map((advantage, i) => ({ advantage, valid: candidates.valid[i] })),
    threshold,
  );
}

function finite(value: number | undefined): number | null {
  return value !== undefined && Number.isFinite(value) ? value : null;
}
