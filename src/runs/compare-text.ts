import { columns, percent, points, rateText } from './columns.js';
import type { ComparedRate, Difference, RunComparison } from './compare.js';
import { shownValue } from './differences.js';

/** Charts that the text shows of a stage; the HTML and `--json` have all. */
const CHARTS = 4;
/** Width of a line of blocks that stands for a curve. */
const WIDTH = 24;
const BLOCKS = '▁▂▃▄▅▆▇█';

/** A comparison of runs for a terminal. */
export function comparisonText(comparison: RunComparison): string {
  return [settingsText(comparison), ratesText(comparison), curvesText(comparison), notes(comparison)]
    .filter((part) => part !== '')
    .join('\n\n');
}

function settingsText({ runs, settings }: RunComparison): string {
  if (settings.length === 0) return 'The results that these runs share were built with the same settings.';
  const rows = settings.map(({ path, values, instances }) => [
    path,
    ...values.map((value) => shownValue(value)),
    `in ${instances.length > 4 ? `${instances.slice(0, 3).join(', ')}, ...` : instances.join(', ')}`,
  ]);
  return columns([['SETTING', ...runs, ''], ...rows]).join('\n');
}

function ratesText({ evaluations }: RunComparison): string {
  const several = evaluations.filter(({ rates }) => rates.length > 1);
  if (several.length === 0) return 'These runs have no evaluation in common.';
  const rows = several.flatMap(({ name, rates }) => [
    [name, '', '', ''],
    ...rates.map((rate) => [
      `  ${rate.run}`,
      rateText(rate).replace(' % ', ' '),
      `${rate.successes} of ${rate.episodes}`,
      rate.against_first ? differenceText(rate.against_first) : '',
    ]),
  ]);
  const [{ rates }] = several;
  return columns([
    ['SUCCESS', '% (95 % interval)', 'EPISODES', `AGAINST ${firstOf(rates).run} (points)`],
    ...rows,
  ]).join('\n');
}

function firstOf(rates: readonly ComparedRate[]): ComparedRate {
  return rates[0];
}

/** `+1.9 (−2.1 to +5.9), p = 0.41, 420 pairs`. */
export function differenceText(difference: Difference): string {
  const { ci95, difference: value } = difference;
  const text = `${points(value)} (${points(ci95[0])} to ${points(ci95[1])})`;
  if (!difference.paired) return `${text}, not paired: ${difference.why}`;
  const p = difference.p < 0.0001 ? 'p < 0.0001' : `p = ${difference.p.toFixed(4)}`;
  return `${text}, ${p}, ${difference.shared} pairs`;
}

function curvesText({ curves }: RunComparison): string {
  const instances = [...new Set(curves.map(({ instance }) => instance))];
  const rows = instances.flatMap((instance) => {
    const own = curves.filter((curve) => curve.instance === instance);
    const telling = own.filter(({ metric }) => /loss|success|accuracy|return/.test(metric));
    return [
      [instance, '', '', ''],
      ...(telling.length > 0 ? telling : own).slice(0, CHARTS).flatMap(({ metric, runs }) => {
        const all = runs.flatMap(({ values }) => values).filter((value) => value !== null);
        const range: [number, number] = [Math.min(...all), Math.max(...all)];
        return runs.map(({ run, values }, i) => {
          const known = values.filter((value) => value !== null);
          const ends = `${number(known[0])} → ${number(known.at(-1))}`;
          return [i === 0 ? `  ${metric}` : '', run, sparkline(values, range), ends];
        });
      }),
    ];
  });
  return rows.length === 0 ? '' : columns([['CURVES', '', '', 'FIRST → LAST'], ...rows]).join('\n');
}

/** A curve as a line of blocks; each is the mean of the points below it. */
export function sparkline(values: readonly (number | null)[], [low, high]: readonly [number, number]): string {
  const width = Math.min(WIDTH, values.length);
  return Array.from({ length: width }, (_, i) => {
    const part = values.slice(Math.floor((i * values.length) / width), Math.floor(((i + 1) * values.length) / width));
    const known = part.filter((value) => value !== null);
    if (known.length === 0) return ' ';
    const mean = known.reduce((sum, value) => sum + value, 0) / known.length;
    return BLOCKS[high > low ? Math.min(7, Math.floor((8 * (mean - low)) / (high - low))) : 0];
  }).join('');
}

function number(value: number | undefined): string {
  return value === undefined ? '–' : String(Number(value.toPrecision(3)));
}

function notes({ missing, stale, evaluations }: RunComparison): string {
  const lines = missing.map(
    ({ instance, only_in }) => `only in ${only_in.join(', ')}: ${instance}${alone(instance, evaluations)}`,
  );
  for (const [run, instances] of Object.entries(stale))
    lines.push(`${run}: not up to date: ${instances.join(', ')} (\`critiq status run=${run}\`)`);
  return lines.join('\n');
}

/** The rate of an evaluation that one run alone has. */
function alone(instance: string, evaluations: RunComparison['evaluations']): string {
  const found = evaluations.find(({ name, rates }) => `eval/${name}` === instance && rates.length === 1);
  return found ? ` (${percent(found.rates[0].rate)} %)` : '';
}
