import { heldOutBy } from '../../src/data/replay.js';
import { readTable, type TableKind } from '../../src/data/tables.js';
import { byTrajectory, VALUES, type CandidateRow, type ValueRow } from '../../src/data/transitions.js';
import { advantages, AGGREGATES, bestCandidate } from '../../src/algorithms/digiq.js';
import { UserError } from '../../src/errors.js';
import { Random } from '../../src/random.js';
import { rankingOf } from '../../src/oracle/ranking.js';
import { ORACLE, type OracleRow } from '../../src/oracle/table.js';
import { histogram } from '../../src/report/histogram.js';
import { reliability, type Predictions, type Reliability } from '../../src/report/reliability.js';
import type { Amounts, Part, Values } from '../../src/report/report.js';
import type { Scores, Strip } from '../../src/report/strip.js';
import { readManifest, readPlan } from '../../src/runner/outputs.js';
import type { StageContext } from '../../src/runner/stage.js';
import type { Actor } from '../actor.js';
import { filesOf, readCandidates, readTransitions } from '../datasets.js';
import type { ReportSettings } from './settings.js';
import { Screens } from './screens.js';
import { REPORTED, type ReportedStep } from './steps.js';
import type { z } from 'zod';

/** The collected trajectories for the report, with candidates and values if `report.sources` names them. */
export class ReportData {
  private readonly held: ReadonlySet<string> | undefined;
  private readonly actor: Pick<z.infer<typeof Actor>, 'aggregate' | 'threshold'>;

  private constructor(
    private readonly ctx: StageContext<ReportSettings>,
    private readonly steps: readonly ReportedStep[],
    private readonly candidates: ReadonlyMap<number, CandidateRow> | undefined,
    private readonly values: ReadonlyMap<number, ValueRow> | undefined,
    private readonly truth: readonly OracleRow[],
  ) {
    this.actor = ctx.config.actor as z.infer<typeof Actor>;
    this.held = values && heldOut(ctx, steps);
  }

  /** Undefined if `report.sources` leaves out the trajectories. */
  static async open(ctx: StageContext<ReportSettings>): Promise<ReportData | undefined> {
    const { sources } = ctx.settings;
    if (!sources.includes('trajectories')) return undefined;
    const steps = await readTransitions(ctx.dataset('trajectories'), 'collect', REPORTED);
    const byTid = <Row extends { tid: number }>(rows: readonly Row[]) => new Map(rows.map((row) => [row.tid, row]));
    const candidates = sources.includes('candidates')
      ? byTid(await readCandidates(ctx.dataset('candidates'), 'candidates'))
      : undefined;
    const values = sources.includes('values')
      ? byTid(await readRows(ctx.dataset('values'), 'critic', VALUES))
      : undefined;
    const truth = sources.includes('oracle') ? await readRows(ctx.dataset('oracle'), 'oracle', ORACLE) : [];
    return new ReportData(ctx, steps, candidates, values, truth);
  }

  amounts(): Amounts {
    const { steps, candidates } = this;
    const ends = steps.filter(({ done }) => done);
    const rows = candidates && [...candidates.values()];
    const sum = (of: (row: CandidateRow) => number) => (rows ? rows.reduce((total, row) => total + of(row), 0) : null);
    const manifest = readManifest(this.ctx.dataset('representations'));
    const representations = [...manifest.values()].flatMap(({ files }) => files);
    return {
      trajectories: ends.length,
      successes: ends.filter(({ trajectoryReward }) => trajectoryReward > 0).length,
      transitions: steps.length,
      screens: new Set(steps.flatMap(({ image, nextImage }) => [image, nextImage])).size,
      sampled: sum(({ counts }) => counts.reduce((total, count) => total + count, 0)),
      state_actions: sum(({ actions }) => actions.length),
      representations:
        representations.length === 0 ? null : representations.reduce((total, { rows: n = 0 }) => total + n, 0),
    };
  }

  /** Calibration of Q, and advantages. */
  valuesPart(): Part<Values> {
    if (!this.values) return { missing: 'report.sources leaves out the values, so there is nothing on the critic.' };
    const parts: Record<string, { predicted: number[]; observed: number[]; group: string[] }> = {};
    const taken: number[] = [];
    const others: number[] = [];
    for (const { tid, trajectory, mcReturn } of this.steps) {
      const row = this.values.get(tid);
      if (!row || row.q1.length === 0) continue;
      const into = (parts[this.partOf(trajectory)] ??= { predicted: [], observed: [], group: [] });
      into.predicted.push(Math.min(row.q1[0], row.q2[0]));
      into.observed.push(mcReturn);
      into.group.push(trajectory);
      advantages(row, this.actor.aggregate).forEach((advantage, i) => (i === 0 ? taken : others).push(advantage));
    }
    const found = ['train', 'validation', 'all'].flatMap((name): [string, Reliability][] => {
      const made = parts[name] && reliability(parts[name] satisfies Predictions);
      return made ? [[name, made]] : [];
    });
    if (found.length === 0) return { missing: 'No transition has values; run `critiq critic` again.' };
    return {
      found: {
        reliability: Object.fromEntries(found),
        advantages: histogram({ taken, others }),
        threshold: this.actor.threshold,
        aggregate: this.actor.aggregate,
        ...this.truthPart(),
      },
    };
  }

