/** The whole pipeline on the embedded phone with tiny settings: every stage from scratch, repeated, changed, and killed. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Parameters } from '../../src/graph/index.js';
import { writePocketTokenizer } from '../../src/models/pocket/tokenizer.js';
import { robertaSpecs, type RobertaConfig } from '../../src/models/roberta/roberta.js';
import { Random } from '../../src/random.js';
import { contents, critiq, emptyFolder, killedAgainAndAgain, succeed, timed } from '../rigs/process.js';
import { TINY_OFFLINE } from '../rigs/tiny-settings.js';

const program = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

/** Settings so small that nothing is learned, but everything runs. */
const TINY = [
  'device.count=4',
  'tasks.max_steps=4',
  'demos.episodes=6',
  'demos.shard=4',
  'sft.epochs=2',
  'sft.batch=8',
  'sft.width=16',
  'sft.heads=2',
  'sft.layers=1',
  'sft.feed_forward=16',
  'candidates.samples=3',
  ...TINY_OFFLINE,
];

const DIGIQ = ['eval', 'eval.policy=digiq', 'eval.best_of_q=3', ...TINY];

test('one command builds all its inputs; repeated, it changes nothing; with --redo a changed setting rebuilds what depends on it', async (t) => {
  const cwd = emptyFolder(t);
  const first = await succeed(DIGIQ, { cwd, program });
  for (const stage of ['demos', 'sft', 'collect', 'candidates', 'vlm', 'represent', 'critic', 'actor/digiq']) {
    assert.match(first.stdout + first.stderr, new RegExp(`${stage}: done`));
  }
  const made = contents(join(cwd, 'data/pocket'));
  const again = await succeed(DIGIQ, { cwd, program });
  assert.doesNotMatch(again.stdout + again.stderr, /: done/);
  assert.deepEqual(contents(join(cwd, 'data/pocket')), made);

  const changed = await succeed([...DIGIQ, 'critic.lr=0.002', '--redo'], { cwd, program });
  const text = changed.stdout + changed.stderr;
  for (const stage of ['critic', 'actor/digiq']) assert.match(text, new RegExp(`${stage}: done`));
  for (const stage of ['demos', 'sft', 'collect', 'candidates', 'vlm', 'represent']) {
    assert.match(text, new RegExp(`${stage}: up to date`));
  }
  await succeed([...DIGIQ, '--unset', 'critic.lr', '--redo'], { cwd, program });
  rmSync(join(cwd, 'data/pocket/.trash'), { recursive: true });
  assert.deepEqual(contents(join(cwd, 'data/pocket')), made, 'the old settings give the old bytes again');

  const pretrained = await makeTower(join(cwd, 'tower'));
  const tower = ['critic', ...TINY, 'models.text=./tower'];
  const kept = async (trained: boolean) => {
    await succeed([...tower, `critic.train_text_tower=${trained}`, '--redo'], { cwd, program });
    return Parameters.load(join(cwd, 'data/pocket/critic/model.safetensors'));
  };
  const tuned = await kept(true);
  const same = pretrained
    .names()
    .every((name) => Buffer.compare(bytes(tuned.get(`text.${name}`).data), bytes(pretrained.get(name).data)) === 0);
  assert.ok(!same, 'a trained text tower changes');
  const frozen = await kept(false);
  assert.deepEqual(
    frozen.names().filter((name) => name.startsWith('text.')),
    [],
    'a frozen one is not copied',
  );
  const cached = readdirSync(join(cwd, 'data/.cache')).find((name) => name.startsWith('roberta-'));
  assert.ok(cached, 'its vectors are cached');
  // and the evaluation finds it again
  await succeed(['eval', ...TINY, ...tower.slice(-1), 'critic.train_text_tower=false', 'eval.best_of_q=3'], {
    cwd,
    program,
  });
  rmSync(join(cwd, 'tower/tokenizer.json'));
  writeFileSync(join(cwd, 'tower/config.json'), '{}');
  const gone = await critiq(
    ['eval', ...TINY, ...tower.slice(-1), 'critic.train_text_tower=false', 'eval.best_of_q=4', '--redo'],
    {
      cwd,
      program,
    },
  );
  assert.equal(gone.code, 2);
  assert.match(gone.stderr, /^critiq: .*tower.*\n$/m);
  const critic = contents(join(cwd, 'data/pocket/critic'));
  const missing = await critiq(['critic', ...TINY, 'models.text=nowhere'], { cwd, program });
  assert.match(missing.stderr, /^critiq: models\.text=nowhere: no such folder; expected a RoBERTa checkpoint\n$/m);
  assert.deepEqual(contents(join(cwd, 'data/pocket/critic')), critic, 'the critic is still there');
  const random = await critiq(['critic', '--redo', ...TINY, 'models.text=', 'critic.train_text_tower=false'], {
    cwd,
    program,
  });
  assert.equal(random.code, 2);
  assert.match(random.stderr, /^critiq: critic\.train_text_tower=false: a new text tower would stay random; .*\n$/m);
});

