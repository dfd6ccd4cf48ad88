import { counted } from '../counted.js';
import { columns, rateText } from './columns.js';
import { shownValue } from './differences.js';
import type { ListedRun } from './listing.js';

/** Settings and rates of a run that the table shows; `--json` has all. */
const SHOWN = 3;

/** The table of runs, a header and at least one line for each. */
export function runsTable(runs: readonly ListedRun[], now: Date): string {
  const rows = runs.flatMap((run) => {
    const rates = headline(run);
    const settings = settingsOf(run);
    const height = Math.max(1, rates.length, settings.length);
    return Array.from({ length: height }, (_, i) => [
      i === 0 ? run.run : '',
      i === 0 ? whenText(run.changed_at, now) : '',
      i === 0 ? stateText(run) : '',
      settings[i] ?? '',
      rates[i] ?? '',
    ]);
  });
  return columns([['RUN', 'CHANGED', 'STATE', 'SETTINGS', 'SUCCESS'], ...rows]).join('\n');
}

/** What the stages of a run are: `9 finished`, `critic outdated`. */
export function stateText({ stages, running, problem }: Pick<ListedRun, 'stages' | 'running' | 'problem'>): string {
  const parts: string[] = [];
  if (problem !== null) parts.push('unreadable');
  if (running !== null) parts.push(running === '' ? 'in use' : `running ${running}`);
  for (const state of ['outdated', 'unfinished'] as const) {
    const names = stages
      .filter((stage) => stage.state === state)
      .map(({ instance, done, planned }) => (state === 'unfinished' ? `${instance} ${done}/${planned}` : instance));
    if (names.length > 0) parts.push(`${state}: ${some(names)}`);
  }
  const finished = stages.filter(({ state }) => state === 'finished' || state === 'imported').length;
  if (finished > 0) parts.push(`${finished} finished`);
  return parts.length === 0 ? 'empty' : parts.join('; ');
}

function some(names: readonly string[]): string {
  return names.length <= 2 ? names.join(', ') : `${names[0]} and ${names.length - 1} more`;
}

function settingsOf({ like, differs, forked_from: from }: ListedRun): string[] {
  const changes = Object.entries(differs).map(([path, value]) => `${path}=${shownValue(value, 24)}`);
  const more = changes.length - SHOWN;
  return [
    from === null ? like : `fork of ${from}`,
    ...changes.slice(0, SHOWN),
    ...(more > 0 ? [`and ${counted(more, 'more setting')}`] : []),
  ];
}

/** The evaluations to show: on test tasks and all of them, the highest rate first. */
function headline({ rates }: ListedRun): string[] {
  const all = Object.entries(rates);
  const main = all.filter(
    ([, { split, protocol, temperature }]) => split === 'test' && protocol === 'all' && temperature === 1,
  );
  const shown = (main.length > 0 ? main : all).sort(([, a], [, b]) => b.rate - a.rate);
  const more = all.length - Math.min(SHOWN, shown.length);
  return [
    ...shown.slice(0, SHOWN).map(([name, rate]) => `${name} ${rateText(rate)}`),
    ...(more > 0 ? [`and ${counted(more, 'more evaluation')}`] : []),
  ];
}

/** Local time to the minute; of another year without the time of day. */
function whenText(iso: string, now: Date): string {
  const date = new Date(iso);
  const two = (n: number): string => String(n).padStart(2, '0');
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return date.getFullYear() === now.getFullYear() ? `${day} ${two(date.getHours())}:${two(date.getMinutes())}` : day;
}
