import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Action } from '../../../src/data/action.js';
import type { BrowserHook } from '../../../src/devices/browser/hook.js';
import { BrowserProcess } from '../../../src/devices/browser/process.js';
import { BrowserSettings } from '../../../src/devices/browser/settings.js';
import { BrowserDevice } from '../../../src/devices/browser/browser.js';
import { findChromium } from '../../../src/devices/browser/chromium.js';
import type { Task } from '../../../src/data/task.js';

/** The folder of the example web tasks. */
export const WEB = fileURLToPath(new URL('../../../../examples/web/', import.meta.url));

/** A deadline for calls that should succeed even on a busy machine. */
export const PATIENT = { deadlineMs: 30_000 };

/** Why the tests that need a Chromium are skipped; false if there is one, or if no test may be skipped. */
function missing(): string | false {
  try {
    findChromium('');
    return false;
  } catch (error) {
    if (process.env.CRITIQ_NO_SKIP === '1') return false;
    const reason = `NO CHROMIUM, NOT TESTED: ${(error as Error).message}; make test-browser installs one`;
    console.error(`\n*** ${reason} ***\n`);
    return reason;
  }
}

const skip = missing();

/** A test that needs a Chromium. */
export function browserTest(name: string, body: (t: TestContext) => Promise<void>): void {
  test(name, { skip, timeout: 120_000 }, body);
}

/** A folder of pages (or other files) by name, removed after the tests. */
export function folderOf(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'critiq-web-'));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A page for phones with this body. */
export function page(body: string): string {
  return `<!doctype html><meta name="viewport" content="width=device-width"><style>body{margin:0}button,a{display:block;width:412px;height:100px}</style>${body}`;
}

/** A device with its own browser, closed after the test. */
export function openDevice(
  t: TestContext,
  settings: Partial<BrowserSettings> = {},
  hook?: BrowserHook,
): { device: BrowserDevice; browser: BrowserProcess } {
  const all = BrowserSettings.parse(settings);
  const browser = new BrowserProcess(all);
  const device = new BrowserDevice('browser-0', browser, all, hook);
  t.after(() => device.close());
  return { device, browser };
}

/** A task that starts at a URL. */
export function taskAt(url: string): Task {
  return { id: 'task', text: 'do it', family: 'web', goal: { url } };
}

/** A tap at CSS pixels of the screen of 412 × 915. */
export function tapAt(x: number, y: number): Action {
  const point = [(y + 0.5) / 915, (x + 0.5) / 412] as const;
  return { type: 'DUAL_POINT', touch: point, lift: point };
}

/** A swipe up that scrolls by 534 CSS pixels: 549 less the 15 by which Chromium tells a swipe from a tap. */
export const SWIPE_UP: Action = { type: 'DUAL_POINT', touch: [0.8, 0.5], lift: [0.2, 0.5] };
export const SWIPED = 534;

/** Whether a process with this id exists. */
export function runs(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Polls until a condition holds. @throws after `ms` */
export async function until(what: string, so: () => boolean | Promise<boolean>, ms = 15_000): Promise<void> {
  for (const end = performance.now() + ms; !(await so());) {
    if (performance.now() > end) throw new Error(`not reached within ${ms} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
