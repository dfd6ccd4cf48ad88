/** The viewer's API answers what the data sets hold; it names what cannot be read and gives the rest. */
import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, readFileSync, renameSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { advantages, bestCandidate } from '../../src/algorithms/digiq.js';
import { actionColumns } from '../../src/agents/action-columns.js';
import { importDigiq } from '../../src/data/released/digiq-import.js';
import { ImageStore } from '../../src/data/images.js';
import { pairedTest } from '../../src/data/paired.js';
import { encodePng } from '../../src/data/formats/png.js';
import { readTable } from '../../src/data/tables.js';
import { CANDIDATES, TRANSITIONS, VALUES } from '../../src/data/transitions.js';
import { reliability } from '../../src/report/reliability.js';
import { Output } from '../../src/runner/outputs.js';
import type { OracleRow } from '../../src/oracle/table.js';
import { makeOracle } from '../rigs/report-run.js';
import { runFiles } from '../rigs/viewer/files.js';
import type {
  EvaluationList,
  MetricsTail,
  Paired,
  RunInfo,
  State,
  TokenPage,
  Trajectory,
  TrajectoryPage,
  ValueOverview,
  WorklistPage,
} from '../../src/viewer/api.js';
import { emptyFolder } from '../rigs/process.js';
import { INFLUENCE, viewedRun, viewing, type TestViewer, type ViewedRun } from '../rigs/viewer/rig.js';

let run: ViewedRun;
let viewer: TestViewer;
let truth: OracleRow[];
before(async (t) => {
  run = await viewedRun(t as never);
  truth = await makeOracle(run, 5);
  viewer = await viewing(t as never, run.data, 'seen');
});

const of = async <T>(path: string, from = viewer): Promise<T> => {
  const { status, body } = await from.get(path);
  assert.equal(status, 200, `${path}: ${JSON.stringify(body)}`);
  return body as T;
};

test('the run: its data sets with policy and device, its settings, and no running stage', async () => {
  const info = await of<RunInfo>('/runs/seen');
  assert.deepEqual(
    info.sets.map(({ name, stage, policy, device, trajectories, successes }) => [
      ...[name, stage, policy, device],
      ...[trajectories, successes],
    ]),
    [
      ['trajectories', 'collect', 'base', 'phone', 6, 3],
      ['eval/base-test', 'eval', 'base', 'browser', 6, 1],
      ['eval/digiq-test', 'eval', 'digiq', 'browser', 6, 4],
    ],
  );
  assert.deepEqual([info.seed, info.running, info.values, info.aggregate], [7, null, true, 'mean']);
  assert.deepEqual(info.problems, []);
  assert.deepEqual(await of('/runs'), { folder: run.data, runs: ['seen'], first: 'seen' });
});

test('trajectories: filters by every field; the pages together are the whole list', async () => {
  const list = async (query: string) => of<TrajectoryPage>(`/runs/seen/trajectories?${query}`);
  const count = async (query: string) => (await list(query)).total;
  assert.equal(await count(''), 18);
  assert.equal(await count('success=yes'), 8);
  assert.equal(await count('stage=collect'), 6);
  assert.equal(await count('policy=digiq&success=no'), 2);
  assert.equal(await count('device=browser'), 12);
  assert.equal(await count('in=eval/base-test'), 6);
  assert.equal(await count('text=BUY%20script&in=trajectories'), 1, 'words in any case and order');
  assert.equal(await count('text=000003&in=trajectories'), 1, 'or the id');
  const families = new Set(run.transitions.map(({ family }) => family));
  const some = [...families][0];
  const wanted = new Set(run.transitions.filter(({ family }) => family === some).map(({ trajectory }) => trajectory));
  assert.equal(await count(`in=trajectories&family=${some}`), wanted.size);
  assert.equal(await count('text=nothing-has-this'), 0);
  const pages = await Promise.all([0, 7, 14].map((offset) => list(`offset=${offset}&limit=7`)));
  const keys = pages.flatMap(({ rows }) => rows.map(({ set, id }) => `${set}/${id}`));
  assert.equal(new Set(keys).size, 18);
  assert.equal((await viewer.get('/runs/seen/trajectories?limit=100000')).status, 404, 'no page of everything');
});

