/** Whatever README, the docs and comments point to is there: links with their anchors, files, sections of the page on algorithms. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';
import { packageRoot } from '../../src/package.js';
import { missing, sourceFiles, wordsIn, wordsOf } from '../rigs/docs/cited.js';
import { markdownPages, parsePage, type Page } from '../rigs/docs/markdown.js';

const root = packageRoot();
const pages = markdownPages();

test('links between pages, to files and to anchors lead somewhere', () => {
  const byPath = new Map(pages.map((page) => [page.path, page]));
  const broken = pages.flatMap((page) => brokenLinks(page, byPath));
  assert.deepEqual(broken, [], broken.join('\n'));
});

test('files and sections that the pages name are there', () => {
  // the history names files as they were
  const current = pages.filter(({ path }) => path !== 'CHANGELOG.md' && !path.startsWith('docs/decisions/'));
  const gone = current.flatMap(({ path }) => {
    const text = readFileSync(join(root, path), 'utf8');
    return missing(text, (at) => `${path}:${lineAt(text, at)}`);
  });
  assert.deepEqual(gone, [], list(gone));
});

test('files and sections that comments and messages of the code name are there', () => {
  const gone = sourceFiles().flatMap((path) => {
    const text = wordsIn(path);
    return missing(text, (at) => `${path}:${lineAt(text, at)}`);
  });
  assert.deepEqual(gone, [], list(gone));
});

test('a broken link, a missing file and a missing section are found', () => {
  const page = parsePage(
    'docs/a.md',
    '# Here\n[a](b.md) [b](#here) [c](#there) [d](https://x.example/y)\n![e](../e.png)\n',
  );
  assert.deepEqual(brokenLinks(page, new Map([['docs/a.md', page]])), [
    'docs/a.md:2: b.md: no such file',
    'docs/a.md:2: #there: docs/a.md has no such heading',
    'docs/a.md:3: ../e.png: no such file',
  ]);
  const source = `import { x } from 'src/gone.js';
// see src/gone.ts, src/errors.ts, test/{rigs,gone} and docs/algorithms.md §2.4, §99
throw new Error('look into docs/gone.md and configs/*.yaml, bench/*.gone');`;
  const text = wordsOf(source);
  assert.deepEqual(
    missing(text, (at) => String(lineAt(text, at))).map(({ where, what }) => `${where} ${what}`),
    ['2 src/gone.ts', '2 test/{rigs,gone}', '3 docs/gone.md', '3 bench/*.gone', '2 docs/algorithms.md §99'],
  );
});

function brokenLinks({ path, links }: Page, pages: ReadonlyMap<string, Page>): string[] {
  return links.flatMap(({ line, target }) => {
    if (/^[a-z][a-z+.-]*:/i.test(target)) return [];
    const [file, anchor] = target.split('#', 2);
    const to = file === '' ? path : normalize(join(dirname(path), decodeURIComponent(file)));
    const place = `${path}:${line}: ${target}`;
    if (to.startsWith('..') || (!pages.has(to) && !existsSync(join(root, to)))) return [`${place}: no such file`];
    if (anchor === undefined || anchor === '') return [];
    const there = pages.get(to);
    if (there) return there.anchors.has(decodeURIComponent(anchor)) ? [] : [`${place}: ${to} has no such heading`];
    const lines = /^L(\d+)/.exec(anchor)?.[1];
    const fine = lines !== undefined && statSync(join(root, to)).isFile();
    return fine ? [] : [`${place}: an anchor of a file that is no page`];
  });
}

function lineAt(text: string, at: number): number {
  return text.slice(0, at).split('\n').length;
}

function list(citations: readonly { where: string; what: string }[]): string {
  return citations.map(({ where, what }) => `${where}: ${what} is not there`).join('\n');
}
