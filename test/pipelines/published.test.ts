/** Critic and actor with the published amounts of training: optimizer steps, the split by order, samples drawn for each batch. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { metricsFile, readMetrics } from '../../src/data/metrics.js';
import { Parameters } from '../../src/graph/index.js';
import { critiq, emptyFolder, failedInOneLine, succeed } from '../rigs/process.js';
import { TINY_DEMO, TINY_TASKS } from '../rigs/tiny-settings.js';

const program = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

const TINY = [...TINY_DEMO, 'collect.temperature=1', 'collect.top_k=20', 'candidates.samples=6', 'candidates.top_k=20'];

/** As in configs/aitw-base.yaml, with fewer steps. */
const PUBLISHED = [
  'critic.iterations=3',
  'critic.epochs=2',
  'critic.epoch_steps=1',
  'critic.split=order',
  'actor.loss=best_of_n',
  'actor.scored=samples',
  'actor.data=training',
  'actor.n=4',
  // at this size every action must do
  'actor.threshold=-100',
  'actor.iterations=2',
  'actor.epochs=2',
  'actor.epoch_steps=1',
  'actor.action=best',
  'actor.advantage_clamp=[0,1]',
];

test('published amounts of training count optimizer steps, and every actor loss learns from drawn samples', async (t) => {
  const cwd = emptyFolder(t);
  writeFileSync(join(cwd, 'tasks.jsonl'), TINY_TASKS);
  await succeed(['actor', ...TINY, ...PUBLISHED], { cwd, program });
  const run = join(cwd, 'data/pocket');
  const steps = (stage: string, name: string) =>
    readMetrics(metricsFile(run, stage)).flatMap((line) => (name in line ? [line.step] : []));
  assert.deepEqual(steps('critic', 'loss'), [1, 2, 3, 4, 5, 6]);
  assert.deepEqual(steps('actor/digiq', 'loss'), [1, 2, 3, 4]);
  assert.deepEqual(steps('actor/digiq', 'validation_loss'), [], 'the actor holds nothing out');
  const plan = JSON.parse(readFileSync(join(run, 'policy/digiq/_plan.json'), 'utf8')) as {
    settings: Record<string, unknown>;
  };
  assert.equal(plan.settings['critic.split'], 'order', 'the actor depends on the split');
  const manifest = readFileSync(join(run, 'policy/digiq/_manifest.jsonl'), 'utf8');
  const { facts } = JSON.parse(manifest.trim().split('\n').at(-1)!) as { facts: { lessons: number } };
  const values = readFileSync(join(run, 'values/_manifest.jsonl'), 'utf8');
  const { files } = JSON.parse(values.trim().split('\n').at(-1)!) as { files: { rows: number }[] };
  assert.ok(facts.lessons < files[0].rows, 'the validation trajectories are left out');

  const base = Parameters.load(join(run, 'policy/base/model.safetensors')).get('shared.weight').data;
  for (const loss of ['best_of_n', 'pg', 'awr', 'sft']) {
    const name = `actor.name=${loss}`;
    await succeed(['actor', ...TINY, ...PUBLISHED, name, `actor.loss=${loss}`, '--no-deps'], { cwd, program });
    const { data } = Parameters.load(join(run, 'policy', loss, 'model.safetensors')).get('shared.weight');
    assert.ok(data.every(Number.isFinite));
    assert.notDeepEqual(data, base, loss);
  }

  const validated = ['actor.name=valid', 'actor.data=all', 'actor.validation=0.4', 'actor.keep_best=true'];
  const rhythm = ['actor.iterations=3', 'actor.validate_every=1', 'actor.log_every=5', 'actor.early_stop=1'];
  const { stderr } = await succeed(['actor', ...TINY, ...PUBLISHED, ...validated, ...rhythm, '--no-deps'], {
    cwd,
    program,
  });
  assert.match(stderr, /actor\/valid: kept the weights of step \d \(validation loss [\d.e-]+\)/);
  const measured = readMetrics(metricsFile(run, 'actor/valid'));
  assert.ok(measured.length >= 2 && measured.every((line) => typeof line.validation_loss === 'number'));

  const nothing = ['actor.name=none', 'actor.threshold=1e9', '--no-deps'];
  const failed = await critiq(['actor', ...TINY, ...PUBLISHED, ...nothing, '--quiet'], { cwd, program });
  failedInOneLine(failed, 2, /actor\.threshold=1000000000: no stored action has a higher advantage/);
});