test('a trajectory: every step with the numbers of the tables', async () => {
  const [candidates, values] = [
    await readTable(join(run.folder, 'candidates/00000.candidates.parquet'), CANDIDATES),
    await readTable(join(run.folder, 'values/values.parquet'), VALUES),
  ];
  for (const id of ['000000', '000003']) {
    const seen = await of<Trajectory>(`/runs/seen/trajectory?set=trajectories&id=${id}`);
    const rows = run.transitions.filter(({ trajectory }) => trajectory === id);
    assert.equal(seen.goal, rows[0].goal);
    assert.deepEqual(seen.last, { kind: 'stored', id: rows.at(-1)!.nextImage });
    assert.equal(seen.strip.length, rows.length);
    for (const [i, step] of seen.strip.entries()) {
      const { tid, action, image, reward, mcReturn } = rows[i];
      assert.deepEqual([step.tid, step.action, step.reward, step.mcReturn], [tid, action, reward, mcReturn]);
      assert.deepEqual(step.screen, { kind: 'stored', id: image });
      const value = values.find((row) => row.tid === tid)!;
      const all = advantages(value, 'mean');
      const { valid, actions } = candidates.find((row) => row.tid === tid)!;
      const best = bestCandidate(
        all.map((advantage, k) => ({ advantage, valid: valid[k] })),
        0,
      );
      assert.deepEqual(step.scores, {
        ...{ q1: value.q1[0], q2: value.q2[0], q: (value.q1[0] + value.q2[0]) / 2 },
        ...{ v1: value.v1, v2: value.v2, v: (value.v1 + value.v2) / 2, advantage: all[0] },
        ...{ best: best === undefined ? null : actions[best], candidates: actions.length },
      });
    }
  }
  const evaluated = await of<Trajectory>('/runs/seen/trajectory?set=eval/base-test&id=000003');
  assert.ok(
    evaluated.strip.every(({ scores }) => scores === null),
    'the tids of an evaluation name other states',
  );
});

test('a state shows its true values where they were measured', async () => {
  const asked = async (n: number) => {
    const { trajectory, step } = run.transitions[n];
    return of<State>(`/runs/seen/state?set=trajectories&id=${trajectory}&step=${step}`);
  };
  const measured = await asked(3);
  const row = truth.find(({ tid }) => tid === measured.tid)!;
  assert.deepEqual(
    measured.candidates.map((candidate) => [candidate.truth, candidate.truthError]),
    row.q.map((value, k) => [value, row.qError[k]]),
  );
  assert.equal(measured.trueV, 0.5);
  const other = await asked(7);
  assert.equal(other.trueV, null);
  assert.ok(other.candidates.every((candidate) => candidate.truth === null && candidate.truthError === null));
});

test('a state: all candidates as stored', async () => {
  const { tid, trajectory, step, prompt } = run.transitions[3];
  const state = await of<State>(`/runs/seen/state?set=trajectories&id=${trajectory}&step=${step}`);
  const [row] = (await readTable(join(run.folder, 'candidates/00000.candidates.parquet'), CANDIDATES)).filter(
    (one) => one.tid === tid,
  );
  const [value] = (await readTable(join(run.folder, 'values/values.parquet'), VALUES)).filter((one) => one.tid === tid);
  assert.equal(state.prompt, prompt);
  assert.deepEqual([state.v1, state.v2], [value.v1, value.v2]);
  assert.deepEqual(
    state.candidates.map(({ action, count, valid, logProb, q1, q2, advantage }) => [
      action,
      count,
      valid,
      logProb,
      q1,
      q2,
      advantage,
    ]),
    row.actions.map((action, i) => [
      action,
      row.counts[i],
      row.valid[i],
      -1,
      value.q1[i],
      value.q2[i],
      advantages(value, 'mean')[i],
    ]),
  );
  assert.equal((await viewer.get(`/runs/seen/state?set=trajectories&id=${trajectory}&step=99`)).status, 404);
  assert.equal((await viewer.get('/runs/seen/state?set=trajectories&id=none&step=0')).status, 404);
});

