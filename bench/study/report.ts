import type { CurveRow } from '../../src/data/online-tables.js';
import type { MetricsLine } from '../../src/data/metrics.js';
import { html, Markup } from '../../src/report/html.js';

/** One run of a variant: its curve, and the metrics of each iteration. */
export interface StudyRun {
  readonly curve: readonly CurveRow[];
  /** evaluation of the final policy, acting greedily */
  readonly greedy: CurveRow;
  readonly metrics: readonly MetricsLine[];
}

/** Runs by variant; the k-th run of every variant has the same seed. */
export type Study = ReadonlyMap<string, readonly StudyRun[]>;

/** Student's t at 97.5 % for 1 to 9 degrees of freedom. */
const T975 = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262];

/** Mean and half width of its 95 % confidence interval over runs (Student's t), which is NaN for a single run. */
export function meanOver(values: readonly number[]): { readonly mean: number; readonly half: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  if (values.length < 2) return { mean, half: NaN };
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1);
  return { mean, half: T975[Math.min(T975.length, values.length - 1) - 1] * Math.sqrt(variance / values.length) };
}

const tested = ({ curve }: StudyRun): CurveRow[] => curve.filter(({ evaluated }) => evaluated > 0);
const rateOf = ({ successes, evaluated }: CurveRow): number => (100 * successes) / evaluated;

const COLOURS = ['#6a7685', '#b26a00', '#1860c4', '#0f7f68', '#8a3fb5', '#bb2d56'];

/** Mean success on test tasks by steps on devices, with 95 % intervals over seeds, as an SVG file. */
export function studyChart(study: Study): string {
  const [width, height, left, bottom, top, right] = [760, 400, 56, 340, 16, 740];
  const points = [...study].map(([name, runs]) => ({
    name,
    points: tested(runs[0]).map((_, k) => ({
      steps: meanOver(runs.map((run) => tested(run)[k].environmentSteps)).mean,
      ...meanOver(runs.map((run) => rateOf(tested(run)[k]))),
    })),
  }));
  const most = Math.max(...points.flatMap((one) => one.points.map(({ steps }) => steps)), 1);
  const x = (steps: number) => Number((left + (steps / most) * (right - left)).toFixed(1));
  const y = (rate: number) => Number((bottom - (rate / 100) * (bottom - top)).toFixed(1));
  const grid = [0, 20, 40, 60, 80, 100].map(
    (
      rate,
    ) => html`<path d="M${left} ${y(rate)}H${right}" stroke="#d5dae0"/><text x="${left - 8}" y="${y(rate) + 4}" text-anchor="end">${rate} %</text>
`,
  );
  const times = [0, 0.25, 0.5, 0.75, 1].map(
    (share) =>
      html`<text x="${x(share * most)}" y="${bottom + 18}" text-anchor="middle">${Math.round(share * most)}</text>`,
  );
  const lines = points.map(({ name, points: of }, n) => {
    const colour = COLOURS[n % COLOURS.length];
    // shifted, so that the intervals do not hide each other
    const shift = 4 * (n - (points.length - 1) / 2);
    return html`<g stroke="${colour}" fill="none" stroke-width="2"><path d="M${of.map(({ steps, mean }) => `${x(steps) + shift} ${y(mean)}`).join('L')}"/>
${of.map(({ steps, mean, half }) => html`<path stroke-width="1.3" d="M${x(steps) + shift} ${y(Math.min(100, mean + half))}V${y(Math.max(0, mean - half))}"/><circle fill="${colour}" cx="${x(steps) + shift}" cy="${y(mean)}" r="3.5"/>`)}
<text stroke="none" fill="${colour}" x="${left + Math.round(((right - left) * n) / points.length)}" y="${height - 8}">● ${name}</text></g>
`;
  });
  return new Markup(
    html`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="system-ui,sans-serif" font-size="12" fill="#1c2127" role="img" aria-label="Success on test tasks by steps on devices, mean and 95 % interval over seeds">
<rect width="${width}" height="${height}" fill="#fff"/>
${grid}${times}<text x="${(left + right) / 2}" y="${bottom + 36}" text-anchor="middle">steps on devices</text>
${lines}</svg>
`.text,
  ).text;
}

/** A table of the variants: success before and after, differences per seed, and properties of the final policies. */
export function studyTable(study: Study): string {
  const show = ({ mean, half }: { mean: number; half: number }, digits = 1) =>
    Number.isNaN(half) ? mean.toFixed(digits) : `${mean.toFixed(digits)} ± ${half.toFixed(digits)}`;
  const last = ({ metrics }: StudyRun, name: string) => Number(metrics.at(-1)?.[name] ?? NaN);
  const [first] = study.values();
  const final = (run: StudyRun) => rateOf(tested(run).at(-1)!);
  const rows = [...study].map(([name, runs]) => {
    const of = (value: (run: StudyRun) => number, digits?: number) => show(meanOver(runs.map(value)), digits);
    return [
      name,
      String(runs.length),
      of((run) => rateOf(tested(run)[0])),
      of(final),
      of((run) => final(run) - rateOf(tested(run)[0])),
      show(meanOver(runs.map((run, k) => final(run) - final(first[k])))),
      of((run) => rateOf(run.greedy)),
      of((run) => tested(run).at(-1)!.environmentSteps, 0),
      of((run) => last(run, 'entropy'), 3),
    ];
  });
  const head = [
    'entropy bonus',
    'seeds',
    'success before, %',
    'after, %',
    'gain',
    `after, relative to ${[...study.keys()][0]}`,
    'after, greedy',
    'steps on devices',
    'final entropy per token, nats',
  ];
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return `${[line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')}\n`;
}
