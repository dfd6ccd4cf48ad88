/** The viewer's page in a real Chromium: every view opens, filters, steps and shows the numbers of the data. */
import assert from 'node:assert/strict';
import { appendFileSync, cpSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { chromium } from 'playwright-core';
import { recordFile } from '../../src/data/store/integrity.js';
import { openDataset } from '../../src/data/store/manifest.js';
import { readTable, writeTable } from '../../src/data/tables.js';
import { readManifest } from '../../src/runner/outputs.js';
import { CANDIDATES, TRANSITIONS, VALUES } from '../../src/data/transitions.js';
import { findChromium } from '../../src/devices/browser/chromium.js';
import { fixed } from '../../src/report/html.js';
import { readMetrics } from '../../src/data/metrics.js';
import { ImageStore } from '../../src/data/images.js';
import { browserTest } from '../rigs/browser/rig.js';
import { emptyFolder, start } from '../rigs/process.js';
import { PROGRAM, realRun } from '../rigs/viewer/real-run.js';
import { hasChromium, opener, texts, values } from '../rigs/viewer/page.js';
import { INFLUENCE, viewedRun } from '../rigs/viewer/rig.js';

/** The runs that the tests view, made before the first test because they take longer than a test may. */
async function opened() {
  const browser = await chromium.launch({
    executablePath: findChromium(''),
    chromiumSandbox: process.getuid?.() !== 0,
  });
  after(() => browser.close());
  return { browser, real: await realRun({ after }), made: await viewedRun({ after }) };
}

// without Chromium the tests are skipped, or fail with a reason
const { browser, real, made } = hasChromium() ? await opened() : ({} as Awaited<ReturnType<typeof opened>>);

const open = opener(browser);

browserTest(
  'Trajectories: filters are in the address, keys move by steps, numbers are those of the tables',
  async (t) => {
    const page = await open(t, made.data, 'seen', '/');
    await page.locator('.count', { hasText: '1–18 of 18' }).waitFor();
    await page.getByLabel('Data set').selectOption('trajectories');
    await page.getByLabel('Outcome').selectOption('success');
    await page.locator('.count', { hasText: '1–3 of 3' }).waitFor();
    assert.match(page.url(), /success=yes/);
    await page.keyboard.press('ArrowDown');
    await page.locator('#goal').waitFor();
    const wins = [...new Set(made.transitions.filter((row) => row.trajectoryReward > 0).map((row) => row.trajectory))];
    await page.locator('.trajectory .about code', { hasText: wins[1] }).waitFor();
    const rows = made.transitions.filter(({ trajectory }) => trajectory === wins[1]);
    const stored = await readTable(join(made.folder, 'values/values.parquet'), VALUES);
    const numbers = await values(page, '.card:not(.end)');
    const expected = rows.flatMap(({ tid, reward, mcReturn }) => {
      const { q1, q2, v1, v2 } = stored.find((row) => row.tid === tid)!;
      const [q, v] = [(q1[0] + q2[0]) / 2, (v1 + v2) / 2];
      return [q, v, q - v, reward, mcReturn];
    });
    assert.deepEqual(numbers, expected);
    const read = await texts(page, '.card:not(.end) data.value');
    assert.deepEqual(
      read,
      expected.map((value) => fixed(value, 3)),
    );
    assert.equal(await page.locator('.card[aria-current]').getAttribute('data-step'), '0');
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('ArrowLeft');
    await page.locator('.card[aria-current][data-step="1"]').waitFor();
    assert.match(page.url(), /step=1/);
    await page.locator('.card .drawing path').first().waitFor({ state: 'attached' });
    await page.keyboard.press('/');
    await page.keyboard.type('no such task 1');
    await page.getByText('No trajectory', { exact: true }).waitFor();
    assert.match(page.url(), /text=no\+such\+task\+1/, 'keys in a field are text');
    await page.reload();
    assert.equal(await page.locator('#filter-text').inputValue(), 'no such task 1', 'an address is a view');
  },
);

browserTest('Trajectories of a real run: screenshots with the actions drawn in', async (t) => {
  const page = await open(t, real.data, 'pocket', '/?in=trajectories');
  const files = ['transitions-00000.parquet', 'transitions-00001.parquet'];
  const rows = (
    await Promise.all(files.map((file) => readTable(join(real.folder, 'trajectories', file), TRANSITIONS)))
  ).flat();
  await page.locator('.count', { hasText: '1–8 of 8' }).waitFor();
  const first = rows.filter(({ trajectory }) => trajectory === rows[0].trajectory);
  await page.locator('.card').nth(first.length).waitFor();
  assert.equal(await page.locator('#goal').textContent(), first[0].goal);
  const stored = await readTable(join(real.folder, 'values/values.parquet'), VALUES);
  const { q1, q2, v1, v2 } = stored.find(({ tid }) => tid === first[0].tid)!;
  const [q, v] = [Math.min(q1[0], q2[0]), Math.min(v1, v2)];
  assert.deepEqual((await values(page, '.card[data-step="0"]')).slice(0, 3), [q, v, q - v]);
  await page.locator('.card[data-step="0"] .drawing').waitFor({ state: 'attached' });
  const width = await page.locator('.card[data-step="0"] img').evaluate((image) => {
    const { naturalWidth, complete } = image as unknown as { naturalWidth: number; complete: boolean };
    return complete ? naturalWidth : 0;
  });
  assert.equal(width, 270);
});

browserTest(
  'Actions: sorted by any column, the action taken marked, scored by two policies, compared with another run',
  async (t) => {
    const files = ['candidates-00000.parquet', 'candidates-00001.parquet'];
    const candidates = (
      await Promise.all(files.map((file) => readTable(join(real.folder, 'candidates', file), CANDIDATES)))
    ).flat();
    const rows = await readTable(join(real.folder, 'trajectories/transitions-00000.parquet'), TRANSITIONS);
    // the text of a valid action is the sequence of tokens that the policy sampled
    const scored = candidates.filter(({ valid, logProbs }) =>
      valid.some((ok, i) => ok && Number.isFinite(logProbs[i])),
    );
    const row = rows.find(({ tid }) => scored.some((one) => one.tid === tid))!;
    assert.ok(row, 'some state has a valid candidate that was sampled');
    const { counts, logProbs, valid, actions } = candidates.find(({ tid }) => tid === row.tid)!;
    await higherValues(real.folder, join(real.data, 'other'));
    t.after(() => rmSync(join(real.data, 'other'), { recursive: true }));
    const at = `/actions?set=trajectories&id=${row.trajectory}&step=${row.step}`;
    const page = await open(t, real.data, 'pocket', at);
    await page.locator('table.candidates tbody tr').first().waitFor();
    const column = (name: string) => values(page, `td[data-column="${name}"]`);
    const advantages = (await column('advantage')) as number[];
    assert.deepEqual(
      advantages,
      [...advantages].sort((a, b) => b - a),
      'the best first',
    );
    await page.getByRole('button', { name: 'n', exact: true }).click();
    await page.locator('th[aria-sort=descending]', { hasText: 'n' }).waitFor();
    assert.deepEqual(
      await column('count'),
      [...counts].sort((a, b) => b - a),
    );
    await page.getByRole('button', { name: 'log p', exact: true }).click();
    const known = logProbs.filter(Number.isFinite);
    assert.deepEqual(
      ((await column('logProb')) as (number | null)[]).filter((value) => value !== null),
      known.sort((a, b) => b - a),
    );
    assert.equal(await page.locator('.mark.taken').count(), 1);

    await page.getByLabel('first policy').selectOption('base');
    await page.getByLabel('second policy').selectOption('digiq');
    await page.locator('td[data-column="p:digiq"]').first().waitFor({ timeout: 60_000 });
    await page.locator('td[data-column="p:base"]').first().waitFor({ timeout: 60_000 });
    const shown = await page
      .locator('table.candidates tbody th button')
      .evaluateAll((all) => all.map((one) => (one as unknown as { title: string }).title));
    const computed = await column('p:base');
    for (const [i, action] of actions.entries()) {
      if (!valid[i] || !Number.isFinite(logProbs[i])) continue;
      const now = computed[shown.indexOf(action)]!;
      assert.ok(Math.abs(now - logProbs[i]) < 1e-3, `${action} was sampled at ${logProbs[i]}, and is now ${now}`);
    }
    await page.getByLabel('Compare with run').selectOption('other');
    await page.locator('td[data-column="advantage:difference"]').first().waitFor();
    assert.deepEqual(await texts(page, '.panel caption'), ['Candidates in run pocket and run other']);
    assert.equal(
      await page.locator('.panel img').count(),
      (await page.locator('.panel .steps img').count()) + 1,
      'one picture',
    );
    assert.equal(await page.getByRole('alert').count(), 0, 'it is the same state');
    const [q, other, difference] = await Promise.all(['q', 'q:other', 'q:difference'].map(column));
    assert.deepEqual(
      difference,
      q.map((value, i) => other[i]! - value!),
    );
    assert.ok(
      difference.every((value) => Math.abs(value! - 0.25) < 1e-6),
      'the other critic values everything a quarter higher',
    );
    const numbers = await texts(page, 'table.candidates .number');
    assert.deepEqual([...numbers].sort(), actions.map((_, i) => String(i + 1)).sort(), 'each candidate has a number');
    const pictured = await texts(page, '.picture .numbered text');
    assert.ok(pictured.length > 0 && pictured.every((number) => numbers.includes(number)));
    await page.locator('h2').first().click();
    const next = row.step === 0 ? 1 : row.step - 1;
    await page.keyboard.press(row.step === 0 ? 'ArrowRight' : 'ArrowLeft');
    await page.locator('nav b', { hasText: `step ${next + 1} of` }).waitFor();
    await page.keyboard.press('Enter');
    await page.locator(`.card[aria-current][data-step="${next}"]`).waitFor();
  },
);

browserTest('Training: curves end where the metrics do, and grow while a stage writes', async (t) => {
  const page = await open(t, made.data, 'seen', '/training');
  for (const instance of ['sft', 'critic', 'actor/digiq']) {
    const lines = readMetrics(join(made.folder, 'metrics', `${instance}.jsonl`));
    const loss = page.locator(`section[aria-labelledby="stage-${instance}"] .curve`, {
      has: page.getByText('loss', { exact: true }),
    });
    await loss.first().waitFor();
    const [value] = await loss
      .first()
      .locator('data.value')
      .evaluateAll((all) => all.map((one) => Number((one as unknown as { value: string }).value)));
    assert.equal(value, lines.at(-1)!.loss, instance);
  }
  assert.ok((await page.locator('.curve canvas').count()) > 5);
  const file = join(made.folder, 'metrics/sft.jsonl');
  const before = readFileSync(file);
  t.after(() => writeFileSync(file, before));
  appendFileSync(file, `${JSON.stringify({ shard: 'only', step: 5000, loss: 0.015625 })}\n`);
  await page.getByText('at step 5000').waitFor();
  await page.getByLabel('Smoothing').fill('0.9');
  await page.locator('output', { hasText: '0.90' }).waitFor();
  assert.match(page.url(), /smooth=0\.9/);
  assert.equal(await page.locator('data[value="0.015625"]').count(), 1, 'smoothing changes the line, not the number');
});

browserTest('Values: calibration, a curve, and a worklist that opens the trajectory at its step', async (t) => {
  const page = await open(t, real.data, 'pocket', '/values');
  await page.locator('.worklist tbody tr').first().waitFor();
  const stored = await readTable(join(real.folder, 'values/values.parquet'), VALUES);
  const steps = await values(page, '.calibration td:nth-of-type(2)');
  assert.equal(
    steps.reduce<number>((sum, n) => sum + n!, 0),
    stored.length,
  );
  const files = ['transitions-00000.parquet', 'transitions-00001.parquet'];
  const rows = (
    await Promise.all(files.map((file) => readTable(join(real.folder, 'trajectories', file), TRANSITIONS)))
  ).flat();
  const errors = stored.map(
    ({ tid, q1, q2 }) => Math.min(q1[0], q2[0]) - rows.find((row) => row.tid === tid)!.mcReturn,
  );
  const worst = errors.reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a));
  const row = page.locator('.worklist tbody tr').first();
  assert.equal(await row.locator('data.value').nth(2).getAttribute('value'), String(worst));
  const { tid } = stored[errors.indexOf(worst)];
  const { trajectory, step } = rows.find((one) => one.tid === tid)!;
  await page.locator('.chart.wide circle').first().waitFor();
  await row.locator('a').first().click();
  await page.locator(`.card[aria-current][data-step="${step}"]`).waitFor();
  assert.match(page.url(), new RegExp(`/trajectories\\?.*id=${trajectory}`));
});

