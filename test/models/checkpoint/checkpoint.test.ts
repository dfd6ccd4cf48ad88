import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import {
  readSafetensors,
  toFloat32,
  writeSafetensors,
  type TensorToStore,
} from '../../../src/data/formats/safetensors.js';
import { UserError } from '../../../src/errors.js';
import { openRuntime } from '../../../src/graph/index.js';
import { loadAutoUI } from '../../../src/models/autoui/checkpoint.js';
import { loadBlip2Vision } from '../../../src/models/blip2/checkpoint.js';
import { blip2Fingerprint } from '../../../src/models/blip2/tower.js';
import { readJson } from '../../../src/models/checkpoint/checkpoint.js';
import { checkpointFingerprint } from '../../../src/models/checkpoint/fingerprint.js';
import { Checkpoint, readCheckpoint } from '../../../src/models/checkpoint/tensors.js';
import { loadRoberta } from '../../../src/models/roberta/checkpoint.js';
import { checkpointCopy, critiqActions, pytorchActions } from '../../rigs/checkpoints.js';

const runtime = await openRuntime({ threads: 1 });
after(() => runtime.close());

const FORMS = [
  'autoui-bin',
  'autoui-safetensors-bf16',
  'autoui-sharded-f16',
  'autoui-sharded-bin-bf16',
  'autoui-trainer-f16',
];

for (const name of FORMS) {
  test(`${name}: greedy actions match those of PyTorch`, async () => {
    const expected = pytorchActions(name);
    assert.ok(new Set(expected.map(({ text }) => text)).size > 4);
    assert.deepEqual(await critiqActions(runtime, checkpointCopy(name)), expected);
  });
}

/** A copy of a fixture with its config.json edited. */
function edited(name: string, edit: (config: Record<string, unknown>) => void): string {
  const folder = checkpointCopy(name);
  const config = readJson(join(folder, 'config.json')) as Record<string, unknown>;
  edit(config);
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  return folder;
}

/** Changes the tensors in a folder's model.safetensors. */
async function rewritten(folder: string, change: (tensors: Map<string, TensorToStore>) => void): Promise<string> {
  const file = join(folder, 'model.safetensors');
  const tensors = new Map<string, TensorToStore>(readSafetensors(file).tensors);
  change(tensors);
  await writeSafetensors(file, tensors, { format: 'pt' });
  return folder;
}

test('only the selected tensors are read, and shards without them may be missing', async () => {
  const folder = checkpointCopy('blip2');
  const names = [...(await readCheckpoint(folder, (name) => name.startsWith('vision_model.post'))).keys()];
  assert.deepEqual(names.sort(), ['vision_model.post_layernorm.bias', 'vision_model.post_layernorm.weight']);
  await assert.rejects(readCheckpoint(folder), /model-00003-of-00003\.safetensors: cannot be read \(ENOENT\)/);
  const { config, params } = await loadBlip2Vision(folder);
  assert.equal(config.num_hidden_layers, 2);
  assert.ok(params.names().every((name) => /^(embeddings|encoder|post_layernorm)\./.test(name)));
});

test('half precision is converted to float32 exactly', async () => {
  const folder = checkpointCopy('autoui-sharded-bin-bf16');
  const { params } = await loadAutoUI(folder);
  const whole = await readCheckpoint(folder);
  const stored = whole.get('image_dense.weight')!;
  assert.equal(stored.dtype, 'BF16');
  assert.deepEqual(params.get('image_dense.weight').data.slice(), toFloat32(stored));
});

test("transformers 5's scale_decoder_outputs decides whether the embedding table is scaled as head, and scales other heads", async () => {
  const own = await loadAutoUI(checkpointCopy('autoui-trainer-f16'));
  assert.equal(own.config.tied, false);
  const scaled = await loadAutoUI(edited('autoui-trainer-f16', (config) => (config.scale_decoder_outputs = true)));
  const factor = Math.fround(own.config.width ** -0.5);
  scaled.params.get('lm_head.weight').data.forEach((value, i) => {
    const expected = own.params.get('lm_head.weight').data[i] * factor;
    assert.ok(Math.abs(value - expected) <= 1e-6 * Math.abs(expected));
  });
  for (const edit of [{ scale_decoder_outputs: false }, { tie_word_embeddings: false }]) {
    const { config, params } = await loadAutoUI(
      edited('autoui-safetensors-bf16', (config) => Object.assign(config, edit)),
    );
    assert.equal(config.tied, false);
    assert.deepEqual(params.get('lm_head.weight').data, params.get('shared.weight').data);
  }
});

test('a RoBERTa without a pooler gets the same initialized one at every load; half a pooler is an error', async () => {
  assert.equal((await loadRoberta(checkpointCopy('roberta'))).freshPooler, false);
  const without = async (...names: string[]) =>
    rewritten(checkpointCopy('roberta'), (tensors) =>
      names.forEach((name) => tensors.delete(`roberta.pooler.dense.${name}`)),
    );
  const folder = await without('weight', 'bias');
  const [one, other] = [await loadRoberta(folder), await loadRoberta(folder)];
  assert.ok(one.freshPooler);
  assert.deepEqual(one.params.get('pooler.dense.weight').data, other.params.get('pooler.dense.weight').data);
  assert.ok(new Set(one.params.get('pooler.dense.weight').data).size > 100);
  await assert.rejects(loadRoberta(await without('bias')), /pooler\.dense\.bias is missing/);
});

