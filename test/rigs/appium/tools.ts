import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The project's folder, from dist/test/rig. */
export const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));

/** Where `make test-appium` puts Appium, its driver and Selenium: a folder that git does not know, away from the project's. */
export const HOME = join(ROOT, '.rig');

/** What the rig drives, by their paths. */
export interface Tools {
  readonly appium: string;
  /** folder that Appium takes for the Android SDK: it has platform-tools/adb */
  readonly sdk: string;
  readonly adb: string;
  readonly java: string;
  /** the jar of Selenium Grid 3 */
  readonly selenium: string;
}

/** A program of the PATH, with all links followed. */
export function programOf(name: string): string | undefined {
  try {
    return realpathSync(execFileSync('/bin/sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim());
  } catch {
    return undefined;
  }
}

/** The tools that are installed. @throws Error that names what is missing */
export function findTools(): Tools {
  const modules = join(HOME, 'node_modules');
  const appium = join(modules, 'appium', 'index.js');
  const adb = programOf('adb');
  const java = programOf('java');
  const folder = join(modules, 'selenium-server');
  const missing = [
    existsSync(appium) && existsSync(join(modules, 'appium-uiautomator2-driver', 'package.json')) ? '' : 'Appium',
    // an SDK's adb lies in its platform-tools
    adb && dirname(adb).endsWith('platform-tools') ? '' : 'adb',
    java ? '' : 'java',
    existsSync(folder) ? '' : 'Selenium',
  ].filter((name) => name !== '');
  if (missing.length > 0) throw new Error(`${missing.join(', ')} not installed`);
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string };
  const selenium = join(folder, 'lib', 'runner', `selenium-server-standalone-${version}.jar`);
  return { appium, adb: adb!, sdk: dirname(dirname(adb!)), java: java!, selenium };
}
