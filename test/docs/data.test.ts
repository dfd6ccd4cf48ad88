import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { namesInFile, type Column } from '../../src/data/columns.js';
import { LABELS } from '../../src/data/labels.js';
import { CURVE, ONLINE_STEPS, TOKEN_INFLUENCE } from '../../src/data/online-tables.js';
import { CANDIDATES, TRANSITIONS, VALUES } from '../../src/data/transitions.js';
import { ORACLE } from '../../src/oracle/table.js';
import { packageRoot } from '../../src/package.js';

const page = readFileSync(join(packageRoot(), 'docs', 'data.md'), 'utf8');

/** The rows of the first table after a heading, without its head; a list of cells each. */
function tableAfter(heading: string): string[][] {
  const lines = page.split('\n');
  const at = lines.indexOf(heading);
  assert.ok(at >= 0, `docs/data.md has no heading ${heading}`);
  const start = lines.findIndex((line, i) => i > at && line.startsWith('|'));
  const end = lines.findIndex((line, i) => i > start && !line.startsWith('|'));
  return lines.slice(start + 2, end).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

/** `0 to 1; nats` */
function values({ range, unit }: Column): string {
  const [low, high] = range ?? [null, null];
  const bounds = low === null ? high !== null && `≤ ${high}` : high === null ? `≥ ${low}` : `${low} to ${high}`;
  return [bounds, unit].filter(Boolean).join('; ');
}

for (const [heading, kind] of [
  ['transitions', TRANSITIONS],
  ['candidates', CANDIDATES],
  ['values', VALUES],
  ['labels', LABELS],
  ['oracle', ORACLE],
  ['online steps', ONLINE_STEPS],
  ['online curve', CURVE],
  ['token influence', TOKEN_INFLUENCE],
] as const) {
  test(`docs/data.md describes the columns of ${kind.name} as the code does`, () => {
    const columns: Record<string, Column> = kind.columns;
    const expected = [...namesInFile(kind)].map(([field, name]) => {
      const column = columns[field];
      const type = `${column.list ? 'list of ' : ''}${column.type}${column.optional ? ' or null' : ''}`;
      return [`\`${name}\``, `\`${field}\``, type, values(column), column.meaning];
    });
    assert.deepEqual(tableAfter(`### ${heading}`), expected);
  });
}
