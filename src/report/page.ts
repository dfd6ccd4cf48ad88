import { createHash } from 'node:crypto';
import { legend, histogramChart, rateBars, reliabilityChart } from './charts.js';
import { apart, caveats, rateRows, type Evaluation, type RateRow } from './evaluations.js';
import { count, decimal, html, jsonScript, Markup, percent, percentRange, signed, table } from './html.js';
import { onlineMarkup } from './online.js';
import type { Amounts, Comparison, Part, Report, Values } from './report.js';
import { DRAW_CURVES, uPlot } from './script.js';
import { settingsSection } from './settings-section.js';
import { stripMarkup, type Strip } from './strip.js';
import { STYLE } from './style.js';

/** The whole report as one HTML file. Nothing in it is fetched, and no script but its own can run. */
export function page(report: Report): string {
  const library = uPlot();
  const scripts = report.curves.length > 0 ? [library.script, DRAW_CURVES] : [];
  const allowed = scripts.map((text) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`).join(' ');
  const policy = `default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src ${allowed || "'none'"}`;
  const whole = html`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>critiq: ${report.run}</title>
<link rel="icon" href="data:,">
<style>${new Markup(library.style + STYLE)}</style></head>
<body>
<header><h1>${report.run}</h1>
<p class="note">critiq report · seed ${report.seed}</p>
<nav aria-label="sections"><a href="#success">Success</a> <a href="#learning">Learning</a> ${report.online.length > 0 && html`<a href="#online">Online</a> `}<a href="#values">Values</a> <a href="#trajectories">Trajectories</a> <a href="#comparison">Before and after</a> <a href="#settings">Data and settings</a></nav></header>
<main>
${section('success', 'Success rates', success(report))}
${section('learning', 'Learning curves', learning(report))}
${report.online.length > 0 && section('online', 'Online fine-tuning', onlineMarkup(report.online))}
${section('values', 'What the critic’s values are worth', part(report.values, values))}
${section('trajectories', 'Trajectories under the critic', part(report.trajectories, trajectories))}
${section(
  'comparison',
  'Before and after',
  part(report.comparison, (found) => comparison(found, report.compare)),
)}
${section('settings', 'Data and settings', html`${part(report.amounts, amounts)}${settingsSection(report)}`)}
</main>
<footer>Made by critiq ${report.versions.critiq}. The numbers are in report.json beside this file.</footer>
${
  scripts.length > 0 &&
  jsonScript(
    'curves',
    report.curves.flatMap((stage) => stage.curves),
  )
}
${scripts.map((text) => html`<script>${new Markup(text)}</script>`)}
</body></html>
`;
  return whole.text;
}

function section(id: string, title: string, body: Markup): Markup {
  return html`<section aria-labelledby="${id}"><h2 id="${id}">${title}</h2>
${body}</section>
`;
}

function part<T>(found: Part<T>, show: (value: T) => Markup): Markup {
  return 'missing' in found ? html`<p class="missing">${found.missing}</p>` : show(found.found);
}

/** Policies in the order of the evaluations: each keeps its colour over the page. */
function policies(evaluations: Iterable<Evaluation>): string[] {
  return [...new Set([...evaluations].map(({ policy }) => policy))];
}

function success({ evaluations, compare }: Report): Markup {
  if (evaluations.size === 0) return html`<p class="missing">No evaluation is named in report.evals.</p>`;
  const all = [...evaluations.values()];
  const order = policies(all);
  const { rows, first96 } = rateRows(all);
  const bars = (some: readonly RateRow[]) =>
    some.map((row) => ({ label: labelOf(row, some), colour: order.indexOf(row.policy), rate: row }));
  const temperatures = [...new Set(all.filter(({ mode }) => mode === 'sampled').map(({ temperature }) => temperature))];
  const modes = [...new Set(all.filter(({ protocol }) => protocol === 'first96').map(({ mode }) => mode))];
  const sampled = `sampled at temperature ${temperatures.join(' and ')}`;
  return html`${headline(evaluations, compare)}
<div class="side">${rows.length > 0 && html`<figure style="margin:0">${rateBars(bars(rows), `Success rates, ${sampled}`)}<figcaption class="note">${sampled}; the whiskers are Wilson’s 95 % intervals</figcaption></figure>`}
${rateTable(all)}</div>
${footnotes(evaluations)}
${first96.length > 0 && html`<h3>The first 96 tasks, ${modes.join(' and ')}</h3>${rateBars(bars(first96), 'Success rates on the first 96 tasks')}`}
${families(all, order)}`;
}

function labelOf(row: RateRow, among: readonly RateRow[]): string {
  return among.some(({ split }) => split !== row.split) ? `${row.policy}, ${row.split}` : row.policy;
}

/** The sentence a reader came for: how far the second of the compared evaluations is above the first. */
function headline(evaluations: ReadonlyMap<string, Evaluation>, [before, after]: Report['compare']): Markup {
  const [a, b] = [evaluations.get(before), evaluations.get(after)];
  if (!a || !b)
    return html`<p class="missing">report.compare names ${before} and ${after}, which are not both in report.evals: there is no headline.</p>`;
  const intervals = apart(a, b) ? 'the 95 % intervals are apart' : 'the 95 % intervals overlap';
  return html`<p class="lead"><b>${b.policy}</b> succeeds in <b>${percent(b.rate)}</b> of ${b.episodes} ${b.split} episodes, ${a.policy} in ${percent(a.rate)} of ${a.episodes}: <b>${signed(100 * (b.rate - a.rate), 1)} points</b>; ${intervals}.</p>`;
}

function rateTable(all: readonly Evaluation[]): Markup {
  const rows = all.map(
    ({ policy, split, protocol, mode, temperature, episodes, successes, rate, ci95, mean_steps }) => [
      policy,
      `${split}${protocol === 'all' ? '' : `, ${protocol}`}`,
      mode === 'greedy' ? 'greedy' : `T\u2009=\u2009${temperature}`,
      `${successes} / ${episodes}`,
      html`<b>${percent(rate)}</b>`,
      percentRange(ci95),
      mean_steps.toFixed(1),
    ],
  );
  return table(['policy', 'tasks', 'actions', 'successes', 'rate', '95 % interval', 'steps'], rows);
}

function footnotes(evaluations: ReadonlyMap<string, Evaluation>): Markup {
  const notes = [...evaluations].flatMap(([name, one]) => {
    const found = caveats(one);
    return found.length === 0 ? [] : [html`<li>${name}: ${found.join('; ')}</li>`];
  });
  return notes.length === 0 ? html`` : html`<ul class="note">${notes}</ul>`;
}

/** A chart of the sampled policies for each family of tasks, and all numbers in a table. */
function families(all: readonly Evaluation[], order: readonly string[]): Markup {
  const whole = all.filter(({ protocol }) => protocol === 'all');
  const names = [...new Set(whole.flatMap((one) => Object.keys(one.families)))].sort();
  if (names.length < 2) return html``;
  const sampled = whole.filter(({ mode }) => mode === 'sampled');
  const charts = names.map((name) => {
    const rows = sampled.flatMap((one) => {
      const rate = one.families[name];
      return rate ? [{ label: labelOf(one, sampled), colour: order.indexOf(one.policy), rate }] : [];
    });
    return (
      rows.length > 0 &&
      html`<figure style="margin:0"><figcaption>${name}</figcaption>${rateBars(rows, name, 400)}</figure>`
    );
  });
  const rows = whole.flatMap((one) =>
    Object.entries(one.families).map(([family, { episodes, successes, rate, ci95 }]) => [
      one.policy,
      family,
      one.mode,
      `${successes} / ${episodes}`,
      percent(rate),
      percentRange(ci95),
    ]),
  );
  return html`<h3>By family of tasks</h3><div class="families">${charts}</div>
<details><summary>All rates by family</summary>${table(['policy', 'family', 'actions', 'successes', 'rate', '95 % interval'], rows)}</details>`;
}

function learning({ curves }: Report): Markup {
  if (curves.length === 0)
    return html`<p class="missing">The run folder holds no metrics: no stage that learns has run.</p>`;
  let index = 0;
  return html`<p class="note">Against optimizer steps. Drag over a stretch to enlarge it, double-click to go back. The same numbers are in metrics/ and, for TensorBoard, in tb/.</p>
<noscript><p class="missing">The charts need JavaScript; first and last values are below each.</p></noscript>
${curves.map(
  ({ stage, curves: charts }) =>
    html`<h3>${stage}</h3><div class="curves">${charts.map(
      ({
        title,
        series,
      }) => html`<figure><figcaption><b>${title}</b></figcaption><div class="plot" data-curve="${index++}"></div>
<figcaption class="note">${series.map(({ label, values: all }, i) => {
        const known = all.filter((value) => value !== null);
        return html`${i > 0 && ' · '}${series.length > 1 && `${label} `}${decimal(known[0])} → ${decimal(known.at(-1))}`;
      })}</figcaption></figure>`,
    )}</div>`,
)}`;
}

function values({ reliability, advantages, threshold, aggregate }: Values): Markup {
  const series = Object.entries(reliability).map(([name, found], n) => ({
    label: partName(name),
    colour: n + 1,
    reliability: found,
  }));
  return html`<div class="side"><figure style="margin:0"><h3>Is Q what comes of it?</h3>
${legend(series)}${reliabilityChart(series, { x: 'Q of the action taken (the smaller of the twins)', y: 'return of the rest of the trajectory' })}
<figcaption class="note">Steps in ten groups by Q; the size of a dot says how many. On the dashed line Q is the mean discounted return. Intervals are 95 %, over trajectories. Held-out trajectories say what Q is worth on screens the critic was not trained on.</figcaption></figure>
<figure style="margin:0"><h3>Advantages</h3>${
    advantages
      ? html`${legend([
          { label: 'action taken', colour: 0 },
          { label: 'other candidates', colour: 1 },
        ])}${histogramChart(advantages, `advantage (${aggregate} of the twins)`, { at: threshold, label: `threshold ${threshold}` })}`
      : html`<p class="missing">There are no values to count.</p>`
  }<figcaption class="note">Share of the different actions by Q − V, each state’s counted once. The actor imitates the best action of a state where it is above the threshold.</figcaption></figure></div>
${table(
  ['trajectories', 'count', 'steps', 'mean of Q − return', 'root mean square', 'correlation', 'calibration error'],
  series.map(({ label, reliability: r }) => [
    label,
    count(r.trajectories),
    count(r.steps),
    signed(r.bias, 3),
    r.rmse.toFixed(3),
    decimal(r.correlation),
    r.calibration_error.toFixed(3),
  ]),
)}
<details><summary>The groups in numbers</summary>${table(
    ['trajectories', 'steps', 'Q', 'return', '95 % interval'],
    series.flatMap(({ label, reliability: { bins } }) =>
      bins.map(({ count: n, predicted, observed, ci95 }) => [
        label,
        count(n),
        decimal(predicted),
        decimal(observed),
        ci95 ? `${decimal(ci95[0])} – ${decimal(ci95[1])}` : '–',
      ]),
    ),
  )}</details>`;
}

function partName(name: string): string {
  return name === 'validation' ? 'held out' : name === 'train' ? 'trained on' : name;
}

function trajectories(strips: readonly Strip[]): Markup {
  return html`<p class="note">A red cross is where the finger went, an arrow a swipe; a blue ring (★ in the lists) is the best candidate above the actor’s threshold, where that is another. ▸ is the action taken, n how often the policy sampled it. Points are x, y in per cent of the screen.</p>
${strips.map(stripMarkup)}`;
}

function comparison({ strips, shared, gained, lost }: Comparison, [before, after]: Report['compare']): Markup {
  return html`<p>Of ${shared} episodes that both had with the same task on the same phone, ${after} wins ${gained} that ${before} fails, and fails ${lost} that ${before} wins. One of the former, drawn by lot:</p>
${strips.map(stripMarkup)}`;
}

function amounts(found: Amounts): Markup {
  const { trajectories: n, successes, transitions, screens, sampled, state_actions, representations } = found;
  const rows = [
    ['trajectories', html`${count(n)} (${count(successes)} successes, ${n > 0 ? percent(successes / n) : '–'})`],
    ['transitions', count(transitions)],
    ['different screens', count(screens)],
    ...(sampled === null ? [] : [['actions sampled', count(sampled)]]),
    ...(state_actions === null ? [] : [['different (state, action) pairs', count(state_actions)]]),
    ...(representations === null ? [] : [['representations', count(representations)]]),
  ];
  return table(['data', ''], rows);
}
