import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { packageRoot } from '../../src/package.js';
import { emptyFolder } from '../rigs/process.js';

/** What the rule says of a copy of a few sources with some files added. */
function cruise(t: Parameters<typeof emptyFolder>[0], planted: Readonly<Record<string, string>>) {
  const folder = emptyFolder(t);
  for (const name of ['.dependency-cruiser.cjs', 'tsconfig.json', 'package.json'])
    cpSync(join(packageRoot(), name), join(folder, name));
  symlinkSync(join(packageRoot(), 'node_modules'), join(folder, 'node_modules'));
  for (const [name, text] of Object.entries(planted)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  const program = join(packageRoot(), 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs');
  const args = [program, '--config', '.dependency-cruiser.cjs', '--output-type', 'err', 'src', 'pipelines'];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' });
  return { status, text: stdout + stderr };
}

const LOWER = { 'src/data/lower.ts': 'export const lower = 1;\n' };
const STAGE = { 'pipelines/stage.ts': "import { lower } from '../src/data/lower.js';\nexport const stage = lower;\n" };

test('the layer rule passes imports that point downward', (t) => {
  const { status, text } = cruise(t, { ...LOWER, ...STAGE });
  assert.equal(status, 0, text);
});

test('the layer rule names an import that points upward', (t) => {
  const { status, text } = cruise(t, {
    ...LOWER,
    ...STAGE,
    'src/data/upward.ts': "export { stage } from '../../pipelines/stage.js';\n",
  });
  assert.notEqual(status, 0);
  assert.match(text, /layer-data.*src\/data\/upward\.ts/s);
});

test('the layer rule names two files that need each other, also where only types are imported', (t) => {
  const { status, text } = cruise(t, {
    ...STAGE,
    'src/data/lower.ts': "import type { Other } from './other.js';\nexport const lower: Other = 1;\n",
    'src/data/other.ts':
      "import { lower } from './lower.js';\nexport type Other = number;\nexport const other = lower;\n",
  });
  assert.notEqual(status, 0);
  assert.match(text, /no-circles.*src\/data\/(lower|other)\.ts/s);
});

test('the layer rule names a stage that reads true values, and passes the report', (t) => {
  const planted = {
    'src/oracle/table.ts': 'export const table = 1;\n',
    'src/report/truth.ts': "export { table } from '../oracle/table.js';\n",
  };
  assert.equal(cruise(t, { ...planted, ...LOWER, ...STAGE }).status, 0);
  const { status, text } = cruise(t, {
    ...planted,
    'pipelines/critic.ts': "export { table } from '../src/oracle/table.js';\n",
  });
  assert.notEqual(status, 0);
  assert.match(text, /oracle-for-diagnosis.*pipelines\/critic\.ts/s);
});
