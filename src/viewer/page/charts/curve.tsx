import { useEffect, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { curveColour } from '../../../report/curves.js';
import { decimal } from '../../../report/html.js';
import { Value } from '../numbers.js';
import type { Overlay } from '../overlay.js';
import { smoothed } from './smoothing.js';

const HEIGHT = 170;
interface CurvePlotProps {
  readonly overlay: Overlay;
  /** the runs that are shown, in order: which colour is whose */
  readonly runs: readonly string[];
  readonly smoothing: number;
  readonly logarithmic: boolean;
}

/** One chart of training, drawn by uPlot; the lines' last values stand under it. */
export function CurvePlot({ overlay, runs, smoothing, logarithmic }: CurvePlotProps) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const dark = useDark();
  const labels = [...new Set(overlay.lines.map(({ label }) => label))];
  // by run where there are several, else by number
  const colourOf = (line: Overlay['lines'][number]) =>
    curveColour(runs.length > 1 ? runs.indexOf(line.run) : labels.indexOf(line.label));
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
      font: '11px system-ui',
    };
    const lineOf = (line: Overlay['lines'][number], faint: boolean): uPlot.Series => ({
      label: runs.length > 1 ? `${line.run} ${line.label}` : line.label,
      stroke: colour(`s${colourOf(line)}`),
      width: faint ? 1 : 1.7,
      alpha: faint ? 0.3 : 1,
      spanGaps: true,
      dash: runs.length > 1 && labels.indexOf(line.label) > 0 ? [5, 3] : undefined,
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
          { ...axis, size: 24 },
          { ...axis, size: 54, values: (_, ticks) => ticks.map((tick) => decimal(tick)) },
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
    // the data come by setData below, without a new chart
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
              <i class="swatch" style={{ background: `var(--s${colourOf(line)})` }} />
              {runs.length > 1 && `${line.run} · `}
              {line.label} <Value of={line.values[at]} rounded /> <span class="note">at step {overlay.steps[at]}</span>
            </li>
          );
        })}
      </ul>
    </figure>
  );
}

/** Whether the reader prefers dark pages: a canvas has to be drawn again when that changes. */
function useDark(): boolean {
  const query = matchMedia('(prefers-color-scheme: dark)');
  const [dark, set] = useState(query.matches);
  useEffect(() => {
    const changed = (): void => set(query.matches);
    query.addEventListener('change', changed);
    return () => query.removeEventListener('change', changed);
  }, []);
  return dark;
}
