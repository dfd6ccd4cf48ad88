/** What the viewer's server answers and its page reads, as JSON; numbers that are not finite are null. */

import type { LabelSource, Rating } from '../data/labels.js';
import type { InfluenceRow } from '../data/online-tables.js';
import type { PairedTest } from '../data/paired.js';
import type { Evaluation } from '../report/evaluations.js';
import type { Histogram } from '../report/histogram.js';
import type { Reliability } from '../report/reliability.js';
import type { MetricsLine } from '../data/metrics.js';

/** Something that could not be read; the rest is shown without it. */
export interface Problem {
  /** the data set, or what else the problem is about */
  readonly where: string;
  /** one line: which file, what was expected and got, what to do */
  readonly message: string;
}

/** A run in the table of all runs. */
export interface RunRow {
  readonly run: string;
  /** when its results or settings last changed, ISO 8601 */
  readonly changed_at: string;
  readonly forked_from: string | null;
  /** what its stages are, in words */
  readonly state: string;
  /** the settings file that is closest to its settings, and what differs from it, by path */
  readonly like: string;
  readonly differs: Readonly<Record<string, unknown>>;
  readonly rates: Readonly<Record<string, { readonly rate: number; readonly ci95: readonly [number, number] }>>;
}

/** Several runs side by side; the first is the baseline. */
export interface RunsCompared {
  readonly runs: readonly string[];
  readonly settings: readonly {
    readonly path: string;
    readonly instances: readonly string[];
    /** by run; undefined where the run has no such result */
    readonly values: readonly unknown[];
  }[];
  readonly missing: readonly { readonly instance: string; readonly only_in: readonly string[] }[];
  readonly evaluations: readonly {
    readonly name: string;
    readonly rates: readonly {
      readonly run: string;
      readonly rate: number;
      readonly successes: number;
      readonly episodes: number;
      readonly ci95: readonly [number, number];
      /** to the first run that has the evaluation; `why`: the reason why the episodes could not be paired */
      readonly against_first: {
        readonly difference: number;
        readonly ci95: readonly [number, number];
        readonly why?: string;
      } | null;
    }[];
  }[];
}

/** A data set of trajectories. */
export interface SetInfo {
  /** its folder below the run's: `trajectories`, `demos`, `eval/digiq-test` */
  readonly name: string;
  /** the stage that wrote it */
  readonly stage: string;
  /** who acted: a policy's name, `demonstrator`, or empty if not recorded */
  readonly policy: string;
  /** backend of the devices */
  readonly device: string;
  readonly trajectories: number;
  readonly successes: number;
  /** committed shards, and planned ones (null: not recorded) */
  readonly shards: number;
  readonly planned: number | null;
}

/** A run folder as a whole. */
export interface RunInfo {
  readonly name: string;
  readonly seed: number | null;
  /** the stage instance that is running now */
  readonly running: string | null;
  readonly sets: readonly SetInfo[];
  readonly families: readonly string[];
  readonly policies: readonly string[];
  /** whether a critic's values exist */
  readonly values: boolean;
  /** how the critic's twins are combined, and above which advantage the actor imitates */
  readonly aggregate: Aggregate;
  readonly threshold: number;
  /** ratings of steps by `critiq label`; null if there are none */
  readonly labels: LabelInfo | null;
  readonly problems: readonly Problem[];
}

/** The labels of a run, and what their trajectories can be filtered by. */
export interface LabelInfo {
  /** the data set whose steps are rated */
  readonly set: string;
  /** number of trajectories with a step on which the two judges differ, or that differs from the outcome or the phone's state, or has no rating */
  readonly disputes: readonly {
    readonly kind: 'judges' | 'outcome' | 'state' | 'unknown';
    readonly trajectories: number;
  }[];
}

export type Aggregate = 'max' | 'min' | 'mean';

/** The runs of the data folder, and the one to show first. */
export interface RunList {
  readonly folder: string;
  readonly runs: readonly string[];
  readonly first: string;
}

/** A trajectory in a list, without its steps. */
export interface TrajectoryRow {
  readonly set: string;
  readonly id: string;
  readonly stage: string;
  readonly policy: string;
  readonly device: string;
  readonly task: string;
  readonly goal: string;
  readonly family: string;
  readonly steps: number;
  readonly success: boolean;
  readonly truncated: boolean;
  readonly reward: number;
  /** its final screen */
  readonly last: Screen;
}

export interface TrajectoryPage {
  readonly total: number;
  readonly offset: number;
  readonly rows: readonly TrajectoryRow[];
  readonly problems: readonly Problem[];
}

/** Where a screenshot is. `stored`: in the run's `images`. `file`: at a path that an imported data set refers to. */
export type Screen =
  | { readonly kind: 'stored'; readonly id: string }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'none' };

/** The critic's values of a step. */
export interface StepScores {
  /** of the action taken: the twins, and both combined */
  readonly q1: number;
  readonly q2: number;
  readonly q: number;
  readonly v1: number;
  readonly v2: number;
  readonly v: number;
  readonly advantage: number;
  /** text of the candidate that best-of-N would imitate; null if none is above the threshold */
  readonly best: string | null;
  readonly candidates: number;
}

