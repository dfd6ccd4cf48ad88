import { wilson95 } from '../data/interval.js';
import type { Verdict } from './judge.js';

/** The label of a screenshot, and a judge's verdict on it. */
export interface Judged {
  readonly id: string;
  readonly task: string;
  readonly label: 'success' | 'failure';
  readonly verdict: Verdict;
}

/** A share with its 95 % interval; null where the denominator is 0. */
export interface Rate {
  readonly value: number | null;
  readonly ci95: readonly [number, number];
}

/** How far a judge agrees with the labels of a set; success is the positive class. */
export interface Agreement {
  readonly items: number;
  /** ids of the items without a verdict; the numbers below leave them out */
  readonly unknown: readonly string[];
  readonly confusion: {
    readonly true_success: number;
    readonly false_success: number;
    readonly true_failure: number;
    readonly false_failure: number;
  };
  /** share of the verdicts that equal the label */
  readonly agreement: Rate;
  /** share of the success verdicts that are right */
  readonly precision: Rate;
  /** share of the success labels that the judge found */
  readonly recall: Rate;
  readonly f1: Rate;
  readonly disagreements: readonly Omit<Judged, 'task'>[];
}

/**
 * Compares verdicts with labels. The intervals are Wilson's. That of F1 comes from J = TP / (TP + FP + FN), the share of
 * correct successes among all items that the label or the judge calls a success: F1 = 2J / (1 + J) grows with J, so it
 * maps J's Wilson interval to F1's.
 */
export function agreementOf(items: readonly Judged[]): Agreement {
  const known = items.filter(({ verdict }) => verdict !== 'unknown');
  const count = (label: string, verdict: string) =>
    known.filter((item) => item.label === label && item.verdict === verdict).length;
  const [tp, fp] = [count('success', 'success'), count('failure', 'success')];
  const [tn, fn] = [count('failure', 'failure'), count('success', 'failure')];
  const union = rate(tp, tp + fp + fn);
  const f1 = (j: number) => (2 * j) / (1 + j);
  return {
    items: items.length,
    unknown: items.filter(({ verdict }) => verdict === 'unknown').map(({ id }) => id),
    confusion: { true_success: tp, false_success: fp, true_failure: tn, false_failure: fn },
    agreement: rate(tp + tn, known.length),
    precision: rate(tp, tp + fp),
    recall: rate(tp, tp + fn),
    f1: { value: union.value === null ? null : f1(union.value), ci95: [f1(union.ci95[0]), f1(union.ci95[1])] },
    disagreements: known
      .filter(({ label, verdict }) => label !== verdict)
      .map(({ id, label, verdict }) => ({ id, label, verdict })),
  };
}

function rate(part: number, whole: number): Rate {
  return { value: whole === 0 ? null : part / whole, ci95: wilson95(part, whole) };
}
