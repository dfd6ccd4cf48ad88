import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface PackageJson {
  readonly version: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly repository?: { readonly url: string };
}

/** The folder of critiq's package.json, above this file; the same in a checkout and in an installed package. */
export function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder);
    if (parent === folder) throw new Error('critiq: no package.json above its own code');
    folder = parent;
  }
  return folder;
}

/** The package.json in a folder. */
export function readPackage(folder: string): PackageJson {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as PackageJson;
}

/** critiq's own version. */
export function packageVersion(): string {
  return readPackage(packageRoot()).version;
}

/** URL of the repository, for a browser. */
export function repositoryUrl(): string {
  const { repository } = readPackage(packageRoot());
  return repository!.url.replace(/^git\+/, '').replace(/\.git$/, '');
}

/** A path of the repository that a message names, such as docs/vlm.md. */
const PAGE = /(?<![\w./-])(?:docs|examples|configs)\/[\w/-]+(?:\.\w+)+/g;

/**
 * A message whose documents the reader can open: in critiq's own folder it keeps their paths, such as `docs/vlm.md`; anywhere
 * else it replaces them by their addresses in the repository.
 */
export function withPages(message: string): string {
  if (!/\b(docs|examples|configs)\//.test(message)) return message;
  const root = packageRoot();
  return message.replace(PAGE, (path) => {
    const ours = join(root, path);
    return resolve(path) !== ours && existsSync(ours) ? `${repositoryUrl()}/blob/main/${path}` : path;
  });
}