test('a copy has the same fingerprint; further training or another tokenizer changes it', async () => {
  for (const name of FORMS) {
    assert.equal(await checkpointFingerprint(checkpointCopy(name)), await checkpointFingerprint(checkpointCopy(name)));
  }
  const prints = await Promise.all(FORMS.map((name) => checkpointFingerprint(checkpointCopy(name))));
  assert.equal(new Set(prints).size, FORMS.length);
  const folder = checkpointCopy('autoui-safetensors-bf16');
  const before = await checkpointFingerprint(folder);
  await rewritten(folder, (tensors) => {
    const tensor = tensors.get('decoder.block.1.layer.0.SelfAttention.q.weight')!;
    new Uint16Array((tensor.data as Uint8Array).buffer).forEach((bits, i, all) => (all[i] = bits + 1));
  });
  const trained = await checkpointFingerprint(folder);
  assert.notEqual(trained, before);
  writeFileSync(join(folder, 'tokenizer.json'), '{}');
  assert.notEqual(await checkpointFingerprint(folder), trained);
});

test("the fingerprint of BLIP-2's tower does not need the language model", async () => {
  const folder = checkpointCopy('blip2');
  assert.match(await blip2Fingerprint(folder), /^[0-9a-f]{32}$/);
  await assert.rejects(checkpointFingerprint(folder), /model-00003/);
});

const faults: [what: string, load: () => Promise<unknown>, message: RegExp][] = [
  [
    'tensors that are missing, unexpected or of another shape',
    async () =>
      loadAutoUI(
        await rewritten(checkpointCopy('autoui-safetensors-bf16'), (tensors) => {
          tensors.delete('gate_dense.bias');
          tensors.set('extra.weight', tensors.get('image_dense.bias')!);
          tensors.set('mha_layer.in_proj_bias', tensors.get('image_dense.bias')!);
        }),
      ),
    /gate_dense\.bias is missing; .*mha_layer\.in_proj_bias: expected \[36\], got \[12\]; extra\.weight is unexpected/,
  ],
  [
    'a missing shard',
    () => {
      const folder = checkpointCopy('autoui-sharded-bin-bf16');
      rmSync(join(folder, 'pytorch_model-00002-of-00002.bin'));
      return loadAutoUI(folder);
    },
    /pytorch_model-00002-of-00002\.bin: cannot be read \(ENOENT\)/,
  ],
  [
    'a shard that lacks a tensor of the index',
    () => loadAutoUI(withIndex('autoui-sharded-f16', (map) => (map['more.weight'] = map['shared.weight']))),
    /tensor more\.weight is missing, although .*index\.json lists it/,
  ],
  [
    'an index that points outside the folder',
    () => loadAutoUI(withIndex('autoui-sharded-f16', (map) => (map['shared.weight'] = '../model.safetensors'))),
    /expected shards in the same folder, got "\.\.\/model\.safetensors"/,
  ],
  [
    'an index that is not one',
    () => {
      const folder = checkpointCopy('autoui-sharded-bin-bf16');
      writeFileSync(join(folder, 'pytorch_model.bin.index.json'), '[]');
      return loadAutoUI(folder);
    },
    /pytorch_model\.bin\.index\.json: not an index of shards/,
  ],
  [
    'a damaged storage',
    () => {
      const folder = checkpointCopy('autoui-bin');
      const file = join(folder, 'pytorch_model.bin');
      const bytes = readFileSync(file);
      bytes[bytes.length >> 1] ^= 1;
      writeFileSync(file, bytes);
      return loadAutoUI(folder);
    },
    /pytorch_model\.bin: damaged: storage data\/\d+: expected crc32/,
  ],
  [
    'another model in the place of BLIP-2',
    () => loadBlip2Vision(checkpointCopy('roberta')),
    /config\.json: model_type: expected blip-2 or blip_2_vision_model, got "roberta"/,
  ],
];

/** A copy of a sharded fixture with its index edited. */
function withIndex(name: string, edit: (map: Record<string, string>) => void): string {
  const folder = checkpointCopy(name);
  const file = join(folder, 'model.safetensors.index.json');
  const index = readJson(file) as { weight_map: Record<string, string> };
  edit(index.weight_map);
  writeFileSync(file, JSON.stringify(index));
  return folder;
}

for (const [what, load, message] of faults) {
  test(`${what}: loading fails with a one-line error`, async () => {
    await assert.rejects(
      async () => load(),
      (error: Error) => error instanceof UserError && message.test(error.message) && !error.message.includes('\n'),
    );
  });
}

test("DataParallel's prefix is removed from tensor names, and kept in the stored name", async () => {
  const checkpoint = await Checkpoint.open(checkpointCopy('autoui-trainer-f16'));
  const { stored } = checkpoint.tensors.get('shared.weight')!;
  checkpoint.close();
  assert.equal(stored, 'module.shared.weight');
});
