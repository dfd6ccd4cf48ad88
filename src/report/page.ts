import { createHash } from 'node:crypto';
import { criticMarkup } from './critic.js';
import { count, html, jsonScript, Markup, percent, table } from './html.js';
import { learningMarkup } from './learning.js';
import { onlineMarkup } from './online.js';
import type { Amounts, Comparison, Part, Report } from './report.js';
import { DRAW_CURVES, uPlot } from './script.js';
import { repeatMarkup, settingsMarkup } from './settings-section.js';
import { stripMarkup, type Strip } from './strip.js';
import { STYLE } from './style.js';
import { successMarkup } from './success.js';

/** The whole report as one HTML file. It fetches nothing, and only its own scripts can run. */
export function page(report: Report): string {
  const library = uPlot();
  const scripts = report.learning.length > 0 ? [library.script, DRAW_CURVES] : [];
  const allowed = scripts.map((text) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`).join(' ');
  const policy = `default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src ${allowed || "'none'"}`;
  const sections = [
    ['success', 'Success rates', successMarkup(report)],
    ['learning', 'Learning curves', learningMarkup(report)],
    ...(report.online.length > 0 ? [['online', 'Online fine-tuning', onlineMarkup(report.online)] as const] : []),
    ['critic', 'Critic quality', part(report.values, criticMarkup)],
    ['trajectories', 'Trajectories with critic values', part(report.trajectories, trajectories)],
    ['comparison', 'Before and after', part(report.comparison, comparison)],
    ['settings', 'Data and settings', html`${part(report.amounts, amounts)}${settingsMarkup(report)}`],
  ] as const;
  const whole = html`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${report.run} · critiq report</title>
<link rel="icon" href="data:,">
<style>${new Markup(library.style + STYLE)}</style></head>
<body>
<header><h1>${report.run}</h1>
${repeatMarkup(report)}
<nav aria-label="Sections">${sections.map(([id, title]) => html`<a href="#${id}">${title}</a> `)}</nav></header>
<main>
${sections.map(
  ([id, title, body]) => html`<section aria-labelledby="${id}"><h2 id="${id}">${title}</h2>
${body}</section>
`,
)}
</main>
<footer>Made by critiq ${report.versions.critiq}. The same numbers are in report.json beside this file.</footer>
${
  scripts.length > 0 &&
  jsonScript(
    'curves',
    report.learning.flatMap((stage) => stage.curves),
  )
}
${scripts.map((text) => html`<script>${new Markup(text)}</script>`)}
</body></html>
`;
  return whole.text;
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
