/** Settings files that come with the program are found by name, unless the folder has such a file. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { z } from 'zod';
import { composeSettings, loadSettings } from '../../src/settings/settings.js';
import { emptyFolder } from '../rigs/process.js';

const schema = composeSettings({ critic: z.object({ lr: z.number().default(1), gamma: z.number().default(1) }) });

/** An empty working folder, and a library of `pocket` and of `webshop`, which extends it. */
function folders(t: TestContext): { library: string; load(file: string): unknown } {
  const [folder, library] = [emptyFolder(t), emptyFolder(t)];
  writeFileSync(join(library, 'pocket.yaml'), 'critic: {lr: 2}\n');
  writeFileSync(join(library, 'webshop.yaml'), 'extends: pocket.yaml\ncritic: {gamma: 2}\n');
  const before = process.cwd();
  process.chdir(folder);
  t.after(() => process.chdir(before));
  return { library, load: (file) => loadSettings(schema, { file, library }).critic };
}

test('settings files are found by name, with or without .yaml', (t) => {
  const { load } = folders(t);
  assert.deepEqual(load('pocket'), { lr: 2, gamma: 1 });
  assert.deepEqual(load('webshop.yaml'), { lr: 2, gamma: 2 });
});

test('a file in the folder wins, but not a folder with that name', (t) => {
  const { load } = folders(t);
  mkdirSync('pocket');
  assert.deepEqual(load('pocket'), { lr: 2, gamma: 1 });
  writeFileSync('pocket.yaml', 'critic: {lr: 3}\n');
  assert.deepEqual(load('pocket'), { lr: 3, gamma: 1 });
  writeFileSync('webshop', 'critic: {lr: 4}\n');
  assert.deepEqual(load('webshop'), { lr: 4, gamma: 1 });
  assert.deepEqual(load('./webshop'), { lr: 4, gamma: 1 });
});

test('a file extends library files by name, even the one with its own name', (t) => {
  const { load } = folders(t);
  writeFileSync('mine.yaml', 'extends: webshop\ncritic: {lr: 5}\n');
  assert.deepEqual(load('mine.yaml'), { lr: 5, gamma: 2 });
  writeFileSync('pocket.yaml', 'extends: pocket\ncritic: {gamma: 6}\n');
  assert.deepEqual(load('pocket.yaml'), { lr: 2, gamma: 6 });
  assert.deepEqual(load('webshop'), { lr: 2, gamma: 2 }, 'the library extends its own files');
});

test('an unknown name lists the existing ones; a mistake in a library file names the library', (t) => {
  const { load, library } = folders(t);
  const message = "webshp: no such settings file; critiq's own are pocket, webshop";
  assert.throws(() => load('webshp'), { name: 'UserError', message });
  writeFileSync('mine.yaml', 'extends: nothing\n');
  assert.throws(() => load('mine.yaml'), /^UserError: nothing: no such settings file \(extended by mine\.yaml\); /);
  writeFileSync(join(library, 'pocket.yaml'), 'critic: {l: 2}\n');
  assert.throws(() => load('pocket'), /^UserError: critiq's pocket\.yaml: unknown setting critic\.l; /);
});
