/**
 * The viewer on 2,000 trajectories of 15 steps with screenshots of 1080 × 2400: time to the first view and to the next page,
 * and memory of the server. `npm run bench -- viewer [-- FOLDER]`.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium, type Page } from 'playwright-core';
import { findChromium } from '../src/devices/browser/chromium.js';
import { makeTrajectories } from './make/trajectories.js';

const ROUNDS = 5;
const PAGES = 8;
const PROGRAM = fileURLToPath(new URL('../src/cli/main.js', import.meta.url));

const [named] = process.argv.slice(2);
const scratch = mkdtempSync(join(tmpdir(), 'critiq-viewer-'));
const folder = named ?? join(scratch, 'made');
if (!existsSync(join(folder, 'run.json')))
  await makeTrajectories(folder, { trajectories: 2000, steps: 15, candidates: 16 });
const browser = await chromium.launch({ executablePath: findChromium(''), chromiumSandbox: process.getuid?.() !== 0 });
try {
  const measured: Record<string, number[]> = {};
  const note = (what: string, ms: number): void => void (measured[what] ??= []).push(ms);
  for (let round = 0; round < ROUNDS; round++) await once(round, note);
  const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1];
  for (const [what, values] of Object.entries(measured)) {
    const unit = what.startsWith('memory') ? 'MB' : 'ms';
    const [least, most] = [Math.min(...values), Math.max(...values)];
    console.log(
      `${what}: ${Math.round(median(values))} ${unit} (${Math.round(least)} to ${Math.round(most)}, ${values.length} times)`,
    );
  }
} finally {
  await browser.close();
  rmSync(scratch, { recursive: true, force: true });
}

/** One round with a new server. The first round has no thumbnails yet. */
async function once(round: number, note: (what: string, ms: number) => void): Promise<void> {
  const { child, url } = await viewer();
  // Playwright evaluates code from strings, which the page's content security policy forbids.
  const page = await browser.newPage({ viewport: { width: 1360, height: 900 }, bypassCSP: true });
  try {
    const start = performance.now();
    await page.goto(url);
    await shown(page, '1–50 of');
    note('first view', performance.now() - start);
    await pictured(page);
    note(round === 0 ? 'first view, creating thumbnails' : 'first view with screenshots', performance.now() - start);
    for (let n = 1; n <= PAGES; n++) {
      const clicked = performance.now();
      await page.getByRole('link', { name: 'Next' }).click();
      await shown(page, `${50 * n + 1}–${50 * n + 50} of`);
      note('next page', performance.now() - clicked);
      await pictured(page);
      note(round === 0 ? 'next page, creating thumbnails' : 'next page with screenshots', performance.now() - clicked);
    }
    for (let n = 1; n <= PAGES; n++) {
      const typed = performance.now();
      const before = await page.locator('.trajectory .about code').first().textContent();
      await page.keyboard.press('ArrowDown');
      await page.waitForFunction(
        `document.querySelector('.trajectory .about code')?.textContent !== ${JSON.stringify(before)}`,
      );
      note('next trajectory', performance.now() - typed);
    }
    const looked = performance.now();
    await page.goto(new URL('/values', url).href);
    await page.locator('.worklist tbody tr').first().waitFor();
    note('Values of all 30,000 steps', performance.now() - looked);
    await page.goto(new URL('/actions', url).href);
    await page.locator('table.candidates tbody tr').first().waitFor();
    note('memory of the server, peak', memory(child));
  } finally {
    await page.close();
    child.kill('SIGINT');
  }
}

/** Waits for the list and the first trajectory with its numbers. */
async function shown(page: Page, count: string): Promise<void> {
  await page.waitForFunction(`(() => {
    const [first] = document.querySelectorAll('.list .about');
    const id = document.querySelector('.trajectory .about code')?.textContent;
    return document.querySelector('.count')?.textContent.startsWith(${JSON.stringify(count)}) && first?.textContent.endsWith(id);
  })()`);
}

/** Waits for the visible screenshots. */
async function pictured(page: Page): Promise<void> {
  await page.waitForFunction(`(() => {
    const pictures = [...document.querySelectorAll('.card img')].filter((one) => one.getBoundingClientRect().left < innerWidth);
    return pictures.length > 2 && pictures.every((one) => one.complete && one.naturalWidth > 0);
  })()`);
}

async function viewer(): Promise<{ child: ChildProcess; url: string }> {
  const args = [PROGRAM, 'view', folder, '--no-open', '--port', '0'];
  const env = { ...process.env, XDG_CACHE_HOME: join(scratch, 'cache') };
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
  const url = await new Promise<string>((found, failed) => {
    let said = '';
    child.stderr.on('data', (piece: Buffer) => {
      said += String(piece);
      const [at] = /http:\S+/.exec(said) ?? [];
      if (at) found(at);
    });
    child.on('exit', () => failed(new Error(said)));
  });
  return { child, url };
}

/** Peak resident memory of a process in MB. */
function memory({ pid }: ChildProcess): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/VmHWM:\s*(\d+) kB/.exec(status)?.[1]) / 1000;
}
