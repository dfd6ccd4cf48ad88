/** More of the same extends what is there, less uses a part of it; the bytes are those of a run made at once. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Random } from '../../src/random.js';
import { forecast } from '../../src/runner/forecast.js';
import { loadRegistry } from '../../src/runner/registry.js';
import { runStage, type RunOptions } from '../../src/runner/run.js';
import { loadSettings } from '../../src/settings/settings.js';
import { plays, registry } from '../rigs/growing.js';
import { contents, emptyFolder, killedAgainAndAgain, succeed, timed } from '../rigs/process.js';

const loaded = await loadRegistry(registry);
const PROGRAM = new URL('../rigs/growing.js', import.meta.url).pathname;

const run = (data: string, stage: string, overrides: string[] = [], options: RunOptions = {}) =>
  runStage(
    loaded,
    stage,
    loadSettings(loaded.schema, { overrides: [`data=${data}`, 'workers=1', ...overrides] }),
    options,
  );

/** Files of data sets and metrics: all of a run but what is kept aside. */
function results(data: string): Record<string, string> {
  const files = Object.entries(contents(join(data, 'pocket')));
  return Object.fromEntries(files.filter(([name]) => !name.startsWith('.') && name !== 'lock'));
}

const fresh = async (t: { after(fn: () => void): void }, stage: string, overrides: string[]) => {
  const data = emptyFolder(t);
  await run(data, stage, overrides);
  return results(data);
};

test('more items and more copies extend the shards, and nothing that is there is made again', async (t) => {
  const data = emptyFolder(t);
  await run(data, 'copies', ['items.count=6']);
  for (const settings of [['items.count=7'], ['items.count=13'], ['items.count=13', 'copies.count=4']]) {
    plays.length = 0;
    await run(data, 'copies', settings);
    const made: string[] = [...plays];
    assert.equal(new Set(made).size, made.length);
    assert.deepEqual(results(data), await fresh(t, 'copies', settings), settings.join(' '));
    if (settings.length === 1 && settings[0].endsWith('7'))
      assert.deepEqual(made, ['0 100 6', ...made.filter((p) => p.startsWith('copy'))]);
    if (settings.length === 2) assert.equal(made.length, 26, '2 more copies of each of 13 items');
  }
  assert.equal(existsSync(join(data, 'pocket/.trash')), false, 'nothing was replaced');
});

test('--dry-run says which shards become longer, in the stages behind, too', async (t) => {
  const data = emptyFolder(t);
  await run(data, 'copies', ['items.count=6']);
  const settings = loadSettings(loaded.schema, { overrides: [`data=${data}`, 'items.count=7'] });
  const { runs, steps } = await forecast(loaded, 'copies', settings);
  assert.equal(runs, true, JSON.stringify(steps));
  assert.deepEqual(
    steps.map(({ instance, resized, replaced, reused }) => [instance, resized, replaced, reused]),
    [
      ['items', 1, 0, 1],
      ['copies', 1, 0, 1],
    ],
  );
});

test('fewer use a part of what is there, and a larger number takes the rest back without making it again', async (t) => {
  const data = emptyFolder(t);
  await run(data, 'copies', ['items.count=14', 'copies.count=3']);
  const whole = results(data);
  plays.length = 0;
  for (const count of [5, 2, 9]) {
    await run(data, 'copies', [`items.count=${count}`, 'copies.count=3']);
    assert.deepEqual(results(data), await fresh(t, 'copies', [`items.count=${count}`, 'copies.count=3']), `${count}`);
  }
  plays.length = 0;
  await run(data, 'copies', ['items.count=14', 'copies.count=3']);
  assert.deepEqual([...plays], [], 'nothing was made again');
  assert.deepEqual(results(data), whole);
  await run(data, 'copies', ['items.count=14', 'copies.count=1']);
  await run(data, 'copies', ['items.count=16', 'copies.count=2']);
  assert.deepEqual(
    plays.filter((play) => !play.startsWith('copy')),
    ['0 100 14', '0 100 15'],
  );
  assert.deepEqual(results(data), await fresh(t, 'copies', ['items.count=16', 'copies.count=2']));
});

test('a training goes on from where it ended, to the bytes of a longer one; a shorter one is taken back', async (t) => {
  const data = emptyFolder(t);
  await run(data, 'score', ['fit.steps=5']);
  const short = results(data);
  await run(data, 'fit', ['fit.steps=9']);
  const longer = await fresh(t, 'fit', ['fit.steps=9']);
  const grown = results(data);
  for (const [name, digest] of Object.entries(longer)) assert.equal(grown[name], digest, name);
  await assert.rejects(run(data, 'score', ['fit.steps=9']), { name: 'UserError', message: /score\/all: .*--redo/ });
  await run(data, 'score', ['fit.steps=5']);
  assert.deepEqual(results(data), short, 'the version with 5 steps is back, and its score fits');
  await assert.rejects(run(data, 'fit', ['fit.steps=3']), {
    name: 'UserError',
    message: /fit\/all: .*fit.steps 5 -> 3/,
  });
  await run(data, 'fit', ['fit.steps=7']);
  const at7 = await fresh(t, 'fit', ['fit.steps=7']);
  for (const [name, digest] of Object.entries(at7)) assert.equal(results(data)[name], digest, name);
});

