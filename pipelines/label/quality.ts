import { counted } from '../../src/counted.js';
import type { LabelAgreement, LabelQuality } from '../../src/data/label-quality.js';
import type { RatingAgreement } from '../../src/data/rating-agreement.js';
import type { Label } from './settings.js';

/** The quality as lines for people. */
export function describeLabels(quality: LabelQuality, { from, data }: Pick<Label, 'from' | 'data'>): string[] {
  const { steps, good, bad, unknown } = quality;
  return [
    `${counted(steps, 'step')} of ${data} rated by ${from}: ${good} good, ${bad} bad${unknown === 0 ? '' : `, ${unknown} unknown`}`,
    ...(from === 'state' ? [] : lines('with the state of the phone', quality.with_state)),
    ...(from === 'judge' ? lines('with the outcome', quality.with_outcome) : []),
    ...(from === 'outcome' ? [] : lines('of the outcome with the state', quality.outcome_with_state)),
    ...lines('of the two judges', quality.with_second),
  ];
}

function lines(what: string, agreement: LabelAgreement): string[] {
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
