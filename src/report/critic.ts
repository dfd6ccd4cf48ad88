import { histogramChart, legend, reliabilityChart } from './charts.js';
import { count, decimal, html, signed, table, type Markup } from './html.js';
import { rankingRows } from '../oracle/ranking-text.js';
import type { Values } from './report.js';
import { calibrationVerdict, PARTS } from './verdicts.js';

/** Colours of the parts and of the kinds of actions. */
const TRAINED = 0;
const HELD_OUT = 2;

/** The section on the critic: a verdict, calibration, and advantages. */
export function criticMarkup({ reliability, advantages, threshold, aggregate, truth }: Values): Markup {
  const series = Object.entries(reliability).map(([name, found]) => ({
    label: PARTS[name] ?? name,
    colour: name === 'train' ? TRAINED : HELD_OUT,
    reliability: found,
  }));
  const verdict = calibrationVerdict(reliability);
  return html`${verdict && html`<p class="verdict ${verdict.level}">${verdict.sentences.join(' ')}</p>`}
<div class="side"><figure><h3>Calibration</h3>
${legend(series)}${reliabilityChart(series, { x: 'Q of the action taken (minimum of the twins)', y: 'return' })}
<figcaption class="note">Steps are grouped into ten bins by Q; larger dots hold more steps. On the dashed line, Q equals the mean return, which is the discounted sum of the rewards that follow. The 95${'\u00a0'}% intervals treat trajectories as independent, not steps. Only held-out trajectories show how good Q is on new screens.</figcaption></figure>
<figure><h3>Advantages</h3>${
    advantages
      ? html`${legend([
          { label: 'action taken', colour: 0 },
          { label: 'other candidates', colour: 1 },
        ])}${histogramChart(advantages, `advantage (${aggregate} of the twins)`, { at: threshold, label: `threshold ${threshold}` })}`
      : html`<p class="missing">There are no advantages to count.</p>`
  }<figcaption class="note">Share of actions by advantage Q − V; equal actions of a state count once. The actor imitates the best action of a state if its advantage is above the threshold.</figcaption></figure></div>
${table(
  ['part', 'trajectories', 'steps', 'mean error', 'RMS error', 'correlation', 'slope', 'calibration error'],
  series.map(({ label, reliability: r }) => [
    label,
    count(r.trajectories),
    count(r.steps),
    signed(r.bias, 3),
    r.rmse.toFixed(3),
    decimal(r.correlation),
    decimal(r.slope),
    r.calibration_error.toFixed(3),
  ]),
  { caption: 'Errors are Q minus return.' },
)}
<details><summary>The bins as numbers</summary>${table(
    ['part', 'steps', 'mean Q', 'mean return', '95\u00a0% interval'],
    series.flatMap(({ label, reliability: { bins } }) =>
      bins.map(({ count: n, predicted, observed, ci95 }) => [
        label,
        count(n),
        decimal(predicted),
        decimal(observed),
        ci95 ? `${decimal(ci95[0])} – ${decimal(ci95[1])}` : '–',
      ]),
    ),
  )}</details>${truth && truthMarkup(truth)}`;
}

/** The critic beside true values. */
function truthMarkup({ ranking, options }: NonNullable<Values['truth']>): Markup {
  return html`<h3>Beside true values</h3>${table(['', 'this critic'], rankingRows([ranking]), {
    caption: `True values: means of ${ranking.rollouts} episodes played on from a state, discount ${options.gamma}. Pairs count if their true values differ by ${options.gap} or more. 95\u00a0% intervals treat trajectories as independent.`,
  })}`;
}
