import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { COLOURS, policyColours } from '../../src/report/colours.js';
import { STYLE } from '../../src/report/style.js';
import { packageRoot } from '../../src/package.js';

test('a policy keeps its colour whatever else is in the run, and others get free ones', () => {
  const few = policyColours(['digiq', 'base']);
  const many = policyColours(['mine', 'base', 'yours', 'digiq', 'base+bestofq', 'filteredbc']);
  for (const name of ['base', 'digiq']) assert.equal(few.get(name), many.get(name));
  assert.equal(new Set(many.values()).size, many.size, 'no two alike');
  const crowd = policyColours(Array.from({ length: 20 }, (_, i) => `p${i}`));
  assert.ok([...crowd.values()].every((n) => n >= 0 && n < COLOURS));
});

test('report and viewer have the same palette', () => {
  const viewer = readFileSync(join(packageRoot(), 'src/viewer/page/styles/base.css'), 'utf8');
  const palette = (css: string) =>
    [...css.matchAll(/--(s\d): ?(#[0-9a-f]{6})/g)].map(([, name, value]) => `${name} ${value}`);
  assert.equal(palette(STYLE).length, 2 * COLOURS, 'light and dark');
  assert.deepEqual(palette(viewer), palette(STYLE));
});