browserTest('Tokens: the weights after an iteration, and of one action after every iteration', async (t) => {
  const page = await open(t, made.data, 'seen', '/tokens');
  const first = page.locator('.weighted li').first();
  await first.waitFor();
  const shown = await first
    .locator('.token')
    .evaluateAll((all) => all.map((one) => Number((one as unknown as { dataset: { weight: string } }).dataset.weight)));
  assert.deepEqual(shown, INFLUENCE[2].weights);
  assert.equal(await first.locator('.action-text').textContent(), INFLUENCE[2].tokens.join(''));
  await page.keyboard.press('ArrowLeft');
  await page.getByRole('heading', { name: 'Actions after iteration 1' }).waitFor();
  await page.getByRole('link', { name: 'all iterations' }).first().click();
  await page.getByRole('heading', { name: 'after every iteration' }).waitFor();
  // the heading may come before the list
  await page.getByText('after iteration 2, live').first().waitFor();
  assert.deepEqual(await texts(page, '.weighted li > .note'), [
    'after iteration 1, offline',
    'after iteration 2, live',
  ]);
});

browserTest('an online run: its live episodes are among the trajectories, its curves among the training', async (t) => {
  const page = await open(t, real.data, 'pocket', '/?stage=online');
  const rows = await readTable(join(real.folder, 'online/coso/transitions-live.parquet'), TRANSITIONS);
  const episodes = new Set(rows.map(({ trajectory }) => trajectory)).size;
  await page.locator('.count', { hasText: `1–${episodes} of ${episodes}` }).waitFor();
  assert.match((await page.locator('.list .about').first().textContent())!, /coso/);
  await page.keyboard.press('3');
  await page.locator('section[aria-labelledby="stage-online/coso"] .curve').first().waitFor();
});

