/** Looks at the built site as a browser would: every link of its own leads to a page, a file and an anchor that are there. */
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

/** @throws Error naming every page with a dead link @param base the path that the site is served under */
export function checkSite(folder: string, base: string): void {
  const pages = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.html'));
  const texts = new Map(pages.map((page) => [page, readFileSync(join(folder, page), 'utf8')]));
  const anchors = new Map<string, Set<string>>();
  const anchorsOf = (page: string): Set<string> => {
    const known = anchors.get(page);
    if (known) return known;
    const found = new Set([...texts.get(page)!.matchAll(/\s(?:id|name)="([^"]+)"/g)].map(([, id]) => unescaped(id)));
    anchors.set(page, found);
    return found;
  };
  const dead = new Set<string>();
  for (const [page, text] of texts) {
    for (const [, attribute] of text.matchAll(/<(?:a|img|link|script|source)\b[^>]*?\s(?:href|src)="([^"]*)"/g)) {
      const target = unescaped(attribute);
      if (target === '' || /^([a-z][a-z+.-]*:|\/\/)/i.test(target)) continue;
      const [path, anchor] = target.split('#', 2);
      const to =
        path === '' ? page : fileOf(folder, path.startsWith('/') ? rooted(path, base) : join(dirname(page), path));
      if (to === undefined) dead.add(`${page}: ${target}`);
      else if (anchor && texts.has(to) && !anchorsOf(to).has(decodeURIComponent(anchor)))
        dead.add(`${page}: ${target}: ${to} has no such anchor`);
    }
  }
  if (dead.size > 0) throw new Error(`dead links on the site:\n  ${[...dead].join('\n  ')}`);
}

function rooted(path: string, base: string): string {
  return path.startsWith(base) ? path.slice(base.length) : path.slice(1);
}

/** The file that a server gives for a path, relative to the folder; undefined: there is none. */
function fileOf(folder: string, path: string): string | undefined {
  const whole = join(folder, decodeURIComponent(path.replace(/\?.*$/, '')));
  const found = [whole, `${whole}.html`, join(whole, 'index.html')].find(
    (name) => existsSync(name) && statSync(name).isFile(),
  );
  return found === undefined ? undefined : relative(folder, found);
}

function unescaped(text: string): string {
  return text
    .replace(/&amp;/g, '&')
    .replace(/&lt;/g, '<')
    .replace(/&gt;/g, '>')
    .replace(/&quot;/g, '"');
}
