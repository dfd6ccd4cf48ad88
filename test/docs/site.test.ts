/** What the docs site and the files beside the docs say of the package. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { GROUPS, placeOf } from '../../docs/.vitepress/pages.js';
import { packageRoot } from '../../src/package.js';
import { markdownPages } from '../rigs/docs/markdown.js';

const read = (name: string): string => readFileSync(join(packageRoot(), name), 'utf8');

test('every page of the docs is in one group of the sidebar', () => {
  const grouped = GROUPS.flatMap(({ pages }) => pages);
  assert.deepEqual(grouped, [...new Set(grouped)], 'a page is in two groups');
  const pages = markdownPages().flatMap(({ path }) => /^docs\/([^/]+)\.md$/.exec(path)?.[1] ?? []);
  const lost = pages.filter((page) => !grouped.includes(page));
  assert.deepEqual(lost, [], 'put these pages of docs/ into a group of docs/.vitepress/pages.ts');
});

test('the index of the docs names every page', () => {
  const index = read('docs/README.md');
  const lost = GROUPS.flatMap(({ pages }) => pages).filter(
    (page) => page !== 'README' && !index.includes(`](${page}.md)`),
  );
  assert.deepEqual(lost, [], 'docs/README.md does not link to these pages');
});

test('every page begins with its title', () => {
  const pages = markdownPages().filter(({ path }) => placeOf(path) !== undefined);
  const untitled = pages.filter(
    ({ headings: [first], prose }) => !first || prose.findIndex((l) => l !== '') !== first.line - 1,
  );
  assert.deepEqual(
    untitled.map(({ path }) => path),
    [],
    'expected # Title on the first line',
  );
});

test('decisions are numbered and listed', () => {
  const list = read('docs/decisions/README.md');
  const names = markdownPages().flatMap(({ path }) => /^docs\/decisions\/(\d{4}-.*\.md)$/.exec(path)?.[1] ?? []);
  names.forEach((name, i) => {
    assert.equal(Number(name.slice(0, 4)), i + 1, name);
    assert.match(read(`docs/decisions/${name}`), new RegExp(`^# ${i + 1}\\. `), name);
    assert.ok(list.includes(`](${name})`), `docs/decisions/README.md does not list ${name}`);
  });
});

test('CITATION.cff has the version and licence of the package', () => {
  const { version, license } = JSON.parse(read('package.json')) as Record<string, string>;
  const citation = parse(read('CITATION.cff')) as Record<string, unknown>;
  assert.deepEqual([citation.version, citation.license], [version, license]);
  for (const key of ['cff-version', 'title', 'message', 'authors', 'type']) assert.ok(citation[key], key);
});
