/** Checkpoints as other tools write them: tied tensors under one name, wrapped names, 8-bit floats, later types, zip files. */
import assert from 'node:assert/strict';
import { crc32 } from '@node-rs/crc32';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import { convertCheckpoint } from '../../../pipelines/checkpoint/convert.js';
import { formatInspection, inspectCheckpoint } from '../../../pipelines/checkpoint/inspect.js';
import { decodeFloat8 } from '../../../src/data/formats/half.js';
import {
  readSafetensors,
  toFloat32,
  writeSafetensors,
  type SafetensorsType,
  type TensorToStore,
} from '../../../src/data/formats/safetensors.js';
import { UserError } from '../../../src/errors.js';
import { openRuntime } from '../../../src/graph/index.js';
import { loadAutoUI } from '../../../src/models/autoui/checkpoint.js';
import { loadRoberta } from '../../../src/models/roberta/checkpoint.js';
import { checkpointCopy, critiqActions, newPlace, pytorchActions } from '../../rigs/checkpoints.js';

const runtime = await openRuntime({ threads: 1 });
after(() => runtime.close());

/** Changes the tensors in a folder's model.safetensors; types that the writer does not know come by `retyped`. */
async function rewritten(
  folder: string,
  change: (tensors: Map<string, TensorToStore>) => Map<string, TensorToStore> | void,
  retyped: Readonly<Record<string, string>> = {},
): Promise<string> {
  const file = join(folder, 'model.safetensors');
  const tensors = new Map<string, TensorToStore>(readSafetensors(file).tensors);
  await writeSafetensors(file, change(tensors) ?? tensors, { format: 'pt' });
  const bytes = readFileSync(file);
  const length = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + length)) as Record<string, { dtype: string }>;
  for (const [name, type] of Object.entries(retyped)) header[name].dtype = type;
  const text = Buffer.from(JSON.stringify(header));
  const head = Buffer.alloc(8);
  head.writeBigUInt64LE(BigInt(text.length));
  writeFileSync(file, Buffer.concat([head, text, bytes.subarray(8 + length)]));
  return folder;
}

const TIED = ['shared.weight', 'encoder.embed_tokens.weight', 'decoder.embed_tokens.weight', 'lm_head.weight'];

for (const kept of TIED) {
  test(`an Auto-UI whose embedding table is only under ${kept} acts as with all its names`, async () => {
    const folder = await rewritten(checkpointCopy('autoui-safetensors-bf16'), (tensors) => {
      const table = tensors.get('shared.weight')!;
      for (const name of TIED) tensors.delete(name);
      tensors.set(kept, table);
    });
    assert.deepEqual(await critiqActions(runtime, folder), pytorchActions('autoui-safetensors-bf16'));
    assert.equal((await inspectCheckpoint(folder)).kind, 'auto-ui');
  });
}

test('an Auto-UI without any of them lacks the table', async () => {
  const folder = await rewritten(checkpointCopy('autoui-safetensors-bf16'), (tensors) => {
    for (const name of TIED) tensors.delete(name);
  });
  await assert.rejects(loadAutoUI(folder), /shared\.weight is missing/);
});

for (const [what, wrapped] of [
  ['torch.compile', (name: string) => `_orig_mod.${name}`],
  ['torch.compile in DataParallel', (name: string) => `module._orig_mod.${name}`],
  ['layers under torch.compile', (name: string) => name.replace(/^roberta\.encoder\./, 'roberta.encoder._orig_mod.')],
  ['FSDP', (name: string) => `_fsdp_wrapped_module.${name}`],
] as const) {
  test(`names with the prefixes of ${what} are read without them, and inspect says so`, async () => {
    const folder = await rewritten(
      checkpointCopy('roberta'),
      (tensors) => new Map([...tensors].map(([name, tensor]) => [wrapped(name), tensor])),
    );
    const [plain, read] = [await loadRoberta(checkpointCopy('roberta')), await loadRoberta(folder)];
    for (const name of plain.params.names()) assert.deepEqual(read.params.get(name).data, plain.params.get(name).data);
    const found = await inspectCheckpoint(folder);
    assert.deepEqual(found.problems, []);
    assert.match(formatInspection(found), /names +\S*_(orig_mod|fsdp_wrapped_module)\.\S+ is read as \w/);
  });
}

