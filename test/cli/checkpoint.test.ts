/** `critiq checkpoint`: inspecting, converting and running checkpoints. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { greedyActions } from '../../pipelines/checkpoint/greedy.js';
import { convertCheckpoint, type ConvertOptions } from '../../pipelines/checkpoint/convert.js';
import { inspectCheckpoint } from '../../pipelines/checkpoint/inspect.js';
import { savePolicy } from '../../src/agents/policy/policy.js';
import {
  readSafetensors,
  toFloat32,
  writeSafetensors,
  type TensorToStore,
} from '../../src/data/formats/safetensors.js';
import { UserError } from '../../src/errors.js';
import { Parameters, openRuntime } from '../../src/graph/index.js';
import { autoUISpecs, parseAutoUIConfig } from '../../src/models/autoui/config.js';
import { loadBlip2Vision } from '../../src/models/blip2/checkpoint.js';
import { readJson } from '../../src/models/checkpoint/checkpoint.js';
import { POCKET_TOWER, convTowerSpecs } from '../../src/models/conv-tower.js';
import { writePocketTokenizer } from '../../src/models/pocket/tokenizer.js';
import { checkpointCopy, critiqActions, newPlace, pytorchActions } from '../rigs/checkpoints.js';
import { critiq, emptyFolder, failedInOneLine, succeed } from '../rigs/process.js';

const CLI = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const runtime = await openRuntime({ threads: 1 });
after(() => runtime.close());

/** An untrained policy, saved as `critiq sft` saves it. */
async function freshPolicy(): Promise<string> {
  const folder = newPlace();
  const grid = { rows: 4, columns: 4 };
  const vocabulary = await writePocketTokenizer(folder, { pieces: ['.com'], words: ['open', 'the', 'settings'], grid });
  const sizes = { d_model: 16, d_kv: 8, d_ff: 24, num_layers: 1, num_heads: 2, img_dim: 9 };
  const config = parseAutoUIConfig({ vocab_size: vocabulary, ...sizes }, 'test');
  await savePolicy(folder, {
    config,
    params: Parameters.init(autoUISpecs(config), 5),
    vision: { config: POCKET_TOWER, params: Parameters.init(convTowerSpecs(POCKET_TOWER), 5) },
    maxTokens: 24,
  });
  return folder;
}

test('a converted policy loads in Python, gives the same actions, and converts back', async () => {
  const policy = await freshPolicy();
  const [hf, back] = [newPlace(), newPlace()];
  await convertCheckpoint(policy, hf);
  const { tensors, metadata } = readSafetensors(hf);
  assert.deepEqual(metadata, { format: 'pt' });
  const table = tensors.get('shared.weight')!;
  for (const name of ['encoder.embed_tokens.weight', 'decoder.embed_tokens.weight', 'lm_head.weight']) {
    assert.deepEqual(tensors.get(name), table, name);
  }
  const config = readJson(join(hf, 'config.json')) as Record<string, unknown>;
  assert.deepEqual(
    ['model_type', 'is_encoder_decoder', 'dtype', 'torch_dtype', 'img_dim'].map((key) => config[key]),
    ['t5', true, 'float32', 'float32', 9],
  );
  assert.deepEqual(readJson(join(hf, 'generation_config.json')), {
    decoder_start_token_id: 0,
    eos_token_id: 1,
    pad_token_id: 0,
    max_new_tokens: 24,
  });
  assert.deepEqual(readdirSync(hf).sort(), [
    'config.json',
    'generation_config.json',
    'model.safetensors',
    'tokenizer.json',
    'tokenizer_config.json',
    'vision',
  ]);
  await convertCheckpoint(hf, back, { names: 'critiq' });
  assert.deepEqual(readFileSync(join(back, 'model.safetensors')), readFileSync(join(policy, 'model.safetensors')));
  const [before, after] = [await greedyActions(policy, { threads: 1 }), await greedyActions(hf, { threads: 1 })];
  assert.deepEqual(after.cases, before.cases);
  assert.equal(before.max_tokens, 24);
  assert.ok(before.cases.length === 8 && before.cases.every(({ image }) => image.length === 9));
});

for (const name of ['autoui-bin', 'autoui-sharded-bin-bf16', 'autoui-trainer-f16']) {
  for (const names of ['hf', 'critiq'] as const) {
    test(`${name} as safetensors with ${names} names still gives PyTorch's actions`, async () => {
      const to = newPlace();
      const made = await convertCheckpoint(checkpointCopy(name), to, { names });
      assert.equal(made.kind, 'auto-ui');
      assert.deepEqual(await critiqActions(runtime, to), pytorchActions(name));
    });
  }
}

test('numbers are stored in the requested type, rounded once', async () => {
  const from = checkpointCopy('autoui-bin');
  const exact = newPlace();
  await convertCheckpoint(from, exact, { dtype: 'f32' });
  for (const [dtype, stored, most] of [
    ['f16', 'F16', 2 ** -11],
    ['bf16', 'BF16', 2 ** -8],
  ] as const) {
    const to = newPlace();
    await convertCheckpoint(from, to, { dtype });
    const { tensors } = readSafetensors(to);
    for (const [name, tensor] of readSafetensors(exact).tensors) {
      const half = tensors.get(name)!;
      assert.equal(half.dtype, stored);
      const values = toFloat32(half);
      toFloat32(tensor).forEach((value, i) =>
        assert.ok(Math.abs(values[i] - value) <= most * Math.abs(value) + 2 ** -24, `${name}: ${value} ${values[i]}`),
      );
    }
  }
});