browserTest('Evaluations: rates and intervals of the results, failures that open', async (t) => {
  const page = await open(t, made.data, 'seen', '/evaluations');
  await page.locator('.rates tbody tr').first().waitFor();
  const rates = await values(page, 'section[aria-labelledby=rates] .rates');
  const stored = ['base-test', 'digiq-test'].map(
    (name) => JSON.parse(readFileSync(join(made.folder, 'eval', name, '_result.json'), 'utf8')) as { rate: number },
  );
  assert.deepEqual(
    rates,
    stored.map(({ rate }) => rate),
  );
  await page.getByText('Only digiq-test wins: 4').waitFor();
  await page.locator('.gallery li').first().waitFor();
  assert.equal(await page.locator('.gallery li').count(), 2);
  await page.locator('.gallery a').first().click();
  await page.locator('.card[aria-current]').waitFor();
  await page.locator('.outcome', { hasText: 'success' }).first().waitFor({ state: 'detached' });
});

browserTest(
  'a truncated shard, a missing screenshot, an empty folder and a running stage are shown in place',
  async (t) => {
    const data = emptyFolder(t);
    cpSync(made.data, data, { recursive: true });
    const folder = join(data, 'seen');
    const shard = join(folder, 'eval/base-test/transitions-00000.parquet');
    truncateSync(shard, 1000);
    const [gone] = made.transitions;
    rmSync(new ImageStore(join(folder, 'images')).path(gone.image));
    mkdirSync(join(data, 'empty/trajectories'), { recursive: true });
    writeFileSync(
      join(folder, 'lock'),
      JSON.stringify({ pid: 1, started: '', host: `not-${hostname()}`, running: 'critic' }),
    );
    const page = await open(t, data, 'seen', '/?in=trajectories');
    await page
      .getByRole('alert')
      .getByText(/base-test\/transitions-00000\.parquet: truncated/)
      .waitFor();
    await page.getByText('critiq critic is running in this run').waitFor();
    await page.locator('.missing', { hasText: gone.image }).first().waitFor();
    assert.ok((await page.locator('.card img').count()) > 0, 'the other screenshots are there');
    assert.ok((await values(page, '.card')).length > 5);
    for (const [view, said] of [
      ['trajectories', /has no trajectories yet/],
      ['actions', /no state to show/],
      ['training', /has written metrics yet/],
      ['values', /no critic values/],
      ['tokens', /has no token weights/],
      ['evaluations', /has been evaluated yet/],
    ] as const) {
      await page.goto(new URL(`/${view}?run=empty`, page.url()).href);
      await page.getByText(said).waitFor();
    }
  },
);