export interface Step {
  readonly step: number;
  readonly tid: number;
  readonly action: string;
  readonly screen: Screen;
  readonly reward: number;
  readonly mcReturn: number;
  /** null if the critic has no values for this step */
  readonly scores: StepScores | null;
  /** null if the step is not rated */
  readonly label: StepLabel | null;
}

/** The rating of a step: 1 is bad, 2 is good, null is unknown. */
export interface StepLabel {
  readonly rating: Rating | null;
  readonly explanation: string;
  readonly source: LabelSource;
  readonly judge: string;
  readonly second: { readonly rating: Rating | null; readonly explanation: string; readonly judge: string } | null;
  /** by the outcome of the trajectory, and by the state of the phone */
  readonly outcome: Rating | null;
  readonly state: Rating | null;
}

export interface Trajectory extends TrajectoryRow {
  readonly strip: readonly Step[];
  /** whether the critic was trained on it; null if not known */
  readonly part: 'train' | 'validation' | null;
  readonly problems: readonly Problem[];
}

/** A possible action in a state. Nulls: the critic has no value for it, or its probability is not recorded. */
export interface Candidate {
  readonly action: string;
  /** how often it was sampled */
  readonly count: number;
  readonly valid: boolean;
  readonly logProb: number | null;
  readonly q1: number | null;
  readonly q2: number | null;
  readonly q: number | null;
  readonly advantage: number | null;
  /** its true value and the standard error of that; null where `critiq oracle` did not measure it */
  readonly truth: number | null;
  readonly truthError: number | null;
}

/** One state with all its candidates; the first is the action taken. */
export interface State {
  readonly set: string;
  readonly id: string;
  readonly step: number;
  readonly steps: number;
  readonly tid: number;
  readonly goal: string;
  readonly prompt: string;
  readonly screen: Screen;
  readonly mcReturn: number;
  readonly success: boolean;
  readonly v1: number | null;
  readonly v2: number | null;
  readonly v: number | null;
  /** true value of the state; null where `critiq oracle` did not measure it */
  readonly trueV: number | null;
  readonly candidates: readonly Candidate[];
  /** the one that best-of-N would imitate */
  readonly best: number | null;
  readonly problems: readonly Problem[];
}

/** A policy's log-probabilities of a state's candidates, in their order, in nats; null for a text too long for it. */
export interface PolicyScores {
  readonly tid: number;
  readonly policy: string;
  readonly logProbs: readonly (number | null)[];
}

/** An error, in one line. */
export interface Failure {
  readonly error: string;
}

/** The metrics that a stage instance has written since the position that was asked for. */
export interface MetricsTail {
  /** which file this was: another one means that the stage started over */
  readonly file: string;
  /** whether these lines start at the beginning of the file and replace all earlier ones */
  readonly fresh: boolean;
  /** position to continue from */
  readonly next: number;
  /** whether more is there already */
  readonly more: boolean;
  readonly lines: readonly MetricsLine[];
}

/** How the critic's Q of the actions taken (the smaller twin) compares with the returns. */
export interface ValueOverview {
  /** by part: `train`, `validation`, or `all` if the split is not recorded; empty if there are no values */
  readonly reliability: Readonly<Record<string, Reliability>>;
  readonly advantages: Histogram | null;
  readonly threshold: number;
  readonly aggregate: Aggregate;
  readonly problems: readonly Problem[];
}

/** A trajectory at the step where Q is farthest from the return. */
export interface Disagreement extends TrajectoryRow {
  readonly step: number;
  readonly q: number;
  readonly mcReturn: number;
  /** Q minus return */
  readonly error: number;
}

export interface WorklistPage {
  readonly total: number;
  readonly offset: number;
  readonly rows: readonly Disagreement[];
}

/** An evaluation's result, with the name of its data set. */
export interface NamedEvaluation extends Evaluation {
  readonly name: string;
  /** who judged; empty if not recorded */
  readonly judge: string;
  /** episodes that were not judged, and episodes lost to device faults: no number counts them */
  readonly unknown: readonly string[];
  readonly lost: readonly string[];
}

export interface EvaluationList {
  readonly evaluations: readonly NamedEvaluation[];
  /** started, without a result yet */
  readonly unfinished: readonly string[];
  readonly problems: readonly Problem[];
}

/** Two evaluations, episode by episode. */
export interface Paired {
  readonly before: string;
  readonly after: string;
  /** on the episodes with the same task in both */
  readonly test: PairedTest;
  readonly gained: readonly { readonly id: string; readonly goal: string }[];
  readonly lost: readonly { readonly id: string; readonly goal: string }[];
}

/** A token, over the actions of the query. */
export interface TokenMean {
  readonly token: string;
  readonly mean: number;
  readonly count: number;
}

/** CoSo's weights of action tokens: of all actions after one iteration, or of one action after every iteration. */
export interface TokenPage {
  /** data sets of online runs that have weights */
  readonly sets: readonly string[];
  readonly set: string;
  /** iterations after which weights were recorded */
  readonly iterations: readonly number[];
  readonly iteration: number;
  readonly total: number;
  readonly offset: number;
  readonly rows: readonly InfluenceRow[];
  /** the tokens with the largest mean weights */
  readonly top: readonly TokenMean[];
  readonly problems: readonly Problem[];
}
