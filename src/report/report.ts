import type { LabelQuality } from '../data/label-quality.js';
import type { Curve } from './curves.js';
import { rateRows, type Evaluation, type Pair } from './evaluations.js';
import type { Histogram } from './histogram.js';
import type { Ranking, RankingOptions } from '../oracle/ranking.js';
import type { OnlinePart } from './online.js';
import type { Method } from './published.js';
import type { ValueQuality } from './rating-quality.js';
import type { Reliability } from './reliability.js';
import type { Strip } from './strip.js';
import { calibrationVerdict, type Fit } from './verdicts.js';

/** Version of report.json: raised whenever a field goes away or changes its meaning. */
const FORMAT = 2;

/** Amounts of data. Null where the data set is not part of the report. */
export interface Amounts {
  readonly trajectories: number;
  readonly successes: number;
  readonly transitions: number;
  readonly screens: number;
  /** actions sampled, and distinct (state, action) pairs among them */
  readonly sampled: number | null;
  readonly state_actions: number | null;
  readonly representations: number | null;
}

/** How the critic's values compare with the returns. */
export interface Values {
  /** by part of the trajectories: train, validation, or all where the split is not known */
  readonly reliability: Readonly<Record<string, Reliability>>;
  readonly advantages: Histogram | undefined;
  /** the actor imitates above this advantage */
  readonly threshold: number;
  /** how the twins become one value in the advantage */
  readonly aggregate: string;
  /** the critic beside true values; undefined where report.sources leaves them out */
  readonly truth?: { readonly ranking: Ranking; readonly options: RankingOptions };
}

/** The two evaluations of `report.compare`. */
export interface Comparison {
  readonly pair: Pair;
  /** an episode that only the second wins, under both; or why there is none */
  readonly example: Part<{ readonly episode: string; readonly strips: readonly Strip[] }>;
}

/** Settings that a data set of the run was made with. */
export interface RecordedSettings {
  readonly dataset: string;
  readonly stage: string;
  readonly settings: Readonly<Record<string, unknown>>;
}

/** A setting that differs from its default. */
export interface ChangedSetting {
  readonly default: unknown;
  readonly value: unknown;
}

/** A policy of the run. */
export interface PolicyNote {
  readonly name: string;
  /** what it is, in one line */
  readonly description: string;
  /** its counterpart in the literature */
  readonly method: Method | undefined;
  /** number of its colour in the palette */
  readonly colour: number;
}

/** Metrics of a stage instance. */
export interface Learning {
  readonly stage: string;
  readonly curves: readonly Curve[];
  /** undefined where there are too few validation losses */
  readonly fit: Fit | undefined;
}

/** Something of the report, or a sentence that says why it is missing. */
export type Part<T> = { readonly missing: string } | { readonly found: T };

/** Everything that the page shows. */
export interface Report {
  readonly run: string;
  readonly seed: number;
  /** by name, in order */
  readonly evaluations: ReadonlyMap<string, Evaluation>;
  /** names of the two evaluations that are compared: before and after */
  readonly compare: readonly [string, string];
  /** the evaluations that have tasks and mode in common, two by two */
  readonly pairs: readonly Pair[];
  /** every policy that was evaluated */
  readonly policies: readonly PolicyNote[];
  readonly amounts: Part<Amounts>;
  readonly learning: readonly Learning[];
  /** online runs that report.online names */
  readonly online: readonly OnlinePart[];
  readonly values: Part<Values>;
  /** the ratings of steps; undefined if report.sources does not name them */
  readonly labels?: LabelQuality;
  /** the value model of VEM; undefined if report.sources does not name it */
  readonly valueModel?: Part<ValueQuality>;
  readonly trajectories: Part<readonly Strip[]>;
  readonly comparison: Part<Comparison>;
  readonly recorded: readonly RecordedSettings[];
  /** resolved settings of this run of the report */
  readonly settings: Readonly<Record<string, unknown>>;
  /** those that differ from their defaults, by dotted path */
  readonly changed: Readonly<Record<string, ChangedSetting>>;
  /** sections of stages that made no data set of this run */
  readonly idle: readonly string[];
  /** commands for results whose settings are not those of the file */
  readonly commands: readonly string[];
  /** the changed settings as a settings file */
  readonly yaml: string;
  /** whether the run acts on the embedded phone */
  readonly embedded: boolean;
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
    format: FORMAT,
    run,
    seed,
    critiq: report.versions.critiq,
    commit: report.commit,
    changed: report.changed,
    commands: report.commands,
    policies: report.policies.map(({ name, description }) => ({ name, description })),
    ...rateRows(evaluations),
    evaluations: Object.fromEntries(evaluations),
    pairs: report.pairs,
    fit: Object.fromEntries(report.learning.map(({ stage, fit }) => [stage, fit ?? null])),
    online: Object.fromEntries(report.online.map(({ name, curve }) => [name, curve])),
    data: found(amounts),
    values: valued && {
      reliability: valued.reliability,
      calibration: calibrationVerdict(valued.reliability)?.level ?? null,
      advantages: valued.advantages ?? null,
      truth: valued.truth ? { ...valued.truth.options, ...valued.truth.ranking } : null,
    },
    labels: report.labels ?? null,
    value_model: report.valueModel ? found(report.valueModel) : null,
    comparison: compared && {
      ...compared.pair,
      evaluations: report.compare,
      shown: 'found' in compared.example ? compared.example.found.episode : null,
    },
  };
  return `${JSON.stringify(json, null, 2)}\n`;
}
