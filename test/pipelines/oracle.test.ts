/** The stage `oracle` and `critiq ranking`, on a small run. */
import assert from 'node:assert/strict';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readCandidates, readTransitions } from '../../pipelines/datasets.js';
import { readTable } from '../../src/data/tables.js';
import { UserError } from '../../src/errors.js';
import { meanOf, ORACLE, returnOf } from '../../src/oracle/table.js';
import { critiq, emptyFolder } from '../rigs/process.js';
import { files, run, withData } from '../rigs/tiny-runs.js';

const program = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const SMALL = ['oracle.states=5', 'oracle.shard=3', 'oracle.rollouts=4', 'oracle.from=all'];

const oracle = (data: string, ...more: string[]) => run(data, 'oracle', [...SMALL, ...more]);

async function rowsOf(data: string) {
  const shards = await Promise.all(
    ['00000', '00001'].map((id) => readTable(join(data, `pocket/oracle/oracle-${id}.parquet`), ORACLE)),
  );
  return shards.flat();
}

/** A second data folder with the same run. */
function twin(t: TestContext, data: string): string {
  const folder = emptyFolder(t);
  cpSync(data, folder, { recursive: true });
  return folder;
}

test('the oracle measures every candidate of collected states; more states join those that are there', async (t) => {
  const data = await withData(t);
  const grown = twin(t, data);
  await oracle(data);
  const rows = await rowsOf(data);
  const folder = join(data, 'pocket');
  const candidates = new Map(
    (await readCandidates(join(folder, 'candidates'), 'candidates')).map((row) => [row.tid, row]),
  );
  const steps = await readTransitions(join(folder, 'trajectories'), 'collect', ['tid', 'step']);
  const stepOf = new Map(steps.map(({ tid, step }) => [tid, step]));
  assert.equal(rows.length, 5);
  assert.equal(new Set(rows.map(({ tid }) => tid)).size, 5);
  for (const { tid, q, qError, rollouts, outcomes, v, stateOutcomes } of rows) {
    const n = candidates.get(tid)!.actions.length;
    assert.deepEqual([q.length, qError.length, rollouts, outcomes.length, stateOutcomes.length], [n, n, 4, 4 * n, 4]);
    const left = 3 - stepOf.get(tid)!;
    assert.ok([...outcomes, ...stateOutcomes].every((outcome) => outcome >= 0 && outcome <= left));
    q.forEach((value, i) => {
      const own = outcomes.slice(4 * i, 4 * i + 4).map((outcome) => returnOf(outcome, 0.95));
      assert.deepEqual({ mean: value, error: qError[i] }, meanOf(own));
    });
    assert.equal(v, meanOf(stateOutcomes.map((outcome) => returnOf(outcome, 0.95))).mean);
  }
  const made = files(data, 'oracle');
  await oracle(data);
  assert.deepEqual(files(data, 'oracle'), made, 'up to date');
  await run(grown, 'oracle', [...SMALL, 'oracle.states=4']);
  await oracle(grown);
  assert.deepEqual(await rowsOf(grown), rows, 'as from nothing');
});

test('states are those that the critic does not train on, unless it is told otherwise', async (t) => {
  const data = await withData(t);
  const trajectoriesOf = async (from: string) => {
    await run(data, 'oracle', ['oracle.states=99', 'oracle.rollouts=2', 'oracle.shard=99', `oracle.from=${from}`], {
      redo: true,
    });
    const rows = await readTable(join(data, 'pocket/oracle/oracle-00000.parquet'), ORACLE);
    const steps = await readTransitions(join(data, 'pocket/trajectories'), 'collect', ['tid', 'trajectory']);
    const names = new Map(steps.map(({ tid, trajectory }) => [tid, trajectory]));
    return new Set(rows.map(({ tid }) => names.get(tid)!));
  };
  const held = await trajectoriesOf('held_out');
  const trained = await trajectoriesOf('training');
  assert.deepEqual([held.size, trained.size], [2, 6]);
  assert.ok([...held].every((name) => !trained.has(name)));
});

test('the oracle says where it cannot work: other devices, other judges, data that does not replay', async (t) => {
  const data = await withData(t);
  const fails = (pattern: RegExp, ...more: string[]) =>
    assert.rejects(oracle(data, ...more), (error) => error instanceof UserError && pattern.test(error.message));
  await fails(/device\.backend=browser: only the embedded phone/, 'device.backend=browser');
  await fails(/judge\.kind=openai: the oracle needs the exact judge/, 'judge.kind=openai', 'judge.model=x');
});

test('critiq ranking prints a table, and the same numbers as JSON', async (t) => {
  const data = await withData(t);
  await run(data, 'critic', []);
  const cwd = emptyFolder(t);
  const missing = await critiq(['ranking', `data=${data}`], { cwd, program });
  assert.equal(missing.code, 2);
  assert.match(missing.stderr, /no true values; measure them with `critiq oracle run=pocket`/);
  await oracle(data);
  const shown = await critiq(['ranking', `data=${data}`], { cwd, program });
  assert.equal(shown.code, 0, shown.stderr);
  assert.match(shown.stdout, /true value: best of N +0\.\d{3} \(/);
  assert.match(shown.stdout, /means of 4 episodes, discount 0\.95/);
  const json = await critiq(['ranking', 'pocket', `data=${data}`, '--json', '--gamma', '1'], { cwd, program });
  const [found] = JSON.parse(json.stdout) as { run: string; states: number; gamma: number; candidates: number }[];
  const rows = await rowsOf(data);
  const n = rows.reduce((sum, { q }) => sum + q.length, 0);
  assert.deepEqual([found.run, found.states, found.gamma, found.candidates], ['pocket', 5, 1, n]);
  const wrong = await critiq(['ranking', `data=${data}`, '--gap', 'x'], { cwd, program });
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /--gap: expected a number from 0 to 1, got "x"/);
});
