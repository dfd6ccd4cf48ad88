import { join } from 'node:path';
import { LABELS, type LabelRow } from '../data/labels.js';
import { streamTable } from '../data/tables.js';
import { readPlan } from '../runner/outputs.js';
import type { LabelInfo, Problem, StepLabel } from './api.js';
import { problem } from './run-files.js';
import { TidTable } from './tid-table.js';

/** Which trajectories to list by their labels: those with a step on which the two named ratings differ, or without one. */
export const DISPUTES = ['judges', 'outcome', 'state', 'unknown'] as const;
export type Dispute = (typeof DISPUTES)[number];

/** What the labels of a run say as a whole. */
interface Overview {
  readonly version: string;
  readonly second: boolean;
  /** ids of the trajectories with such a step */
  readonly disputes: Readonly<Record<Dispute, ReadonlySet<string>>>;
  readonly problems: readonly Problem[];
}

const MINE = 'labels';

/** The labels of a run (`critiq label`), read by position; they belong to one data set. */
export class StepLabels {
  private readonly table: TidTable<LabelRow>;
  private made: Promise<Overview> | undefined;

  constructor(private readonly run: string) {
    this.table = new TidTable(run, MINE, LABELS, /labels[^/]*\.parquet$/);
  }

  /** Name of the data set whose steps are rated, as seen from the run; undefined without labels. */
  set(): string | undefined {
    try {
      const settings = readPlan(join(this.run, MINE))?.settings as { label?: { data?: unknown } } | undefined;
      const data = settings?.label?.data;
      return typeof data === 'string' ? data : undefined;
    } catch {
      // a broken plan is told with its data set
      return undefined;
    }
  }

  /** What there is to filter by; null without labels. */
  async info(): Promise<{ info: LabelInfo | null; problems: readonly Problem[] }> {
    const set = this.set();
    if (set === undefined) return { info: null, problems: [] };
    const { second, disputes, problems } = await this.overview();
    const found = DISPUTES.filter((kind) => (kind === 'judges' ? second : disputes[kind].size > 0));
    return { info: { set, disputes: found.map((kind) => ({ kind, trajectories: disputes[kind].size })) }, problems };
  }

  /** The trajectories of `set` with such a step. */
  async disputed(kind: Dispute): Promise<{ readonly set: string; readonly ids: ReadonlySet<string> }> {
    return { set: this.set() ?? '', ids: (await this.overview()).disputes[kind] };
  }

  /** The labels of some steps of a data set, by tid. */
  async read(
    set: string,
    tids: readonly number[],
  ): Promise<{ rows: ReadonlyMap<number, LabelRow>; problems: readonly Problem[] }> {
    return set === this.set() ? this.table.read(tids) : { rows: new Map<number, LabelRow>(), problems: [] };
  }

  private async overview(): Promise<Overview> {
    const { version } = await this.table.files();
    if ((await this.made)?.version !== version) this.made = this.review();
    return this.made!;
  }

  private async review(): Promise<Overview> {
    const { paths, problems: unread, version } = await this.table.files();
    const problems = [...unread];
    const disputes = Object.fromEntries(DISPUTES.map((kind) => [kind, new Set<string>()])) as Record<
      Dispute,
      Set<string>
    >;
    let second = false;
    for (const path of paths) {
      try {
        for await (const row of streamTable(path, LABELS)) {
          second ||= row.secondJudge !== null;
          for (const kind of disputesOf(row)) disputes[kind].add(row.trajectory);
        }
      } catch (error) {
        problems.push(problem(MINE, error));
      }
    }
    return { version, second, disputes, problems };
  }
}

function disputesOf({ rating, secondRating, outcomeRating, stateRating }: LabelRow): Dispute[] {
  if (rating === null) return ['unknown'];
  const differs = (other: number | null) => other !== null && other !== rating;
  return [
    ...(differs(secondRating) ? (['judges'] as const) : []),
    ...(differs(outcomeRating) ? (['outcome'] as const) : []),
    ...(differs(stateRating) ? (['state'] as const) : []),
  ];
}

/** A label as the page shows it. */
export function stepLabel(row: LabelRow | undefined): StepLabel | null {
  if (!row) return null;
  const { rating, explanation, source, judge, outcomeRating, stateRating } = row;
  const second =
    row.secondJudge === null
      ? null
      : { rating: row.secondRating, explanation: row.secondExplanation ?? '', judge: row.secondJudge };
  return { rating, explanation, source, judge, second, outcome: outcomeRating, state: stateRating };
}
