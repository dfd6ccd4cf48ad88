import { difference, pValue, rateTable, type RateLine } from '../report/rates.js';
import type { Curve } from '../report/curves.js';
import { htmlDocument } from '../report/document.js';
import { html, percent, percentRange, table, type Markup } from '../report/html.js';
import { curveFigure } from '../report/learning.js';
import type { ComparedCurve, ComparedRate, RunComparison } from './compare.js';
import { shownValue } from './differences.js';
import type { SweepTable } from './sweep/table.js';

/**
 * A comparison of runs as one HTML file.
 * @param sweep the sweep whose runs they are: its table comes first
 */
export function comparisonPage(comparison: RunComparison, version: string | null, sweep?: SweepTable): string {
  const curves = comparison.curves.map(chart);
  return htmlDocument({
    title: `${comparison.runs.join(', ')} · critiq compare`,
    header: html`<h1>${comparison.runs.join(', ')}</h1><p>Differences are against <b>${comparison.runs[0]}</b>.</p>`,
    sections: [
      ...(sweep ? [['sweep', `Sweep ${sweep.sweep}`, sweepMarkup(sweep)] as const] : []),
      ['settings', 'Settings that differ', settings(comparison)],
      ['success', 'Success rates', rates(comparison)],
      ['curves', 'Learning curves', charts(comparison, curves)],
    ],
    footer: html`Made by critiq ${version}. \`critiq compare --json\` prints the same numbers.`,
    curves,
  });
}

function settings({ runs, settings: all, missing, stale }: RunComparison): Markup {
  const rows = all.map(({ path, values, instances }) => [
    html`<code>${path}</code>`,
    ...values.map((value) => shownValue(value, 80)),
    instances.join(', '),
  ]);
  const notes = [
    ...missing.map(({ instance, only_in }) => `${instance} is only in ${only_in.join(', ')}.`),
    ...Object.entries(stale).map(([run, names]) => `${run}: ${names.join(', ')} not up to date.`),
  ];
  return html`${
    rows.length === 0
      ? html`<p>The results that these runs share were built with the same settings.</p>`
      : table(['setting', ...runs, 'in'], rows, { text: true })
  }${notes.length > 0 && html`<ul class="note">${notes.map((note) => html`<li>${note}</li>`)}</ul>`}`;
}

function rates({ runs, evaluations }: RunComparison): Markup {
  const several = evaluations.filter(({ rates: all }) => all.length > 1);
  if (several.length === 0) return html`<p class="missing">These runs have no evaluation in common.</p>`;
  const groups = several.map(({ name, rates: all }) => ({
    heading: name,
    lines: all.map((rate): RateLine => {
      const { against_first: against } = rate;
      return {
        label: rate.run,
        colour: runs.indexOf(rate.run) + 2,
        rate,
        steps: rate.mean_steps,
        ...(against?.paired ? { against: { ...against, before: all[0].run, after: rate.run } } : {}),
      };
    }),
  }));
  return html`${rateTable(groups, 'Success rates with Wilson’s 95\u00a0% intervals; differences in percentage points, paired by episode', runs[0])}
${several.map(({ name, rates: all }) => tests(name, all))}`;
}

function tests(name: string, all: readonly ComparedRate[]): Markup {
  const rows = all.flatMap(({ run, against_first: against }) => {
    if (!against) return [];
    const { paired } = against;
    return [
      [
        html`${run} <span class="note">against</span> ${all[0].run}`,
        difference(against),
        paired ? pValue(against.p) : '–',
        ...(paired ? [against.gained, against.lost, against.both, against.neither] : ['–', '–', '–', '–']),
        paired ? '' : html`not paired: ${against.why}`,
      ],
    ];
  });
  const best = all.reduce((a, b) => (b.rate > a.rate ? b : a));
  return html`<details><summary>${name}: tests (best: ${best.run}, ${percent(best.rate)})</summary>
<p class="note">Newcombe’s score intervals and McNemar’s exact test, not corrected for the number of runs. They cover the choice of test episodes, not how much training varies from seed to seed.</p>
${table(['runs', 'difference', 'p-value', 'gained', 'lost', 'both', 'neither', ''], rows)}</details>`;
}

function charts({ curves: all }: RunComparison, drawn: readonly Curve[]): Markup {
  if (drawn.length === 0) return html`<p class="missing">No training stage differs.</p>`;
  const instances = [...new Set(all.map(({ instance }) => instance))];
  return html`<p class="note">One line for each run. Only stages whose curves differ are shown.</p>
<noscript><p class="missing">The charts need JavaScript; first and last values are listed without it.</p></noscript>
${instances.map(
  (instance) =>
    html`<h3>${instance}</h3><div class="curves">${drawn.flatMap((curve, i) => (all[i].instance === instance ? [curveFigure(curve, i)] : []))}</div>`,
)}`;
}

/** Means over seeds, and the rates of all runs that they are made of. */
function sweepMarkup({ rows, baseline, members, done, base, stages }: SweepTable): Markup {
  const paths = Object.keys(baseline);
  const range = (ci95: readonly [number, number] | null): string =>
    ci95 ? percentRange([Math.max(0, ci95[0]), Math.min(1, ci95[1])]) : '–';
  const cells = rows.map((row) => {
    const against = row.against_baseline;
    return [
      paths.length === 0 ? 'all' : paths.map((path) => row.settings[path]).join(', '),
      row.evaluation ?? '–',
      row.mean === null ? '–' : html`<b>${percent(row.mean)}</b>`,
      html`${range(row.ci95)} <span class="note">${row.interval ?? ''}</span>`,
      against?.ci95 ? difference({ difference: against.mean, ci95: [...against.ci95] }) : '',
      row.runs.map(({ seed, rate }) => `${seed === null ? '' : `${seed}: `}${percent(rate)}`).join(', '),
    ];
  });
  const head = [
    paths.join(', ') || 'settings',
    'evaluation',
    'mean',
    '95\u00a0% interval',
    'against the first',
    'by seed',
  ];
  return html`<p>${done} of ${members} runs are done. They are forks of ${base} and differ in ${stages.join(', ')}. Intervals over seeds are Student’s t; differences are paired by seed.</p>${table(head, cells)}`;
}

/** Most runs in one chart. */
const LINES = 8;

function chart({ metric, runs }: ComparedCurve): Curve {
  const shown = runs.slice(0, LINES);
  const steps = [...new Set(shown.flatMap((one) => one.steps))].sort((a, b) => a - b);
  return {
    title: metric,
    steps,
    series: shown.map(({ run, steps: own, values }) => {
      const at = new Map(own.map((step, i) => [step, values[i]]));
      return { label: run, heldOut: false, values: steps.map((step) => at.get(step) ?? null) };
    }),
  };
}
