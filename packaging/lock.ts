import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { packageRoot } from '../src/package.js';

/**
 * `npm run lock`, after every change of the dependencies: takes the mark `hasInstallScript` off the packages of
 * package-lock.json, so that npm runs none of their scripts in a clone. No dependency needs its script, and that of
 * onnxruntime-node downloads CUDA libraries (docs/decisions/0005-npm-install.md).
 */

export interface LockedPackage {
  readonly version?: string;
  readonly license?: string;
  readonly dev?: boolean;
  readonly devOptional?: boolean;
  readonly optional?: boolean;
  readonly os?: readonly string[];
  readonly cpu?: readonly string[];
  hasInstallScript?: boolean;
}

export interface LockFile {
  /** by folder: '' is critiq itself, node_modules/NAME, node_modules/NAME/node_modules/OTHER */
  readonly packages: Readonly<Record<string, LockedPackage>>;
}

export const LOCK = join(packageRoot(), 'package-lock.json');

export function readLock(): LockFile {
  return JSON.parse(readFileSync(LOCK, 'utf8')) as LockFile;
}

/** The locked packages whose script npm would run. */
export function withScripts({ packages }: LockFile): string[] {
  return Object.keys(packages).filter((folder) => folder !== '' && packages[folder].hasInstallScript);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const lock = readLock();
  for (const folder of withScripts(lock)) delete lock.packages[folder].hasInstallScript;
  writeFileSync(LOCK, `${JSON.stringify(lock, null, 2)}\n`);
}
