import { join } from 'node:path';
import { AGGREGATES, type ActorSettings } from '../../src/algorithms/digiq.js';
import { readTable } from '../../src/data/tables.js';
import { VALUES, type CandidateRow, type ValueRow } from '../../src/data/transitions.js';
import { UserError } from '../../src/errors.js';
import { rankingOf, type RankedState, type Ranking } from '../../src/oracle/ranking.js';
import { ORACLE, type OracleRow } from '../../src/oracle/table.js';
import { existingRun } from '../../src/runner/folders.js';
import { readPlan } from '../../src/runner/outputs.js';
import { isSet } from '../../src/data/store/set-files.js';
import { readRecord } from '../../src/runs/record.js';
import { filesOf, readCandidates, readTransitions } from '../datasets.js';

export interface RankingRequest {
  /** the data folder of the runs */
  readonly data: string;
  /** runs whose critics are compared with the truth */
  readonly runs: readonly string[];
  /** the run with the true values; undefined: each run's own, or the only one that has some */
  readonly oracle?: string;
  readonly gap: number;
  readonly errors: number;
  /** discount of the true values; undefined: each critic's own */
  readonly gamma?: number;
}

/** A critic beside the truth. */
export interface RunRanking extends Ranking {
  readonly run: string;
  /** the run whose true values these are */
  readonly oracle: string;
  readonly gamma: number;
  readonly gap: number;
  readonly errors: number;
}

/**
 * How well the critics of some runs know which action is better, by the true values that `critiq oracle` measured.
 * @throws UserError where a run has no values or no true values, or where they belong to other candidates
 */
export async function rankRuns(request: RankingRequest): Promise<RunRanking[]> {
  const { data, runs } = request;
  const having = runs.filter((run) => isSet(join(existingRun(data, run), 'oracle')));
  const found: RunRanking[] = [];
  for (const run of runs) {
    const oracle = request.oracle ?? (having.includes(run) || having.length !== 1 ? run : having[0]);
    found.push(await rankRun(run, oracle, request));
  }
  return found;
}

async function rankRun(run: string, oracle: string, request: RankingRequest): Promise<RunRanking> {
  const { data, gap, errors } = request;
  const folder = existingRun(data, run);
  const truthFolder = join(existingRun(data, oracle), 'oracle');
  if (!isSet(truthFolder))
    throw new UserError(`${truthFolder}: no true values; measure them with \`critiq oracle run=${oracle}\``);
  const valuesFolder = join(folder, 'values');
  if (!isSet(valuesFolder))
    throw new UserError(`${valuesFolder}: no critic's values; train one with \`critiq critic run=${run}\``);
  const truth = await rowsOf(truthFolder, 'oracle', ORACLE);
  const critic = readPlan(valuesFolder)?.settings.critic as { gamma?: number } | undefined;
  const gamma = request.gamma ?? critic?.gamma ?? 0.95;
  const { aggregate, threshold } = actorOf(folder);
  const options = { gap, errors, aggregate, threshold, gamma };
  const states = await rankedStates(folder, truth, oracle === run ? undefined : join(data, oracle));
  return { run, oracle, gamma, gap, errors, ...rankingOf(states, options) };
}

/** The measured states with their candidates and values. @param owner the run of the true values, if it is another one */
async function rankedStates(
  folder: string,
  truth: readonly OracleRow[],
  owner: string | undefined,
): Promise<RankedState[]> {
  const byTid = <Row extends { tid: number }>(rows: readonly Row[]) => new Map(rows.map((row) => [row.tid, row]));
  const steps = byTid(await readTransitions(join(folder, 'trajectories'), 'collect', ['tid', 'trajectory', 'step']));
  const candidates = byTid(await readCandidates(join(folder, 'candidates'), 'candidates'));
  const measured =
    owner === undefined ? candidates : byTid(await readCandidates(join(owner, 'candidates'), 'candidates'));
  const values = byTid<ValueRow>(await rowsOf(join(folder, 'values'), 'critic', VALUES));
  return truth.map((row): RankedState => {
    const [step, own, scored] = [steps.get(row.tid), candidates.get(row.tid), values.get(row.tid)];
    const n = own?.actions.length;
    if (!step || !own || row.q.length !== n || scored?.q1.length !== n || !sameActions(own, measured.get(row.tid)))
      throw new UserError(
        `${folder}: state ${row.tid} does not have the candidates whose true values were measured; run \`critiq oracle\` for this data`,
      );
    return { trajectory: step.trajectory, step: step.step, candidates: own, truth: row, values: scored };
  });
}

function sameActions(own: CandidateRow, measured: CandidateRow | undefined): boolean {
  return (
    own.actions.length === measured?.actions.length && own.actions.every((text, i) => text === measured.actions[i])
  );
}

async function rowsOf<Row extends object>(
  folder: string,
  stage: string,
  kind: Parameters<typeof readTable<Row>>[1],
): Promise<Row[]> {
  const rows: Row[] = [];
  for (const file of await filesOf(folder, stage, '.parquet'))
    for (const row of await readTable<Row>(file, kind)) rows.push(row);
  return rows;
}

/** How the actor of a run combines the twins, and above which advantage it imitates. */
function actorOf(folder: string): Pick<ActorSettings, 'aggregate' | 'threshold'> {
  const { aggregate, threshold } = (readRecord(folder).settings.actor ?? {}) as Partial<ActorSettings>;
  const known = aggregate !== undefined && Object.hasOwn(AGGREGATES, aggregate);
  return { aggregate: known ? aggregate : 'min', threshold: threshold ?? 0 };
}
