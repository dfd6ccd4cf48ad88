import { criticMarkup } from './critic.js';
import { htmlDocument } from './document.js';
import { count, html, percent, table, type Markup } from './html.js';
import { labelsMarkup } from './labels.js';
import { learningMarkup } from './learning.js';
import { dividedEvaluations, offlineMarkup } from './offline.js';
import { onlineMarkup } from './online.js';
import type { Amounts, Comparison, Part, Report } from './report.js';
import { repeatMarkup, settingsMarkup } from './settings-section.js';
import { valueModelMarkup } from './value-model.js';
import { stripMarkup, type Strip } from './strip.js';
import { successMarkup } from './success.js';

/** The whole report as one HTML file. It fetches nothing, and only its own scripts can run. */
export function page(report: Report): string {
  const { live, recorded } = dividedEvaluations(report.evaluations);
  const pairs = report.pairs.filter(({ after }) => live.has(after));
  const sections = [
    ...(live.size > 0 || recorded.size === 0
      ? [['success', 'Success rates', successMarkup({ ...report, evaluations: live, pairs })] as const]
      : []),
    ...(recorded.size > 0
      ? [['offline', 'Compared with recorded episodes', offlineMarkup(recorded, report.pairs)] as const]
      : []),
    ['learning', 'Learning curves', learningMarkup(report)],
    ...(report.online.length > 0 ? [['online', 'Online fine-tuning', onlineMarkup(report.online)] as const] : []),
    ['critic', 'Critic quality', part(report.values, criticMarkup)],
    ...(report.labels ? [['labels', 'Labels', labelsMarkup(report.labels)] as const] : []),
    ...(report.valueModel
      ? [['value', 'Value model quality', part(report.valueModel, valueModelMarkup)] as const]
      : []),
    ['trajectories', 'Trajectories with critic values', part(report.trajectories, trajectories)],
    ['comparison', 'Before and after', part(report.comparison, comparison)],
    ['settings', 'Data and settings', html`${part(report.amounts, amounts)}${settingsMarkup(report)}`],
  ] as const;
  return htmlDocument({
    title: `${report.run} · critiq report`,
    header: html`<h1>${report.run}</h1>
${repeatMarkup(report)}`,
    sections,
    footer: html`Made by critiq ${report.versions.critiq}. The same numbers are in report.json beside this file.`,
    curves: report.learning.flatMap((stage) => stage.curves),
  });
}

function part<T>(found: Part<T>, show: (value: T) => Markup): Markup {
  return 'missing' in found ? html`<p class="missing">${found.missing}</p>` : show(found.found);
}

function trajectories(strips: readonly Strip[]): Markup {
  return html`<p class="note">A red cross marks a tap, a red arrow a swipe. A blue ring (★ in the lists) marks the best candidate above the actor’s threshold, if it is not the action taken (▸). n counts how often the policy sampled a candidate. Positions are x, y in percent of the screen.</p>
${strips.map(stripMarkup)}`;
}

function comparison({ pair, example }: Comparison): Markup {
  const { before, after, shared, gained, lost, both, neither } = pair;
  return html`<p>Of ${count(shared)} episodes with the same task on the same phone, both succeed in ${both}, neither succeeds in ${neither}, only ${after} succeeds in ${gained}, and only ${before} succeeds in ${lost}.</p>
${part(
  example,
  ({ strips }) => html`<p>One episode in which only ${after} succeeds, picked at random:</p>
${strips.map(stripMarkup)}`,
)}`;
}

function amounts(found: Amounts): Markup {
  const { trajectories: n, successes, transitions, screens, sampled, state_actions, representations } = found;
  const rows = [
    ['trajectories', html`${count(n)} (${count(successes)} successful, ${n > 0 ? percent(successes / n) : '–'})`],
    ['transitions', count(transitions)],
    ['distinct screens', count(screens)],
    ...(sampled === null ? [] : [['actions sampled', count(sampled)]]),
    ...(state_actions === null ? [] : [['distinct (state, action) pairs', count(state_actions)]]),
    ...(representations === null ? [] : [['representations', count(representations)]]),
  ];
  return html`<div class="amounts">${table(['data', 'amount'], rows)}</div>`;
}
