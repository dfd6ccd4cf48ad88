/** Links of the Markdown, which are relative to its file, as the site needs them. */
import { existsSync, statSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import type { MarkdownRenderer } from 'vitepress';
import { placeOf } from './pages.js';

/**
 * Makes links to pages links of the site, and links to other files of the repository links to where it is published. Takes the marks
 * of the tests out of the pages.
 * @param root the repository's folder
 * @param published where the repository can be looked at; '' takes links to its files out
 */
export function siteLinks(md: MarkdownRenderer, root: string, published: string): void {
  md.core.ruler.push('site-links', ({ tokens, env }) => {
    const { realPath, path } = env as { realPath?: string; path: string };
    const file = relative(root, realPath ?? path);
    for (const token of tokens) {
      if (token.type === 'html_block' && /^\s*<!--\s*test:/.test(token.content)) token.content = '';
      let open = true;
      for (const child of token.children ?? []) {
        // a comment of the code that says <name> means no HTML
        if (child.type === 'html_inline' && file.startsWith('docs/api/') && !/^<\/?(a|br)\b/.test(child.content))
          child.type = 'text';
        const href = child.type === 'link_open' ? child.attrGet('href') : null;
        if (href !== null) child.attrSet('href', siteLink(href, file, root, published));
        // its file can be looked at nowhere: text without a link
        if (child.type === 'link_open') open = child.attrGet('href') !== '';
        if (child.type.startsWith('link_') && !open) child.type = 'text';
      }
    }
  });
  // a page's own braces are no template
  const { text } = md.renderer.rules;
  md.renderer.rules.text = (...args) => text!(...args).replaceAll('{{', '<span v-pre>{{</span>');
}

function siteLink(href: string, file: string, root: string, published: string): string {
  if (/^([a-z][a-z+.-]*:|#|\/)/i.test(href)) return href;
  const [path, anchor] = href.split('#', 2);
  const to = normalize(join(dirname(file), decodeURIComponent(path)));
  const hash = anchor === undefined ? '' : `#${anchor}`;
  const place = to.endsWith('.md') ? placeOf(to) : undefined;
  if (!existsSync(join(root, to))) throw new Error(`${file}: a link to ${href}, which is not there`);
  if (place !== undefined) return `/${place.replace(/(^|\/)index\.md$/, '$1').replace(/\.md$/, '')}${hash}`;
  const kind = statSync(join(root, to)).isDirectory() ? 'tree' : 'blob';
  return published === '' ? '' : `${published}/${kind}/main/${to}${hash}`;
}