  /** The critic beside true values; empty where there are none. */
  private truthPart(): Pick<Values, 'truth'> {
    const { truth, steps, candidates, values, ctx } = this;
    if (truth.length === 0 || !candidates) return {};
    const places = new Map(steps.map(({ tid, trajectory, step }) => [tid, { trajectory, step }]));
    const states = truth.flatMap((row) => {
      const [own, scored] = [candidates.get(row.tid), values?.get(row.tid)];
      const fits = own?.actions.length === row.q.length && scored?.q1.length === row.q.length;
      return fits ? [{ ...places.get(row.tid)!, candidates: own, truth: row, values: scored }] : [];
    });
    if (states.length === 0) return {};
    const critic = readPlan(ctx.dataset('values'))?.settings.critic as { gamma?: number } | undefined;
    const options = { ...this.actor, gap: 0.25, errors: 0, gamma: critic?.gamma ?? 0.95 };
    return { truth: { ranking: rankingOf(states, options), options } };
  }

  /** A few random successes and failures, if possible from trajectories that the critic was not trained on. */
  async pictured(): Promise<Part<Strip[]>> {
    const { ctx, steps } = this;
    const { trajectories: wanted, steps: longest } = ctx.settings;
    if (wanted === 0) return { missing: 'report.trajectories=0, so none are shown.' };
    const by = byTrajectory(steps);
    const drawn = new Random(ctx.seed, 'report', 'trajectories').shuffled([...by.keys()].sort());
    const order = [...drawn.filter((id) => this.held?.has(id)), ...drawn.filter((id) => !this.held?.has(id))];
    const won = (id: string) => by.get(id)![0].trajectoryReward > 0;
    const chosen = [...order.filter(won).slice(0, wanted), ...order.filter((id) => !won(id)).slice(0, wanted)];
    if (chosen.length === 0) return { missing: 'There are no trajectories.' };
    const screens = new Screens(ctx);
    const strips: Strip[] = [];
    for (const id of chosen) {
      ctx.signal.throwIfAborted();
      const about = {
        validation: 'held out from the critic’s training',
        train: 'in the critic’s training data',
        all: '',
      };
      strips.push(
        await screens.strip(by.get(id)!, {
          title: `Trajectory ${id}`,
          note: about[this.partOf(id)],
          longest,
          scores: (step) => this.scoresOf(step),
          returns: true,
        }),
      );
    }
    return { found: strips };
  }

  private scoresOf({ tid }: ReportedStep): Scores | undefined {
    const row = this.values?.get(tid);
    const candidate = this.candidates?.get(tid);
    if (!row || !candidate || row.q1.length === 0) return undefined;
    if (candidate.actions.length !== row.q1.length) {
      throw new UserError(
        `${this.ctx.dataset('values')}: transition ${tid} has ${row.q1.length} values, but ${candidate.actions.length} candidates; run \`critiq critic\` again`,
      );
    }
    const aggregate = AGGREGATES[this.actor.aggregate];
    const candidates = advantages(row, this.actor.aggregate).map((advantage, i) => ({
      action: candidate.actions[i],
      count: candidate.counts[i],
      valid: candidate.valid[i],
      q: aggregate(row.q1[i], row.q2[i]),
      advantage,
    }));
    return { v: aggregate(row.v1, row.v2), candidates, best: bestCandidate(candidates, this.actor.threshold) };
  }

  private partOf(trajectory: string): 'train' | 'validation' | 'all' {
    if (!this.held) return 'all';
    return this.held.has(trajectory) ? 'validation' : 'train';
  }
}

/** The trajectories that the critic of these values was not trained on; undefined if its settings are not recorded. */
function heldOut(ctx: StageContext<unknown>, steps: readonly ReportedStep[]): ReadonlySet<string> | undefined {
  return heldOutBy(
    readPlan(ctx.dataset('values'))?.settings,
    steps.map(({ trajectory }) => trajectory),
  );
}

async function readRows<Row extends object>(folder: string, stage: string, kind: TableKind<Row>): Promise<Row[]> {
  const rows: Row[] = [];
  for (const file of await filesOf(folder, stage, '.parquet'))
    for (const row of await readTable(file, kind)) rows.push(row);
  return rows;
}
