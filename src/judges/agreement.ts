import { wilson95 } from '../data/interval.js';
import type { Verdict } from './judge.js';

/** What is known of a screenshot, and what a judge says of it. */
export interface Judged {
  readonly id: string;
  readonly task: string;
  readonly label: 'success' | 'failure';
  readonly verdict: Verdict;
}

/** A share with its 95 % interval; null where there is nothing to divide by. */
export interface Rate {
  readonly value: number | null;
  readonly ci95: readonly [number, number];
}

/** How far a judge agrees with the labels of a set; success is the positive class. */
export interface Agreement {
  readonly items: number;
  /** items without a verdict: they are in none of the numbers below */
  readonly unknown: readonly string[];
  readonly confusion: {
    readonly true_success: number;
    readonly false_success: number;
    readonly true_failure: number;
    readonly false_failure: number;
  };
  /** verdicts that are as the labels */
  readonly agreement: Rate;
  /** of the verdicts of success, those that are right */
  readonly precision: Rate;
  /** of the labels of success, those that are found */
  readonly recall: Rate;
  readonly f1: Rate;
  readonly disagreements: readonly Omit<Judged, 'task'>[];
}

/**
 * Compares verdicts with labels. Intervals are Wilson's; that of F1 is Wilson's of J = TP / (TP + FP + FN), the share of
 * right ones among all that label or judge call a success, carried over by F1 = 2J / (1 + J), which grows with J.
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
