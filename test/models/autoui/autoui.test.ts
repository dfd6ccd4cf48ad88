import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { readSafetensors, writeSafetensors } from '../../../src/data/formats/safetensors.js';
import { UserError } from '../../../src/errors.js';
import { Parameters, constant, grad, openRuntime, sum, toOnnx, type Tensor } from '../../../src/graph/index.js';
import { logProb } from '../../../src/models/autoui/autoui.js';
import { loadAutoUI } from '../../../src/models/autoui/checkpoint.js';
import {
  autoUIConfigJson,
  autoUISpecs,
  parseAutoUIConfig,
  readAutoUIConfig,
} from '../../../src/models/autoui/config.js';
import { relativeBucket } from '../../../src/models/t5.js';

const relu = 'test/fixtures/golden/autoui-relu';
const gelu = 'test/fixtures/golden/autoui-gelu';
const scratch = mkdtempSync(join(tmpdir(), 'critiq-autoui-'));
after(() => rmSync(scratch, { recursive: true }));

function copy(from: string, changes: (folder: string) => void = () => undefined): string {
  const folder = mkdtempSync(join(scratch, 'copy-'));
  cpSync(from, folder, { recursive: true });
  changes(folder);
  return folder;
}

const edited = (from: string, edit: (config: Record<string, unknown>) => void) =>
  copy(from, (folder) => {
    const file = join(folder, 'config.json');
    const config = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
    edit(config);
    writeFileSync(file, JSON.stringify(config));
  });

test('parameters have the names and shapes of the released checkpoints', async () => {
  for (const folder of [relu, gelu]) {
    const { tensors } = readSafetensors(join(folder, 'model.safetensors'));
    const specs = autoUISpecs((await loadAutoUI(folder)).config);
    const shapes = (entries: Iterable<[string, { shape: readonly number[] }]>) =>
      Object.fromEntries([...entries].map(([name, { shape }]) => [name, [...shape]]).sort());
    assert.deepEqual(shapes(Object.entries(specs)), shapes(tensors));
  }
});

test('a configuration can be written and read back', () => {
  for (const folder of [relu, gelu]) {
    const config = readAutoUIConfig(folder);
    assert.deepEqual(parseAutoUIConfig(autoUIConfigJson(config), 'written'), config);
  }
});

test("a new model has T5's initialization", () => {
  const config = { ...readAutoUIConfig(relu), width: 64, headWidth: 32, vocabulary: 500 };
  const params = Parameters.init(autoUISpecs(config), 1);
  const spread = (name: string) => {
    const { data } = params.get(name);
    return Math.sqrt(data.reduce((total, x) => total + x * x, 0) / data.length);
  };
  const near = (name: string, expected: number) =>
    assert.ok(Math.abs(spread(name) / expected - 1) < 0.1, `${name}: ${spread(name)}, expected ${expected}`);
  near('shared.weight', 1);
  near('encoder.block.0.layer.0.SelfAttention.q.weight', (64 * 32) ** -0.5);
  near('decoder.block.1.layer.1.EncDecAttention.v.weight', 64 ** -0.5);
  near('decoder.block.0.layer.2.DenseReluDense.wo.weight', 36 ** -0.5);
  near('gate_dense.weight', 128 ** -0.5 / Math.sqrt(3));
  assert.deepEqual(new Set(params.get('decoder.final_layer_norm.weight').data), new Set([1]));
});

test('pytorch_model.bin gives the same model as safetensors, without copies of the embedding table', async () => {
  const { config, params } = await loadAutoUI(relu);
  const other = await loadAutoUI(copy(relu, (folder) => rmSync(join(folder, 'model.safetensors'))));
  assert.deepEqual(other.config, config);
  assert.deepEqual(other.params.names().sort(), params.names().sort());
  for (const name of params.names()) assert.deepEqual(other.params.get(name).data, params.get(name).data, name);
  assert.ok(config.tied && !params.has('lm_head.weight'));
});

test('a head that differs from the embedding table is kept; an equal one counts as tied if config.json says so', async () => {
  const folder = edited(gelu, (config) => (config.tie_word_embeddings = true));
  assert.equal((await loadAutoUI(folder)).config.tied, false);
  const equal = async (tie: boolean) => {
    const at = edited(gelu, (config) => (config.tie_word_embeddings = tie));
    const { tensors } = readSafetensors(join(at, 'model.safetensors'));
    tensors.set('lm_head.weight', tensors.get('shared.weight')!);
    await writeSafetensors(join(at, 'model.safetensors'), tensors);
    return (await loadAutoUI(at)).config.tied;
  };
  assert.equal(await equal(true), true);
  assert.equal(await equal(false), false);
});