test('the vision tower is extracted from a full BLIP-2; shards without it may be missing', async () => {
  const from = checkpointCopy('blip2');
  const to = newPlace();
  await assert.rejects(convertCheckpoint(from, to), /model-00003-of-00003\.safetensors: cannot be read/);
  await convertCheckpoint(from, to, { names: 'critiq', dtype: 'f32' });
  const [whole, tower] = [await loadBlip2Vision(from), await loadBlip2Vision(to)];
  assert.deepEqual(tower.config, whole.config);
  for (const name of whole.params.names()) assert.deepEqual(tower.params.get(name).data, whole.params.get(name).data);
  assert.ok(existsSync(join(to, 'preprocessor_config.json')));
});

test('an impossible conversion fails with one line and leaves nothing behind', async () => {
  const refused = async (from: string, to: string, options: ConvertOptions, message: RegExp) => {
    const before = readdirSync(dirname(to));
    await assert.rejects(
      convertCheckpoint(from, to, options),
      (error: Error) => error instanceof UserError && message.test(error.message) && !error.message.includes('\n'),
    );
    assert.deepEqual(readdirSync(dirname(to)), before);
  };
  const from = checkpointCopy('autoui-safetensors-bf16');
  await refused(from, from, {}, /already exists; choose a new folder/);
  await refused(join(from, 'vision'), newPlace(), {}, /expected a checkpoint folder/);
  const tensors = new Map<string, TensorToStore>(readSafetensors(from).tensors);
  tensors.set('gate_dense.bias', { dtype: 'F32', shape: [12], data: new Float32Array(12).fill(1e5) });
  await writeSafetensors(join(from, 'model.safetensors'), tensors);
  await refused(from, newPlace(), { dtype: 'f16' }, /gate_dense\.bias: 100000 exceeds the range of float16; .*bf16/);
  tensors.delete('gate_dense.bias');
  await writeSafetensors(join(from, 'model.safetensors'), tensors);
  await refused(from, newPlace(), {}, /gate_dense\.bias is missing/);
});

test('inspect says what a folder is and what is wrong with it', async () => {
  const found = await inspectCheckpoint(checkpointCopy('autoui-trainer-f16'));
  assert.deepEqual(
    [found.kind, found.tiedHead, found.dtypes, found.problems, found.tokenizer],
    ['auto-ui', false, { F16: 37 }, [], { vocabulary: 156, eos: 1, type: 'Unigram' }],
  );
  assert.equal(found.files[0].file, 'trainer.pt');
  const tower = await inspectCheckpoint(checkpointCopy('roberta'));
  assert.deepEqual([tower.kind, tower.pooler, tower.problems], ['roberta', true, []]);
  assert.ok(tower.parameters.loaded! < tower.parameters.stored);
  const blip2 = await inspectCheckpoint(checkpointCopy('blip2'));
  assert.deepEqual([blip2.kind, blip2.problems, blip2.files.length], ['blip-2', [], 2]);
  const policy = await inspectCheckpoint(await freshPolicy());
  assert.deepEqual([policy.vision, policy.problems], ['the pocket tower, in vision/', []]);
  const broken = checkpointCopy('autoui-bin');
  writeFileSync(
    join(broken, 'config.json'),
    JSON.stringify({ ...(readJson(join(broken, 'config.json')) as object), d_ff: 9 }),
  );
  assert.match(
    (await inspectCheckpoint(broken)).problems.join(),
    /DenseReluDense\.wi\.weight: expected \[9,12\], got \[8,12\]/,
  );
  const alone = await inspectCheckpoint(join(checkpointCopy('autoui-bin'), 'pytorch_model.bin'));
  assert.equal(alone.kind, 'auto-ui');
  assert.match(alone.problems.join(), /only a weight file/);
});

test('the command line', async (t) => {
  const cwd = emptyFolder(t);
  const from = checkpointCopy('autoui-bin');
  const run = (...args: string[]) => critiq(['checkpoint', ...args], { cwd, program: CLI });
  const lines = (await succeed(['checkpoint', 'inspect', from], { cwd, program: CLI })).stdout;
  assert.match(lines, /^kind +auto-ui: a policy, for models\.policy\nparameters .*\ntypes +F32 x 58\n/);
  assert.equal((JSON.parse((await run('inspect', from, '--json')).stdout) as { kind: string }).kind, 'auto-ui');
  assert.match(
    (await run('convert', from, 'out', '--dtype', 'bf16')).stderr,
    /out: done \(auto-ui, 58 tensors, bfloat16\)/,
  );
  writeFileSync(join(cwd, 'prompts.txt'), 'Goal: open the settings</s>\n\nGoal: go</s>\n');
  const greedy = await run('greedy', 'out', '--prompts', 'prompts.txt', '--max-tokens', '5');
  const { cases } = JSON.parse(greedy.stdout) as { cases: { prompt: string; tokens: number[] }[] };
  assert.deepEqual(cases.map(({ prompt }) => prompt), ['Goal: open the settings</s>', 'Goal: go</s>']); // prettier-ignore
  assert.ok(cases.every(({ tokens }) => tokens.length <= 5));
  failedInOneLine(await run('convert', from, 'out'), 2, /out: already exists/);
  failedInOneLine(await run('convert', from, 'new', '--dtype', 'f8'), 2, /--dtype.*f32, f16, bf16/);
  failedInOneLine(
    await run('greedy', 'out', '--max-tokens', 'many'),
    2,
    /--max-tokens: expected an integer >= 1, got many/,
  );
  failedInOneLine(await run('inspect', 'nowhere'), 2, /nowhere: no such file or folder/);
});
