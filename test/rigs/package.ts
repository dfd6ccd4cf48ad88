/** critiq as users get it: packed from a clean copy of this tree and installed into an empty folder. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Lock, LockedError } from '../../src/data/store/lock.js';
import { packageRoot } from '../../src/package.js';
import type { Ended } from './process.js';
import { TINY_DEMO, TINY_TASKS } from './tiny-settings.js';

export interface Installed {
  /** an npm project with critiq as its only dependency; tests may make their own folders in it */
  readonly folder: string;
  /** the program `critiq` */
  readonly bin: string;
  /** the package as `npm pack` made it */
  readonly tarball: string;
}

/** The sources of the package. */
const SOURCES = [
  ...['package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.package.json'],
  ...['README.md', 'LICENSE', 'CHANGELOG.md', 'THIRD_PARTY_LICENSES.md'],
  ...['src', 'pipelines', 'packaging', 'configs', 'docs', 'examples'],
];

/** npm cannot reach its registry, and its cache lacks a package. */
export class NoRegistry extends Error {}

/** A finished `critiq demo` of the installed program, with the settings TINY_DEMO. */
export interface Demonstrated extends Installed {
  /** a folder in the project, with tasks.jsonl and data/pocket */
  readonly cwd: string;
  /** what the demo said */
  readonly log: string;
}

let once: Promise<Installed> | undefined;
let demoOnce: Promise<Demonstrated> | undefined;

/**
 * Packs and installs critiq once for all test processes. The folder stays in the system's temporary folder until the package's
 * sources change.
 * @throws NoRegistry
 */
export function installed(): Promise<Installed> {
  return (once ??= install());
}

/** Installs critiq and runs its demo, both once for all test processes; tests read what it made and do not change it. */
export function demonstrated(): Promise<Demonstrated> {
  return (demoOnce ??= demonstrate());
}

/** Runs the installed program, or another one. */
export async function run(
  bin: string,
  args: readonly string[],
  cwd: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<Ended> {
  return new Promise((resolve) => {
    const child = execFile(bin, args, { cwd, env }, (_, stdout, stderr) =>
      resolve({ code: child.exitCode, killed: child.signalCode, stdout, stderr }),
    );
  });
}

/** A test with critiq installed. Without a registry it is skipped, unless CRITIQ_NO_SKIP=1. */
export function packageTest(name: string, body: (installed: Installed, t: TestContext) => Promise<void>): void {
  test(name, { timeout: 600_000 }, async (t) => {
    let there: Installed;
    try {
      there = await installed();
    } catch (error) {
      if (!(error instanceof NoRegistry) || process.env.CRITIQ_NO_SKIP === '1') throw error;
      t.skip(`NO NPM REGISTRY, PACKAGE NOT TESTED: ${error.message}`);
      return;
    }
    await body(there, t);
  });
}

/** Variables of the environment by which npm reaches its registry. */
const REACH = /^npm_config_(registry|cache|userconfig|globalconfig|(https?_|no)?proxy|cafile|strict_ssl)$/i;

/** Runs npm without the other settings of an outer npm. @throws NoRegistry; Error with npm's message */
export async function npm(args: readonly string[], cwd: string): Promise<string> {
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([key]) => REACH.test(key) || !/^npm_|^onnxruntime_node_install/i.test(key)),
  );
  const plain = ['--no-audit', '--no-fund', '--prefer-offline', '--loglevel=error'];
  const { error, stdout, stderr } = await new Promise<{ error: Error | null; stdout: string; stderr: string }>(
    (resolve) => {
      execFile('npm', [...args, ...plain], { cwd, env }, (error, stdout, stderr) => resolve({ error, stdout, stderr }));
    },
  );
  if (error === null) return stdout;
  if (/code (ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH|ENOTCACHED)/.test(stderr))
    throw new NoRegistry(stderr.trim());
  throw new Error(`npm ${args.join(' ')}: ${stderr}`);
}

async function install(): Promise<Installed> {
  const key = digest();
  const user = process.getuid?.() ?? 0;
  const home = join(tmpdir(), `critiq-package-${user}-${hash(packageRoot()).slice(0, 8)}`);
  const there = join(home, 'there');
  const folder = join(home, 'project');
  const lock = await acquired(`${home}.lock`);
  try {
    if (!existsSync(there) || readFileSync(there, 'utf8') !== key) {
      rmSync(home, { recursive: true, force: true });
      mkdirSync(folder, { recursive: true });
      const tarball = await pack(home);
      writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }\n');
      await npm(['install', tarball], folder);
      writeFileSync(there, key);
    }
  } finally {
    lock.release();
  }
  const tarball = join(
    home,
    readdirSync(home).find((name) => name.endsWith('.tgz'))!,
  );
  return { folder, tarball, bin: join(folder, 'node_modules', '.bin', 'critiq') };
}

async function demonstrate(): Promise<Demonstrated> {
  const there = await installed();
  const cwd = join(there.folder, 'demo');
  const log = join(there.folder, 'demo.log');
  const lock = await acquired(join(there.folder, 'demo.lock'));
  try {
    if (!existsSync(log)) {
      mkdirSync(cwd, { recursive: true });
      writeFileSync(join(cwd, 'tasks.jsonl'), TINY_TASKS);
      const { code, stderr } = await run(there.bin, ['demo', ...TINY_DEMO], cwd);
      if (code !== 0) throw new Error(`critiq demo: exit code ${code}: ${stderr}`);
      writeFileSync(log, stderr);
    }
  } finally {
    lock.release();
  }
  return { ...there, cwd, log: readFileSync(log, 'utf8') };
}

/** Packs a copy of the sources, so that stray files of this tree stay out of the package and its build is not touched. */
async function pack(home: string): Promise<string> {
  const copy = join(home, 'copy');
  for (const name of SOURCES) cpSync(join(packageRoot(), name), join(copy, name), { recursive: true });
  symlinkSync(join(packageRoot(), 'node_modules'), join(copy, 'node_modules'));
  await npm(['pack', '--pack-destination', home], copy);
  rmSync(copy, { recursive: true });
  return join(
    home,
    readdirSync(home).find((name) => name.endsWith('.tgz'))!,
  );
}

async function acquired(file: string): Promise<Lock> {
  for (;;) {
    try {
      return Lock.acquire(file);
    } catch (error) {
      if (!(error instanceof LockedError)) throw error;
      await sleep(200);
    }
  }
}

/** A digest of all source files. */
function digest(): string {
  const sum = createHash('sha1');
  const add = (path: string): void => {
    sum.update(path).update(readFileSync(join(packageRoot(), path)));
  };
  for (const name of SOURCES) {
    if (/\.\w+$|^LICENSE$/.test(name)) add(name);
    else
      for (const entry of readdirSync(join(packageRoot(), name), { recursive: true, withFileTypes: true }))
        if (entry.isFile()) add(join(entry.parentPath, entry.name).slice(packageRoot().length + 1));
  }
  return sum.digest('hex');
}

function hash(text: string): string {
  return createHash('sha1').update(text).digest('hex');
}
