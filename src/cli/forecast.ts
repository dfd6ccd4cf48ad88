import type { Forecast, Step } from '../runner/forecast.js';

/** `--dry-run` for people: a line for each stage instance, then the sums. */
export function formatForecast({ steps, seconds, bytes, notes }: Forecast): string {
  const rows = steps.map((step) => [step.instance, whatOf(step), step.why.join('; '), timeOf(step), diskOf(step)]);
  const all = [['STAGE', 'WHAT', 'WHY', 'TIME', 'DISK'], ...rows];
  const widths = all[0].map((_, column) => Math.max(...all.map((cells) => cells[column].length)));
  const lines = all.map((cells) =>
    cells
      .map((cell, column) => cell.padEnd(widths[column]))
      .join('  ')
      .trimEnd(),
  );
  const busy = steps.some(works);
  const sum = busy
    ? `In all: ${seconds === null ? 'time unknown' : `about ${duration(seconds)}`}, ${bytes === null ? 'disk unknown' : `${size(bytes)} of new files`}.`
    : 'Nothing to do.';
  return [...lines, '', ...notes.map((note) => `Note: ${note}`), sum, 'Nothing was written (--dry-run).'].join('\n');
}

function works({ built, resized, back, replaced, planned, dropped, more }: Step): boolean {
  return planned === null || more || (built ?? 0) + resized + back + replaced + dropped > 0;
}

function whatOf(step: Step): string {
  const { planned, reused, built, resized, back, replaced, dropped, more, stops } = step;
  if (planned === null) return stops === null ? 'build' : 'stop';
  const parts = [
    ...(replaced > 0 ? [`${stops === null ? 'replace' : 'stop: would replace'} ${replaced}`] : []),
    ...(built ? [`build ${built}`] : []),
    ...(resized > 0 ? [`extend or cut ${resized}`] : []),
    ...(back > 0 ? [`take back ${back}`] : []),
    ...(more && replaced === 0 ? ['build what is new'] : []),
    ...(dropped > 0 ? [`leave out ${dropped}`] : []),
  ];
  if (parts.length === 0) return `up to date (${planned})`;
  return `${[...parts, ...(reused > 0 ? [`reuse ${reused}`] : [])].join(', ')} of ${planned}`;
}

function timeOf(step: Step): string {
  if (!works(step)) return '-';
  return step.seconds === null ? 'unknown' : duration(step.seconds);
}

function diskOf(step: Step): string {
  if (!works(step)) return '-';
  return step.bytes === null ? 'unknown' : size(step.bytes);
}

function duration(seconds: number): string {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

function size(bytes: number): string {
  if (bytes < 1e5) return `${Math.max(bytes > 0 ? 1 : 0, Math.round(bytes / 1e3))} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}
