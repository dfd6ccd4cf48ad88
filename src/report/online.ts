import type { CurveRow, InfluenceRow } from '../data/online-tables.js';
import { wilson95 } from '../data/interval.js';
import { axisX, axisY, legend, svg } from './charts.js';
import { colour } from './colours.js';
import { count, html, Markup, percent, percentRange, table } from './html.js';
import { ticks } from './ticks.js';

/** An online run: its success over time, and the token weights of its causal model. */
export interface OnlinePart {
  readonly name: string;
  readonly curve: readonly CurveRow[];
  readonly influence: readonly InfluenceRow[];
  /** number of the policy's colour in the palette */
  readonly colour: number;
}

/** Most iterations at which the tokens of an action are shown. */
const TIMES = 6;

/** Success on test tasks by device steps, and heat maps of token weights. */
export function onlineMarkup(parts: readonly OnlinePart[]): Markup {
  const influences = parts.filter(({ influence }) => influence.length > 0);
  return html`${successChart(parts)}
<p class="note">Dots are evaluations on test tasks with 95 % intervals. Thin lines show the success rate of each iteration's live episodes, on training tasks.</p>
${legend(parts.map(({ name, colour: n }) => ({ label: name, colour: n })))}
${curveTable(parts)}
${influences.map((part) => influenceMarkup(part))}`;
}

/** Evaluations on test tasks as dots with 95 % intervals, live success on training tasks as a thin line. */
export function successChart(parts: readonly OnlinePart[]): Markup {
  const [width, height, left, bottom, top, right] = [560, 340, 60, 284, 12, 546];
  const most = Math.max(1, ...parts.flatMap(({ curve }) => curve.map((row) => row.environmentSteps)));
  const x = (steps: number) => Number((left + (steps / most) * (right - left)).toFixed(2));
  const y = (rate: number) => Number((bottom - rate * (bottom - top)).toFixed(2));
  const last = parts.map(({ name, curve }) => {
    const row = tested(curve).at(-1);
    return row ? `${name}: ${percent(row.successes / row.evaluated)} after ${count(row.environmentSteps)} steps` : name;
  });
  return svg(width, height, `Success by device steps. ${last.join(', ')}`, [
    ...axisX(ticks(0, most), x, top, bottom, (v) => count(v)),
    ...axisY([0, 0.25, 0.5, 0.75, 1], y, left, right, (rate) => `${100 * rate}\u00a0%`),
    html`<text x="${(left + right) / 2}" y="${height - 8}" text-anchor="middle">device steps that training used</text>
`,
    ...parts.map(({ curve, colour: n }) => {
      const live = curve.filter(({ liveEpisodes }) => liveEpisodes > 0);
      const points = tested(curve);
      const line = (rows: readonly { environmentSteps: number }[], rate: (i: number) => number) =>
        rows.map(({ environmentSteps }, i) => `${x(environmentSteps)} ${y(rate(i))}`).join('L');
      return html`<g class="points ${colour(n)}">${
        live.length > 1 &&
        html`<path class="line" style="stroke-width:1;opacity:.55" d="M${line(live, (i) => live[i].liveSuccesses / live[i].liveEpisodes)}"/>`
      }
${points.length > 1 && html`<path class="line" d="M${line(points, (i) => points[i].successes / points[i].evaluated)}"/>`}
${points.map(({ environmentSteps, successes, evaluated }) => {
  const [low, high] = wilson95(successes, evaluated);
  return html`<path class="whisker" d="M${x(environmentSteps)} ${y(low)}V${y(high)}"/><circle class="bar" cx="${x(environmentSteps)}" cy="${y(successes / evaluated)}" r="3.5"><title>${successes} of ${evaluated} after ${count(environmentSteps)} steps</title></circle>`;
})}</g>
`;
    }),
  ]);
}

function tested(curve: readonly CurveRow[]): CurveRow[] {
  return curve.filter(({ evaluated }) => evaluated > 0);
}

function curveTable(parts: readonly OnlinePart[]): Markup {
  const rows = parts.flatMap(({ name, curve }) =>
    tested(curve).map(({ iteration, phase, environmentSteps, successes, evaluated }) => [
      name,
      `${iteration} (${phase})`,
      count(environmentSteps),
      `${successes} / ${evaluated}`,
      html`<b>${percent(successes / evaluated)}</b>`,
      percentRange(wilson95(successes, evaluated)),
    ]),
  );
  return html`<details><summary>All evaluations</summary>${table(
    ['run', 'iterations', 'device steps', 'successes', 'rate', '95 % interval'],
    rows,
  )}</details>`;
}

/** A heat map for each action: its tokens on a line, one line for each iteration, stronger in colour where a token matters more. */
function influenceMarkup({ name, influence }: OnlinePart): Markup {
  const actions = [...new Set(influence.map(({ action }) => action))];
  const iterations = thinned([...new Set(influence.map(({ iteration }) => iteration))]);
  const at = new Map(influence.map((row) => [`${row.iteration} ${row.action}`, row]));
  return html`<h3>Which tokens matter, by the causal model of ${name}</h3>
<p class="note">The stronger the colour of a token, the more the kind of action depends on it (its weight B, from 0 to 1), and the more CoSo raises the policy’s entropy there. Each line is one iteration of the training.</p>
${actions.map(
  (action) => html`<div class="scroll"><table class="tokens"><tbody>${iterations.map((iteration) => {
    const row = at.get(`${iteration} ${action}`);
    return row && html`<tr><th scope="row">${iteration}</th><td>${tokensMarkup(row)}</td></tr>`;
  })}</tbody></table></div>
`,
)}`;
}

function tokensMarkup({ tokens, weights }: InfluenceRow): Markup[] {
  return tokens.map((token, i) =>
    token === ''
      ? html``
      : html`<span style="--w:${Math.round(100 * weights[i])}%" title="B ${weights[i].toFixed(2)}">${token}</span>`,
  );
}

/** At most TIMES of them, evenly spread, with the first and the last. */
function thinned(iterations: readonly number[]): number[] {
  if (iterations.length <= TIMES) return [...iterations];
  return Array.from({ length: TIMES }, (_, i) => iterations[Math.round((i * (iterations.length - 1)) / (TIMES - 1))]);
}
