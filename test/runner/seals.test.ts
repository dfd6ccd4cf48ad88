/** run.json, plans and entries of the trash carry checksums; those of earlier versions have none and are read as they are. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { UserError } from '../../src/errors.js';
import { examineRun } from '../../src/runner/examine.js';
import { loadRegistry } from '../../src/runner/registry.js';
import { loadRunSettings } from '../../src/runner/run-settings.js';
import { runStage, type RunOptions } from '../../src/runner/run.js';
import { contents, emptyFolder } from '../rigs/process.js';
import { registry } from '../rigs/stages.js';

const loaded = await loadRegistry(registry);

async function make(data: string, overrides: readonly string[] = [], options: RunOptions = {}): Promise<number[]> {
  const { config } = loadRunSettings(
    loaded,
    { overrides: [`data=${data}`, ...overrides] },
    loaded.stages.get('squares'),
  );
  return (await runStage(loaded, 'squares', config, options)).map(({ made }) => made);
}

/** A run with a replaced result. */
async function madeRun(t: TestContext): Promise<{ data: string; run: string }> {
  const data = emptyFolder(t);
  await make(data, ['squares.power=3']);
  await make(data, ['squares.power=5'], { redo: true });
  return { data, run: join(data, 'pocket') };
}

const FILES = ['run.json', 'squares/_plan.json', '.trash/0001-squares/entry.json'];

test('a setting that became another valid one is named, with what to do, and nothing is built', async (t) => {
  const { data, run } = await madeRun(t);
  const advice: Record<string, RegExp> = {
    'run.json':
      /if somebody edited it, undo that and give settings to commands instead \(`critiq config run=pocket` shows them\)/,
    'squares/_plan.json': /restore it from a copy, or delete \S+squares and run its stage again/,
    '.trash/0001-squares/entry.json': /look into its folder, then remove it/,
  };
  for (const name of FILES) {
    const file = join(run, name);
    const whole = readFileSync(file, 'utf8');
    const changed = whole.replace(/("(?:squares\.)?power"|"power"): (\d)/, '$1: 7');
    assert.notEqual(changed, whole, name);
    JSON.parse(changed);
    writeFileSync(file, changed);
    const before = contents(run);
    await assert.rejects(make(data), (error) => {
      assert.ok(error instanceof UserError);
      assert.ok(error.message.startsWith(`${file}: damaged: expected crc32 `), error.message);
      assert.match(error.message, advice[name]);
      return true;
    });
    assert.deepEqual(contents(run), before);
    if (!name.startsWith('.trash')) {
      const [found] = (await examineRun(run)).filter(({ kind }) => kind === 'damaged');
      assert.match(found.what, /damaged: expected crc32 \d+, got \d+$/, 'without the advice');
      assert.match(found.action!, advice[name]);
    }
    writeFileSync(file, whole);
  }
  assert.deepEqual(await make(data), [0, 0]);
});

test('files of earlier versions have no checksum: they count as they are, and plans keep their bytes', async (t) => {
  const { data, run } = await madeRun(t);
  for (const name of FILES) {
    const file = join(run, name);
    const text = readFileSync(file, 'utf8');
    const old = text.replace(/,\n {1,2}"crc32": \d+\n\}\n$/, '\n}\n');
    assert.notEqual(old, text, name);
    writeFileSync(file, old);
  }
  const plan = readFileSync(join(run, 'squares/_plan.json'), 'utf8');
  assert.deepEqual(await make(data), [0, 0]);
  assert.equal(readFileSync(join(run, 'squares/_plan.json'), 'utf8'), plan);
  assert.deepEqual(
    (await examineRun(run)).map(({ kind }) => kind),
    ['kept'],
  );
  await make(data, ['squares.power=2'], { redo: true });
  for (const name of FILES.slice(0, 2))
    assert.match(readFileSync(join(run, name), 'utf8'), /"crc32": \d+\n\}\n$/, name);
});
