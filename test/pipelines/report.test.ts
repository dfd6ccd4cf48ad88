import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { EvalResult } from '../../pipelines/eval.js';
import { main } from '../../src/cli/main.js';
import { wilson95 } from '../../src/data/interval.js';
import { pairedTest, type PairedTest } from '../../src/data/paired.js';
import { readTable } from '../../src/data/tables.js';
import { VALUES } from '../../src/data/transitions.js';
import { signed } from '../../src/report/html.js';
import type { Reliability } from '../../src/report/reliability.js';
import { Output } from '../../src/runner/outputs.js';
import { loadRegistry } from '../../src/runner/registry.js';
import { changedSettings } from '../../src/settings/changes.js';
import { loadSettings } from '../../src/settings/settings.js';
import { emptyFolder } from '../rigs/process.js';
import { HOSTILE, makeEvaluation, makeOracle, makeRun, reportRegistry, type FakeRun } from '../rigs/report-run.js';

interface ReportJson {
  readonly format: number;
  readonly seed: number;
  readonly changed: Readonly<Record<string, { default: unknown; value: unknown }>>;
  readonly pairs: readonly (PairedTest & { before: string; after: string })[];
  readonly fit: Readonly<Record<string, { kind: string } | null>>;
  readonly rows: readonly { readonly policy: string; readonly rate: number; readonly ci95: readonly number[] }[];
  readonly greedy: readonly { readonly policy: string; readonly rate: number }[];
  readonly evaluations: Readonly<Record<string, EvalResult>>;
  readonly data: { readonly [name: string]: unknown };
  readonly values: {
    readonly reliability: Readonly<Record<string, Reliability>>;
    readonly calibration: string;
    readonly truth: {
      readonly states: number;
      readonly gamma: number;
      readonly values: { taken: { mean: number } };
    } | null;
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
  const madeBy = (policy: string, stage: string, settings: object) =>
    new Output(`policy/${policy}`, join(run.folder, 'policy', policy)).writePlan({
      stage,
      instance: stage,
      settings: { [stage]: settings },
      shards: [],
      finished: true,
    });
  await madeBy('base', 'sft', {});
  await madeBy('digiq', 'actor', { method: 'digiq', from: 'base', loss: 'best_of_n', n: 6 });
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

test('page and report.json give the results of the evaluations', async (t) => {
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
    const stored = JSON.parse(readFileSync(join(run.folder, 'eval', name, '_result.json'), 'utf8')) as EvalResult;
    assert.deepEqual(json.evaluations[name], stored);
  }
  // of six, Digi-Q wins four that the base fails and fails one that it wins
  const { shared, gained, lost, shown } = json.comparison;
  assert.deepEqual({ shared, gained, lost }, { shared: 6, gained: 4, lost: 1 });
  assert.ok(Number(shown) >= 2);
  const test = pairedTest({ both: 1, neither: 0, gained: 4, lost: 1 });
  assert.deepEqual(json.pairs, [{ before: 'base-test', after: 'digiq-test', ...test }]);
  const [low, high] = test.ci95;
  const points = (value: number) => signed(100 * value, 1);
  const words = text(page);
  for (const said of [
    'digiq succeeds in 83.3 % of 6 test episodes, base in 33.3 % of 6: +50.0 points .',
    `Paired on 6 episodes with the same task on the same phone: 95 % interval ${points(low)} to ${points(high)} points; exact McNemar test, p = 0.3750.`,
    'All of these numbers come from one training seed (0).',
    'test tasks, temperature 1 base 33.3 % 9.7 – 70.0 % 2 of 6',
    'test tasks, greedy base 50.0 % 18.8 – 81.2 % 3 of 6',
    'both succeed in 1, neither succeeds in 0, only digiq-test succeeds in 4, and only base-test succeeds in 1',
    'base A policy trained from scratch to imitate the demonstrations.',
    'digiq base, trained further to imitate, in each collected state, the best of 6 sampled actions by the critic.',
    'Published results, for context',
    'Digi-Q, offline 71.2 % 58.0 % digiq 83.3 %',
  ])
    assert.ok(words.includes(said), said);
  assert.ok(!/judged by|lost to device/.test(words));
});

test('the amounts of data and the critic’s errors are those of the tables', async (t) => {
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

test('a note under the rates names the judge and what the rates leave out', async (t) => {
  const { run, data } = await evaluated(t);
  const file = join(run.folder, 'eval/digiq-test/_result.json');
  const result = JSON.parse(readFileSync(file, 'utf8')) as EvalResult;
  const short = { ...result, judge: 'openai lab/vlm', unknown: ['7', '9'], lost: ['8'], invalid_steps: 12 };
  writeFileSync(file, JSON.stringify(short));
  const words = text((await reported(data)).page);
  const said =
    'digiq-test: judged by openai lab/vlm; 2 episodes not judged (not counted); 1 episode lost to device faults (not counted); 12 steps with an invalid action';
  assert.ok(words.includes(said));
  assert.ok(!words.includes('base-test: '));
});

test('text of tasks and actions is escaped, and the page loads nothing from elsewhere', async (t) => {
  const { data } = await evaluated(t);
  const { page } = await reported(data, 'report.trajectories=3');
  assert.ok(!page.includes(HOSTILE));
  assert.ok(!page.includes('<script>alert'));
  assert.ok(page.includes('&lt;script&gt;alert(1)&lt;/script&gt;'), 'it is there to be read');
  assert.equal(/(src|href|action)="(?!data:|#).{0,40}/.exec(page)?.[0], undefined);
  assert.equal(/@import|url\((?!["']?(data:|#)).{0,40}|fetch\(|XMLHttpRequest/.exec(page)?.[0], undefined);
});

test('a part that is left out says so', async (t) => {
  const { data } = await evaluated(t);
  const { page, json } = await reported(data, 'report.sources=[]', 'report.compare=[base-test,digiq-train]');
  assert.equal(json.data, null);
  assert.equal(json.values, null);
  assert.ok(text(page).includes('report.sources leaves out the trajectories'));
  assert.ok(text(page).includes('report.compare names base-test and digiq-train, but report.evals does not name both'));
});

test('the first line repeats the run: command, settings file, seed, version and commit', async (t) => {
  const { data } = await evaluated(t);
  const { page, json } = await reported(data, 'seed=3', 'report.steps=7', 'actor.lr=0.5');
  assert.match(
    text(page),
    /Repeat this run: critiq report --config pocket\.yaml with pocket\.yaml \( \d+ settings changed from the defaults\), after 1 command for results with settings of their own; seed 3, critiq [\d.]+, commit [0-9a-f]{12}/,
  );
  const [, link] = /download="pocket\.yaml" href="data:application\/yaml;charset=utf-8,([^"]*)"/.exec(page)!;
  const file = join(emptyFolder(t), 'pocket.yaml');
  writeFileSync(file, decodeURIComponent(link));
  // with the file alone the program resolves the same settings
  const { schema } = await loadRegistry(reportRegistry);
  const again = loadSettings(schema, { file, overrides: [`data=${data}`] });
  assert.deepEqual(changedSettings(schema, again), {
    data: { default: 'data', value: data },
    ...json.changed,
  });
  assert.equal(json.format, 2);
  assert.deepEqual(json.changed['report.steps'], { default: 20, value: 7 });
  assert.match(text(page), / lr 0\.5 0\.0001 /);
  assert.match(text(page), / n 16 6 in policy\/digiq 16 /, 'a data set was made with another value');
});

test('verdicts: the critic of the run is judged, and stages without validation losses are named', async (t) => {
  const { data } = await evaluated(t);
  const { page, json } = await reported(data);
  assert.equal(json.fit.critic?.kind, 'fine');
  assert.equal(json.fit.sft, null);
  const words = text(page);
  assert.ok(words.includes('critic shows no sign of overfitting'), words.slice(0, 3000));
  assert.ok(words.includes('sft, actor/digiq: fewer than two validation losses were recorded'));
  assert.ok(words.includes('There is only 1 held-out trajectory, too few to judge calibration.'));
  assert.equal(json.values.calibration, 'unknown');
});

test('the critic stands beside true values where report.sources names them', async (t) => {
  const { run, data } = await evaluated(t);
  await makeOracle(run, 5);
  const without = await reported(data);
  assert.equal(without.json.values.truth, null);
  assert.doesNotMatch(without.page, /Beside true values/);
  const { json, page } = await reported(data, 'report.sources=[trajectories,candidates,values,oracle]');
  assert.deepEqual(
    [json.values.truth?.states, json.values.truth?.gamma, json.values.truth?.values.taken.mean],
    [5, 0.95, 0],
  );
  assert.match(page, /Beside true values/);
  assert.match(page, /share of the gain that best of N finds/);
});
