/** If this machine has no Chromium, installs Debian's chromium-headless-shell, or chromium if that package does not exist. */
import { spawnSync } from 'node:child_process';
import { findChromium } from '../../../src/devices/browser/chromium.js';

const found = (): string | undefined => {
  try {
    return findChromium('');
  } catch {
    return undefined;
  }
};

const apt = (...command: string[]): boolean => {
  const sudo = process.getuid?.() === 0 ? [] : ['sudo', '-n'];
  const [program, ...rest] = [...sudo, 'apt-get', '-qq', ...command];
  return spawnSync(program, rest, { stdio: ['ignore', 'ignore', 'inherit'] }).status === 0;
};

if (!found()) {
  apt('update');
  for (const name of ['chromium-headless-shell', 'chromium']) {
    if (apt('install', '-y', '--no-install-recommends', name) && found()) break;
  }
}
const chromium = found();
if (!chromium) {
  console.error('test-browser: no Chromium, and apt-get could not install one; set CHROMIUM to its binary');
  process.exit(1);
}
console.log(`Chromium: ${chromium}`);
