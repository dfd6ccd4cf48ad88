import { counted } from '../../src/counted.js';
import type { LabelRow } from '../../src/data/labels.js';
import { agreementByType, type RatingAgreement, type RatingPair } from '../../src/data/rating-agreement.js';
import type { Label } from './settings.js';

/** Agreement over all steps and by the type of the action; null where no step has both ratings. */
type Agreement = ReturnType<typeof agreementByType> | null;

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
  readonly with_state: Agreement;
  readonly with_outcome: Agreement;
  readonly with_second: Agreement;
  readonly outcome_with_state: Agreement;
}

export function labelQuality(rows: readonly LabelRow[]): LabelQuality {
  const count = (rating: number | null) => rows.filter((row) => row.rating === rating).length;
  const agreement = (pair: (row: LabelRow) => RatingPair): Agreement => {
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

/** The quality as lines for people. */
export function describeLabels(quality: LabelQuality, { from, data }: Pick<Label, 'from' | 'data'>): string[] {
  const { steps, good, bad, unknown } = quality;
  return [
    `${counted(steps, 'step')} of ${data} rated by ${from}: ${good} good, ${bad} bad${unknown === 0 ? '' : `, ${unknown} unknown`}`,
    ...(from === 'state' ? [] : lines('with the state of the phone', quality.with_state)),
    ...(from === 'outcome' ? [] : lines('of the outcome with the state', quality.outcome_with_state)),
    ...lines('of the two judges', quality.with_second),
  ];
}

function lines(what: string, agreement: Agreement): string[] {
  if (!agreement) return [];
  const { all, types } = agreement;
  const kappa = all.kappa === null ? 'undefined' : all.kappa.toFixed(2);
  return [
    `agreement ${what}: ${percent(all)} of ${counted(all.items, 'step')}, kappa ${kappa}; ${types.map((one) => `${one.type} ${percent(one)} of ${one.items}`).join(', ')}`,
  ];
}

function percent({ accuracy }: RatingAgreement): string {
  return accuracy === null ? '-' : `${(100 * accuracy).toFixed(1)} %`;
}
