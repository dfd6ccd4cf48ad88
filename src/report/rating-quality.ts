import { wilson95 } from '../data/interval.js';
import { reliability, type Bin } from './reliability.js';

/** How well a value model's probabilities of rating 2 match given ratings, on steps that it was not trained on. */
export interface RatingQuality {
  readonly steps: number;
  readonly trajectories: number;
  /** share of the steps that are rated good */
  readonly good: number;
  /** share of the steps whose likelier rating is the given one, and Wilson's 95 % interval */
  readonly accuracy: number;
  readonly ci95: readonly [number, number];
  /** probability that a good step gets a higher value than a bad one; null where all have one rating */
  readonly auc: number | null;
  /** mean distance of ten bins from the diagonal, weighted by their counts (expected calibration error) */
  readonly calibration_error: number;
  /** `predicted`: mean probability of rating 2; `observed`: share of good steps */
  readonly bins: readonly Bin[];
}

/** `quality.json` of a value model: on held-out steps, against the labels and against the state of the device. */
export interface ValueQuality {
  readonly labels: RatingQuality | null;
  /** against the exact ratings by the device's state; null where it is unknown */
  readonly state: RatingQuality | null;
}

/** A step with the value model's probability of rating 2 and the given rating. */
export interface RatedStep {
  readonly probability: number;
  readonly good: boolean;
  readonly trajectory: string;
}

/** Undefined for no steps. */
export function ratingQuality(steps: readonly RatedStep[]): RatingQuality | undefined {
  const made = reliability({
    predicted: steps.map(({ probability }) => probability),
    observed: steps.map(({ good }) => (good ? 1 : 0)),
    group: steps.map(({ trajectory }) => trajectory),
  });
  if (!made) return undefined;
  const right = steps.filter(({ probability, good }) => probability > 0.5 === good).length;
  return {
    steps: made.steps,
    trajectories: made.trajectories,
    good: steps.filter(({ good }) => good).length / made.steps,
    accuracy: right / made.steps,
    ci95: wilson95(right, made.steps),
    auc: areaUnderCurve(steps),
    calibration_error: made.calibration_error,
    bins: made.bins,
  };
}

/** The area under the ROC curve, from the ranks of the good steps (Mann-Whitney); ties count half. */
function areaUnderCurve(steps: readonly RatedStep[]): number | null {
  const sorted = [...steps].sort((a, b) => a.probability - b.probability);
  let [ranks, good] = [0, 0];
  for (let start = 0; start < sorted.length;) {
    let end = start + 1;
    while (end < sorted.length && sorted[end].probability === sorted[start].probability) end++;
    const here = sorted.slice(start, end).filter((step) => step.good).length;
    // the mean rank of ties, counted from 1
    ranks += here * ((start + 1 + end) / 2);
    good += here;
    start = end;
  }
  const bad = sorted.length - good;
  return good === 0 || bad === 0 ? null : (ranks - (good * (good + 1)) / 2) / (good * bad);
}