test('values: calibration as in the report, and the largest errors first', async () => {
  const values = await readTable(join(run.folder, 'values/values.parquet'), VALUES);
  const q = new Map(values.map(({ tid, q1, q2 }) => [tid, Math.min(q1[0], q2[0])]));
  const overview = await of<ValueOverview>('/runs/seen/values');
  const parts = Object.entries(overview.reliability);
  assert.deepEqual(parts.map(([name]) => name).sort(), ['train', 'validation']);
  for (const [, part] of parts) {
    // the split decides which trajectories are in a part; here their number tells the parts apart
    assert.ok(part.trajectories === 1 || part.trajectories === 5);
  }
  const steps = parts.reduce((sum, [, part]) => sum + part.steps, 0);
  assert.equal(steps, run.transitions.length);
  const all = reliability({
    predicted: run.transitions.map(({ tid }) => q.get(tid)!),
    observed: run.transitions.map(({ mcReturn }) => mcReturn),
    group: run.transitions.map(({ trajectory }) => trajectory),
  })!;
  const bias = parts.reduce((sum, [, part]) => sum + part.bias * part.steps, 0) / steps;
  assert.ok(Math.abs(bias - all.bias) < 1e-12);
  for (const side of ['over', 'under', 'either'] as const) {
    const { rows, total } = await of<WorklistPage>(`/runs/seen/worklist?side=${side}`);
    const worst = [...new Set(run.transitions.map(({ trajectory }) => trajectory))].flatMap((id) => {
      const errors = run.transitions
        .filter(({ trajectory }) => trajectory === id)
        .map(({ tid, mcReturn }) => q.get(tid)! - mcReturn)
        .filter((error) => side === 'either' || (side === 'over' ? error > 0 : error < 0));
      return errors.length === 0 ? [] : [errors.reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a))];
    });
    assert.equal(total, worst.length);
    assert.deepEqual(
      rows.map(({ error }) => error),
      worst.sort((a, b) => Math.abs(b) - Math.abs(a)),
    );
    for (const { id, step, q: predicted, mcReturn } of rows) {
      const row = run.transitions.find((one) => one.trajectory === id && one.step === step)!;
      assert.deepEqual([predicted, mcReturn], [q.get(row.tid), row.mcReturn]);
    }
  }
});

test('evaluations: the results, and the paired test with the episodes that only one wins', async () => {
  const { evaluations, unfinished } = await of<EvaluationList>('/runs/seen/evaluations');
  assert.deepEqual(unfinished, []);
  for (const { name, rate, ci95, families } of evaluations) {
    const stored = JSON.parse(readFileSync(join(run.folder, name, '_result.json'), 'utf8')) as (typeof evaluations)[0];
    assert.deepEqual({ rate, ci95, families }, { rate: stored.rate, ci95: stored.ci95, families: stored.families });
  }
  const pair = await of<Paired>('/runs/seen/paired?before=eval/base-test&after=eval/digiq-test');
  assert.deepEqual(pair.test, pairedTest({ both: 0, neither: 1, gained: 4, lost: 1 }));
  assert.deepEqual(
    pair.lost.map(({ id }) => id),
    ['000001'],
  );
});

test('tokens: the weights after an iteration, or of one action after every iteration', async () => {
  const last = await of<TokenPage>('/runs/seen/tokens');
  assert.deepEqual([last.sets, last.iterations, last.iteration], [['online/coso'], [1, 2], 2]);
  assert.deepEqual(last.rows, INFLUENCE.slice(2));
  assert.deepEqual(
    last.top.find(({ token }) => token === ' it'),
    { token: ' it', mean: 0.125, count: 2 },
  );
  const first = await of<TokenPage>('/runs/seen/tokens?iteration=1&text=TYPE');
  assert.deepEqual(first.rows, [INFLUENCE[1]]);
  const action = await of<TokenPage>('/runs/seen/tokens?action=tap%20it');
  assert.deepEqual(action.rows, [INFLUENCE[0], INFLUENCE[2]]);
});

test('metrics: reading continues where it ended; a replaced file starts over; a torn line waits', async (t) => {
  const data = emptyFolder(t);
  mkdirSync(join(data, 'r/metrics/actor'), { recursive: true });
  const file = join(data, 'r/metrics/actor/digiq.jsonl');
  const line = (step: number): string => `${JSON.stringify({ shard: 's', step, loss: step / 2 })}\n`;
  writeFileSync(file, `${line(1)}not JSON\n${line(2)}${line(3).slice(0, 9)}`);
  const here = await viewing(t, data, 'r');
  assert.deepEqual(await of('/runs/r/metrics', here), ['actor/digiq']);
  const tail = async (after?: MetricsTail) =>
    of<MetricsTail>(
      `/runs/r/metrics-tail?instance=actor/digiq&file=${after?.file ?? ''}&from=${after?.next ?? 0}`,
      here,
    );
  const one = await tail();
  assert.deepEqual(
    one.lines.map(({ step }) => step),
    [1, 2],
  );
  appendFileSync(file, line(3).slice(9) + line(4));
  const two = await tail(one);
  assert.deepEqual([two.fresh, ...two.lines.map(({ step }) => step)], [false, 3, 4]);
  assert.deepEqual((await tail(two)).lines, []);
  writeFileSync(`${file}.tmp`, [1, 2, 3, 4, 5, 6].map(line).join(''));
  renameSync(`${file}.tmp`, file);
  const three = await tail(two);
  assert.deepEqual([three.fresh, ...three.lines.map(({ step }) => step)], [true, 1, 2, 3, 4, 5, 6]);
});

