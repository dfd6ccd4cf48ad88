/** The docs site: the same Markdown that the repository shows, and the API reference that TypeDoc writes (`make site`). */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { defineConfig, type DefaultTheme } from 'vitepress';
import { checkSite } from './check.js';
import { siteLinks } from './links.js';
import { GROUPS, placeOf, slugOf } from './pages.js';

const root = resolve(import.meta.dirname, '../..');
const { description, exports, repository } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  description: string;
  exports: Record<string, unknown>;
  repository?: string | { url: string };
};
const named = typeof repository === 'string' ? repository : (repository?.url ?? '');
const published = named.replace(/^git\+/, '').replace(/\.git$/, '');

/** Entries of the sidebar for the pages among some that are there. @param folder below docs/ */
function entries(names: readonly string[], folder = ''): DefaultTheme.SidebarItem[] {
  return names
    .map((name) => `${folder}${name}`)
    .filter((page) => existsSync(join(root, 'docs', `${page}.md`)))
    .map((page) => ({ text: titleOf(page), link: `/${placeOf(`docs/${page}.md`)!.replace(/(index)?\.md$/, '')}` }));
}

function titleOf(page: string): string {
  const heading = /^# (.*)$/m.exec(readFileSync(join(root, 'docs', `${page}.md`), 'utf8'))?.[1] ?? page;
  return heading.replace(/[`*\\]/g, '');
}

function namesIn(folder: string): string[] {
  if (!existsSync(join(root, 'docs', folder))) return [];
  const files = readdirSync(join(root, 'docs', folder)).filter((name) => name.endsWith('.md'));
  return files.map((name) => name.slice(0, -3)).sort();
}

/** The API reference: a page for each entry point that package.json exports. */
function api(): DefaultTheme.SidebarItem[] {
  const names = Object.keys(exports).map((name) => `critiq${name.slice(1)}`);
  return names.flatMap((name) => {
    const page = ['.md', '/README.md'].find((end) => existsSync(join(root, 'docs/api', name + end)));
    return page === undefined ? [] : [{ text: name, link: `/api/${name}${page === '.md' ? '' : '/'}` }];
  });
}

const decisions = namesIn('decisions').filter((name) => name !== 'README');
const [start, ...groups] = GROUPS.map(({ text, pages }) => ({ text, items: entries(pages) }));
const base = process.env.SITE_BASE ?? '/';

export default defineConfig({
  title: 'critiq',
  description,
  base,
  srcDir: '..',
  outDir: '../site',
  cacheDir: '../node_modules/.cache/vitepress',
  srcExclude: [
    '**/.*/**',
    'bench/**',
    'checkpoints/**',
    'data/**',
    'examples/**',
    'pipelines/**',
    'site/**',
    'src/**',
    'test/**',
  ],
  rewrites: (file) => placeOf(file) ?? file,
  markdown: {
    anchor: { slugify: slugOf },
    config: (md) => siteLinks(md, root, published),
  },
  // the index of the local search is one chunk
  vite: { build: { chunkSizeWarningLimit: 4000 } },
  themeConfig: {
    search: {
      provider: 'local',
      options: {
        // of the API reference each name is one entry, and pages come first
        _render: (source, env, md) =>
          md.render(isApi(env.relativePath) ? source.replace(/^#{4,} (.*)$/gm, '**$1**') : source, env),
        miniSearch: { searchOptions: { boostDocument: (id) => (String(id).includes('/api/') ? 0.3 : 1) } },
      },
    },
    outline: [2, 3],
    sidebar: [
      { text: start.text, items: [{ text: 'critiq', link: '/' }, ...start.items] },
      ...groups.filter(({ items }) => items.length > 0),
      {
        text: 'Decisions',
        collapsed: true,
        items: [{ text: 'All decisions', link: '/decisions/' }, ...entries(decisions, 'decisions/')],
      },
      { text: 'API reference', collapsed: true, items: api() },
      { text: 'Project', collapsed: true, items: ['CONTRIBUTING', 'CHANGELOG'].filter(isThere).map(outside) },
    ],
    ...(published === '' ? {} : { socialLinks: [{ icon: 'github', link: published }] }),
  },
  buildEnd: ({ outDir, site }) => checkSite(outDir, site.base),
});

function isApi(page: string): boolean {
  return /(^|\/)api\//.test(page);
}

function isThere(name: string): boolean {
  return existsSync(join(root, `${name}.md`));
}

function outside(name: string): DefaultTheme.SidebarItem {
  return { text: name === 'CHANGELOG' ? 'Changelog' : 'Contributing', link: `/${name}` };
}
