import type { LabelRow } from './labels.js';
import { agreementByType, type RatingPair } from './rating-agreement.js';

/** Agreement over all steps and by the type of the action; null where no step has both ratings. */
export type LabelAgreement = ReturnType<typeof agreementByType> | null;

/** `_result.json` of the labels: how many there are, and how far they agree with other ratings of the same steps. */
export interface LabelQuality {
  readonly steps: number;
  readonly good: number;
  readonly bad: number;
  readonly unknown: number;
  /** why the first unknown step is unknown; null if none is */
  readonly reason: string | null;
  /** what rated: `state`, `outcome`, or the judge's kind and model */
  readonly judge: string | null;
  readonly second_judge: string | null;
  /** with the state of the phone, which is exact, with the outcome, and with the second judge; and of the outcome with the state */
  readonly with_state: LabelAgreement;
  readonly with_outcome: LabelAgreement;
  readonly with_second: LabelAgreement;
  readonly outcome_with_state: LabelAgreement;
}

export function labelQuality(rows: readonly LabelRow[]): LabelQuality {
  const count = (rating: number | null) => rows.filter((row) => row.rating === rating).length;
  const agreement = (pair: (row: LabelRow) => RatingPair): LabelAgreement => {
    const found = agreementByType(rows, pair);
    return found.all.items === 0 ? null : found;
  };
  return {
    steps: rows.length,
    good: count(2),
    bad: count(1),
    unknown: count(null),
    reason: rows.find(({ rating }) => rating === null)?.explanation ?? null,
    judge: rows.at(0)?.judge ?? null,
    second_judge: rows.at(0)?.secondJudge ?? null,
    with_state: agreement(({ rating: first, stateRating: second }) => ({ first, second })),
    with_outcome: agreement(({ rating: first, outcomeRating: second }) => ({ first, second })),
    with_second: agreement(({ rating: first, secondRating: second }) => ({ first, second })),
    outcome_with_state: agreement(({ outcomeRating: first, stateRating: second }) => ({ first, second })),
  };
}
