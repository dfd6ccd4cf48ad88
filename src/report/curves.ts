import type { MetricsLine } from '../data/metrics.js';
import { COLOURS } from './colours.js';

/** Data of one chart: a column of steps, and one of values for each series (null: none at this step). */
export interface Curve {
  readonly title: string;
  readonly steps: readonly number[];
  readonly series: readonly CurveSeries[];
}

export interface CurveSeries {
  readonly label: string;
  /** measured on held-out data: drawn with dashes */
  readonly heldOut: boolean;
  readonly values: readonly (number | null)[];
}

/** Most points of a series that are drawn: a chart is about this many pixels wide. */
const POINTS = 400;
/** Most series in a chart. */
const SERIES = 8;

/** Titles for the metrics that critiq's stages write; others keep their names. */
const TITLES: Readonly<Record<string, string>> = {
  grad_norm: 'gradient norm before clipping',
  lr: 'learning rate',
  log_prob: 'log-probability of the imitated action',
  q: 'loss of the Q heads',
  v: 'loss of the V heads',
};

/** Number, in the palette, of the `i`th line of a chart. */
export function curveColour(i: number): number {
  return (i + 2) % COLOURS;
}

const HELD_OUT = /^(validation|val|test|eval)_/;

/**
 * The charts of a stage's metrics, in the order in which the names first appear. A metric on training data shares a chart
 * with the same on held-out data (`loss`, `validation_loss`), and twins share one (`q1`, `q2`). Each shard is a series.
 */
export function curves(lines: readonly MetricsLine[]): Curve[] {
  const shards = [...new Set(lines.map(({ shard }) => shard))];
  const names = [...new Set(lines.flatMap((line) => Object.keys(line)))].filter(
    (name) => name !== 'shard' && name !== 'step',
  );
  const numeric = names.filter((name) => lines.some((line) => typeof line[name] === 'number'));
  const charts = new Map<string, string[]>();
  for (const name of numeric) {
    const title = chartOf(name, numeric);
    charts.set(title, [...(charts.get(title) ?? []), name]);
  }
  return [...charts].map(([title, together]) => {
    const series = together.flatMap((name) =>
      shards.map((shard) => ({
        label: shards.length > 1 ? `${name}, ${shard}` : name,
        heldOut: HELD_OUT.test(name),
        points: thinned(pointsOf(lines, shard, name)),
      })),
    );
    return aligned(TITLES[title] ?? title, series.filter(({ points }) => points.length > 0).slice(0, SERIES));
  });
}

/** `q` for `validation_q`, and for `q1` where there is a `q2`, and the other way round. */
function chartOf(name: string, all: readonly string[]): string {
  const bare = name.replace(HELD_OUT, '');
  const twin = /^(.*?)_?([12])$/.exec(bare);
  if (twin) {
    const other = bare.slice(0, -1) + (twin[2] === '1' ? '2' : '1');
    if (all.some((one) => one.replace(HELD_OUT, '') === other)) return twin[1];
  }
  return bare;
}

type Point = readonly [step: number, value: number | null];

function pointsOf(lines: readonly MetricsLine[], shard: string, name: string): Point[] {
  return lines
    .filter((line) => line.shard === shard && line[name] !== undefined)
    .map((line) => [line.step, typeof line[name] === 'number' ? line[name] : null] as const);
}

/** Every nth point and the last one. */
function thinned(points: readonly Point[]): readonly Point[] {
  const every = Math.ceil(points.length / POINTS);
  return points.filter((_, i) => i % every === 0 || i === points.length - 1);
}

function aligned(
  title: string,
  series: readonly { label: string; heldOut: boolean; points: readonly Point[] }[],
): Curve {
  const steps = [...new Set(series.flatMap(({ points }) => points.map(([step]) => step)))].sort((a, b) => a - b);
  return {
    title,
    steps,
    series: series.map(({ label, heldOut, points }) => {
      const values = new Map(points);
      return { label, heldOut, values: steps.map((step) => values.get(step) ?? null) };
    }),
  };
}
