import { colour } from './colours.js';
import type { Pair, Rate } from './evaluations.js';
import { html, percent, percentRange, signed, type Markup } from './html.js';

/** A rate as a row of a table. */
export interface RateLine {
  readonly label: string;
  /** number of its colour in the palette */
  readonly colour: number;
  readonly rate: Rate;
  /** the same episodes under the baseline; undefined where there is no such comparison */
  readonly against?: Pair;
  /** mean steps of an episode */
  readonly steps?: number;
}

/** Rows under a heading of their own. */
export interface RateGroup {
  readonly heading?: string;
  readonly lines: readonly RateLine[];
}

/**
 * Success rates as a table: name, a bar from 0 to 100 % with its 95 % interval, and the numbers. On narrow screens each
 * row becomes a block that keeps name, rate and bar together.
 * @param baseline name of the policy that differences are against; undefined: no such column
 */
export function rateTable(groups: readonly RateGroup[], caption: string, baseline?: string): Markup {
  const all = groups.flatMap(({ lines }) => lines);
  const [against, steps] = [baseline !== undefined, all.some((line) => line.steps !== undefined)];
  const columns = 5 + Number(against) + Number(steps);
  return html`<table class="rates"><caption>${caption}</caption>
<thead><tr><th scope="col">policy</th><th scope="col" class="bar" aria-label="chart"><span>0</span><span>50</span><span>100${'\u00a0'}%</span></th><th scope="col">success</th><th scope="col">95${'\u00a0'}% interval</th>${against && html`<th scope="col" class="against">against ${baseline}</th>`}<th scope="col">episodes</th>${steps && html`<th scope="col">mean steps</th>`}</tr></thead>
${groups.map(
  ({ heading, lines }) =>
    html`<tbody>${
      heading !== undefined && html`<tr class="group"><th scope="rowgroup" colspan="${columns}">${heading}</th></tr>`
    }${lines.map(
      (line) => html`<tr class="${colour(line.colour)}"><th scope="row"><i class="swatch"></i>${line.label}</th>
<td class="bar">${bar(line.rate)}</td><td class="rate">${percent(line.rate.rate)}</td><td class="ci">${percentRange(line.rate.ci95)}</td>${
        against &&
        html`<td class="against" data-label="against ${baseline}">${line.against && difference(line.against)}</td>`
      }<td class="n">${line.rate.successes} of ${line.rate.episodes}</td>${
        steps && html`<td class="steps" data-label="mean steps">${line.steps?.toFixed(1)}</td>`
      }</tr>
`,
    )}</tbody>`,
)}</table>`;
}

/** A difference of rates in percentage points, with its interval. */
export function difference({ difference: value, ci95: [low, high] }: Pick<Pair, 'difference' | 'ci95'>): Markup {
  return html`<b>${signed(100 * value, 1)}</b> <span class="note">(${signed(100 * low, 1)} to ${signed(100 * high, 1)})</span>`;
}

function bar({ rate, ci95: [low, high] }: Rate): Markup {
  const at = (value: number) => Number((200 * value).toFixed(2));
  return html`<svg viewBox="0 0 200 20" preserveAspectRatio="none" aria-hidden="true"><path class="frame" d="M.5 0V20M100 0V20M199.5 0V20"/><rect x="0" y="3" width="${at(rate)}" height="14"/><path class="whisker" d="M${at(low)} 10H${at(high)}M${at(low)} 5V15M${at(high)} 5V15"/></svg>`;
}

/** A p-value as it is read: four decimals, or that it is smaller. */
export function pValue(p: number): string {
  return p < 0.0001 ? 'p < 0.0001' : `p = ${p.toFixed(4)}`;
}