test('an empty folder and a run that has only started are answers, not errors', async (t) => {
  const data = emptyFolder(t);
  mkdirSync(join(data, 'new'));
  const here = await viewing(t, data, 'new');
  const info = await of<RunInfo>('/runs/new', here);
  assert.deepEqual([info.sets, info.values, info.problems], [[], false, []]);
  assert.equal((await of<TrajectoryPage>('/runs/new/trajectories', here)).total, 0);
  assert.deepEqual((await of<ValueOverview>('/runs/new/values', here)).reliability, {});
  assert.deepEqual((await of<TokenPage>('/runs/new/tokens', here)).sets, []);
  assert.deepEqual((await of<EvaluationList>('/runs/new/evaluations', here)).evaluations, []);
  assert.deepEqual(await of('/runs/new/metrics', here), []);
  const plan = { stage: 'collect', instance: 'collect', settings: {}, shards: ['00000', '00001'], finished: false };
  await new Output('trajectories', join(data, 'new/trajectories')).writePlan(plan);
  assert.deepEqual((await of<RunInfo>('/runs/new', here)).problems, []);
  assert.deepEqual(here.complaints, []);
});

test('broken data is named, intact data is shown, and later shards appear', async (t) => {
  const broken = await viewedRun(t);
  const here = await viewing(t, broken.data, 'seen');
  const shard = join(broken.folder, 'trajectories/transitions-00000.parquet');
  const whole = readFileSync(shard);
  truncateSync(shard, whole.length - 100);
  truncateSync(join(broken.folder, 'candidates/00000.candidates.parquet'), 50);
  writeFileSync(join(broken.folder, 'eval/base-test/_result.json'), '{"policy":');
  writeFileSync(join(broken.folder, 'run.json'), '{');
  const info = await of<RunInfo>('/runs/seen', here);
  assert.deepEqual(
    info.sets.map(({ name, trajectories }) => [name, trajectories]),
    [
      ['trajectories', 0],
      ['eval/base-test', 6],
      ['eval/digiq-test', 6],
    ],
  );
  assert.match(
    info.problems[0].message,
    /transitions-00000\.parquet: truncated: expected \d+ bytes, got \d+; run `critiq collect` again/,
  );
  assert.equal((await of<TrajectoryPage>('/runs/seen/trajectories', here)).total, 12);
  const { evaluations, problems } = await of<EvaluationList>('/runs/seen/evaluations', here);
  assert.deepEqual(
    evaluations.map(({ name }) => name),
    ['eval/digiq-test'],
  );
  assert.match(problems[0].message, /base-test\/_result\.json: damaged: not valid JSON/);
  // repaired, it is found without a restart
  writeFileSync(shard, whole);
  appendFileSync(join(broken.folder, 'trajectories/_manifest.jsonl'), runFiles.note(broken.folder, 'trajectories'));
  const seen = await of<Trajectory>('/runs/seen/trajectory?set=trajectories&id=000001', here);
  assert.match(seen.problems[0].message, /00000\.candidates\.parquet: truncated/);
  assert.ok(
    seen.strip.every(({ scores }) => scores !== null),
    'the values are whole and do not need the candidates',
  );
  assert.deepEqual(here.complaints, []);
});

test('a manifest that names a file outside its folder reads nothing there', async (t) => {
  const data = emptyFolder(t);
  const outside = await viewedRun(t);
  mkdirSync(join(data, 'sly/trajectories'), { recursive: true });
  const manifest = readFileSync(join(outside.folder, 'trajectories/_manifest.jsonl'), 'utf8');
  const stolen = runFiles.renamed(manifest, `../../../${outside.folder.replace(/^\//, '')}/trajectories/`);
  writeFileSync(join(data, 'sly/trajectories/_manifest.jsonl'), stolen);
  const here = await viewing(t, data, 'sly');
  const info = await of<RunInfo>('/runs/sly', here);
  assert.match(info.problems[0].message, /outside of it|cannot be read/);
  assert.equal((await of<TrajectoryPage>('/runs/sly/trajectories', here)).total, 0);
});

