/** What the docs site and the files beside the docs say of the package. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { checkSite } from '../../docs/.vitepress/check.js';
import { GROUPS, placeOf } from '../../docs/.vitepress/pages.js';
import { packageRoot } from '../../src/package.js';
import { markdownPages } from '../rigs/docs/markdown.js';
import { emptyFolder } from '../rigs/process.js';

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

test('a dead link of the built site is found, whatever its form', (t) => {
  const folder = emptyFolder(t);
  mkdirSync(join(folder, 'sub'));
  writeFileSync(join(folder, 'a.png'), '');
  writeFileSync(
    join(folder, 'index.html'),
    '<h1 id="top"></h1><a href="/base/sub/page.html#there">x</a><img src="./a.png">',
  );
  writeFileSync(
    join(folder, 'sub/page.html'),
    '<p id="there"></p><a class="y" href="../index.html#top">x</a><a href="/base/">y</a>',
  );
  checkSite(folder, '/base/');
  writeFileSync(
    join(folder, 'sub/dead.html'),
    '<a href="#gone">x</a><a href="/base/gone">y</a><img src="b.png"><a href="page.html#lost">z</a><a href="https://x.example">w</a>',
  );
  assert.throws(
    () => checkSite(folder, '/base/'),
    (error: Error) => {
      for (const dead of ['#gone', '/base/gone', 'b.png', 'page.html#lost'])
        assert.ok(error.message.includes(dead), dead);
      return !/x\.example|top|there/.test(error.message);
    },
  );
});

test('CITATION.cff has the version and licence of the package', () => {
  const { version, license } = JSON.parse(read('package.json')) as Record<string, string>;
  const citation = parse(read('CITATION.cff')) as Record<string, unknown>;
  assert.deepEqual([citation.version, citation.license], [version, license]);
  for (const key of ['cff-version', 'title', 'message', 'authors', 'type']) assert.ok(citation[key], key);
});