const bytes = ({ buffer, byteOffset, byteLength }: Float32Array) => Buffer.from(buffer, byteOffset, byteLength);

/** A RoBERTa checkpoint as transformers saves one with a language model head, with its own tokenizer. */
async function makeTower(folder: string): Promise<Parameters> {
  mkdirSync(folder);
  const grid = { rows: 4, columns: 3 };
  const vocab_size = await writePocketTokenizer(folder, { pieces: ['.com'], words: ['open', 'shop'], grid });
  const config: RobertaConfig = {
    vocab_size: vocab_size + 2,
    hidden_size: 8,
    num_hidden_layers: 1,
    num_attention_heads: 2,
    intermediate_size: 12,
    max_position_embeddings: 40,
    type_vocab_size: 1,
    pad_token_id: 1,
    layer_norm_eps: 1e-5,
    hidden_act: 'gelu',
  };
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ model_type: 'roberta', ...config }));
  const params = Parameters.init(robertaSpecs(config), 4);
  const stored = params.names().map((name) => [`roberta.${name}`, params.get(name)] as const);
  const head = { shape: [vocab_size + 2], data: new Float32Array(vocab_size + 2) };
  await Parameters.from(Object.fromEntries([...stored, ['lm_head.bias', head]])).save(
    join(folder, 'model.safetensors'),
  );
  return params;
}

test('kill -9 at random moments of all stages leaves the same bytes as an uninterrupted run', async (t) => {
  const calm = emptyFolder(t);
  const calmMs = await timed(DIGIQ, { cwd: calm, program });
  const cwd = emptyFolder(t);
  const kills = await killedAgainAndAgain(
    DIGIQ,
    { cwd, program },
    { most: 12, calmMs, random: new Random(0, 'kill the pipeline') },
  );
  assert.ok(kills >= 3, `killed only ${kills} times`);
  await succeed(DIGIQ, { cwd, program });
  assert.deepEqual(contents(join(cwd, 'data/pocket')), contents(join(calm, 'data/pocket')));
});

test('an evaluation stores what it prints', async (t) => {
  const cwd = emptyFolder(t);
  const { stdout, stderr } = await succeed(['eval', ...TINY], { cwd, program });
  const result = JSON.parse(readFileSync(join(cwd, 'data/pocket/eval/base-test/_result.json'), 'utf8'));
  assert.equal(result.episodes, 6);
  assert.match(stdout + stderr, new RegExp(`${result.successes} of 6 succeed`));
});

test('--no-deps names the missing input and the command that builds it', async (t) => {
  const cwd = emptyFolder(t);
  const missing = await critiq(['collect', '--no-deps', ...TINY], { cwd, program });
  assert.equal(missing.code, 2);
  assert.match(missing.stderr, /policy\/base: .* run `critiq sft` first/);
  assert.equal(missing.stderr.trim().split('\n').length, 1);
});
