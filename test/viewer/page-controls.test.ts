/** Controls of the viewer's page in a real Chromium: choosing and playing trajectories, colours, and narrow pages. */
import assert from 'node:assert/strict';
import { after } from 'node:test';
import { chromium } from 'playwright-core';
import { findChromium } from '../../src/devices/browser/chromium.js';
import { browserTest } from '../rigs/browser/rig.js';
import { hasChromium, opener, texts } from '../rigs/viewer/page.js';
import { viewedRun } from '../rigs/viewer/rig.js';

async function opened() {
  const browser = await chromium.launch({
    executablePath: findChromium(''),
    chromiumSandbox: process.getuid?.() !== 0,
  });
  after(() => browser.close());
  return { open: opener(browser), run: await viewedRun({ after }) };
}

const { open, run } = hasChromium() ? await opened() : ({} as Awaited<ReturnType<typeof opened>>);
const ids = run ? [...new Set(run.transitions.map(({ trajectory }) => trajectory))] : [];
const stepsOf = (id: string) => run.transitions.filter(({ trajectory }) => trajectory === id).length;

browserTest(
  'Actions: a picker and the arrow keys choose trajectory and step, also after a choice by mouse',
  async (t) => {
    const page = await open(t, run.data, 'seen', '/actions?in=trajectories');
    const shows = (id: string, step: number) =>
      Promise.all([
        page.locator('.about code', { hasText: id }).first().waitFor(),
        page.locator('nav b', { hasText: `step ${step + 1} of ${stepsOf(id)}` }).waitFor(),
      ]);
    await shows(ids[0], 0);
    await page.keyboard.press('ArrowRight');
    await shows(ids[0], 1);
    await page.locator('.steps a[aria-current=step]', { hasText: '2' }).waitFor();
    await page.keyboard.press('ArrowDown');
    await shows(ids[1], 0);
    await page.keyboard.press('End');
    await shows(ids[1], stepsOf(ids[1]) - 1);
    await page.keyboard.press('ArrowUp');
    await shows(ids[0], 0);
    await page.getByRole('combobox', { name: 'Trajectory' }).selectOption({ index: 3 });
    await shows(ids[3], 0);
    await page.locator('.steps a').nth(2).click();
    await shows(ids[3], 2);
    assert.match(page.url(), new RegExp(`in=trajectories.*id=${ids[3]}.*step=2|id=${ids[3]}.*step=2.*in=trajectories`));
    await page.getByRole('button', { name: 'Next trajectory' }).click();
    await shows(ids[4], 0);
    // a select that was clicked does not keep the keys
    const select = page.getByRole('combobox', { name: 'Trajectory' });
    await select.click();
    await page.keyboard.press('Escape');
    await page.evaluate(`{
      const select = document.querySelector('select[aria-label=Trajectory]');
      document.dispatchEvent(new Event('pointerdown'));
      select.value = '1';
      select.dispatchEvent(new Event('change', { bubbles: true }));
    }`);
    await shows(ids[1], 0);
    await page.keyboard.press('ArrowRight');
    await shows(ids[1], 1);
  },
);

browserTest('the list opens on the page of the chosen trajectory, and the keys go on across pages', async (t) => {
  const page = await open(t, run.data, 'seen', `/?in=eval/digiq-test&set=eval/digiq-test&id=${ids[4]}`);
  await page.locator('.list a[aria-current]', { hasText: ids[4] }).waitFor();
  await page.keyboard.press('ArrowDown');
  await page.locator('.list a[aria-current]', { hasText: ids[5] }).waitFor();
  const api = async (query: string) =>
    page.evaluate(
      async (path) => (await fetch(path)).json() as Promise<unknown>,
      `/api/runs/seen/trajectories?${query}`,
    );
  const near = (await api(`limit=2&in=trajectories&near_set=trajectories&near_id=${ids[3]}`)) as {
    offset: number;
    rows: { id: string }[];
  };
  assert.deepEqual([near.offset, near.rows.map(({ id }) => id)], [2, [ids[2], ids[3]]]);
});

