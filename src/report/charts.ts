import { colour } from './colours.js';
import type { Histogram } from './histogram.js';
import { decimal, html, percent, type Markup } from './html.js';
import type { Reliability } from './reliability.js';
import { ticks } from './ticks.js';

const at = (value: number) => Number(value.toFixed(2));

/** An SVG with a text alternative. The page styles the texts in it, so that they follow light and dark. */
export function svg(width: number, height: number, title: string, body: readonly Markup[]): Markup {
  return html`<svg class="chart" viewBox="0 0 ${width} ${height}" role="img" aria-label="${title}" style="max-width:${width}px">
${body}</svg>`;
}

/** Mean observation against mean prediction by bin, with intervals, and the diagonal of perfect agreement. */
export function reliabilityChart(
  series: readonly {
    readonly label: string;
    readonly colour: number;
    readonly reliability: Pick<Reliability, 'bins' | 'calibration_error'>;
  }[],
  axes: { readonly x: string; readonly y: string },
): Markup {
  const [width, height, left, bottom, top, right] = [460, 400, 60, 344, 10, 450];
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
<text transform="translate(15 ${(top + bottom) / 2}) rotate(-90)" text-anchor="middle">${axes.y}</text>
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
<circle class="bar" cx="${x(predicted)}" cy="${y(observed)}" r="${at(2.5 + 4 * Math.sqrt(count / largest))}"><title>${count} ${count === 1 ? 'step' : 'steps'}: mean ${axes.x} ${decimal(predicted)}, mean ${axes.y} ${decimal(observed)}</title></circle>`,
)}</g>
`;
    }),
  ]);
}

/** Share of each set in each bin: the first set as an area, the others as outlines; a dashed line at `mark`. */
export function histogramChart(
  { low, high, counts }: Histogram,
  axis: string,
  mark?: { at: number; label: string },
): Markup {
  const [width, height, left, bottom, top, right] = [460, 400, 60, 344, 22, 450];
  const shares = Object.entries(counts).map(([label, bins]) => {
    const total = bins.reduce((sum, n) => sum + n, 0);
    return { label, shares: bins.map((n) => (total === 0 ? 0 : n / total)) };
  });
  const most = Math.max(...shares.flatMap((set) => set.shares), 1e-9) * 1.05;
  const x = (value: number) => at(left + ((value - low) / (high - low)) * (right - left));
  const y = (share: number) => at(bottom - (share / most) * (bottom - top));
  const edge = (bin: number, bins: number) => x(low + ((high - low) * bin) / bins);
  return svg(width, height, `Shares by ${axis}: ${shares.map(({ label }) => label).join(', ')}`, [
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
      html`<path class="mark" d="M${x(mark.at)} ${top - 16}V${bottom}"/><text x="${at(x(mark.at) + 4)}" y="${top - 6}">${mark.label}</text>
`
    }`,
  ]);
}

/** Names the colours. */
export function legend(entries: readonly { readonly label: string; readonly colour: number }[]): Markup {
  return html`<p class="legend">${entries.map(({ label, colour: n }) => html`<span class="${colour(n)}"><i></i>${label}</span> `)}</p>`;
}

/** Vertical grid lines with their labels below. */
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
    ) => html`<path class="grid" d="M${x(tick)} ${top}V${bottom}"/><text class="tick" x="${x(tick)}" y="${bottom + 19}" text-anchor="middle">${name(tick)}</text>
`,
  );
}

/** Horizontal grid lines with their labels on the left. */
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
