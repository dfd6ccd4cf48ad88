import { accessSync, closeSync, constants, existsSync, openSync, readSync, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { UserError } from '../../errors.js';

/** Names on the PATH, the fastest first: the headless shell draws no browser window around its pages. */
const NAMES = ['chromium-headless-shell', 'chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/** The binaries behind Debian's and Google's commands, which are scripts that start the binary as a child and may outlive it. */
const BINARIES: Readonly<Record<string, string>> = {
  'chromium-headless-shell': '/usr/lib/chromium/chromium-headless-shell',
  chromium: '/usr/lib/chromium/chromium',
  'google-chrome': '/opt/google/chrome/chrome',
  'google-chrome-stable': '/opt/google/chrome/chrome',
};

const HOW =
  'install one (Debian: apt install chromium-headless-shell, or chromium) or set device.browser.path to its binary';

/**
 * Finds Chromium's binary on this machine.
 * @param path from the settings; empty: $CHROMIUM, else an installed one
 * @throws UserError that says how to install one
 */
export function findChromium(path: string, environment: NodeJS.ProcessEnv = process.env): string {
  if (path !== '') return usable(path, `device.browser.path=${path}`);
  if (environment.CHROMIUM) return usable(environment.CHROMIUM, `CHROMIUM=${environment.CHROMIUM}`);
  for (const name of NAMES) {
    for (const folder of (environment.PATH ?? '').split(delimiter)) {
      const command = join(folder, name);
      if (folder === '' || !isProgram(command)) continue;
      return isScript(command) && isProgram(BINARIES[name] ?? '') ? BINARIES[name] : command;
    }
  }
  throw new UserError(`device.backend=browser: found no Chromium (${NAMES.join(', ')}); ${HOW}`);
}

function usable(path: string, what: string): string {
  if (isProgram(path)) return path;
  throw new UserError(`${what}: ${existsSync(path) ? 'not an executable file' : 'no such file'}; ${HOW}`);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function isScript(path: string): boolean {
  const start = Buffer.alloc(2);
  const file = openSync(path, 'r');
  try {
    readSync(file, start, 0, 2, 0);
  } finally {
    closeSync(file);
  }
  return start.toString('latin1') === '#!';
}
