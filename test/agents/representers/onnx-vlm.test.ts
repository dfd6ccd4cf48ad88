/** A local export of a VLM: PyTorch's vectors, and errors for unusable folders. */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { OnnxVlm } from '../../../src/agents/representers/onnx-vlm.js';
import type { Frame } from '../../../src/data/formats/frame.js';
import { UserError } from '../../../src/errors.js';
import { emptyFolder } from '../../rigs/process.js';

// made by examples/python/export_vlm_onnx.py --tiny
const EXPORT = fileURLToPath(new URL('../../../../test/fixtures/vlm-onnx', import.meta.url));

interface Reference {
  side: number;
  cases: { text: string; rgb: number[]; answer: Made; prompt: Made }[];
}
interface Made {
  ids: number[];
  vector: number[];
}

const { side, cases } = JSON.parse(readFileSync(join(EXPORT, 'reference.json'), 'utf8')) as Reference;
const OPTIONS = { position: 'answer', answer: 'yes', threads: 1 } as const;
const never = new AbortController().signal;

function frameOf(rgb: readonly number[]): Frame {
  const rgba = new Uint8ClampedArray(4 * side * side);
  for (let i = 0; i < side * side; i++) rgba.set([...rgb.slice(3 * i, 3 * i + 3), 255], 4 * i);
  return { width: side, height: side, rgba };
}

for (const position of ['answer', 'prompt'] as const) {
  test(`at position "${position}", tokens and vectors equal PyTorch's`, async () => {
    const vlm = await OnnxVlm.load(EXPORT, { ...OPTIONS, position });
    for (const { text, rgb, [position]: expected } of cases) {
      assert.deepEqual([...vlm.tokens(text, [1, 3, side, side])].map(Number), expected.ids);
      const vector = await vlm.vector({ key: '', frame: frameOf(rgb), text }, undefined, never);
      assert.equal(vector.length, expected.vector.length);
      vector.forEach((value, i) => {
        const want = expected.vector[i];
        assert.ok(Math.abs(value - want) <= 1e-4, `float ${i}: expected ${want}, got ${value}`);
      });
    }
  });
}

test('the answer and the picture change the vector; a larger picture is resized', async () => {
  const [{ text, rgb }] = cases;
  const yes = await OnnxVlm.load(EXPORT, OPTIONS);
  const no = await OnnxVlm.load(EXPORT, { ...OPTIONS, answer: 'no' });
  const frame = frameOf(rgb);
  const vector = await yes.vector({ key: '', frame, text }, 16, never);
  assert.notDeepEqual(await no.vector({ key: '', frame, text }, 16, never), vector);
  assert.notDeepEqual(await yes.vector({ key: '', frame: frameOf(cases[1].rgb), text }, 16, never), vector);
  const large: Frame = { width: 40, height: 90, rgba: new Uint8ClampedArray(4 * 40 * 90).fill(255) };
  assert.equal((await yes.vector({ key: '', frame: large, text }, 16, never)).length, 16);
  await assert.rejects(
    yes.vector({ key: '', frame, text }, 32, never),
    /expected last_hidden_state of float32 \[1, tokens, 32\]/,
  );
});

test("an export may have the hub's layout, with separate files for graph, template and image processor", async (t) => {
  const folder = join(emptyFolder(t), 'export');
  cpSync(EXPORT, folder, { recursive: true });
  mkdirSync(join(folder, 'onnx'));
  renameSync(join(folder, 'model.onnx'), join(folder, 'onnx/model.onnx'));
  const config = JSON.parse(readFileSync(join(folder, 'tokenizer_config.json'), 'utf8')) as { chat_template?: string };
  writeFileSync(join(folder, 'chat_template.jinja'), config.chat_template!);
  delete config.chat_template;
  writeFileSync(join(folder, 'tokenizer_config.json'), JSON.stringify(config));
  const processor = JSON.parse(readFileSync(join(folder, 'processor_config.json'), 'utf8')) as object;
  const images: unknown = JSON.parse(readFileSync(join(folder, 'preprocessor_config.json'), 'utf8'));
  rmSync(join(folder, 'preprocessor_config.json'));
  writeFileSync(join(folder, 'processor_config.json'), JSON.stringify({ ...processor, image_processor: images }));
  const [{ text, rgb }] = cases;
  const question = { key: '', frame: frameOf(rgb), text };
  assert.deepEqual(
    await (await OnnxVlm.load(folder, OPTIONS)).vector(question, 16, never),
    await (await OnnxVlm.load(EXPORT, OPTIONS)).vector(question, 16, never),
  );
});

test('a folder that is not such an export is refused with a reason', async (t) => {
  const refuse = async (change: (folder: string) => void, message: RegExp): Promise<void> => {
    const folder = join(emptyFolder(t), 'export');
    cpSync(EXPORT, folder, { recursive: true });
    change(folder);
    await assert.rejects(OnnxVlm.load(folder, OPTIONS), (error: Error) => {
      assert.ok(error instanceof UserError, error.stack);
      assert.match(error.message, message);
      assert.doesNotMatch(error.message, /\n/);
      return true;
    });
  };
  const without = (name: string) => (folder: string) => rmSync(join(folder, name));
  const set = (name: string, changes: object) => (folder: string) => {
    const file = join(folder, name);
    writeFileSync(file, JSON.stringify({ ...(JSON.parse(readFileSync(file, 'utf8')) as object), ...changes }));
  };
  await refuse(without('config.json'), /config\.json: cannot be read/);
  await refuse(without('model.onnx'), /no model\.onnx or onnx\/model\.onnx; export the model/);
  await refuse((folder) => writeFileSync(join(folder, 'model.onnx'), 'no'), /model\.onnx: ONNX Runtime cannot read it/);
  await refuse(without('tokenizer.json'), /tokenizer\.json: cannot be read/);
  await refuse(
    set('config.json', { model_type: 'qwen2_vl' }),
    /model_type: expected "llava", got "qwen2_vl"; use represent\.backend=vllm for other VLMs/,
  );
  await refuse(set('processor_config.json', { patch_size: 0 }), /patch_size: expected a number, got 0/);
});
