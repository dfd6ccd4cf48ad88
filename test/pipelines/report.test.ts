import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { EvalResult } from '../../pipelines/eval.js';
import { main } from '../../src/cli/main.js';
import { wilson95 } from '../../src/data/interval.js';
import { readTable } from '../../src/data/tables.js';
import { VALUES } from '../../src/data/transitions.js';
import type { Reliability } from '../../src/report/reliability.js';
import { emptyFolder } from '../rigs/process.js';
import { HOSTILE, makeEvaluation, makeRun, reportRegistry, type FakeRun } from '../rigs/report-run.js';

interface ReportJson {
  readonly rows: readonly { readonly policy: string; readonly rate: number; readonly ci95: readonly number[] }[];
  readonly greedy: readonly { readonly policy: string; readonly rate: number }[];
  readonly evaluations: Readonly<Record<string, EvalResult>>;
  readonly data: { readonly [name: string]: unknown };
  readonly values: {
    readonly reliability: Readonly<Record<string, Reliability>>;
  };
  readonly comparison: {
    readonly shared: number;
    readonly gained: number;
    readonly lost: number;
    readonly shown: string;
  };
}

/** Six episodes: the base wins the first two of them, Digi-Q all but the first; greedily the base wins half. */
async function evaluated(t: { after(fn: () => void): void }): Promise<{ run: FakeRun; data: string }> {
  const data = emptyFolder(t);
  const run = await makeRun(join(data, 'pocket'));
  await makeEvaluation(run, 'base-test', (n) => n < 2);
  await makeEvaluation(run, 'base-test-greedy', (n) => n % 2 === 0);
  await makeEvaluation(run, 'digiq-test', (n) => n > 0);
  return { run, data };
}

const EVALS = 'report.evals=[base-test,digiq-test,base-test-greedy]';

/** Runs the stage; gives the page and its numbers. */
async function reported(data: string, ...settings: string[]) {
  const code = await main(['report', `data=${data}`, 'report.online=[]', EVALS, ...settings], reportRegistry);
  assert.equal(code, 0);
  return {
    page: readFileSync(join(data, 'pocket/report.html'), 'utf8'),
    json: JSON.parse(readFileSync(join(data, 'pocket/report.json'), 'utf8')) as ReportJson,
  };
}

/** The page as it is read: without its elements. */
const text = (page: string): string =>
  page
    .replace(/<(script|style)[\s\S]*?<\/\1>/g, '')
    .replace(/<[^>]*>/g, ' ')
    .replace(/[\s\u00a0\u2009]+/g, ' ');

test('the page and report.json say what the evaluations found', async (t) => {
  const { run, data } = await evaluated(t);
  const { page, json } = await reported(data);
  assert.deepEqual(
    json.rows.map(({ policy, rate, ci95 }) => [policy, rate, ci95]),
    [
      ['base', 2 / 6, wilson95(2, 6)],
      ['digiq', 5 / 6, wilson95(5, 6)],
    ],
  );
  assert.deepEqual(
    json.greedy.map(({ policy, rate }) => [policy, rate]),
    [['base', 0.5]],
  );
  for (const name of ['base-test', 'digiq-test', 'base-test-greedy']) {
    const stored = JSON.parse(readFileSync(join(run.folder, 'eval', name, 'result.json'), 'utf8')) as EvalResult;
    assert.deepEqual(json.evaluations[name], stored);
  }
  // of six, Digi-Q wins four that the base fails and fails one that it wins
  const { shared, gained, lost, shown } = json.comparison;
  assert.deepEqual({ shared, gained, lost }, { shared: 6, gained: 4, lost: 1 });
  assert.ok(Number(shown) >= 2);
  const words = text(page);
  for (const said of [
    'digiq succeeds in 83.3 % of 6 test episodes, base in 33.3 % of 6: +50.0 points ; the 95 % intervals overlap',
    'base test T = 1 2 / 6 33.3 % 9.7 – 70.0 %',
    'base test greedy 3 / 6 50.0 % 18.8 – 81.2 %',
    'digiq-test wins 4 that base-test fails, and fails 1 that base-test wins',
  ])
    assert.ok(words.includes(said), said);
  assert.ok(!/judged by|lost to faults/.test(words));
});

test('the data it counts are those of the tables', async (t) => {
  const { run, data } = await evaluated(t);
  const { json } = await reported(data);
  const trajectories = new Set(run.transitions.map(({ trajectory }) => trajectory)).size;
  const numbers = Object.values(json.data);
  assert.ok(numbers.includes(trajectories), JSON.stringify(json.data));
  assert.ok(numbers.includes(run.transitions.length), JSON.stringify(json.data));

  // Q of the action taken is the smaller of the twins; a fifth of the trajectories was held out from the critic
  const values = await readTable(join(run.folder, 'values/values.parquet'), VALUES);
  const taken = new Map(values.map(({ tid, q1, q2 }) => [tid, Math.min(q1[0], q2[0])]));
  const off = run.transitions.map(({ tid, mcReturn }) => taken.get(tid)! - mcReturn);
  const { train, validation } = json.values.reliability;
  assert.deepEqual([train.trajectories, validation.trajectories], [5, 1]);
  assert.equal(train.steps + validation.steps, off.length);
  const mean = (of: (part: Reliability) => number) =>
    (train.steps * of(train) + validation.steps * of(validation)) / off.length;
  const average = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0) / numbers.length;
  assert.ok(Math.abs(mean(({ bias }) => bias) - average(off)) < 1e-6);
  assert.ok(Math.abs(mean(({ rmse }) => rmse ** 2) - average(off.map((x) => x * x))) < 1e-6);
});

test('what a rate leaves out is said under it, and who judged', async (t) => {
  const { run, data } = await evaluated(t);
  const file = join(run.folder, 'eval/digiq-test/result.json');
  const result = JSON.parse(readFileSync(file, 'utf8')) as EvalResult;
  const short = { ...result, judge: 'openai lab/vlm', unknown: ['7', '9'], lost: ['8'], invalid_steps: 12 };
  writeFileSync(file, JSON.stringify(short));
  const words = text((await reported(data)).page);
  const said =
    'digiq-test: judged by openai lab/vlm; 2 episodes not judged, and in no rate; 1 episode lost to faults of devices, and in no rate; 12 steps in which what was said is no action';
  assert.ok(words.includes(said));
  assert.ok(!words.includes('base-test: '));
});

test('nothing that a task or an action says becomes part of the page, which loads nothing from elsewhere', async (t) => {
  const { data } = await evaluated(t);
  const { page } = await reported(data, 'report.trajectories=3');
  assert.ok(!page.includes(HOSTILE));
  assert.ok(!page.includes('<script>alert'));
  assert.ok(page.includes('&lt;script&gt;alert(1)&lt;/script&gt;'), 'it is there to be read');
  assert.equal(/(src|href|action)="(?!data:|#).{0,40}/.exec(page)?.[0], undefined);
  assert.equal(/@import|url\((?!["']?(data:|#)).{0,40}|fetch\(|XMLHttpRequest/.exec(page)?.[0], undefined);
});

test('what is left out is said in its place', async (t) => {
  const { data } = await evaluated(t);
  const { page, json } = await reported(data, 'report.sources=[]', 'report.compare=[base-test,digiq-train]');
  assert.equal(json.data, null);
  assert.equal(json.values, null);
  assert.ok(text(page).includes('report.sources leaves out the trajectories'));
  assert.ok(text(page).includes('report.compare names base-test and digiq-train, which are not both in report.evals'));
});
