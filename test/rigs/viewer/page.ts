/** What the tests of the viewer's page share: opening it in Chromium, and reading it. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { findChromium } from '../../../src/devices/browser/chromium.js';
import { viewing } from './rig.js';

export function hasChromium(): boolean {
  try {
    return findChromium('') !== '';
  } catch {
    return false;
  }
}

type Open = (
  t: TestContext,
  data: string,
  run: string,
  path: string,
  size?: { width: number; height: number },
) => Promise<Page>;

/** Opens pages in a browser. */
export function opener(browser: Browser): Open {
  return (...args) => open(browser, ...args);
}

/** Opens a page on its own viewer. The page must make no errors and no requests to other servers. */
async function open(
  browser: Browser,
  t: TestContext,
  data: string,
  run: string,
  path: string,
  size = { width: 1280, height: 900 },
): Promise<Page> {
  const page = await browser.newPage({ viewport: size });
  // before the viewer closes: the page keeps asking it
  t.after(() => page.close());
  const { url } = await viewing(t, data, run);
  const faults: string[] = [];
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('console', (message) => {
    // the browser reports a missing screenshot too
    if (message.type() === 'error' && !/404 \(Not Found\)/.test(message.text())) faults.push(message.text());
  });
  page.on('request', (request) => {
    if (new URL(request.url()).origin !== new URL(url).origin) faults.push(`asked ${request.url()}`);
  });
  t.after(() => assert.deepEqual(faults, []));
  await page.goto(new URL(path, url).href);
  return page;
}

export const texts = (page: Page, selector: string): Promise<string[]> => page.locator(selector).allTextContents();
export const values = (page: Page, selector: string): Promise<(number | null)[]> =>
  page.locator(`${selector} data.value`).evaluateAll((all) =>
    all.map((one) => {
      const { value } = one as unknown as { value: string };
      return value === '' ? null : Number(value);
    }),
  );