test('two tensors of one name without prefixes are an error', async () => {
  const folder = await rewritten(checkpointCopy('roberta'), (tensors) => {
    const [[name, tensor]] = tensors;
    tensors.set(`_orig_mod.${name}`, tensor);
  });
  await assert.rejects(loadRoberta(folder), /have one name without the prefixes/);
});

/** The value of an 8-bit float by its definition (OCP 8-bit Floating Point, table 2). */
function float8(bits: number, exponentBits: number, bias: number): number {
  const mantissaBits = 7 - exponentBits;
  const exponent = (bits >> mantissaBits) & (2 ** exponentBits - 1);
  const fraction = (bits & (2 ** mantissaBits - 1)) / 2 ** mantissaBits;
  const sign = bits & 0x80 ? -1 : 1;
  if (exponentBits === 4 && (bits & 0x7f) === 0x7f) return NaN;
  if (exponentBits === 5 && exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent === 0 ? fraction * 2 ** (1 - bias) : (1 + fraction) * 2 ** (exponent - bias));
}

test('every 8-bit float has its value', () => {
  const all = Uint8Array.from({ length: 256 }, (_, i) => i);
  assert.deepEqual(
    [...decodeFloat8(all, 'F8_E4M3')],
    [...all].map((bits) => float8(bits, 4, 7)),
  );
  assert.deepEqual(
    [...decodeFloat8(all, 'F8_E5M2')],
    [...all].map((bits) => float8(bits, 5, 15)),
  );
});

/** The fixture's RoBERTa in 8-bit floats. */
const inEight = (dtype: SafetensorsType) =>
  rewritten(checkpointCopy('roberta'), (tensors) => {
    for (const [name, { shape }] of tensors) {
      const count = shape.reduce((product, size) => product * size, 1);
      tensors.set(name, { dtype, shape, data: Uint8Array.from({ length: count }, (_, i) => (i * 7) % 120) });
    }
  });

test('8-bit floats become numbers of the wanted type, bfloat16 without one, and never stay under a new name', async () => {
  const folder = await inEight('F8_E4M3');
  assert.deepEqual((await inspectCheckpoint(folder)).problems, []);
  for (const [options, dtype, type] of [
    [{ dtype: 'f32' }, 'F32', 'float32'],
    [{ dtype: 'f16' }, 'F16', 'float16'],
    [{}, 'BF16', 'bfloat16'],
  ] as const) {
    const to = newPlace();
    assert.equal((await convertCheckpoint(folder, to, options)).dtypes, type);
    const written = readSafetensors(join(to, 'model.safetensors')).tensors;
    for (const [name, tensor] of readSafetensors(join(folder, 'model.safetensors')).tensors) {
      assert.equal(written.get(name)!.dtype, dtype);
      assert.deepEqual(toFloat32(written.get(name)!), toFloat32(tensor), name);
    }
  }
});

test('quantized weights are refused by name, before anything is written', async () => {
  const scaled = (name: string) =>
    rewritten(checkpointCopy('roberta'), (tensors) => {
      const weight = 'roberta.encoder.layer.0.attention.self.query.weight';
      const { shape } = tensors.get(weight)!;
      const data = new Uint8Array(shape[0] * shape[1]).fill(3);
      tensors.set(weight, { dtype: 'F8_E4M3', shape, data });
      tensors.set(name, { dtype: 'F32', shape: [1], data: Float32Array.of(0.5) });
    });
  const folder = await scaled('roberta.encoder.layer.0.attention.self.query.weight_scale');
  await assert.rejects(
    convertCheckpoint(folder, newPlace(), { dtype: 'f32' }),
    /weight_scale is unexpected.*quantized/,
  );
  assert.match((await inspectCheckpoint(folder)).problems.join(), /quantized/);
  // a model that critiq does not load itself
  writeFileSync(join(folder, 'config.json'), '{"model_type": "llama"}');
  const to = newPlace();
  await assert.rejects(convertCheckpoint(folder, to, { dtype: 'f32' }), (error: unknown) => {
    assert.ok(error instanceof UserError);
    assert.match(error.message, /query\.weight is quantized \(F8_E4M3, with the scales in .*weight_scale\)/);
    return true;
  });
  assert.deepEqual(readdirSync(dirname(to)), []);
});

