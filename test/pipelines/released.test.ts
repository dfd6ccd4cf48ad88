/** Digi-Q's released data and agents, from import to training, as their user works with them. */
import assert from 'node:assert/strict';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readTable } from '../../src/data/tables.js';
import { TRANSITIONS } from '../../src/data/transitions.js';
import { fixture } from '../rigs/files.js';
import { critiq, emptyFolder, succeed } from '../rigs/process.js';

const program = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const released = (...names: string[]) => fixture('golden', 'released', ...names);

/** A folder with the checkpoints where the settings file expects them. */
function checkpoints(t: TestContext): string {
  const cwd = emptyFolder(t);
  const policy = join(cwd, 'checkpoints/Auto-UI-Base');
  cpSync(released('agent/auto-ui-base'), policy, { recursive: true });
  cpSync(released('agent/trainer.pt/pytorch_model.bin'), join(policy, 'pytorch_model.bin'));
  cpSync(released('roberta'), join(cwd, 'checkpoints/roberta-base'), { recursive: true });
  return cwd;
}

/** The published settings on tiny networks, for a few steps. */
const TINY = ['critic.q_hidden=[8]', 'critic.v_hidden=[8]', 'critic.iterations=1', 'critic.epochs=3'].concat([
  'actor.iterations=1',
  'actor.epochs=2',
  'actor.grad_accum_steps=2',
  'actor.threshold=-10',
]);

test('--config digiq-import trains critic and actor on an imported file; what is missing is said before any work', async (t) => {
  const none = emptyFolder(t);
  const missing = await critiq(['actor', '--config', 'digiq-import'], { cwd: none, program });
  assert.equal(missing.code, 2);
  assert.match(
    missing.stderr,
    /^critiq: models\.policy=checkpoints\/Auto-UI-Base: no such folder; expected an Auto-UI checkpoint; data\/digiq-import\/trajectories: missing, .* run `critiq import digiq FILE\.pt` .*; models\.text=checkpoints\/roberta-base: no such folder; expected a RoBERTa checkpoint\n$/,
  );

  const cwd = checkpoints(t);
  await succeed(['import', 'digiq', released('trajectories.pt'), '--config', 'digiq-import'], { cwd, program });
  await succeed(['actor', '--config', 'digiq-import', ...TINY], { cwd, program });
  const rows = await readTable(join(cwd, 'data/digiq-import/trajectories/transitions-00000.parquet'), TRANSITIONS);
  assert.deepEqual(rows.map(({ mcReturn }) => +mcReturn.toFixed(4)).slice(0, 3), [0.9025, 0.95, 1]);

  // half of the frame, as if it had been cut in two
  const cut = ['run=cut', 'import.images=pair'];
  await succeed(['import', 'digiq', released('trajectories.pt'), '--config', 'digiq-import', ...cut], { cwd, program });
  const narrow = await critiq(['actor', '--config', 'digiq-import', ...TINY, 'run=cut'], { cwd, program });
  assert.equal(narrow.code, 2);
  assert.match(narrow.stderr, /data\/cut\/image-vectors: image vectors of 3 numbers, but policy\/base reads 6; .*\n$/);
});
