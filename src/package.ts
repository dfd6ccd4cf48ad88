import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What critiq knows of its own package: its folder, its version, and where its documents are. */

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

/** Where critiq is developed, for a browser. */
export function repositoryUrl(): string {
  const { repository } = readPackage(packageRoot());
  return repository!.url.replace(/^git\+/, '').replace(/\.git$/, '');
}

/** A path of the repository that a message names, such as docs/vlm.md. */
const PAGE = /(?<![\w./-])(?:docs|examples|configs)\/[\w/-]+(?:\.\w+)+/g;

/**
 * A message with the documents that it names where the reader finds them: in critiq's own folder their paths as they are,
 * anywhere else their addresses in the repository. Sources name them by their paths: `see docs/vlm.md`.
 */
export function withPages(message: string): string {
  if (!/\b(docs|examples|configs)\//.test(message)) return message;
  const root = packageRoot();
  return message.replace(PAGE, (path) => {
    const ours = join(root, path);
    return resolve(path) !== ours && existsSync(ours) ? `${repositoryUrl()}/blob/main/${path}` : path;
  });
}
