import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The project's folder, from dist/test/rigs/appium. */
export const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));

/** The folder of the package.json and package-lock.json with the versions of Appium, its driver and Selenium. */
export const PACKAGE = join(ROOT, 'test', 'rigs', 'appium');

/** Where `make test-appium` installs Appium, its driver and Selenium: ignored by git, apart from the project's packages. */
export const HOME = join(ROOT, '.rig');

/** Paths of the programs that the rig needs. */
export interface Tools {
  readonly appium: string;
  /** the folder that Appium uses as the Android SDK; it contains platform-tools/adb */
  readonly sdk: string;
  readonly adb: string;
  readonly java: string;
  /** the jar of Selenium Grid 3 */
  readonly selenium: string;
}

/** The real path of a program on the PATH; undefined if there is none. */
export function programOf(name: string): string | undefined {
  try {
    return realpathSync(execFileSync('/bin/sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim());
  } catch {
    return undefined;
  }
}

/** Finds the installed tools. @throws Error that names what is missing */
export function findTools(): Tools {
  const modules = join(HOME, 'node_modules');
  const appium = join(modules, 'appium', 'index.js');
  const adb = programOf('adb');
  const java = programOf('java');
  const folder = join(modules, 'selenium-server');
  const missing = [
    existsSync(appium) && existsSync(join(modules, 'appium-uiautomator2-driver', 'package.json')) ? '' : 'Appium',
    // Appium needs an adb in a folder called platform-tools, as in an SDK
    adb && dirname(adb).endsWith('platform-tools') ? '' : 'adb',
    java ? '' : 'java',
    existsSync(folder) ? '' : 'Selenium',
  ].filter((name) => name !== '');
  if (missing.length > 0) throw new Error(`${missing.join(', ')} not installed`);
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string };
  const selenium = join(folder, 'lib', 'runner', `selenium-server-standalone-${version}.jar`);
  return { appium, adb: adb!, sdk: dirname(dirname(adb!)), java: java!, selenium };
}
