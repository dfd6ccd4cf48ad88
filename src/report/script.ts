import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

/** uPlot (MIT), in the form that its package ships for pages. */
export function uPlot(): { script: string; style: string } {
  const read = (name: string) => readFileSync(require.resolve(`uplot/dist/${name}`), 'utf8');
  return { script: read('uPlot.iife.min.js'), style: read('uPlot.min.css') };
}

/**
 * Draws the charts of the element `curves` (JSON, see curves.ts) into the elements with `data-curve`. They use the page's
 * colours, so they are drawn again when the reader switches between light and dark, or prints.
 */
export const DRAW_CURVES = `
'use strict';
const curves = JSON.parse(document.getElementById('curves').textContent);
const plots = [];
const number = (value) => value === null || value === undefined ? '\\u2013' : String(Number(value.toPrecision(4)));
for (const list of document.querySelectorAll('[data-series]')) list.dataset.range = list.textContent;
function draw() {
  for (const plot of plots.splice(0)) plot.destroy();
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const axis = { stroke: colour('--dim'), grid: { stroke: colour('--rule'), width: 1 }, ticks: { show: false }, font: '13px system-ui, sans-serif' };
  for (const place of document.querySelectorAll('[data-curve]')) {
    const { steps, series } = curves[Number(place.dataset.curve)];
    const shown = place.parentElement.querySelectorAll('[data-series]');
    // under the cursor the values there, else first and last
    const read = ({ cursor }) => shown.forEach((span, i) => {
      const at = cursor.idx;
      span.textContent = at === null || at === undefined ? span.dataset.range : number(series[i].values[at]) + ' at step ' + steps[at];
    });
    const lines = series.map(({ label, heldOut }, i) => ({
      label, stroke: colour('--s' + (i + 2) % 8), width: 1.8, spanGaps: true,
      dash: heldOut ? [6, 4] : undefined, points: { show: steps.length < 3 },
    }));
    const options = {
      width: Math.max(200, place.clientWidth), height: 190, scales: { x: { time: false } }, cursor: { drag: { x: true, y: false } },
      legend: { show: false }, hooks: { setCursor: [read] },
      axes: [{ ...axis, size: 28 }, { ...axis, size: 60, values: (_, ticks) => ticks.map(number) }],
      series: [{ label: 'step' }, ...lines],
    };
    plots.push(new uPlot(options, [steps, ...series.map(({ values }) => values)], place));
  }
}
draw();
for (const query of ['(prefers-color-scheme: dark)', 'print']) matchMedia(query).addEventListener('change', draw);
let waiting;
addEventListener('resize', () => { clearTimeout(waiting); waiting = setTimeout(draw, 150); });
`;
