import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { UserError } from '../errors.js';
import { packageRoot } from '../package.js';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** A file of the built page. */
export interface PageFile {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly type: string;
}

/** The files of the built page by URL path; `/` is the page itself. They are few and small, so they stay in memory. */
export function pageFiles(folder = join(packageRoot(), 'dist', 'viewer')): ReadonlyMap<string, PageFile> {
  const index = join(folder, 'index.html');
  if (!existsSync(index))
    throw new UserError(`${index}: the viewer's page is not built; run \`npm run build\` (or make setup)`);
  const files = new Map<string, PageFile>();
  const add = (below: string): void => {
    for (const entry of readdirSync(join(folder, below), { withFileTypes: true })) {
      const name = `${below}/${entry.name}`;
      const type = TYPES[extname(entry.name)];
      if (entry.isDirectory()) add(name);
      else if (type) files.set(name, { bytes: new Uint8Array(readFileSync(join(folder, name))), type });
    }
  };
  add('');
  files.set('/', files.get('/index.html')!);
  return files;
}
