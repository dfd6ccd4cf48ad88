/** The stages on checkpoints of the real architectures (tiny, random), with a VLM behind a server. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Parameters } from '../../src/graph/index.js';
import { autoUIConfigJson, autoUISpecs, type AutoUIConfig } from '../../src/models/autoui/config.js';
import { blip2VisionSpecs, type Blip2VisionConfig } from '../../src/models/blip2/blip2.js';
import type { ParameterSpecs } from '../../src/models/checkpoint/checkpoint.js';
import { writePocketTokenizer } from '../../src/models/pocket/tokenizer.js';
import { robertaSpecs, type RobertaConfig } from '../../src/models/roberta/roberta.js';
import { contents, critiq, emptyFolder, succeed } from '../rigs/process.js';
import { VllmServer } from '../rigs/vlm/server.js';

const program = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const WIDTH = 12;

const BLIP2: Blip2VisionConfig = {
  hidden_size: WIDTH,
  intermediate_size: 16,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  image_size: 28,
  patch_size: 14,
  layer_norm_eps: 1e-6,
  qkv_bias: true,
  hidden_act: 'gelu',
};

async function save(folder: string, config: object, specs: ParameterSpecs, seed: number): Promise<void> {
  mkdirSync(folder, { recursive: true });
  await Parameters.init(specs, seed).save(join(folder, 'model.safetensors'), { format: 'pt' });
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
}

/** Almost one token per character, so that the output of a random policy keeps its length when it is read again. */
const tokenizer = (folder: string) => {
  mkdirSync(folder, { recursive: true });
  return writePocketTokenizer(folder, { pieces: ['.com'], words: ['go'], grid: { rows: 24, columns: 12 } });
};

async function makePolicy(folder: string, seed: number, image = WIDTH): Promise<void> {
  const config: AutoUIConfig = {
    vocabulary: (await tokenizer(folder)) + 5,
    width: 16,
    headWidth: 4,
    heads: 2,
    feedForward: 24,
    encoderLayers: 1,
    decoderLayers: 1,
    buckets: 8,
    maxDistance: 20,
    gated: false,
    epsilon: 1e-6,
    image,
    tied: true,
    pad: 0,
    eos: 1,
    start: 0,
  };
  await save(folder, autoUIConfigJson(config), autoUISpecs(config), seed);
  writeFileSync(join(folder, 'generation_config.json'), JSON.stringify({ max_new_tokens: 12 }));
}

async function makeText(folder: string): Promise<void> {
  const config: RobertaConfig = {
    vocab_size: (await tokenizer(folder)) + 3,
    hidden_size: 8,
    num_hidden_layers: 1,
    num_attention_heads: 2,
    intermediate_size: 12,
    max_position_embeddings: 130,
    type_vocab_size: 1,
    pad_token_id: 1,
    layer_norm_eps: 1e-5,
    hidden_act: 'gelu',
  };
  await save(folder, { model_type: 'roberta', ...config }, robertaSpecs(config), 3);
}

const SMALL = [
  ...['tasks.max_steps=3', 'device.count=2', 'collect.episodes=4', 'collect.shard=2', 'candidates.samples=4'],
  ...['candidates.retries=0', 'critic.q_hidden=[8]', 'critic.v_hidden=[8]', 'critic.iterations=1', 'critic.epochs=2'],
  ...[
    'critic.batch_size=4',
    'critic.grad_accum_steps=1',
    'critic.backup_action=sampled',
    'critic.train_text_tower=false',
  ],
  // a random policy gives no valid action, so there is no best action to imitate
  ...[
    'critic.state_rep=false',
    'actor.loss=pg',
    'actor.n=4',
    'actor.iterations=1',
    'actor.epochs=1',
    'actor.batch_size=2',
  ],
  ...['represent.state=false', 'eval.episodes=2'],
];

