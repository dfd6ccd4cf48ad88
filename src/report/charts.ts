import type { Rate } from './evaluations.js';
import type { Histogram } from './histogram.js';
import { decimal, html, percent, type Markup } from './html.js';
import type { Reliability } from './reliability.js';
import { ticks } from './ticks.js';

/** Class of the `n`th colour of the page. */
export function colour(n: number): string {
  return `s${n % 6}`;
}

const at = (value: number) => Number(value.toFixed(2));

/** An SVG that says in words what it shows. Texts in it are styled by the page, so that they follow light and dark. */
export function svg(width: number, height: number, title: string, body: readonly Markup[]): Markup {
  return html`<svg class="chart" viewBox="0 0 ${width} ${height}" role="img" aria-label="${title}" style="max-width:${width}px">
${body}</svg>`;
}

/** Success rates as lying bars with their 95 % intervals, the axis from 0 to 100 %. */
export function rateBars(
  rows: readonly { readonly label: string; readonly colour: number; readonly rate: Rate }[],
  title: string,
  width = 560,
): Markup {
  const left = 8 + 7.2 * Math.max(...rows.map(({ label }) => label.length));
  const [row, top] = [34, 4];
  const right = width - 66;
  const x = (rate: number) => at(left + rate * (right - left));
  const bottom = top + rows.length * row;
  const words = rows.map(({ label, rate }) => `${label} ${percent(rate.rate)}`).join(', ');
  return svg(width, bottom + 22, `${title}: ${words}`, [
    ...axisX([0, 0.25, 0.5, 0.75, 1], x, top, bottom, (tick) => `${100 * tick}\u00a0%`),
    ...rows.map(({ label, colour: n, rate }, i) => {
      const middle = top + (i + 0.5) * row;
      const [low, high] = rate.ci95;
      return html`<g class="${colour(n)}"><text x="${at(left - 8)}" y="${middle + 4}" text-anchor="end">${label}</text>
<rect class="bar" x="${x(0)}" y="${middle - 10}" width="${at(Math.max(1, x(rate.rate) - x(0)))}" height="20" rx="2"/>
<path class="whisker" d="M${x(low)} ${middle}H${x(high)}M${x(low)} ${middle - 5}v10M${x(high)} ${middle - 5}v10"/>
<text class="value" x="${at(x(high) + 6)}" y="${middle + 4}">${percent(rate.rate)}</text></g>
`;
    }),
  ]);
}

/** Mean prediction against mean observation by bin, with intervals and the diagonal on which they would agree. */
export function reliabilityChart(
  series: readonly { readonly label: string; readonly colour: number; readonly reliability: Reliability }[],
  axes: { readonly x: string; readonly y: string },
): Markup {
  const [width, height, left, bottom, top, right] = [460, 400, 52, 352, 10, 448];
  const bins = series.flatMap(({ reliability }) => reliability.bins);
  const values = bins.flatMap(({ predicted, observed, ci95 }) => [predicted, observed, ...(ci95 ?? [])]);
  const [low, high] = padded(Math.min(0, ...values), Math.max(...values));
  const x = (value: number) => at(left + ((value - low) / (high - low)) * (right - left));
  const y = (value: number) => at(bottom - ((value - low) / (high - low)) * (bottom - top));
  const largest = Math.max(...bins.map(({ count }) => count));
  const words = series
    .map(({ label, reliability }) => `${label}: error ${decimal(reliability.calibration_error)}`)
    .join(', ');
  return svg(width, height, `${axes.y} against ${axes.x}. ${words}`, [
    ...axisX(ticks(low, high), x, top, bottom, decimal),
    ...axisY(ticks(low, high), y, left, right),
    html`<path class="diagonal" d="M${x(low)} ${y(low)}L${x(high)} ${y(high)}"/>
<text x="${(left + right) / 2}" y="${height - 8}" text-anchor="middle">${axes.x}</text>
<text transform="translate(13 ${(top + bottom) / 2}) rotate(-90)" text-anchor="middle">${axes.y}</text>
`,
    ...series.map(({ colour: n, reliability }) => {
      const points = reliability.bins.map(({ predicted, observed }) => `${x(predicted)} ${y(observed)}`);
      return html`<g class="points ${colour(n)}"><path class="line" d="M${points.join('L')}"/>
${reliability.bins.map(
  ({
    predicted,
    observed,
    ci95,
    count,
  }) => html`${ci95 && html`<path class="whisker" d="M${x(predicted)} ${y(ci95[0])}V${y(ci95[1])}"/>`}
<circle class="bar" cx="${x(predicted)}" cy="${y(observed)}" r="${at(2.5 + 4 * Math.sqrt(count / largest))}"><title>${count} steps: predicted ${decimal(predicted)}, observed ${decimal(observed)}</title></circle>`,
)}</g>
`;
    }),
  ]);
}