test('screenshots: narrow ones unchanged, thumbnails of wide ones, and an error of one line for a missing one', async (t) => {
  const picture = async (path: string) => fetch(`${new URL(viewer.url).origin}/api/runs/seen/${path}`);
  const { image } = run.transitions[0];
  const stored = readFileSync(new ImageStore(join(run.folder, 'images')).path(image));
  for (const size of ['small', 'full']) {
    const answer = await picture(`images/${image}?size=${size}`);
    assert.equal(answer.headers.get('content-type'), 'image/png');
    assert.deepEqual(Buffer.from(await answer.arrayBuffer()), stored);
  }
  const frame = { width: 1080, height: 300, rgba: new Uint8ClampedArray(4 * 1080 * 300).fill(200) };
  const wide = await new ImageStore(join(run.folder, 'images')).put(frame);
  const twice = [await picture(`images/${wide}?size=small`), await picture(`images/${wide}?size=small`)];
  const [made, kept] = await Promise.all(twice.map(async (answer) => Buffer.from(await answer.arrayBuffer())));
  assert.equal(made.toString('latin1', 8, 12), 'WEBP');
  assert.deepEqual(kept, made);
  const missing = await picture(`images/${'ab'.repeat(16)}`);
  assert.equal(missing.status, 404);
  assert.match(await missing.text(), /the screenshot abab/);
  const bad = join(run.folder, 'images/cd');
  mkdirSync(bad, { recursive: true });
  writeFileSync(join(bad, `${'cd'.repeat(16)}.png`), 'no picture');
  assert.match(await (await picture(`images/${'cd'.repeat(16)}`)).text(), /is not a PNG/);
  t.diagnostic(`thumbnail of ${made.length} bytes`);
});

test('an imported Digi-Q data set: its steps and candidates, and the paths of its screenshots', async (t) => {
  const data = emptyFolder(t);
  const folder = join(data, 'general');
  const file = fileURLToPath(new URL('../../../test/fixtures/torch/digiq-numpy.pt', import.meta.url));
  const { trajectories } = await importDigiq(file, folder, { parse: actionColumns });
  const settings = { import: {}, file };
  await new Output('trajectories', join(folder, 'trajectories')).writePlan({
    ...{ stage: 'import', instance: 'import', settings, finished: true, shards: [] },
  });
  const images = emptyFolder(t);
  const here = await viewing(t, data, 'general', { images });
  const list = await of<TrajectoryPage>('/runs/general/trajectories', here);
  assert.equal(list.total, trajectories);
  const rows = await readTable(join(folder, 'trajectories/transitions-00000.parquet'), TRANSITIONS);
  const { set, id } = list.rows[0];
  const seen = await of<Trajectory>(`/runs/general/trajectory?set=${set}&id=${encodeURIComponent(id)}`, here);
  assert.deepEqual(
    seen.strip.map(({ action }) => action),
    rows.filter((row) => row.trajectory === id).map(({ action }) => action),
  );
  const state = await of<State>(`/runs/general/state?set=${set}&id=${encodeURIComponent(id)}&step=0`, here);
  assert.ok(state.candidates.length > 1);
  const named = rows.find(({ imagePath }) => imagePath !== '');
  assert.ok(named, 'the fixture names a screenshot');
  const place = `set=${set}&id=${encodeURIComponent(named.trajectory)}&step=${named.step}`;
  const screen = async () => fetch(`${new URL(here.url).origin}/api/runs/general/screen?${place}`);
  assert.equal((await screen()).status, 404);
  const frame = { width: 2, height: 2, rgba: new Uint8ClampedArray(16).fill(255) };
  const path = join(images, named.imagePath);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, await encodePng(frame));
  assert.equal((await screen()).headers.get('content-type'), 'image/png');
  // imported with its screenshots: the run has them, and needs no folder
  await new ImageStore(join(folder, 'images')).putAs(named.image, frame);
  const shown = await of<Trajectory>(
    `/runs/general/trajectory?set=${set}&id=${encodeURIComponent(named.trajectory)}`,
    here,
  );
  assert.deepEqual(shown.strip[named.step].screen, { kind: 'stored', id: named.image });
  const stored = await fetch(`${new URL(here.url).origin}/api/runs/general/images/${named.image}`);
  assert.equal(stored.headers.get('content-type'), 'image/png');
});
