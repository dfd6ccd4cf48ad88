/** Reads what the docs' tests need from a Markdown page: fences with their marks, headings, links. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { slugOf } from '../../../docs/.vitepress/pages.js';
import { packageRoot } from '../../../src/package.js';

/** A `<!-- test: ... -->` comment. */
export interface Mark {
  /** line of the comment, from 1 */
  readonly line: number;
  /** `needs=gpu output` as pairs; a word without a value has '' */
  readonly words: readonly (readonly [string, string])[];
  /** the lines after the first */
  readonly body: string;
}

/** A fenced block. */
export interface Fence {
  readonly page: string;
  /** line of its opening, from 1 */
  readonly line: number;
  /** the first word of its info string, or '' */
  readonly language: string;
  readonly text: string;
  /** the marks directly before it */
  readonly marks: readonly Mark[];
}

export interface Heading {
  readonly line: number;
  readonly text: string;
  readonly slug: string;
}

export interface Link {
  readonly line: number;
  readonly target: string;
}

export interface Page {
  /** path from the package's root */
  readonly path: string;
  readonly fences: readonly Fence[];
  /** marks that are not before a fence */
  readonly strayMarks: readonly Mark[];
  readonly headings: readonly Heading[];
  /** all targets for links: slugs of headings, and ids of HTML elements */
  readonly anchors: ReadonlySet<string>;
  readonly links: readonly Link[];
  /** the page without its fences and comments, line for line */
  readonly prose: readonly string[];
}

const FENCE = /^(\s*)(`{3,}|~{3,})\s*([^\s`]*)[^`]*$/;

/** All Markdown pages of the repository, by path. */
export function markdownPages(): Page[] {
  const root = packageRoot();
  // licences are other people's texts
  const top = readdirSync(root).filter((name) => name.endsWith('.md') && name !== 'THIRD_PARTY_LICENSES.md');
  const below = ['docs', 'examples', 'src', 'pipelines', 'test', 'bench'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter(
        (name) =>
          name.endsWith('.md') && !name.split('/').some((part) => part === 'node_modules') && !name.startsWith('api/'),
      )
      .map((name) => join(folder, name)),
  );
  return [...top, ...below].sort().map((path) => parsePage(path, readFileSync(join(root, path), 'utf8')));
}

/** The pages whose commands are tested: README, CONTRIBUTING, docs and examples. */
export function testedPages(): Page[] {
  return markdownPages().filter(({ path }) => path !== 'CHANGELOG.md' && !/^(src|pipelines|test|bench)\//.test(path));
}

export function parsePage(path: string, text: string): Page {
  const lines = text.split('\n');
  const fences: Fence[] = [];
  const strayMarks: Mark[] = [];
  const prose: string[] = [];
  let marks: Mark[] = [];
  for (let i = 0; i < lines.length; i++) {
    const opening = FENCE.exec(lines[i]);
    if (opening) {
      const [, indent, ticks, language] = opening;
      const start = i;
      const closes = new RegExp(`^\\s*${ticks[0]}{${ticks.length},}\\s*$`);
      while (++i < lines.length && !closes.test(lines[i]));
      const body = lines
        .slice(start + 1, i)
        .map((line) => (line.startsWith(indent) ? line.slice(indent.length) : line));
      fences.push({ page: path, line: start + 1, language, text: body.join('\n'), marks });
      marks = [];
      for (let n = start; n <= Math.min(i, lines.length - 1); n++) prose.push('');
      continue;
    }
    if (/^\s*<!--/.test(lines[i])) {
      const start = i;
      while (!lines[i].includes('-->') && i < lines.length - 1) i++;
      const comment = lines.slice(start, i + 1).join('\n');
      const mark = parseMark(comment, start + 1);
      if (mark) marks.push(mark);
      for (let n = start; n <= i; n++) prose.push('');
      continue;
    }
    if (lines[i].trim() !== '') {
      strayMarks.push(...marks);
      marks = [];
    }
    prose.push(lines[i]);
  }
  strayMarks.push(...marks);
  const headings = findHeadings(prose);
  const ids = [...prose.join('\n').matchAll(/<[a-z]+\s[^>]*\b(?:id|name)="([^"]+)"/g)].map(([, id]) => id);
  const anchors = new Set([...headings.map(({ slug }) => slug), ...ids]);
  return { path, fences, strayMarks, headings, anchors, links: findLinks(prose), prose };
}

/** A comment as a mark, if it is one. */
function parseMark(comment: string, line: number): Mark | undefined {
  const inside = /^\s*<!--\s*test:([\s\S]*?)-->\s*$/.exec(comment)?.[1];
  if (inside === undefined) return undefined;
  const [first, ...rest] = inside.split('\n');
  const words = [...first.matchAll(/([^\s="]+)(?:=(?:"([^"]*)"|(\S*)))?/g)].map(
    ([, key, quoted, plain]) => [key, quoted ?? plain ?? ''] as const,
  );
  return { line, words, body: rest.join('\n').trimEnd() };
}

function findHeadings(prose: readonly string[]): Heading[] {
  const seen = new Map<string, number>();
  return prose.flatMap((line, i) => {
    const heading = /^(#{1,6})\s+(.*?)\s*#*\s*$/.exec(line);
    if (!heading) return [];
    const text = plainText(heading[2]);
    const base = slugOf(text);
    const times = seen.get(base) ?? 0;
    seen.set(base, times + 1);
    return [{ line: i + 1, text, slug: times === 0 ? base : `${base}-${times}` }];
  });
}

/** The text of Markdown without its markup; links and code keep their visible text. */
function plainText(markdown: string): string {
  return markdown
    .replace(/!?\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replace(/`([^`]*)`/g, '$1')
    .replace(/(\*\*|__)(.*?)\1/g, '$2')
    .replace(/\\([\\`*_{}[\]()#+\-.!|<>])/g, '$1');
}

function findLinks(prose: readonly string[]): Link[] {
  // a link's text may span lines, its target may not
  const text = prose.join('\n').replace(/`[^`\n]*`/g, (code) => ' '.repeat(code.length));
  const line = (at: number): number => text.slice(0, at).split('\n').length;
  const found = [
    ...text.matchAll(/\]\(\s*<?([^\s()<>]+(?:\([^\s()]*\)[^\s()<>]*)?)>?(?:\s+"[^"]*")?\s*\)/g),
    ...text.matchAll(/^ {0,3}\[[^\]]+\]:\s*<?(\S+?)>?(?:\s+"[^"]*")?\s*$/gm),
    ...text.matchAll(/<(?:a|img|source)\s[^>]*?\b(?:href|src|srcset)="([^"\s]+)"/g),
  ];
  return found.map((match) => ({ line: line(match.index), target: match[1] }));
}
