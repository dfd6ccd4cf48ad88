import uPlot from 'uplot';
import { curves } from '../../report/curves.js';
import type { InstanceMetrics } from './metrics.js';

/** A line of a chart. */
export interface Line {
  readonly run: string;
  /** the metric: `loss`, `validation_loss`, perhaps with its shard */
  readonly label: string;
  readonly heldOut: boolean;
  readonly values: readonly (number | null | undefined)[];
}

/** One chart of a stage: a column of steps, and lines of all runs that have this chart. */
export interface Overlay {
  readonly title: string;
  readonly steps: readonly number[];
  readonly lines: readonly Line[];
}

/** The charts of a stage instance; equal charts of several runs are overlaid. */
export function overlays(metrics: readonly InstanceMetrics[]): Overlay[] {
  const titles = new Map<string, { run: string; steps: readonly number[]; lines: readonly Line[] }[]>();
  for (const { run, lines } of metrics) {
    for (const { title, steps, series } of curves(lines)) {
      const of = { run, steps, lines: series.map((one) => ({ run, ...one })) };
      titles.set(title, [...(titles.get(title) ?? []), of]);
    }
  }
  return [...titles].map(([title, parts]) => {
    if (parts.length === 1) return { title, steps: parts[0].steps, lines: parts[0].lines };
    const tables = parts.map(({ steps, lines }) => [steps, ...lines.map(({ values }) => values)] as uPlot.AlignedData);
    const [steps, ...columns] = uPlot.join(tables);
    const lines = parts.flatMap((part) => part.lines);
    return { title, steps: [...steps], lines: lines.map((line, i) => ({ ...line, values: [...columns[i]] })) };
  });
}
