/** The viewer shows the ratings of steps and lists the trajectories on which raters disagree. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';
import type { LabelRow } from '../../src/data/labels.js';
import { findChromium } from '../../src/devices/browser/chromium.js';
import type { RunInfo, Trajectory, TrajectoryPage } from '../../src/viewer/api.js';
import { browserTest } from '../rigs/browser/rig.js';
import { makeLabels } from '../rigs/report-run.js';
import { opener, texts } from '../rigs/viewer/page.js';
import { viewedRun, viewing, type TestViewer, type ViewedRun } from '../rigs/viewer/rig.js';

let run: ViewedRun;
let viewer: TestViewer;
let labels: LabelRow[];
let ids: string[];
before(async (t) => {
  run = await viewedRun(t as never);
  labels = await makeLabels(run);
  ids = [...new Set(labels.map(({ trajectory }) => trajectory))];
  viewer = await viewing(t as never, run.data, 'seen');
});

const of = async <T>(path: string): Promise<T> => {
  const { status, body } = await viewer.get(path);
  assert.equal(status, 200, `${path}: ${JSON.stringify(body)}`);
  return body as T;
};

test('each step has the ratings of both judges, of the outcome and of the state', async () => {
  const { strip } = await of<Trajectory>(`/runs/seen/trajectory?set=trajectories&id=${ids[1]}`);
  assert.deepEqual(
    strip.map(({ label }) => [label!.rating, label!.second!.rating, label!.explanation, label!.second!.judge]),
    strip.map((_, step) => [1, step === 0 ? 2 : 1, 'because it is 1', 'gemini second']),
  );
  // the labels belong to one data set
  const other = await of<Trajectory>(`/runs/seen/trajectory?set=eval/base-test&id=${ids[1]}`);
  assert.ok(other.strip.every(({ label }) => label === null));
});

test('trajectories are filtered by what disagrees', async () => {
  const { labels: info } = await of<RunInfo>('/runs/seen');
  const among = (pick: (row: LabelRow) => boolean) => [...new Set(labels.filter(pick).map(({ trajectory }) => trajectory))]; // prettier-ignore
  const expected = {
    judges: [ids[1]],
    outcome: among(({ rating, outcomeRating }) => rating !== null && rating !== outcomeRating),
    state: [ids[2]],
    unknown: [ids[3]],
  };
  assert.ok(expected.outcome.length > 0 && expected.outcome.length < ids.length);
  assert.deepEqual(info, {
    set: 'trajectories',
    disputes: Object.entries(expected).map(([kind, { length }]) => ({ kind, trajectories: length })),
  });
  for (const [kind, found] of Object.entries(expected)) {
    const { rows, total } = await of<TrajectoryPage>(`/runs/seen/trajectories?labels=${kind}`);
    assert.deepEqual(rows.map(({ set, id }) => [set, id]), found.map((id) => ['trajectories', id])); // prettier-ignore
    assert.equal(total, found.length);
  }
});

browserTest('the page shows ratings and reasons under each step, and the worklist of disagreements', async (t) => {
  const browser = await chromium.launch({
    executablePath: findChromium(''),
    chromiumSandbox: process.getuid?.() !== 0,
  });
  after(() => browser.close());
  const page = await opener(browser)(t, run.data, 'seen', '/?run=seen');
  await page.getByLabel('Labels').selectOption('judges');
  await page.waitForSelector('.ratings .differs');
  assert.equal(await page.locator('.list li').count(), 1);
  const [first, second] = await texts(page, '.card:first-child .ratings p');
  assert.match(first, /^▼ bad openai first: because it is 1$/);
  assert.match(second, /^▲ good gemini second: I think so$/);
  await page.getByLabel('Labels').selectOption('unknown');
  await page.locator('.ratings p', { hasText: 'no rating' }).first().waitFor();
  const [unknown] = await texts(page, '.card:first-child .ratings p');
  assert.equal(unknown, '? no rating openai first: answered <b>no</b> rating');
});
