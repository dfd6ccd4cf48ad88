import { join } from 'node:path';
import { advantages } from '../algorithms/digiq.js';
import { streamTable } from '../data/tables.js';
import { TRANSITIONS, VALUES } from '../data/transitions.js';
import { histogram } from '../report/histogram.js';
import { reliability } from '../report/reliability.js';
import type { Disagreement, Problem, ValueOverview, WorklistPage } from './api.js';
import { SCORED, type CriticValues } from './critic-values.js';
import { problem, setVersion } from './run-files.js';
import type { Place, RunIndex } from './run-index.js';

/** Which disagreements to list: Q above the return, below it, or both. */
export type Side = 'over' | 'under' | 'either';

/** The review of one version of the data; the worklist has one entry for each trajectory, [trajectories]. */
interface Review {
  readonly version: string;
  readonly overview: ValueOverview;
  readonly places: readonly Place[];
  /** the step where Q is farthest above the return, and below it */
  readonly over: Extremes;
  readonly under: Extremes;
}

interface Extremes {
  readonly step: Int32Array;
  readonly q: Float64Array;
  readonly mcReturn: Float64Array;
}

/** How the critic of a run compares with the returns, over all collected steps. */
export class ValueReview {
  private made: Promise<Review> | undefined;

  constructor(
    private readonly run: string,
    private readonly index: RunIndex,
    private readonly critic: CriticValues,
  ) {}

  /** Calibration and advantages. */
  async overview(): Promise<ValueOverview> {
    return (await this.current()).overview;
  }

  /** The trajectories where Q and return differ most, the largest difference first. */
  async worklist(side: Side, offset: number, limit: number): Promise<WorklistPage> {
    const { places, over, under } = await this.current();
    const found: { at: number; from: Extremes; error: number }[] = [];
    for (const at of places.keys()) {
      const [high, low] = [errorOf(over, at), errorOf(under, at)];
      const from = side === 'over' || (side === 'either' && high >= -low) ? over : under;
      const error = from === over ? high : low;
      if (side === 'either' ? error !== 0 : side === 'over' ? error > 0 : error < 0) found.push({ at, from, error });
    }
    found.sort((a, b) => Math.abs(b.error) - Math.abs(a.error) || a.at - b.at);
    const rows = found.slice(offset, offset + limit).map(({ at, from, error }): Disagreement => ({
      ...this.index.row(places[at]),
      step: from.step[at],
      q: from.q[at],
      mcReturn: from.mcReturn[at],
      error,
    }));
    return { total: found.length, offset, rows };
  }

  private async current(): Promise<Review> {
    await this.index.refresh();
    const { aggregate, threshold } = this.critic.settings();
    const files = [SCORED, 'values'].map((name) => setVersion(join(this.run, name)));
    const version = [...files, aggregate, threshold].join(' ');
    if ((await this.made)?.version !== version) this.made = this.review(version);
    return this.made!;
  }

  private async review(version: string): Promise<Review> {
    const { aggregate, threshold } = this.critic.settings();
    const { paths, problems: unread } = await this.critic.values.files();
    const problems: Problem[] = [...unread];
    const steps = await this.steps(problems);
    const held = this.critic.heldOut(steps.places.map(({ shard, at }) => shard.ids[at]));
    const parts: Record<string, { predicted: number[]; observed: number[]; group: string[] }> = {};
    const taken: number[] = [];
    const others: number[] = [];
    const extremes = () => ({
      step: new Int32Array(steps.places.length).fill(-1),
      q: new Float64Array(steps.places.length),
      mcReturn: new Float64Array(steps.places.length),
    });
    const [over, under] = [extremes(), extremes()];
    const keep = (into: Extremes, at: number, step: number, q: number, mcReturn: number): void => {
      into.step[at] = step;
      into.q[at] = q;
      into.mcReturn[at] = mcReturn;
    };
    for (const path of paths) {
      try {
        for await (const row of streamTable(path, VALUES)) {
          const place = steps.byTid.get(row.tid);
          if (place === undefined || row.q1.length === 0) continue;
          const at = steps.trajectory[place];
          const { shard, at: within } = steps.places[at];
          const id = shard.ids[within];
          const [q, mcReturn] = [Math.min(row.q1[0], row.q2[0]), steps.mcReturn[place]];
          const into = (parts[held ? (held.has(id) ? 'validation' : 'train') : 'all'] ??= {
            predicted: [],
            observed: [],
            group: [],
          });
          into.predicted.push(q);
          into.observed.push(mcReturn);
          into.group.push(id);
          advantages(row, aggregate).forEach((advantage, i) => (i === 0 ? taken : others).push(advantage));
          if (over.step[at] < 0 || q - mcReturn > errorOf(over, at)) keep(over, at, steps.step[place], q, mcReturn);
          if (under.step[at] < 0 || q - mcReturn < errorOf(under, at)) keep(under, at, steps.step[place], q, mcReturn);
        }
      } catch (error) {
        problems.push(problem('values', error));
      }
    }
    const found = Object.entries(parts).map(([name, part]) => [name, reliability(part)!] as const);
    return {
      version,
      overview: {
        reliability: Object.fromEntries(found),
        advantages: histogram({ taken, others }) ?? null,
        threshold,
        aggregate,
        problems,
      },
      places: steps.places,
      over,
      under,
    };
  }

  /** The collected steps as arrays by row, and the row of each tid. */
  private async steps(problems: Problem[]): Promise<{
    readonly places: readonly Place[];
    readonly trajectory: Uint32Array;
    readonly step: Uint32Array;
    readonly mcReturn: Float64Array;
    readonly byTid: ReadonlyMap<number, number>;
  }> {
    const set = this.index.sets.find(({ name }) => name === SCORED);
    const places: Place[] = [];
    const byTid = new Map<number, number>();
    const [trajectory, step, mcReturn]: number[][] = [[], [], []];
    for (const shard of set?.indexed ?? []) {
      const first = places.length;
      for (let at = 0; at < shard.count; at++) places.push({ set: set!, shard, at });
      let row = 0;
      let within = 0;
      try {
        for await (const read of streamTable(shard.file, TRANSITIONS, { columns: ['tid', 'step', 'mcReturn'] })) {
          while (within + 1 < shard.count && row >= shard.start[within + 1]) within++;
          byTid.set(read.tid, trajectory.length);
          trajectory.push(first + within);
          step.push(read.step);
          mcReturn.push(read.mcReturn);
          row++;
        }
      } catch (error) {
        problems.push(problem(SCORED, error));
      }
    }
    return {
      places,
      trajectory: Uint32Array.from(trajectory),
      step: Uint32Array.from(step),
      mcReturn: Float64Array.from(mcReturn),
      byTid,
    };
  }
}

/** Q minus return where that is most extreme; 0 for a trajectory without values. */
function errorOf({ q, mcReturn }: Extremes, at: number): number {
  return q[at] - mcReturn[at];
}
