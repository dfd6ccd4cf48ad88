/** A folder that looks like a built clone to the docs' commands: files that may change are copied, large ones are linked. */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { packageRoot } from '../../../src/package.js';

const WRAPPER = pathToFileURL(fileURLToPath(new URL('./critiq.js', import.meta.url))).href;

export interface DocFolder {
  /** the clone, where commands start */
  readonly clone: string;
  readonly home: string;
  readonly environment: NodeJS.ProcessEnv;
}

/** Entries that are copied, since commands may write there; all other top-level entries are links. */
const COPIED = ['configs', 'docs', 'examples', 'package.json', 'package-lock.json', 'Makefile', '.npmrc', '.gitignore'];
const LEFT_OUT = ['.git', 'data', 'checkpoints', 'dist', 'node_modules', 'site', '.rig'];

/** Makes the folder below a new temporary folder; the caller removes `parent`. */
export function docFolder(): DocFolder & { readonly parent: string } {
  const root = packageRoot();
  const parent = mkdtempSync(join(tmpdir(), 'critiq-docs-'));
  const [clone, home, bin] = ['critiq', 'home', 'bin'].map((name) => join(parent, name));
  for (const folder of [clone, home, bin, join(parent, 'tmp')]) mkdirSync(folder);
  for (const name of readdirSync(root)) {
    if (LEFT_OUT.includes(name)) continue;
    if (COPIED.includes(name)) cpSync(join(root, name), join(clone, name), { recursive: true });
    else symlinkSync(join(root, name), join(clone, name));
  }
  for (const name of ['data', 'checkpoints']) mkdirSync(join(clone, name));
  linkedFolder(join(root, 'node_modules'), join(clone, 'node_modules'), ['.stamp']);
  linkedFolder(join(root, 'dist'), join(clone, 'dist'), ['src', '.stamp', '.page-stamp']);
  linkedFolder(join(root, 'dist/src'), join(clone, 'dist/src'), ['cli']);
  linkedFolder(join(root, 'dist/src/cli'), join(clone, 'dist/src/cli'), ['main.js']);
  writeFileSync(join(clone, 'dist/src/cli/main.js'), `await import(${JSON.stringify(WRAPPER)});\n`);
  // newer than every source, so that make does not rebuild
  const now = Date.now() / 1000;
  for (const stamp of ['node_modules/.stamp', 'dist/.stamp', 'dist/.page-stamp']) {
    writeFileSync(join(clone, stamp), '');
    utimesSync(join(clone, stamp), now, now);
  }
  const command = `#!/bin/sh\nexec '${process.execPath}' '${join(clone, 'dist/src/cli/main.js')}' "$@"\n`;
  writeFileSync(join(bin, 'critiq'), command, { mode: 0o755 });
  const path = [bin, dirname(process.execPath), process.env.PATH ?? ''].join(delimiter);
  const environment: NodeJS.ProcessEnv = { PATH: path, HOME: home, TMPDIR: join(parent, 'tmp'), LANG: 'C.UTF-8' };
  for (const name of ['CHROMIUM', 'LD_LIBRARY_PATH']) if (process.env[name]) environment[name] = process.env[name];
  return { parent, clone, home, environment };
}

/** Makes a folder of links to the entries of another, except for some names. */
function linkedFolder(from: string, to: string, without: readonly string[]): void {
  mkdirSync(to);
  for (const name of readdirSync(from)) if (!without.includes(name)) symlinkSync(join(from, name), join(to, name));
}
