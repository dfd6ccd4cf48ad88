import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { curveColour } from '../../../report/curves.js';
import { decimal } from '../../../report/html.js';
import { DASHES, LineKey } from '../dash.js';
import { useMedia } from '../narrow.js';
import { Value } from '../numbers.js';
import type { Overlay } from '../overlay.js';
import { smoothed } from './smoothing.js';

const HEIGHT = 180;

interface CurvePlotProps {
  readonly overlay: Overlay;
  /** the runs that are shown, in order; it decides their colours */
  readonly runs: readonly string[];
  readonly smoothing: number;
  readonly logarithmic: boolean;
}

/** One chart of training, drawn by uPlot; below it the last value of each line. */
export function CurvePlot({ overlay, runs, smoothing, logarithmic }: CurvePlotProps) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  // a canvas is drawn again when the reader switches between light and dark
  const dark = useMedia('(prefers-color-scheme: dark)');
  const labels = [...new Set(overlay.lines.map(({ label }) => label))];
  const several = runs.length > 1;
  // of several runs each has a colour, and each metric a dash; else each metric has a colour, and held-out data a dash
  const colourOf = (line: Overlay['lines'][number]) =>
    `s${curveColour(several ? runs.indexOf(line.run) : labels.indexOf(line.label))}`;
  const dashOf = ({ label, heldOut }: Overlay['lines'][number]) =>
    DASHES[several ? labels.indexOf(label) % DASHES.length : heldOut ? 1 : 0];
  const shape = JSON.stringify([
    overlay.lines.map(({ run, label }) => [run, label]),
    smoothing > 0,
    logarithmic,
    dark,
    runs,
  ]);
  const data = [
    overlay.steps,
    ...overlay.lines.map(({ values }) => smoothed(values, smoothing)),
    ...(smoothing > 0 ? overlay.lines.map(({ values }) => values) : []),
  ] as uPlot.AlignedData;
  useEffect(() => {
    const element = place.current!;
    const style = getComputedStyle(element);
    const colour = (name: string) => style.getPropertyValue(`--${name}`).trim();
    const axis = {
      stroke: colour('dim'),
      grid: { stroke: colour('rule'), width: 1 },
      ticks: { show: false },
      font: '12.5px system-ui',
    };
    const lineOf = (line: Overlay['lines'][number], faint: boolean): uPlot.Series => ({
      label: several ? `${line.run} ${line.label}` : line.label,
      stroke: colour(colourOf(line)),
      width: faint ? 1 : 1.7,
      alpha: faint ? 0.3 : 1,
      spanGaps: true,
      dash: [...dashOf(line)],
      points: { show: overlay.steps.length < 3 },
      value: (_, value: number | null) => decimal(value),
    });
    const made = new uPlot(
      {
        width: Math.max(200, element.clientWidth),
        height: HEIGHT,
        legend: { show: false },
        scales: { x: { time: false }, y: logarithmic ? { distr: 3 } : {} },
        cursor: { drag: { x: true, y: false } },
        axes: [
          { ...axis, size: 26 },
          { ...axis, size: 58, values: (_, ticks) => ticks.map((tick) => decimal(tick)) },
        ],
        series: [
          { label: 'step' },
          ...overlay.lines.map((line) => lineOf(line, false)),
          ...(smoothing > 0 ? overlay.lines.map((line) => lineOf(line, true)) : []),
        ],
      },
      data,
      element,
    );
    plot.current = made;
    const resized = new ResizeObserver(() =>
      made.setSize({ width: Math.max(200, element.clientWidth), height: HEIGHT }),
    );
    resized.observe(element);
    return () => {
      resized.disconnect();
      made.destroy();
      plot.current = null;
    };
    // new data goes through setData below, without a new chart
  }, [shape]);
  useEffect(() => plot.current?.setData(data), [overlay, smoothing, shape]);
  return (
    <figure class="curve">
      <figcaption>{overlay.title}</figcaption>
      <div ref={place} role="img" aria-label={`${overlay.title} by step: ${labels.join(', ')}`} />
      <ul class="last">
        {overlay.lines.map((line) => {
          const at = line.values.findLastIndex((value) => value !== null && value !== undefined);
          return (
            <li key={line.run + line.label}>
              <LineKey colour={`var(--${colourOf(line)})`} dash={dashOf(line)} />
              {several && `${line.run} · `}
              {line.label} <Value of={line.values[at]} rounded /> <span class="note">at step {overlay.steps[at]}</span>
            </li>
          );
        })}
      </ul>
    </figure>
  );
}
