import type { Curve } from './curves.js';
import { rateRows, type Evaluation } from './evaluations.js';
import type { Histogram } from './histogram.js';
import type { OnlinePart } from './online.js';
import type { Reliability } from './reliability.js';
import type { Strip } from './strip.js';

/** What there is of data. Null where the data set is not part of the report. */
export interface Amounts {
  readonly trajectories: number;
  readonly successes: number;
  readonly transitions: number;
  readonly screens: number;
  /** actions sampled, and different ones: (state, action) pairs */
  readonly sampled: number | null;
  readonly state_actions: number | null;
  readonly representations: number | null;
}

/** How the critic's values compare with what came of the actions. */
export interface Values {
  /** by the part of the trajectories: train, validation, or all where the split is not known */
  readonly reliability: Readonly<Record<string, Reliability>>;
  readonly advantages: Histogram | undefined;
  /** the actor imitates above this advantage */
  readonly threshold: number;
  /** how the twins make one for the advantage */
  readonly aggregate: string;
}

/** The same episode (task and phone) in two evaluations. */
export interface Comparison {
  readonly episode: string;
  /** episodes of both evaluations */
  readonly shared: number;
  /** of these: won by the second alone, and by the first alone */
  readonly gained: number;
  readonly lost: number;
  readonly strips: readonly Strip[];
}

/** Settings that a data set of the run was made with. */
export interface RecordedSettings {
  readonly dataset: string;
  readonly stage: string;
  readonly settings: Readonly<Record<string, unknown>>;
}

/** Something of the report, or a sentence that says why it is not there. */
export type Part<T> = { readonly missing: string } | { readonly found: T };

/** Everything that the page shows. */
export interface Report {
  readonly run: string;
  readonly seed: number;
  /** by the evaluations' names, in order */
  readonly evaluations: ReadonlyMap<string, Evaluation>;
  /** names of the two evaluations that are compared: before and after */
  readonly compare: readonly [string, string];
  readonly amounts: Part<Amounts>;
  readonly curves: readonly { readonly stage: string; readonly curves: readonly Curve[] }[];
  /** online runs that report.online names */
  readonly online: readonly OnlinePart[];
  readonly values: Part<Values>;
  readonly trajectories: Part<readonly Strip[]>;
  readonly comparison: Part<Comparison>;
  readonly recorded: readonly RecordedSettings[];
  /** resolved settings of this run of the report */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly versions: Readonly<Record<string, string | null>>;
  readonly commit: string | null;
}

/** report.json: the numbers of the page, for programs. */
export function reportJson(report: Report): string {
  const { run, seed, evaluations, amounts, values, comparison } = report;
  const found = <T>(part: Part<T>) => ('found' in part ? part.found : null);
  const compared = found(comparison);
  const valued = found(values);
  const json = {
    run,
    seed,
    ...rateRows(evaluations.values()),
    evaluations: Object.fromEntries(evaluations),
    online: Object.fromEntries(report.online.map(({ name, curve }) => [name, curve])),
    data: found(amounts),
    values: valued && { reliability: valued.reliability, advantages: valued.advantages ?? null },
    comparison: compared && {
      evaluations: report.compare,
      shared: compared.shared,
      gained: compared.gained,
      lost: compared.lost,
      shown: compared.episode,
    },
  };
  return `${JSON.stringify(json, null, 2)}\n`;
}