browserTest('a trajectory plays to its final screen, and opens in full size, where it zooms', async (t) => {
  const page = await open(t, run.data, 'seen', `/?in=trajectories&set=trajectories&id=${ids[1]}`);
  const last = stepsOf(ids[1]);
  await page.getByLabel('Speed').selectOption('4');
  await page.getByRole('button', { name: 'Play' }).click();
  await page.locator(`.card.end[aria-current=step][data-step="${last}"]`).waitFor();
  await page.getByRole('button', { name: 'Play' }).waitFor();
  await page.keyboard.press('Home');
  await page.locator('.card[aria-current=step][data-step="0"]').waitFor();
  await page.keyboard.press('z');
  const player = page.getByRole('dialog');
  await player.getByText(`Step 1 of ${last}`).waitFor();
  assert.match(page.url(), /large=1/);
  const height = () => player.locator('.stage img').evaluate((image) => image.getBoundingClientRect().height);
  await player.locator('.drawing').waitFor({ state: 'attached' });
  const before = await height();
  await page.keyboard.press('+');
  await player.locator('output', { hasText: '150 %' }).waitFor();
  assert.ok(Math.abs((await height()) - 1.5 * before) < 2);
  await page.keyboard.press('ArrowRight');
  await player.getByText(`Step 2 of ${last}`).waitFor();
  await player.getByLabel('Step', { exact: true }).fill(String(last));
  await player.getByText('The end').waitFor();
  await page.keyboard.press('Escape');
  await player.waitFor({ state: 'detached' });
  await page.waitForURL(({ search }) => !search.includes('large'));
});

browserTest('a policy has one colour in all views', async (t) => {
  const page = await open(t, run.data, 'seen', '/evaluations');
  const swatch = async (selector: string): Promise<string> => {
    await page.locator(selector).first().waitFor();
    return page.evaluate<string>(`getComputedStyle(document.querySelector('${selector}')).backgroundColor`);
  };
  const [base, digiq] = [
    await swatch('.rates tbody tr:nth-child(1) .swatch'),
    await swatch('.rates tbody tr:nth-child(2) .swatch'),
  ];
  assert.deepEqual((await texts(page, '.rates th[scope=row]')).slice(0, 2), ['base', 'digiq']);
  assert.notEqual(base, digiq);
  await page.goto(new URL('/?in=eval/digiq-test', page.url()).href);
  assert.equal(await swatch('.list .policy .swatch'), digiq);
  assert.equal(await swatch('.trajectory .policy .swatch'), digiq);
  await page.goto(new URL('/?in=eval/base-test', page.url()).href);
  assert.equal(await swatch('.trajectory .policy .swatch'), base);
});

browserTest('legends show the dashes of held-out data', async (t) => {
  const page = await open(t, run.data, 'seen', '/training');
  const lines = page.locator('section[aria-labelledby="stage-critic"] .last li');
  await lines.first().waitFor();
  const dashed = await page.evaluate<
    [heldOut: boolean, dash: boolean][]
  >(`[...document.querySelectorAll('.last li')].map((one) => [
    one.textContent.includes('validation'),
    getComputedStyle(one.querySelector('.line-key path')).strokeDasharray !== 'none',
  ])`);
  assert.ok(dashed.some(([heldOut]) => heldOut));
  for (const [heldOut, dash] of dashed) assert.equal(dash, heldOut);
});

browserTest('every view fits a page as narrow as a phone', async (t) => {
  const page = await open(t, run.data, 'seen', '/', { width: 390, height: 800 });
  for (const view of ['trajectories', 'actions', 'training', 'values', 'tokens', 'runs', 'evaluations']) {
    await page.goto(new URL(`/${view}`, page.url()).href);
    await page.locator('main > *:not(h1)').first().waitFor();
    await page.waitForLoadState('networkidle');
    const width = await page.evaluate<number>('document.documentElement.scrollWidth');
    assert.equal(width, 390, view);
  }
  assert.deepEqual((await texts(page, '.rates .rate')).length > 0, true);
  await page.goto(new URL('/', page.url()).href);
  await page.getByRole('combobox', { name: 'Trajectory' }).waitFor();
  assert.equal(await page.locator('.list').count(), 0, 'the list is folded into a picker');
  assert.equal(await page.getByLabel('Outcome').isVisible(), false, 'filters are folded away');
  await page.getByText('Filter trajectories').click();
  await page.getByLabel('Outcome').selectOption('failure');
  await page.locator('.trajectory .outcome.bad').waitFor();
});
