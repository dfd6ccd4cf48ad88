import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

interface PackageJson {
  readonly version: string;
  readonly dependencies?: Readonly<Record<string, string>>;
}

/** The folder of critiq's package.json, the same way in a checkout and installed. */
export function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder);
    if (parent === folder) throw new Error('critiq: no package.json above its own code');
    folder = parent;
  }
  return folder;
}

/** critiq's own version. */
export function packageVersion(): string {
  return readPackage(packageRoot()).version;
}

/** Versions of critiq, Node and every package it depends on (null: not installed). */
export function versions(): Record<string, string | null> {
  const root = packageRoot();
  const { version, dependencies = {} } = readPackage(root);
  const installed = Object.keys(dependencies).map((name) => {
    const folder = join(root, 'node_modules', name);
    return [name, existsSync(folder) ? readPackage(folder).version : null];
  });
  return {
    critiq: version,
    node: process.version,
    platform: `${process.platform}-${process.arch}`,
    ...Object.fromEntries(installed),
  };
}

/** The current commit, with `-dirty` if files differ from it; null outside a checkout or without git. */
export function gitCommit(): string | null {
  const root = packageRoot();
  if (!existsSync(join(root, '.git'))) return null;
  try {
    const args = ['-C', root, 'describe', '--always', '--dirty', '--abbrev=40', '--exclude', '*'];
    return execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return null;
  }
}

function readPackage(folder: string): PackageJson {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as PackageJson;
}
