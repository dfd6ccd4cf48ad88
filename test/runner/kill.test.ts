/** kill -9 at any moment of any stage, then the same command: the same bytes as an uninterrupted run. */
import assert from 'node:assert/strict';
import { existsSync, rmSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Random } from '../../src/random.js';
import { metricsFile, readMetrics } from '../../src/data/metrics.js';
import { contents, critiq, emptyFolder, start, succeed, until } from '../rigs/process.js';

test('kill -9 at random moments leaves the same files as an uninterrupted run', async (t) => {
  const calm = emptyFolder(t);
  await succeed(['total'], { cwd: calm });
  const expected = contents(join(calm, 'data/pocket'));
  const random = new Random(0, 'kill moments');
  const cwd = emptyFolder(t);
  let kills = 0;
  for (let n = 0; n < 40; n++) {
    const { child, ended } = start(['total'], { cwd, delayMs: 40 });
    const timer = setTimeout(() => child.kill('SIGKILL'), 150 + random.int(350));
    const { killed, code, stderr } = await ended;
    clearTimeout(timer);
    if (killed) kills++;
    else {
      assert.equal(code, 0, stderr);
      break;
    }
  }
  assert.ok(kills >= 3, `killed only ${kills} times: make the stages slower`);
  await succeed(['total'], { cwd });
  assert.deepEqual(contents(join(cwd, 'data/pocket')), expected);
});

test('kill -9 while outdated shards are rebuilt', async (t) => {
  const calm = emptyFolder(t);
  await succeed(['total', 'numbers.count=7'], { cwd: calm });
  const cwd = emptyFolder(t);
  await succeed(['total'], { cwd });
  for (const waitMs of [0, 60, 150]) {
    const { child, ended } = start(['total', '--redo', 'numbers.count=7'], { cwd, delayMs: 60 });
    await until(() => existsSync(join(cwd, 'data/pocket/lock')), 'the lock');
    await sleep(waitMs);
    child.kill('SIGKILL');
    await ended;
  }
  await succeed(['total', '--redo', 'numbers.count=7'], { cwd });
  rmSync(join(cwd, 'data/pocket/.trash'), { recursive: true });
  assert.deepEqual(contents(join(cwd, 'data/pocket')), contents(join(calm, 'data/pocket')));
});

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  test(`${signal} exits with ${code} and one line, and the same command resumes`, async (t) => {
    const calm = emptyFolder(t);
    await succeed(['total'], { cwd: calm });
    const cwd = emptyFolder(t);
    for (const dataset of ['numbers', 'total/all']) {
      const { child, ended } = start(['total', '--quiet'], { cwd, delayMs: 100 });
      await until(() => existsSync(join(cwd, 'data/pocket', dataset, '_plan.json')), `${dataset} begun`);
      await sleep(130);
      child.kill(signal);
      const result = await ended;
      assert.equal(result.code, code, result.stderr);
      assert.match(result.stderr, new RegExp(`^critiq: stopped by ${signal}; [^\\n]+\\n$`));
      assert.equal(existsSync(join(cwd, 'data/pocket/lock')), false, 'the lock is released');
      const halves = readdirSync(join(cwd, 'data/pocket'), { recursive: true }).filter((name) =>
        String(name).endsWith('.tmp'),
      );
      assert.deepEqual(halves, []);
    }
    assert.equal((await critiq(['total'], { cwd })).code, 0);
    assert.deepEqual(contents(join(cwd, 'data/pocket')), contents(join(calm, 'data/pocket')));
  });
}

test('training resumes from its checkpoint, and no step is in the metrics twice', async (t) => {
  const cwd = emptyFolder(t);
  await succeed(['squares'], { cwd });
  const lines = (): number => readMetrics(metricsFile(join(cwd, 'data/pocket'), 'total/all')).length;
  const { child, ended } = start(['total'], { cwd, delayMs: 160 });
  // checkpoints are at 5, 10, ...: after a kill here, steps after the last one are in the metrics and must be repeated
  await until(() => lines() >= 7 && lines() % 5 >= 2, 'steps beyond a checkpoint');
  child.kill('SIGKILL');
  await ended;
  const left = lines();
  const { stderr } = await succeed(['total'], { cwd });
  const from = Number(/total\/all: resuming from step (\d+)\n/.exec(stderr)?.[1]);
  assert.ok(from >= 5 && from < left, `from step ${from}, with metrics up to ${left}`);
  assert.equal(existsSync(join(cwd, 'data/pocket/scratch/total,all')), false, 'the commit removes the checkpoint');
  const calm = emptyFolder(t);
  await succeed(['total'], { cwd: calm });
  assert.deepEqual(contents(join(cwd, 'data/pocket')), contents(join(calm, 'data/pocket')));
});

test('a checkpoint made with other settings is not used', async (t) => {
  const cwd = emptyFolder(t);
  await succeed(['squares'], { cwd });
  const { child, ended } = start(['total'], { cwd, delayMs: 120 });
  await until(() => existsSync(join(cwd, 'data/pocket/scratch/total,all/all/state.json')), 'a checkpoint');
  child.kill('SIGKILL');
  await ended;
  assert.doesNotMatch((await succeed(['total', 'total.lr=1'], { cwd })).stderr, /resuming from step/);
  const calm = emptyFolder(t);
  await succeed(['total', 'total.lr=1'], { cwd: calm });
  assert.deepEqual(contents(join(cwd, 'data/pocket')), contents(join(calm, 'data/pocket')));
});
