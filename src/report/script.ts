import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

/** uPlot (MIT), as its package ships it for pages. */
export function uPlot(): { script: string; style: string } {
  const read = (name: string) => readFileSync(require.resolve(`uplot/dist/${name}`), 'utf8');
  return { script: read('uPlot.iife.min.js'), style: read('uPlot.min.css') };
}

/**
 * Draws the charts of the element `curves` (JSON, see curves.ts) into the elements `data-curve`. Colours are the page's,
 * so a canvas is drawn again when the reader's preference changes or the page is printed.
 */
export const DRAW_CURVES = `
'use strict';
const curves = JSON.parse(document.getElementById('curves').textContent);
const plots = [];
function draw() {
  for (const plot of plots.splice(0)) plot.destroy();
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const axis = { stroke: colour('--dim'), grid: { stroke: colour('--rule'), width: 1 }, ticks: { show: false }, font: '11px system-ui, sans-serif' };
  const number = (value) => value === null || value === undefined ? '\\u2013' : String(Number(value.toPrecision(4)));
  for (const place of document.querySelectorAll('[data-curve]')) {
    const { steps, series } = curves[Number(place.dataset.curve)];
    const lines = series.map(({ label }, i) => ({
      label, stroke: colour('--s' + (i + 2) % 6), width: 1.6, spanGaps: true, value: (_, value) => number(value),
      dash: i >= 6 ? [4, 3] : undefined, points: { show: steps.length < 3 },
    }));
    const options = {
      width: Math.max(200, place.clientWidth), height: 150, scales: { x: { time: false } }, cursor: { drag: { x: true, y: false } },
      axes: [{ ...axis, size: 24 }, { ...axis, size: 52, values: (_, ticks) => ticks.map(number) }],
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
