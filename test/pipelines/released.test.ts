/** Digi-Q's released data and agents, from import to training, as their user works with them. */
import assert from 'node:assert/strict';
import { cpSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Critic } from '../../src/agents/critic/critic.js';
import { readTorchStateDict } from '../../src/data/formats/torch-state.js';
import { TorchFile } from '../../src/data/formats/torch.js';
import { readTable } from '../../src/data/tables.js';
import { CANDIDATES, TRANSITIONS, VALUES } from '../../src/data/transitions.js';
import { openRuntime, Parameters } from '../../src/graph/index.js';
import { fixture, rejectsWithLine } from '../rigs/files.js';
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
  for (const stage of [['actor'], ['candidates'], ['vlm', 'models.vlm='], ['online', 'online.mode=offline']]) {
    const narrow = await critiq([...stage, '--config', 'digiq-import', ...TINY, 'run=cut'], { cwd, program });
    assert.equal(narrow.code, 2, narrow.stderr);
    const line = /^critiq: data\/cut\/image-vectors: image vectors of 3 numbers, but policy\/base reads 6; .*\n$/m;
    assert.match(narrow.stderr, line, stage[0]);
  }
  for (const built of ['critic', 'policy'])
    assert.ok(!existsSync(join(cwd, 'data/cut', built)), `${built} before the error`);
});

test('a released agent gives values of the imported data, from which an actor learns; what does not fit is said', async (t) => {
  const cwd = checkpoints(t);
  const settings = ['--config', 'digiq-import', 'import.representations=float32'];
  const importAgent = (folder: string, ...more: string[]) =>
    critiq(['import', 'agent', folder, ...settings, ...more], { cwd, program });
  await succeed(['import', 'digiq', released('trajectories.pt'), ...settings], { cwd, program });
  await succeed(['import', 'agent', released('agent'), ...settings], { cwd, program });
  const run = join(cwd, 'data/digiq-import');
  const values = await readTable(join(run, 'values/values.parquet'), VALUES);
  const candidates = await readTable(join(run, 'candidates/candidates-00000.parquet'), CANDIDATES);
  const rows = await readTable(join(run, 'trajectories/transitions-00000.parquet'), TRANSITIONS);
  const { cases } = JSON.parse(readFileSync(released('agent/values.json'), 'utf8')) as {
    cases: { traj: number; step: number; action: string; q1: number; v2: number }[];
  };
  for (const { traj, step, action, q1, v2 } of cases) {
    const at = rows.findIndex((row) => row.trajectory === String(traj) && row.step === step);
    assert.ok(Math.abs(values[at].q1[candidates[at].actions.indexOf(action)] - q1) < 1e-5);
    assert.ok(Math.abs(values[at].v2 - v2) < 1e-5);
  }
  // the actor takes the imported values, and trains no critic
  await succeed(['actor', ...settings, ...TINY, 'actor.from=released'], { cwd, program });
  assert.equal(existsSync(join(run, 'policy/digiq/model.safetensors')), true);

  // and back: the files that it came from, without the prefix of DataParallel
  await succeed(['export', 'agent', 'out.pt', ...settings, '--policy', 'released'], { cwd, program });
  for (const [name, origin] of [0, 1, 2].map(
    (i) => [`pytorch_model${i ? `_${i}` : ''}.bin`, i && 'pytorch_model_1.bin'] as const,
  )) {
    const [got, expected] = await Promise.all(
      [join(cwd, 'out.pt', name), released('agent/trainer.pt', origin || name)].map((path) => readTorchStateDict(path)),
    );
    const plain = new Map([...expected.tensors].map(([key, tensor]) => [key.replace(/^module\./, ''), tensor]));
    assert.deepEqual([...got.tensors.keys()].sort(), [...plain.keys()].sort());
    for (const [key, { shape, data }] of got.tensors) {
      assert.deepEqual(shape, plain.get(key)!.shape);
      assert.ok(Buffer.from(data).equals(Buffer.from(plain.get(key)!.data)), key);
    }
  }
  const optimizer = await TorchFile.open(join(cwd, 'out.pt/optimizer_1.bin'));
  const [group] = (optimizer.value() as Map<string, Map<string, unknown>[]>).get('param_groups')!;
  assert.deepEqual([group.get('lr'), (group.get('params') as number[]).length], [1e-5, 153]);
  optimizer.close();
  const again = await critiq(['export', 'agent', 'out.pt', ...settings], { cwd, program });
  assert.match(again.stderr, /out\.pt: already exists; choose a new folder\n$/);

  const state = join(cwd, 'state');
  cpSync(released('agent/trainer.pt'), state, { recursive: true });
  rmSync(join(state, 'pytorch_model_1.bin'));
  const without = await importAgent('state', 'run=other');
  assert.match(without.stderr, /state: pytorch_model_1\.bin missing beside pytorch_model_2\.bin; .*\n$/);
  const bare = await importAgent(released('agent'), 'run=other', 'models.text=');
  assert.match(bare.stderr, /^critiq: models\.text is empty: set it to the folder with the critic's text towers .*\n$/);
  await succeed(['import', 'digiq', released('trajectories.pt'), ...settings, 'run=cut', 'import.images=pair'], {
    cwd,
    program,
  });
  const narrow = await importAgent(released('agent'), 'run=cut');
  assert.match(
    narrow.stderr,
    /image vectors of 3 and representations of 10 numbers, but the critic reads 6 and 10; .*\n$/,
  );
  assert.equal(existsSync(join(cwd, 'data/cut/critic')), false);
  for (const { code } of [without, bare, narrow]) assert.equal(code, 2);
});

test('a critic with three trained towers and the released text inputs is trained, saved and read back', async (t) => {
  const cwd = checkpoints(t);
  const settings = ['--config', 'digiq-import', ...TINY, 'critic.train_text_tower=true', 'critic.towers=three'];
  await succeed(['import', 'digiq', released('trajectories.pt'), ...settings], { cwd, program });
  await succeed(['critic', ...settings, 'critic.action_text=typed'], { cwd, program });
  const folder = join(cwd, 'data/digiq-import/critic');
  const file = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')) as {
    action_text: string;
    text: { towers: string };
  };
  assert.deepEqual([file.action_text, file.text.towers], ['typed', 'three']);
  const names = Parameters.load(join(folder, 'model.safetensors')).names();
  const towers = new Set(names.filter((name) => name.startsWith('text.')).map((name) => name.split('.')[1]));
  assert.deepEqual([...towers].sort(), ['action', 'goal', 'type']);
  const runtime = await openRuntime({ kind: 'node', threads: 1 });
  const critic = await Critic.load(runtime, folder);
  const state = {
    previous: '',
    goal: 'Buy lamp 0, please',
    previousImage: new Float32Array(6),
    image: new Float32Array(6),
  };
  const [{ q1, v1 }] = await critic.value([{ ...state, actions: ['not an action'], reps: new Float32Array(10) }]);
  assert.ok([...q1, v1].every(Number.isFinite));
  await rejectsWithLine(
    () => critic.value([{ ...state, actions: ['a'], reps: new Float32Array(9) }]),
    /the critic reads representations of 10 numbers, got 9/,
  );
  await runtime.close();
});
