import { counted } from '../counted.js';
import type { LabelAgreement, LabelQuality } from '../data/label-quality.js';
import type { RatingAgreement } from '../data/rating-agreement.js';
import { count, html, percent, percentRange, table, type Markup, type Piece } from './html.js';

/** The comparisons: what is compared with what. The first is `first` in the counts of the table. */
const COMPARED = [
  ['with_state', 'labels', 'state of the phone'],
  ['with_outcome', 'labels', 'outcome of the trajectory'],
  ['with_second', 'labels', 'second judge'],
  ['outcome_with_state', 'outcome of the trajectory', 'state of the phone'],
] as const;

/** The section on labels: how many there are, and how far they agree with other ratings of the same steps. */
export function labelsMarkup(quality: LabelQuality): Markup {
  const { steps, good, bad, unknown, judge, second_judge: second } = quality;
  const given = COMPARED.flatMap(([name, first, other]) => {
    const agreement: LabelAgreement = quality[name];
    // a rule agrees with itself, and what it has beside the other rule is shown once
    const rule = judge === 'state' || judge === 'outcome';
    const known = name === `with_${judge}` || (rule && name === 'outcome_with_state');
    return agreement && !known ? [{ first, other, agreement }] : [];
  });
  return html`<p>${counted(steps, 'step')} rated by ${judge ?? 'nobody'}${second !== null && html` and a second judge, ${second}`}: ${count(good)} good, ${count(bad)} bad${unknown > 0 && html`, ${count(unknown)} unknown (the first: ${quality.reason})`}.</p>
${given.length === 0 && html`<p class="missing">There are no other ratings to compare with.</p>`}
${given.map(({ first, other, agreement }) => compared(first, other, agreement))}`;
}

function compared(first: string, other: string, { all, types }: NonNullable<LabelAgreement>): Markup {
  const headings = [
    'steps',
    'equal',
    '95\u00a0% interval',
    'kappa',
    'both good',
    `only ${first}`,
    `only ${other}`,
    'both bad',
  ];
  return html`<h3>${first[0].toUpperCase()}${first.slice(1)} beside the ${other}</h3>
${table(
  ['action', ...headings],
  [['all', ...cells(all)], ...(types.length > 1 ? types.map((one) => [one.type, ...cells(one)]) : [])],
  {
    caption: `The columns “only …” count the steps that this rating alone calls good. Kappa is 0 for ratings that agree by chance and 1 for equal ones; – where each side rates all steps alike.`,
  },
)}`;
}

function cells(one: RatingAgreement): Piece[] {
  return [
    count(one.items),
    one.accuracy === null ? '–' : percent(one.accuracy),
    percentRange(one.ci95),
    one.kappa === null ? '–' : one.kappa.toFixed(2),
    ...[one.bothGood, one.onlyFirstGood, one.onlySecondGood, one.bothBad].map(count),
  ];
}
