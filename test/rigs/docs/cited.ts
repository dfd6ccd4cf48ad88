/** Checks that the files and sections cited in texts and comments exist. */
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { packageRoot } from '../../../src/package.js';
import { parsePage, type Page } from './markdown.js';

const FOLDERS = ['src', 'pipelines', 'docs', 'configs', 'test', 'bench', 'examples'];

/** A cited path below one of the folders: `src/errors.ts`, `docs/decisions/0003`, `configs/aitw-*.yaml`. */
const PATH = new RegExp(String.raw`(?<![\w./@~$}-])(?:${FOLDERS.join('|')})/[\w./*{},-]*[\w*}/]`, 'g');
/** Cited sections of the page on algorithms: `docs/algorithms.md §2.4 and §3`. */
const SECTIONS = /docs\/algorithms\.md,?((?:[\s*/]*(?:,|and|to|-)?[\s*/]*§\d+(?:\.\d+)?(?:-\d+(?:\.\d+)?)?)+)/g;
/** Documents that are not in the repository. */
const OUTSIDE = /\b(?:ALGORITHMS|DESIGN|HOUSE|STYLE|FIELD)(?:\.md)?(?= §|\.md| section)/g;

/** Folders that `make site` writes. */
const GENERATED = /^docs\/api(\/|$)/;

export interface Citation {
  readonly where: string;
  readonly what: string;
}

/** The citations of a text that do not exist. @param text comments or prose @param where names the line at an offset */
export function missing(text: string, where: (at: number) => string): Citation[] {
  const found: Citation[] = [];
  for (const { 0: path, index } of text.matchAll(PATH)) {
    // a path with a placeholder, such as test/NAME, names no file
    if (/(^|\/)[A-Z_]{2,}(\/|$)/.test(path) && !/\.md$/.test(path)) continue;
    if (!isThere(path)) found.push({ where: where(index), what: path });
  }
  for (const { 1: sections, index } of text.matchAll(SECTIONS)) {
    for (const [, number] of sections.matchAll(/(\d+(?:\.\d+)?)/g)) {
      if (!algorithmSections().has(number)) found.push({ where: where(index), what: `docs/algorithms.md §${number}` });
    }
  }
  for (const { 0: name, index } of text.matchAll(OUTSIDE)) found.push({ where: where(index), what: name });
  return found;
}

let sections: ReadonlySet<string> | undefined;

function algorithmSections(): ReadonlySet<string> {
  if (sections) return sections;
  const { headings }: Page = parsePage('', readFileSync(join(packageRoot(), 'docs/algorithms.md'), 'utf8'));
  sections = new Set(headings.flatMap(({ text }) => /^§?(\d+(?:\.\d+)?)\b/.exec(text)?.[1] ?? []));
  return sections;
}

/**
 * Whether a path, perhaps with * and {a,b}, names a file or a folder. For a .js file its source counts; for others the part
 * after a - or . may be missing.
 */
function isThere(path: string): boolean {
  return braces(path.replace(/[.,]+$/, '')).every((one) => {
    if (GENERATED.test(one)) return true;
    const names = [one, ...(one.endsWith('.js') ? [one.replace(/\.js$/, '.ts'), one.replace(/\.js$/, '.tsx')] : [])];
    return (
      names.some((name) => (name.includes('*') ? globs(name) : existsSync(join(packageRoot(), name)))) || begins(one)
    );
  });
}

function begins(path: string): boolean {
  const folder = join(packageRoot(), dirname(path));
  const starts = ['-', '.'].map((next) => basename(path) + next);
  return existsSync(folder) && readdirSync(folder).some((file) => starts.some((start) => file.startsWith(start)));
}

function braces(path: string): string[] {
  const [, before, list, after] = /^([^{]*)\{([^}]*)\}(.*)$/.exec(path) ?? [];
  if (list === undefined) return [path];
  return list.split(',').flatMap((one) => braces(`${before}${one}${after}`));
}

function globs(path: string): boolean {
  const folder = join(packageRoot(), dirname(path.slice(0, path.indexOf('*') + 1)));
  if (!existsSync(folder)) return false;
  const pattern = path
    .replace(/[.+?^${}()|[\]\\]/g, '\\$&')
    .replace(/\*\*\/?/g, '\0')
    .replace(/\*/g, '[^/]*')
    .replace(/\0/g, '.*');
  const whole = new RegExp(`^${pattern}/?$`);
  const base = folder.slice(packageRoot().length + 1);
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).some((name) => whole.test(join(base, name)));
}

/** The comments of a TypeScript or JavaScript file, and the strings that a user may read; everything else is blanked out. */
export function wordsOf(source: string, { texts = true } = {}): string {
  const token = /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`/g;
  let out = '';
  let end = 0;
  for (const { 0: piece, index } of source.matchAll(token)) {
    out += source.slice(end, index).replace(/[^\n]/g, ' ');
    const before = source.slice(Math.max(0, index - 12), index);
    // names of modules and of written files are not citations: only strings with spaces count
    const isText = /^['"`]/.test(piece);
    const counts = !isText || (texts && /\s/.test(piece) && !/(?:from|import|import\()\s*$/.test(before));
    out += counts ? piece : piece.replace(/[^\n]/g, ' ');
    end = index + piece.length;
  }
  return out + source.slice(end).replace(/[^\n]/g, ' ');
}

/** The files whose comments and messages are checked: sources, and files that build and check them. */
export function sourceFiles(): string[] {
  const root = packageRoot();
  const folders = ['src', 'pipelines', 'test', 'bench', 'examples', 'packaging', 'configs', 'docs/.vitepress', '.ci'];
  const below = folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)),
  );
  const top = readdirSync(root).filter((name) => statSync(join(root, name)).isFile());
  const fine = /(\.(ts|tsx|js|mjs|cjs|py|ya?ml|npmrc)|^Makefile|^\.ci\/run)$/;
  // the test of these checks names missing files on purpose
  const left = (name: string): boolean => name.includes('node_modules') || name === 'test/docs/links.test.ts';
  return [...top, ...below].filter((name) => fine.test(name) && !left(name)).sort();
}

/** The text of a file for readers: comments and messages of code, comments of tests, everything of other files. */
export function wordsIn(path: string): string {
  const text = readFileSync(join(packageRoot(), path), 'utf8');
  return /\.[mc]?[jt]sx?$/.test(path) ? wordsOf(text, { texts: !path.startsWith('test/') }) : text;
}
