/** The API reference in Markdown, of whatever package.json exports, into docs/api (git-ignored). */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../..');
const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const entryPoints = Object.values(exports)
  .map((target) => (typeof target === 'string' ? target : target.default))
  .filter((target) => target.startsWith('./dist/') && target.endsWith('.js'))
  .map((target) => join(root, target.replace('./dist/', '').replace(/\.js$/, '.ts')));

export default {
  plugin: ['typedoc-plugin-markdown'],
  tsconfig: join(root, 'tsconfig.json'),
  entryPoints,
  out: join(root, 'docs/api'),
  readme: 'none',
  name: 'API reference',
  outputFileStrategy: 'modules',
  // headings' own anchors differ where two names differ only in dots and case
  useHTMLAnchors: true,
  hideBreadcrumbs: true,
  hidePageHeader: true,
  parametersFormat: 'table',
  interfacePropertiesFormat: 'table',
  typeAliasPropertiesFormat: 'table',
  // zod's z is documented by zod
  excludeExternals: true,
  excludePrivate: true,
  excludeInternal: true,
  disableSources: true,
  validation: { notExported: false },
  // tsc has looked
  skipErrorChecking: true,
};
