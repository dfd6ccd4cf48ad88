/**
 * Installs what the rig needs: adb and, if missing, Java from Debian; Appium, its UiAutomator2 driver and Selenium from npm,
 * in the versions of test/rigs/appium/package-lock.json, into .rig. Does nothing if everything is installed.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { findTools, HOME, PACKAGE, programOf, ROOT } from './tools.js';

const run = (program: string, args: readonly string[], cwd = ROOT): boolean =>
  spawnSync(program, args, { cwd, stdio: ['ignore', 'ignore', 'inherit'] }).status === 0;

const apt = (...command: string[]): boolean => {
  const [program, ...args] = [...(process.getuid?.() === 0 ? [] : ['sudo', '-n']), 'apt-get', '-qq', ...command];
  return run(program, args);
};

const packages = [...(programOf('adb') ? [] : ['adb']), ...(programOf('java') ? [] : ['default-jre-headless'])];
if (packages.length > 0) {
  apt('update');
  apt('install', '-y', '--no-install-recommends', ...packages);
}

const same = (name: string): boolean =>
  existsSync(join(HOME, name)) && readFileSync(join(HOME, name), 'utf8') === readFileSync(join(PACKAGE, name), 'utf8');
// npm writes this file last
const installed = existsSync(join(HOME, 'node_modules', '.package-lock.json'));
if (!installed || !same('package.json') || !same('package-lock.json')) {
  mkdirSync(HOME, { recursive: true });
  for (const name of ['package.json', 'package-lock.json']) copyFileSync(join(PACKAGE, name), join(HOME, name));
  run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], HOME);
}

try {
  const { appium, adb, java } = findTools();
  console.log(`Appium: ${appium}\nadb: ${adb}\njava: ${java}`);
} catch (error) {
  console.error(`test-appium: ${(error as Error).message}, and apt-get or npm could not install it`);
  process.exit(1);
}
