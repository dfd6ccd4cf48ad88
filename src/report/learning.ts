import { colour } from './colours.js';
import { curveColour, type Curve } from './curves.js';
import { decimal, html, type Markup } from './html.js';
import type { Report } from './report.js';
import { fitInWords } from './verdicts.js';

/** The section on learning curves: which stages overfit, and a chart for each metric. */
export function learningMarkup({ learning }: Report): Markup {
  if (learning.length === 0)
    return html`<p class="missing">The run folder holds no metrics, because no training stage has run.</p>`;
  let index = 0;
  return html`${verdicts(learning)}
<p class="note">The horizontal axis counts optimizer steps. Dashed lines are held-out data; the first and last values are below each chart. Drag across a chart to zoom in, double-click to zoom out. The same numbers are in metrics/ and, for TensorBoard, in tb/.</p>
<noscript><p class="missing">The charts need JavaScript; first and last values are listed without it.</p></noscript>
${learning.map(
  ({ stage, curves: charts }) =>
    html`<h3>${stage}</h3><div class="curves">${charts.map((curve) => curveFigure(curve, index++))}</div>`,
)}`;
}

/** A chart with the first and last values of its lines. @param index its number in the data of the page's charts */
export function curveFigure({ title, series }: Curve, index: number): Markup {
  return html`<figure><figcaption><b>${title}</b></figcaption><div class="plot" data-curve="${index}"></div>
<ul>${series.map(({ label, heldOut, values }, i) => {
    const known = values.filter((value) => value !== null);
    return html`<li class="${colour(curveColour(i))}">${dash(heldOut)}${label} <span class="note" data-series="${i}">${decimal(known[0])} → ${decimal(known.at(-1))}</span></li>`;
  })}</ul></figure>`;
}

/** The line of a series, as a legend shows it. */
function dash(heldOut: boolean): Markup {
  return html`<svg class="dash ${heldOut ? 'held' : ''}" viewBox="0 0 24 8" aria-hidden="true"><path d="M0 4H24"/></svg>`;
}

function verdicts(learning: Report['learning']): Markup {
  const judged = learning.flatMap(({ stage, fit }) => (fit ? [{ stage, fit }] : []));
  const blind = learning.filter(({ fit }) => !fit).map(({ stage }) => stage);
  return html`${judged.map(
    ({ stage, fit }) =>
      html`<p class="verdict ${fit.kind === 'fine' || fit.kept ? 'good' : 'poor'}">${fitInWords(stage, fit)}</p>`,
  )}${
    blind.length > 0 &&
    html`<p class="note">${blind.join(', ')}: fewer than two validation losses were recorded, so overfitting cannot be detected.</p>`
  }`;
}
