import type { StageStatus } from '../../src/runner/inspect.js';

/**
 * `critiq status` for people: one line per instance.
 * @param why a line below each outdated or incomplete one says why
 */
export function formatStatus(rows: readonly StageStatus[], why = false): string {
  const table = rows.map((row) => [
    row.instance,
    row.state,
    row.planned === null ? '-' : `${row.done}/${row.planned}`,
    row.rows > 0 ? String(row.rows) : '-',
    lastMetric(row),
  ]);
  const all = [['STAGE', 'STATE', 'SHARDS', 'ROWS', 'LAST METRIC'], ...table];
  const widths = all[0].map((_, column) => Math.max(...all.map((cells) => cells[column].length)));
  return all
    .flatMap((cells, row) => [
      cells
        .map((cell, column) => cell.padEnd(widths[column]))
        .join('  ')
        .trimEnd(),
      ...(why && row > 0 ? rows[row - 1].why.map((reason) => `  because ${reason}`) : []),
    ])
    .join('\n');
}

function lastMetric({ lastMetric: line }: StageStatus): string {
  if (!line) return '-';
  const { shard: _, step, ...values } = line;
  const shown = Object.entries(values)
    .slice(0, 3)
    .map(([key, value]) => `${key} ${typeof value === 'number' ? Number(value.toPrecision(4)) : String(value)}`);
  return `step ${step}: ${shown.join(', ')}`;
}