/** Shares of each set in each bin: the first set as bars, the others as outlines over them; a mark at `mark`. */
export function histogramChart(
  { low, high, counts }: Histogram,
  axis: string,
  mark?: { at: number; label: string },
): Markup {
  const [width, height, left, bottom, top, right] = [460, 300, 52, 252, 18, 448];
  const shares = Object.entries(counts).map(([label, bins]) => {
    const total = bins.reduce((sum, n) => sum + n, 0);
    return { label, shares: bins.map((n) => (total === 0 ? 0 : n / total)) };
  });
  const most = Math.max(...shares.flatMap((set) => set.shares), 1e-9) * 1.05;
  const x = (value: number) => at(left + ((value - low) / (high - low)) * (right - left));
  const y = (share: number) => at(bottom - (share / most) * (bottom - top));
  const edge = (bin: number, bins: number) => x(low + ((high - low) * bin) / bins);
  return svg(width, height, `Shares by ${axis}`, [
    ...axisX(ticks(low, high), x, top, bottom, decimal),
    ...axisY(ticks(0, most, 4), y, left, right, percent),
    html`<text x="${(left + right) / 2}" y="${height - 8}" text-anchor="middle">${axis}</text>
`,
    ...shares.map(({ shares: bins }, n) => {
      const steps = bins.map((share, i) => `V${y(share)}H${edge(i + 1, bins.length)}`).join('');
      return html`<path class="${colour(n)} ${n === 0 ? 'area' : 'line'}" d="M${x(low)} ${y(0)}${steps}V${y(0)}"/>
`;
    }),
    html`${
      mark &&
      mark.at >= low &&
      mark.at <= high &&
      html`<path class="mark" d="M${x(mark.at)} ${top - 4}V${bottom}"/><text x="${at(x(mark.at) + 4)}" y="${top + 4}">${mark.label}</text>
`
    }`,
  ]);
}

/** Which colour is which. */
export function legend(entries: readonly { readonly label: string; readonly colour: number }[]): Markup {
  return html`<p class="legend">${entries.map(({ label, colour: n }) => html`<span class="${colour(n)}"><i></i>${label}</span> `)}</p>`;
}

/** Vertical lines of a grid, with their names below. */
export function axisX(
  at: readonly number[],
  x: (v: number) => number,
  top: number,
  bottom: number,
  name: (v: number) => string,
): Markup[] {
  return at.map(
    (
      tick,
    ) => html`<path class="grid" d="M${x(tick)} ${top}V${bottom}"/><text class="tick" x="${x(tick)}" y="${bottom + 16}" text-anchor="middle">${name(tick)}</text>
`,
  );
}

/** Horizontal lines of a grid, with their names on the left. */
export function axisY(
  at: readonly number[],
  y: (v: number) => number,
  left: number,
  right: number,
  name: (v: number) => string = decimal,
): Markup[] {
  return at.map(
    (
      tick,
    ) => html`<path class="grid" d="M${left} ${y(tick)}H${right}"/><text class="tick" x="${left - 6}" y="${y(tick) + 4}" text-anchor="end">${name(tick)}</text>
`,
  );
}

function padded(low: number, high: number): [number, number] {
  const room = 0.04 * (high - low || 1);
  return [low - room, high + room];
}