test('the same stages run on checkpoints of the real architectures; large models are referenced, and each question is asked once', async (t) => {
  const cwd = emptyFolder(t);
  const server = await VllmServer.start(t, { model: 'llava', dim: 20 });
  await makePolicy(join(cwd, 'auto-ui'), 1);
  await makeText(join(cwd, 'roberta'));
  await save(join(cwd, 'blip2'), { model_type: 'blip_2_vision_model', ...BLIP2 }, blip2VisionSpecs(BLIP2), 2);
  const models = ['policy=auto-ui', 'image=blip2', 'text=roberta', 'vlm=llava'].map((model) => `models.${model}`);
  const settings = [...models, 'represent.backend=vllm', `represent.url=${server.url}`, ...SMALL];
  const where = { cwd, program };

  const first = await succeed(['actor', ...settings], where);
  assert.doesNotMatch(first.stderr + first.stdout, /demos/, 'no demonstrations are needed');
  const run = join(cwd, 'data/pocket');
  for (const policy of ['base', 'digiq']) {
    const reference = JSON.parse(readFileSync(join(run, `policy/${policy}/vision/config.json`), 'utf8'));
    assert.equal(reference.folder, join(cwd, 'blip2'));
    assert.ok(!existsSync(join(run, `policy/${policy}/vision/model.safetensors`)));
    assert.equal(
      JSON.parse(readFileSync(join(run, `policy/${policy}/generation_config.json`), 'utf8')).max_new_tokens,
      12,
    );
  }
  const base = Parameters.load(join(run, 'policy/base/model.safetensors'));
  const source = Parameters.load(join(cwd, 'auto-ui/model.safetensors'));
  assert.deepEqual(base.get('shared.weight').data, source.get('shared.weight').data);
  const trained = Parameters.load(join(run, 'policy/digiq/model.safetensors'));
  assert.notDeepEqual(trained.get('shared.weight').data, source.get('shared.weight').data);
  assert.equal(JSON.parse(readFileSync(join(run, 'critic/config.json'), 'utf8')).text_tower.folder, 'roberta');

  const asked = server.asked.length;
  assert.equal(new Set(server.answered).size, asked, 'each question once');
  const made = contents(run);
  const again = await succeed(['actor', ...settings], where);
  assert.doesNotMatch(again.stderr + again.stdout, /: done/);
  assert.deepEqual(contents(run), made);
  await succeed(['represent', ...settings, 'run=second'], where);
  assert.equal(server.asked.length, asked, 'another run of the same screens asks nothing');
  await succeed(['eval', ...settings, 'eval.policy=digiq', 'eval.best_of_q=2'], where);

  const other = await critiq(['sft', '--redo', ...settings, 'models.image=auto-ui'], where);
  assert.equal(other.code, 2);
  assert.match(
    other.stderr,
    /^critiq: auto-ui.config\.json: model_type: expected blip-2 .*; set models\.image to the folder of a BLIP-2\n$/m,
  );
  const alone = await critiq(['collect', '--redo', ...settings, "models.image=''"], where);
  assert.match(alone.stderr, /^critiq: .*policy.base: no vision tower, so .* set models\.image .*\n$/m);
  await makePolicy(join(cwd, 'wide'), 1, WIDTH + 1);
  const wide = await critiq(['sft', '--redo', ...settings, 'models.policy=wide'], where);
  assert.equal(wide.code, 2);
  assert.match(
    wide.stderr,
    /^critiq: models\.image=blip2: gives image vectors of 12 numbers, but the policy wide expects 13; .*\n$/m,
  );

  await makePolicy(join(cwd, 'auto-ui'), 9);
  const changed = await succeed(['sft', '--redo', ...settings], where);
  assert.match(changed.stderr + changed.stdout, /sft: done/, 'another checkpoint in the same folder is adopted again');
  await save(join(cwd, 'blip2'), { model_type: 'blip_2_vision_model', ...BLIP2 }, blip2VisionSpecs(BLIP2), 5);
  const swapped = await critiq(['collect', '--no-deps', '--redo', ...settings], where);
  assert.equal(swapped.code, 2);
  assert.match(swapped.stderr, /^critiq: .*blip2: has changed since .*\n$/m);

  const healthy = await succeed(['doctor', ...settings, '--json'], where);
  const states = JSON.parse(healthy.stdout).map(({ what, state }: { what: string; state: string }) => [what, state]);
  assert.deepEqual(new Set(states.map(([, state]: string[]) => state)), new Set(['fine']), JSON.stringify(states));
  await server.kill();
  const sick = await critiq(['doctor', ...settings, 'models.text=nowhere'], where);
  assert.equal(sick.code, 2);
  assert.match(
    sick.stdout,
    /missing +models\.text +nowhere: no such folder; download RoBERTa \(https:\S+roberta-base\) into it/,
  );
  assert.match(sick.stdout, /missing +models\.vlm +http:\S+: ECONNREFUSED/);
  assert.match(sick.stderr, /2 items are missing/);
});
