import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { packageRoot, readPackage } from '../package.js';

/** Which program runs: versions and commit, for a run's record. */

/** Versions of critiq, Node and every dependency (null: not installed). */
export function versions(): Record<string, string | null> {
  const { version, dependencies = {} } = readPackage(packageRoot());
  return {
    critiq: version,
    node: process.version,
    platform: `${process.platform}-${process.arch}`,
    ...Object.fromEntries(Object.keys(dependencies).map((name) => [name, installedVersion(name)])),
  };
}

/** A dependency may be installed in critiq's own node_modules, or in one above it, beside critiq. */
function installedVersion(name: string): string | null {
  for (let folder = packageRoot(); ; folder = dirname(folder)) {
    const place = join(folder, 'node_modules', name);
    if (existsSync(join(place, 'package.json'))) return readPackage(place).version;
    if (dirname(folder) === folder) return null;
  }
}

let commit: string | null | undefined;

/**
 * The commit of this program, with `-dirty` if files differ from it; null outside a checkout or without git. It is asked
 * once, early: the program does not change while it runs.
 */
export function gitCommit(): string | null {
  return (commit ??= askGit());
}

function askGit(): string | null {
  const root = packageRoot();
  if (!existsSync(join(root, '.git'))) return null;
  try {
    const args = ['-C', root, 'describe', '--always', '--dirty', '--abbrev=40', '--exclude', '*'];
    return execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return null;
  }
}
