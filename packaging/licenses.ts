import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { UserError } from '../src/errors.js';
import { packageRoot } from '../src/package.js';
import { readLock } from './lock.js';

/** `npm run licenses`: THIRD_PARTY_LICENSES.md, the licences of everything that an installation of critiq consists of. */

export const LICENSES = join(packageRoot(), 'THIRD_PARTY_LICENSES.md');

const TEXTS = /^(licen[cs]e|copying|notice|third-?party-?notices)(\.\w+)?$/i;

interface Package {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  /** where it is installed; undefined for the binaries of one platform, which come with another package */
  readonly folder?: string;
}

/** The page of all licences, from the lock file and the licence files of the installed packages. @throws UserError */
export function licenses(): string {
  const bundled = bundledPackages();
  const installed: Package[] = [];
  const built: Package[] = [];
  for (const [path, entry] of Object.entries(readLock().packages)) {
    const { version = '', license = '', dev, devOptional, optional, os, cpu } = entry;
    const name = path.replace(/.*node_modules\//, '');
    const folder = optional && (os ?? cpu) ? undefined : join(packageRoot(), path);
    const found = { name, version, license, folder };
    if (path === `node_modules/${name}` && bundled.has(name)) built.push(found);
    if (path !== '' && !dev && !devOptional) installed.push(found);
  }
  const texts = new Map<string, string[]>();
  for (const { name, version, folder } of [...installed, ...built]) {
    for (const text of folder === undefined ? [] : licenseTexts(folder)) {
      const packages = texts.get(text) ?? [];
      texts.set(text, packages);
      if (!packages.includes(`${name} ${version}`)) packages.push(`${name} ${version}`);
    }
  }
  return [
    '# Third-party licences',
    '',
    'Made by `npm run licenses` from `package-lock.json`; do not edit.',
    '',
    '## Installed by npm together with critiq',
    '',
    'Packages without their own licence text below are the binaries of one platform, under the licence of the package that',
    'they belong to, or name their licence only in `package.json`.',
    '',
    ...table(installed),
    '',
    "## Part of the viewer's page, in `dist/viewer`",
    '',
    ...table(built),
    '',
    '## Licence texts',
    '',
    ...[...texts].flatMap(([text, packages]) => [`### ${packages.join(', ')}`, '', fence(text), '']),
  ].join('\n');
}

/** The packages that the viewer's page imports; vite puts them into its files. */
function bundledPackages(): Set<string> {
  const page = join(packageRoot(), 'src', 'viewer', 'page');
  const sources = readdirSync(page, { recursive: true, encoding: 'utf8' }).filter((name) => /\.tsx?$/.test(name));
  const imports = sources.flatMap((name) =>
    [...readFileSync(join(page, name), 'utf8').matchAll(/^import [^;]*?'([^.'][^']*)';/gm)].map(([, from]) => from),
  );
  return new Set(imports.map((from) => /^(@[^/]+\/)?[^/]+/.exec(from)![0]));
}

function licenseTexts(folder: string): string[] {
  if (!existsSync(folder)) throw new UserError(`${folder}: not installed; run npm install first`);
  return readdirSync(folder)
    .filter((name) => TEXTS.test(basename(name)))
    .sort()
    .map((name) => readFileSync(join(folder, name), 'utf8').replaceAll('\r\n', '\n').trim());
}

function table(packages: readonly Package[]): string[] {
  const rows = packages.map(({ name, version, license }) => `| ${name} | ${version} | ${license} |`);
  return ['| Package | Version | Licence |', '| --- | --- | --- |', ...new Set(rows)];
}

/** A text as it is, in a fence longer than any in it. */
function fence(text: string): string {
  const ticks = '`'.repeat(Math.max(3, ...[...text.matchAll(/`+/g)].map(([run]) => run.length + 1)));
  return `${ticks}text\n${text}\n${ticks}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(LICENSES, licenses());