test('without img_dim in config.json, the length of the image vector comes from the weights', async () => {
  const folder = edited(relu, (config) => delete config.img_dim);
  assert.equal(readAutoUIConfig(folder).image, 1408);
  assert.equal((await loadAutoUI(folder)).config.image, 10);
});

const faults: [what: string, folder: () => string, message: RegExp][] = [
  [
    'no weights',
    () => copy(gelu, (f) => rmSync(join(f, 'model.safetensors'))),
    /expected model\.safetensors or pytorch_model\.bin/,
  ],
  ['no config.json', () => copy(gelu, (f) => rmSync(join(f, 'config.json'))), /config\.json: cannot be read/],
  ['another width', () => edited(gelu, (c) => (c.d_model = 24)), /shared\.weight: expected \[45,24\], got \[45,20\]/],
  [
    'more layers',
    () => edited(gelu, (c) => (c.num_layers = 3)),
    /encoder\.block\.2\.layer\.0\.SelfAttention\.q\.weight is missing/,
  ],
  ['fewer layers', () => edited(gelu, (c) => (c.num_layers = 1)), /encoder\.block\.1\.\S+ is unexpected/],
  [
    'an unknown activation',
    () => edited(gelu, (c) => (c.feed_forward_proj = 'swish')),
    /feed_forward_proj: .*config\.json of a T5/,
  ],
  [
    'a list as config.json',
    () => copy(gelu, (f) => writeFileSync(join(f, 'config.json'), '[]')),
    /config\.json: expected a JSON object/,
  ],
  ['no size', () => edited(gelu, (c) => delete c.d_model), /d_model: /],
];
for (const [what, folder, message] of faults) {
  test(`${what}: loading fails with a one-line error`, async () => {
    await assert.rejects(
      async () => loadAutoUI(folder()),
      (error: Error) => error instanceof UserError && message.test(error.message) && !error.message.includes('\n'),
    );
  });
}

test('relative position buckets are exact for short distances, then logarithmic up to the last bucket', () => {
  const both = [-200, -128, -9, -8, -7, -1, 0, 1, 7, 8, 9, 127, 128, 200].map((d) => relativeBucket(d, true, 32, 128));
  assert.deepEqual(both, [15, 15, 8, 8, 7, 1, 0, 17, 23, 24, 24, 31, 31, 31]);
  const past = [-200, -128, -127, -17, -16, -15, -1, 0, 5].map((d) => relativeBucket(d, false, 32, 128));
  assert.deepEqual(past, [31, 31, 31, 16, 16, 15, 1, 0, 0]);
});

test('with clamped probabilities, only the gradient outside the range is 0', async () => {
  const runtime = await openRuntime({ threads: 1 });
  const labels = constant(BigInt64Array.of(0n, 0n, 1n), [1, 3]);
  const mask = constant([1, 1, 1], [1, 3]);
  // probabilities of the labels: 0.5, about 1 - 1e-5, about 1e-5
  const logits = constant([0, 0, 0, -11.5, 0, -11.5], [1, 3, 2]);
  const outputs = (clamp?: readonly [number, number]) => {
    const logProbs = logProb(logits, labels, mask, { clamp });
    return { logProbs, gradient: grad(sum(logProbs), [logits as Tensor])[0] };
  };
  const run = async (clamp?: readonly [number, number]) => {
    const session = await runtime.session(toOnnx(outputs(clamp)));
    const result = await session.run({});
    session.close();
    return { logProbs: [...(result.logProbs as Float32Array)], gradient: [...(result.gradient as Float32Array)] };
  };
  const free = await run();
  const clamped = await run([0.001, 0.99]);
  await runtime.close();
  assert.ok(Math.abs(clamped.logProbs[0] - Math.log(0.5)) < 1e-6);
  assert.ok(Math.abs(clamped.logProbs[1] - Math.log(0.99)) < 1e-6);
  assert.ok(Math.abs(clamped.logProbs[2] - Math.log(0.001)) < 1e-5);
  assert.ok(Math.abs(free.logProbs[2] + 11.5) < 1e-3);
  assert.deepEqual(clamped.gradient.slice(2), [0, 0, 0, 0]);
  assert.ok(Math.abs(clamped.gradient[0] - 0.5) < 1e-6);
  assert.ok(Math.abs(free.gradient[5] - 1) < 1e-3);
});
