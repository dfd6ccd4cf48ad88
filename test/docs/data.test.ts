import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { CURVE, ONLINE_STEPS, TOKEN_INFLUENCE } from '../../src/data/online-tables.js';
import type { Column } from '../../src/data/tables.js';
import { CANDIDATES, TRANSITIONS } from '../../src/data/transitions.js';
import { packageRoot } from '../../src/package.js';

test('docs/data.md says of every column what the code says', () => {
  const page = readFileSync(join(packageRoot(), 'docs', 'data.md'), 'utf8');
  const rows = page.split('\n').map((line) => line.split('|').map((cell) => cell.trim()));
  for (const { columns } of [TRANSITIONS, CANDIDATES, CURVE, ONLINE_STEPS, TOKEN_INFLUENCE]) {
    for (const [name, { type, list, meaning }] of Object.entries<Column>(columns)) {
      const expected = [`\`${name}\``, list ? `list of ${type}` : type, meaning];
      assert.ok(
        rows.some((cells) => expected.every((cell, i) => cells[i + 1] === cell)),
        `docs/data.md lacks | ${expected.join(' | ')} |`,
      );
    }
  }
});