browserTest('critiq view prints its URL and opens by it; Ctrl-C ends it', async (t) => {
  const view = start(['view', made.folder, '--no-open', '--port', '0'], { cwd: emptyFolder(t), program: PROGRAM });
  t.after(() => view.child.kill('SIGKILL'));
  const url = await new Promise<string>((found, failed) => {
    let said = '';
    view.child.stderr!.on('data', (piece: Buffer) => {
      said += String(piece);
      const [at] = /http:\/\/127\.0\.0\.1:\d+\//.exec(said) ?? [];
      if (at) found(at);
    });
    void view.ended.then(({ stderr }) => failed(new Error(stderr)));
  });
  const page = await browser.newPage({ colorScheme: 'dark' });
  t.after(() => page.close());
  await page.goto(url);
  await page.locator('.card').first().waitFor();
  assert.equal(await page.evaluate('getComputedStyle(document.body).backgroundColor'), 'rgb(20, 23, 27)');
  for (const [i, title] of [
    'Actions',
    'Training',
    'Values',
    'Tokens',
    'Evaluations',
    'Runs',
    'Trajectories',
  ].entries()) {
    await page.keyboard.press(String(((i + 1) % 7) + 1));
    await page.locator('h1', { hasText: title }).waitFor({ state: 'attached' });
  }
  await page.keyboard.press('?');
  await page.getByRole('dialog').getByText('filter by text').waitFor();
  view.child.kill('SIGINT');
  assert.equal((await view.ended).code, 130);
});

/** A copy of a run whose critic values every candidate a quarter higher. */
async function higherValues(from: string, to: string): Promise<void> {
  cpSync(from, to, { recursive: true });
  const file = 'values.parquet';
  const rows = await readTable(join(to, 'values', file), VALUES);
  const raised = rows.map((row) => ({ ...row, q1: row.q1.map((q) => q + 0.25), q2: row.q2.map((q) => q + 0.25) }));
  // opening checks what is there, so it comes before the change
  const set = await openDataset(join(to, 'values'));
  const [line] = readManifest(join(to, 'values')).values();
  await writeTable(join(to, 'values', file), VALUES, raised);
  await set.commit({ ...line, files: [await recordFile(join(to, 'values', file), file)] });
}