test('a training whose rate depends on all steps, or whose state is gone, is replaced only with --redo', async (t) => {
  const data = emptyFolder(t);
  await run(data, 'fit', ['fit.decay=true']);
  await assert.rejects(run(data, 'fit', ['fit.decay=true', 'fit.steps=9']), { message: /fit.steps 6 -> 9/ });
  const other = emptyFolder(t);
  await run(other, 'fit', ['fit.steps=5']);
  rmSync(join(other, 'pocket/.spare'), { recursive: true });
  await assert.rejects(run(other, 'fit', ['fit.steps=9']), { message: /fit.steps 5 -> 9.*no state to go on from/ });
  await run(other, 'fit', ['fit.steps=9'], { redo: true });
  assert.deepEqual(results(other), await fresh(t, 'fit', ['fit.steps=9']));
});

test('a changed setting is still a replacement, whatever the counts are', async (t) => {
  const data = emptyFolder(t);
  await run(data, 'items', ['items.count=6']);
  const before = contents(join(data, 'pocket'));
  await assert.rejects(run(data, 'items', ['items.count=9', 'items.scale=7']), {
    name: 'UserError',
    message: /items: this would rebuild 2 finished shards.*items.scale 100 -> 7/,
  });
  assert.deepEqual(contents(join(data, 'pocket')), before);
  await run(data, 'items', ['items.count=3', 'items.scale=7'], { redo: true });
  plays.length = 0;
  await run(data, 'items', ['items.count=3', 'items.scale=100'], { redo: true });
  assert.deepEqual(results(data), await fresh(t, 'items', ['items.count=3']));
});

test('a shard with another name in the place of one that is there is a replacement', async (t) => {
  const data = emptyFolder(t);
  await run(data, 'score', ['score.salt=a']);
  const before = contents(join(data, 'pocket'));
  // as a checkpoint that was adopted from another folder, or has changed in its folder
  for (const other of [['score.salt=b'], ['score.salt=b', 'score.count=5']])
    await assert.rejects(run(data, 'score', other), {
      name: 'UserError',
      message: /score\/all: this would drop 1 fin/,
    });
  assert.deepEqual(contents(join(data, 'pocket')), before);
  await run(data, 'score', ['score.salt=b'], { redo: true });
  assert.equal(existsSync(join(data, 'pocket/.trash/0001-score,all')), true);
});

test('after --force what was kept aside does not mix with what is there', async (t) => {
  const data = emptyFolder(t);
  await run(data, 'items', ['items.count=8']);
  await run(data, 'items', ['items.count=5']);
  await run(data, 'items', ['items.count=5'], { force: true });
  // as on live devices: other episodes with the same settings
  plays.length = 0;
  await run(data, 'items', ['items.count=8']);
  assert.deepEqual(results(data), await fresh(t, 'items', ['items.count=8']));
});

test('a damaged version that is kept aside is not used', async (t) => {
  const data = emptyFolder(t);
  await run(data, 'items', ['items.count=4']);
  await run(data, 'items', ['items.count=2']);
  const spare = join(data, 'pocket/.spare/items');
  const [file] = Object.keys(contents(spare)).filter((name) => name.endsWith('i0.json'));
  const text = readFileSync(join(spare, file), 'utf8');
  writeFileSync(
    join(spare, file),
    text.replace(/\d/, (digit) => String((Number(digit) + 1) % 10)),
  );
  await run(data, 'items', ['items.count=3']);
  assert.deepEqual(results(data), await fresh(t, 'items', ['items.count=3']));
});

test('killed again and again while shards become longer and shorter, the run ends with the same bytes', async (t) => {
  const random = new Random(5, 'growth kills');
  const calm = emptyFolder(t);
  await succeed(['fit', 'items.count=3', 'fit.steps=4'], { cwd: calm, program: PROGRAM });
  const calmMs = await timed(['fit', 'items.count=3', 'fit.steps=40'], { cwd: calm, program: PROGRAM, delayMs: 20 });
  const cwd = emptyFolder(t);
  const where = { cwd, program: PROGRAM, delayMs: 20 };
  await succeed(['copies', 'items.count=3'], where);
  const kills: number[] = [];
  for (const count of [19, 6, 17]) {
    kills.push(await killedAgainAndAgain(['copies', `items.count=${count}`], where, { most: 6, calmMs, random }));
    await succeed(['copies', `items.count=${count}`], where);
    assert.deepEqual(results(join(cwd, 'data')), await fresh(t, 'copies', [`items.count=${count}`]), `${count}`);
  }
  await succeed(['fit', 'items.count=17', 'fit.steps=4'], where);
  kills.push(await killedAgainAndAgain(['fit', 'items.count=17', 'fit.steps=40'], where, { most: 6, calmMs, random }));
  await succeed(['fit', 'items.count=17', 'fit.steps=40'], where);
  assert.deepEqual(results(join(cwd, 'data')), await fresh(t, 'fit', ['items.count=17', 'fit.steps=40']));
  assert.ok(kills.reduce((a, b) => a + b) >= 4, `${kills.join(', ')} kills`);
});
