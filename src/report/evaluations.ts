import { counted } from '../counted.js';
import type { OfflineRates } from '../agents/offline.js';
import type { PairedTest } from '../data/paired.js';

/** A success rate; `ci95`: Wilson's 95 % interval. */
export interface Rate {
  readonly episodes: number;
  readonly successes: number;
  readonly rate: number;
  readonly ci95: readonly [number, number];
}

/** The result of an evaluation, as `eval` stores it. */
export interface Evaluation extends Rate {
  /** the policy's name, with `+bestofq` where the critic ranks its samples; `served-...` for a third-party agent */
  readonly policy: string;
  readonly split: string;
  readonly protocol: string;
  /** 'sampled' at the temperature, or 'greedy' */
  readonly mode: string;
  readonly temperature: number;
  /** who judged: `state`, or the kind of server and its model */
  readonly judge: string;
  /** episodes that could not be judged: no number counts them */
  readonly unknown: readonly string[];
  /** episodes lost to device faults: no number counts them */
  readonly lost: readonly string[];
  readonly mean_steps: number;
  /** steps in which the agent gave an invalid action, so that nothing was done; absent from older results */
  readonly invalid_steps?: number;
  readonly families: Readonly<Record<string, Rate>>;
}

/** The result of an offline evaluation: an episode succeeds if every step matches the recorded one. */
export interface OfflineEvaluation extends Evaluation {
  readonly offline: OfflineRates;
  /** the same by part of the data */
  readonly offline_families: Readonly<Record<string, OfflineRates>>;
}

/** Whether an evaluation compared actions with recorded ones, instead of acting. */
export function isOffline(evaluation: Evaluation): evaluation is OfflineEvaluation {
  return evaluation.protocol === 'offline' && 'offline' in evaluation;
}

/** A row of report.json. */
export interface RateRow extends Rate {
  /** the evaluation's name below `eval/` */
  readonly evaluation: string;
  readonly policy: string;
  readonly split: string;
  readonly mode: string;
  readonly temperature: number;
}

/** Evaluations by protocol and by how actions were chosen, each in the order given. */
export interface RateRows {
  /** of all tasks, or of each distinct one, sampled */
  readonly rows: readonly RateRow[];
  /** the same, greedy */
  readonly greedy: readonly RateRow[];
  /** of the first 96 tasks */
  readonly first96: readonly RateRow[];
}

/** Two evaluations on the same tasks and phones, by their names. */
export interface Pair extends PairedTest {
  readonly before: string;
  readonly after: string;
}

/** Protocols over the whole task list. */
const WHOLE: ReadonlySet<string> = new Set(['all', 'distinct']);

/** @param evaluations by their names */
export function rateRows(evaluations: ReadonlyMap<string, Evaluation>): RateRows {
  const of = (wanted: (one: Evaluation) => boolean): RateRow[] =>
    [...evaluations].filter(([, one]) => wanted(one)).map(([name, one]) => rowOf(name, one));
  return {
    rows: of(({ protocol, mode }) => WHOLE.has(protocol) && mode === 'sampled'),
    greedy: of(({ protocol, mode }) => WHOLE.has(protocol) && mode === 'greedy'),
    first96: of(({ protocol }) => protocol === 'first96'),
  };
}

function rowOf(evaluation: string, one: Evaluation): RateRow {
  const { policy, split, mode, temperature, episodes, successes, rate, ci95 } = one;
  return { evaluation, policy, split, mode, temperature, episodes, successes, rate, ci95 };
}

/** Evaluations with the same key have the same tasks and choose actions in the same way: their policies compare. */
export function settingOf({ split, protocol, mode, temperature, judge }: Evaluation): string {
  const tasks =
    protocol === 'offline'
      ? `recorded episodes (${split}, ${judge})`
      : protocol === 'first96'
        ? `first 96 ${split} tasks`
        : `${protocol === 'all' ? '' : 'distinct '}${split} tasks`;
  return `${tasks}, ${mode === 'greedy' ? 'greedy' : `temperature ${temperature}`}`;
}

/** What a rate alone does not tell: the judge, where it is not the device, and what the rate leaves out. */
export function caveats({ judge, protocol, unknown, lost, invalid_steps: invalid = 0 }: Evaluation): string[] {
  return [
    ...(judge === 'state' || protocol === 'offline' ? [] : [`judged by ${judge}`]),
    ...(unknown.length === 0 ? [] : [`${counted(unknown.length, 'episode')} not judged (not counted)`]),
    ...(lost.length === 0 ? [] : [`${counted(lost.length, 'episode')} lost to device faults (not counted)`]),
    ...(invalid === 0 ? [] : [`${counted(invalid, 'step')} with an invalid action`]),
  ];
}
