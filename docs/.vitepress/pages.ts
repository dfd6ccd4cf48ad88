/** Which files of the repository are pages of the site, where they are on it, and in which group of its sidebar. */

/** Pages of `docs/` by group, without their ending, in the order in which they are read. Titles are the pages' own. */
export const GROUPS: readonly { readonly text: string; readonly pages: readonly string[] }[] = [
  { text: 'Start here', pages: ['README', 'tutorial', 'viewer'] },
  { text: 'Concepts', pages: ['concepts', 'action-format', 'phone', 'judges'] },
  { text: 'Algorithms', pages: ['algorithms', 'oracle', 'study-digiq', 'vem', 'online', 'study-online'] },
  {
    text: 'Real models and devices',
    pages: ['checkpoints', 'vlm', 'served-agents', 'gpu', 'devices', 'browser', 'webdriver', 'appium-rig'],
  },
  { text: 'Data', pages: ['data', 'reading-data', 'importing', 'labels', 'recordings'] },
  { text: 'Extending', pages: ['extending'] },
  { text: 'Operations', pages: ['settings', 'many-runs', 'batch-jobs', 'trust', 'tracking', 'secrets', 'benchmarks'] },
];

/** Pages that are not below `docs/`, on the site under their own names. */
const OUTSIDE = ['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md'];

/** Where a Markdown file is on the site (`docs/decisions/README.md` -> `decisions/index.md`); undefined: it is no page. */
export function placeOf(file: string): string | undefined {
  // the landing page is the repository's README
  if (file === 'docs/README.md') return 'contents.md';
  if (!OUTSIDE.includes(file) && !file.startsWith('docs/')) return undefined;
  return file.replace(/^docs\//, '').replace(/(^|\/)README\.md$/, '$1index.md');
}

/** The anchor of a heading, as GitHub makes it. */
export function slugOf(text: string): string {
  return text
    .trim()
    .toLowerCase()
    .replace(/[^\p{Letter}\p{Mark}\p{Number}\p{Connector_Punctuation} -]/gu, '')
    .replace(/ /g, '-');
}
