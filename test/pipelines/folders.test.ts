/** The folder of a data set is a table to programs that know nothing of critiq (docs/reading-data.md). */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseAction } from '../../src/agents/grammar.js';
import { openDataset } from '../../src/data/store/manifest.js';
import { fixture } from '../rigs/files.js';
import { readFolder, tableFolders } from '../rigs/folder-reader.js';
import { emptyFolder, succeed } from '../rigs/process.js';

const program = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const SETTINGS = JSON.parse(readFileSync(fixture('run-v1', 'settings.json'), 'utf8')) as string[];

test('every folder of a run that has a table reads as one table, with all its rows', async (t) => {
  const cwd = emptyFolder(t);
  for (const stage of ['online', 'critic', 'eval']) await succeed([stage, ...SETTINGS], { cwd, program });
  const run = join(cwd, 'data/pocket');
  const sets = ['candidates', 'demos', 'eval/base-test', 'online/coso', 'trajectories', 'values'];
  const parts = ['online/coso/_curve', 'online/coso/_steps', 'online/coso/_token-influence'];
  assert.deepEqual(tableFolders(run), [...sets, ...parts].sort());
  for (const name of sets) {
    const own = (await openDataset(join(run, name))).shards
      .flatMap(({ files }) => files)
      .filter(({ file }) => file.endsWith('.parquet') && !file.startsWith('_'));
    const rows = await readFolder(join(run, name));
    assert.ok(rows.length > 0, name);
    assert.equal(
      rows.length,
      own.reduce((sum, file) => sum + file.rows!, 0),
      name,
    );
  }
  for (const name of parts) assert.ok((await readFolder(join(run, name))).length > 0, name);

  const steps = await readFolder(join(run, 'trajectories'));
  const values = new Map((await readFolder(join(run, 'values'))).map((row) => [row.transition_id, row]));
  assert.ok(
    steps.every(({ transition_id: id }) => values.has(id)),
    'tables join by transition_id',
  );
  const demonstrated = await readFolder(join(run, 'demos'));
  assert.ok(demonstrated.some(({ action_type: type }) => type === 'DUAL_POINT'));
  for (const row of [...steps, ...demonstrated]) {
    const { action, action_type, touch_x, touch_y, lift_x, lift_y, typed_text } = row;
    const parsed = parseAction(action as string);
    const { touch, lift } =
      'invalid' in parsed || parsed.action.type !== 'DUAL_POINT'
        ? { touch: [null, null], lift: [null, null] }
        : parsed.action;
    assert.equal(action_type, 'invalid' in parsed ? 'INVALID' : parsed.action.type);
    assert.deepEqual([touch_y, touch_x, lift_y, lift_x], [...touch, ...lift]);
    assert.equal(typed_text, 'action' in parsed && parsed.action.type === 'TYPE' ? parsed.action.text : null);
  }
  const live = await readFolder(join(run, 'online/coso'));
  for (const [rows, policy, temperature] of [
    [steps, 'base', 0.2],
    [demonstrated, 'demonstrator', null],
    [live, 'coso', 0.2],
  ] as const)
    assert.ok(
      rows.every((row) => row.policy === policy && row.temperature === temperature),
      policy,
    );

  const stray = join(run, 'trajectories/notes.txt');
  writeFileSync(stray, 'a file that is no table stands in the way, so this test would notice one');
  await assert.rejects(readFolder(join(run, 'trajectories')));
});
