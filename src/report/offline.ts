import type { OfflineRates, StepRate } from '../agents/offline.js';
import { counted } from '../counted.js';
import { isOffline, settingOf, type Evaluation, type OfflineEvaluation } from './evaluations.js';
import { html, percent, percentRange, table, type Markup, type Piece } from './html.js';
import { difference, pValue } from './rates.js';
import type { Report } from './report.js';

/** Evaluations on devices, and those against recorded episodes, by their names. */
export function dividedEvaluations(evaluations: ReadonlyMap<string, Evaluation>): {
  readonly live: ReadonlyMap<string, Evaluation>;
  readonly recorded: ReadonlyMap<string, OfflineEvaluation>;
} {
  const [live, recorded] = [new Map<string, Evaluation>(), new Map<string, OfflineEvaluation>()];
  for (const [name, one] of evaluations) {
    if (isOffline(one)) recorded.set(name, one);
    else live.set(name, one);
  }
  return { live, recorded };
}

const RATES: readonly (readonly [name: Exclude<keyof OfflineRates, 'outside'>, heading: string])[] = [
  ['step', 'steps'],
  ['task', 'episodes'],
  ['type', 'type'],
  ['typed_text', 'typed text'],
  ['click', 'taps'],
  ['scroll', 'swipes'],
  ['unparsable', 'unparsable'],
];

/** The section on offline evaluations: how often each policy does what was recorded. */
export function offlineMarkup(recorded: ReadonlyMap<string, OfflineEvaluation>, pairs: Report['pairs']): Markup {
  const groups = new Map<string, [string, OfflineEvaluation][]>();
  for (const [name, one] of recorded) groups.set(settingOf(one), [...(groups.get(settingOf(one)) ?? []), [name, one]]);
  return html`<p class="note">Each policy saw the recorded screens and the recorded actions before them; no device acted. Steps: its action matches the recorded one. Episodes: every step matches. Type, typed text, taps and swipes: of the recorded actions of this kind. Unparsable: texts that are no action, each of them a miss. Intervals are 95${'\u00a0'}%: Wilson’s for episodes, for the others a bootstrap of whole episodes.</p>
${[...groups].map(([setting, entries]) => group(setting, entries, pairs))}`;
}

function group(
  setting: string,
  entries: readonly (readonly [string, OfflineEvaluation])[],
  pairs: Report['pairs'],
): Markup {
  const rows = entries.map(([, one]) => [one.policy, ...RATES.map(([name]) => cell(one.offline[name]))]);
  const parts = entries.flatMap(([, { policy, offline_families: families }]) =>
    Object.entries(families).map(([name, rates]) => [
      name === '' ? '–' : name,
      policy,
      ...RATES.map(([rate]) => cell(rates[rate])),
    ]),
  );
  const several = new Set(parts.map(([name]) => name)).size > 1;
  const headings = RATES.map(([, heading]) => heading);
  const outside = entries[0][1].offline.outside;
  const own = pairs.filter(({ after }) => entries.some(([name]) => name === after));
  return html`<h3>${setting}</h3>
${table(['policy', ...headings], rows)}
${outside > 0 && html`<p class="note">${counted(outside, 'recorded action')} outside of the grammar: these steps do not count.</p>`}
${several && html`<details><summary>By part of the data</summary>${table(['part', 'policy', ...headings], parts)}</details>`}
${own.map(
  (pair) =>
    html`<p>${pair.after} against ${pair.before}: ${difference(pair)} points of episodes, paired on ${counted(pair.shared, 'episode')}; ${pValue(pair.p)}.</p>`,
)}`;
}

function cell({ hits, of, rate, ci95 }: StepRate): Piece {
  if (of === 0) return '–';
  return html`<b>${percent(rate)}</b> <span class="note">${percentRange(ci95)}, ${hits} of ${of}</span>`;
}