test('a tensor of a later type does not matter if it is not read; if it is, the error names both', async () => {
  for (const type of ['F8_E8M0', 'F8_E4M3FNUZ', 'F8_E6M9']) {
    const extra = 'lm_head.decoder.scale';
    const folder = await rewritten(
      checkpointCopy('roberta'),
      (tensors) => void tensors.set(extra, { dtype: 'U8', shape: [4], data: new Uint8Array(4) }),
      { [extra]: type },
    );
    await loadRoberta(folder);
    const found = await inspectCheckpoint(folder);
    assert.deepEqual(found.problems, []);
    assert.equal(found.dtypes[type], 1);
    const to = newPlace();
    await convertCheckpoint(folder, to);
    assert.ok(!readSafetensors(join(to, 'model.safetensors')).tensors.has(extra));
  }
  const used = 'roberta.embeddings.LayerNorm.bias';
  const folder = await rewritten(
    checkpointCopy('roberta'),
    (tensors) => {
      const { shape } = tensors.get(used)!;
      tensors.set(used, { dtype: 'U8', shape, data: new Uint8Array(shape[0]) });
    },
    { [used]: 'F8_E8M0' },
  );
  await assert.rejects(loadRoberta(folder), /embeddings\.LayerNorm\.bias has the type F8_E8M0; expected float32/);
  assert.match((await inspectCheckpoint(folder)).problems.join(), /has the type F8_E8M0/);
});

/** A zip file (PKWARE's APPNOTE): local headers with their data, then the directory. */
function zipOf(files: readonly (readonly [string, Buffer])[]): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const [name, data] of files) {
    const packed = deflateRawSync(data);
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(8, 4);
    common.writeUInt32LE(crc32(data), 10);
    common.writeUInt32LE(packed.length, 14);
    common.writeUInt32LE(data.length, 18);
    common.writeUInt16LE(Buffer.byteLength(name), 22);
    const local = Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), common, Buffer.from(name), packed]);
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE(at, 10);
    directory.push(Buffer.concat([Buffer.from('PK\x01\x02\x14\x00', 'latin1'), common, rest, Buffer.from(name)]));
    parts.push(local);
    at += local.length;
  }
  const central = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(files.length, 8);
  end.writeUInt16LE(files.length, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(at, 16);
  return Buffer.concat([...parts, central, end]);
}

test('an Auto-UI is converted from the zip file as it was downloaded; elsewhere the message says so', async () => {
  const folder = checkpointCopy('autoui-bin');
  const own = readdirSync(folder).map((name) => [`Auto-UI-Base/${name}`, readFileSync(join(folder, name))] as const);
  const zip = `${newPlace()}.zip`;
  const others = [
    ['__MACOSX/Auto-UI-Base/._config.json', Buffer.from('x')],
    ['Auto-UI-Base/checkpoint-1/config.json', Buffer.from('{}')],
    ['Auto-UI-Base/checkpoint-1/optimizer.pt', Buffer.from('x')],
  ] as const;
  writeFileSync(zip, zipOf([...others, ...own]));
  const to = newPlace();
  assert.equal((await convertCheckpoint(zip, to)).kind, 'auto-ui');
  assert.deepEqual(await critiqActions(runtime, to), pytorchActions('autoui-bin'));
  assert.deepEqual(readdirSync(dirname(to)), [basename(to)], 'nothing is left over');
  for (const wrong of [loadAutoUI(zip), inspectCheckpoint(zip)]) {
    await assert.rejects(wrong, /is a zip file: unpack it, by `critiq checkpoint convert \S+\.zip FOLDER`/);
  }
  writeFileSync(zip, zipOf([others[0]]));
  await assert.rejects(convertCheckpoint(zip, newPlace()), /expected a folder with config\.json and its weights/);
  writeFileSync(zip, zipOf(own).subarray(0, 5000));
  await assert.rejects(convertCheckpoint(zip, newPlace()), /zip/);
});

test('a checkpoint one folder further down is named', async () => {
  const outer = newPlace();
  mkdirSync(join(outer, 'Auto-UI-Base'), { recursive: true });
  writeFileSync(join(outer, 'Auto-UI-Base', 'config.json'), '{}');
  await assert.rejects(loadAutoUI(outer), /did you mean \S+Auto-UI-Base\?/);
});
