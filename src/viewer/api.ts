/** What the viewer's server answers and its page reads. JSON: numbers that are not finite are null. */

import type { InfluenceRow } from '../data/online-tables.js';
import type { Evaluation } from '../report/evaluations.js';
import type { Histogram } from '../report/histogram.js';
import type { Reliability } from '../report/reliability.js';
import type { MetricsLine } from '../data/metrics.js';

/** Something that could not be read; the rest goes on without it. */
export interface Problem {
  /** the data set, or what else it is about */
  readonly where: string;
  /** one line: which file, what was expected and got, what to do */
  readonly message: string;
}

/** A data set of trajectories. */
export interface SetInfo {
  /** its folder below the run's: `trajectories`, `demos`, `eval/digiq-test` */
  readonly name: string;
  /** the stage that wrote it */
  readonly stage: string;
  /** who acted: a policy's name, `demonstrator`, or empty where it is not recorded */
  readonly policy: string;
  /** backend of the devices */
  readonly device: string;
  readonly trajectories: number;
  readonly successes: number;
  /** shards that are committed, and planned (null: not recorded) */
  readonly shards: number;
  readonly planned: number | null;
}

/** A run folder as a whole. */
export interface RunInfo {
  readonly name: string;
  readonly seed: number | null;
  /** the stage instance that a living process works on now */
  readonly running: string | null;
  readonly sets: readonly SetInfo[];
  readonly families: readonly string[];
  readonly policies: readonly string[];
  /** whether a critic's values are there */
  readonly values: boolean;
  /** how the critic's twins make one value, and above which advantage the actor imitates */
  readonly aggregate: Aggregate;
  readonly threshold: number;
  readonly problems: readonly Problem[];
}

export type Aggregate = 'max' | 'min' | 'mean';

/** The runs of the data folder, and the one to begin with. */
export interface RunList {
  readonly folder: string;
  readonly runs: readonly string[];
  readonly first: string;
}

/** What is said of a trajectory without reading its steps. */
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
  /** the screen at its end */
  readonly last: Screen;
}

export interface TrajectoryPage {
  readonly total: number;
  readonly offset: number;
  readonly rows: readonly TrajectoryRow[];
  readonly problems: readonly Problem[];
}

/** Where a screenshot is. `stored`: in the run's `images`. `file`: where an imported data set says. */
export type Screen =
  | { readonly kind: 'stored'; readonly id: string }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'none' };

/** What the critic says of a step. */
export interface StepScores {
  /** of the action taken: the twins, and the two as one */
  readonly q1: number;
  readonly q2: number;
  readonly q: number;
  readonly v1: number;
  readonly v2: number;
  readonly v: number;
  readonly advantage: number;
  /** text of the candidate that best-of-N would imitate; null where none is above the threshold */
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
  /** null where the critic was not asked about this step */
  readonly scores: StepScores | null;
}

export interface Trajectory extends TrajectoryRow {
  readonly strip: readonly Step[];
  /** whether the critic was trained on it; null where that is not known */
  readonly part: 'train' | 'validation' | null;
  readonly problems: readonly Problem[];
}

/** An action that could be taken in a state. Nulls: the critic was not asked, or the probability is not recorded. */
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
}

/** One state and all its candidates; the first is the action taken. */
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
  readonly candidates: readonly Candidate[];
  /** the one that best-of-N would imitate */
  readonly best: number | null;
  readonly problems: readonly Problem[];
}

/** What a policy says of a state's candidates, in their order: nats; null for a text longer than it may say. */
export interface PolicyScores {
  readonly tid: number;
  readonly policy: string;
  readonly logProbs: readonly (number | null)[];
}

/** What went wrong, in one line. */
export interface Failure {
  readonly error: string;
}

/** What a stage instance has written of its metrics since the place that was asked for. */
export interface MetricsTail {
  /** which file this was: another one means that the stage began anew */
  readonly file: string;
  /** whether these lines are from the file's start, in the place of all before */
  readonly fresh: boolean;
  /** where to go on */
  readonly next: number;
  /** whether there is more already */
  readonly more: boolean;
  readonly lines: readonly MetricsLine[];
}

/** How the critic's Q of the actions taken, the smaller of its twins, compares with the returns that followed. */
export interface ValueOverview {
  /** by part: `train`, `validation`, or `all` where the split is not recorded; empty where there are no values */
  readonly reliability: Readonly<Record<string, Reliability>>;
  readonly advantages: Histogram | null;
  readonly threshold: number;
  readonly aggregate: Aggregate;
  readonly problems: readonly Problem[];
}

/** A trajectory at the step where the critic is farthest from what came. */
export interface Disagreement extends TrajectoryRow {
  readonly step: number;
  readonly q: number;
  readonly mcReturn: number;
  /** Q less the return */
  readonly error: number;
}

export interface WorklistPage {
  readonly total: number;
  readonly offset: number;
  readonly rows: readonly Disagreement[];
}

/** An evaluation's result, by the name of its data set. */
export interface NamedEvaluation extends Evaluation {
  readonly name: string;
  /** who judged; empty where that is not recorded */
  readonly judge: string;
  /** episodes that were not judged, and that faults of devices kept from their end: in none of the numbers */
  readonly unknown: readonly string[];
  readonly lost: readonly string[];
}

export interface EvaluationList {
  readonly evaluations: readonly NamedEvaluation[];
  /** begun, without a result yet */
  readonly unfinished: readonly string[];
  readonly problems: readonly Problem[];
}

/** Two evaluations, episode by episode. */
export interface Paired {
  readonly before: string;
  readonly after: string;
  readonly counts: {
    /** episodes of the same task in both */
    readonly shared: number;
    readonly both: number;
    readonly neither: number;
    /** only the second succeeds; only the first does */
    readonly gained: number;
    readonly lost: number;
  };
  readonly gained: readonly { readonly id: string; readonly goal: string }[];
  readonly lost: readonly { readonly id: string; readonly goal: string }[];
}

/** A token over the actions that were asked for. */
export interface TokenMean {
  readonly token: string;
  readonly mean: number;
  readonly count: number;
}

/** CoSo's weights of the tokens of actions, at one time of the training, or of one action at all times. */
export interface TokenPage {
  /** data sets of online runs that have weights; empty where none has */
  readonly sets: readonly string[];
  readonly set: string;
  /** after how many iterations weights were taken */
  readonly iterations: readonly number[];
  readonly iteration: number;
  readonly total: number;
  readonly offset: number;
  readonly rows: readonly InfluenceRow[];
  /** the tokens of largest mean weight */
  readonly top: readonly TokenMean[];
  readonly problems: readonly Problem[];
}
