import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { readSafetensors, writeSafetensors } from '../../src/data/formats/safetensors.js';
import { findCases, main } from './main.js';

const fixtures = 'test/fixtures/golden';
const scratch = mkdtempSync(join(tmpdir(), 'critiq-golden-'));
after(() => rmSync(scratch, { recursive: true }));

async function run(...args: string[]): Promise<{ code: number; lines: string[] }> {
  const lines: string[] = [];
  return { code: await main(args, (line) => lines.push(line)), lines };
}

for (const runtime of ['ffi', 'node']) {
  test(`models, losses, gradients and files match those of PyTorch (${runtime})`, async () => {
    const { code, lines } = await run(fixtures, '--runtime', runtime);
    assert.equal(code, 0, lines.join('\n'));
    assert.equal(lines.length, 16, lines.join('\n'));
    assert.ok(
      lines.slice(0, -1).every((line) => line.startsWith('ok ')),
      lines.join('\n'),
    );
    assert.match(lines.at(-1)!, new RegExp(`15 of 15 cases within 0.0001 relative, runtime ${runtime}`));
  });
}

test('cases are recognized by the files in their folders', () => {
  const folder = join(scratch, 'renamed');
  for (const [i, name] of ['autoui-gelu', 'critic', 'causal', 'text-tower', 'vision-tower'].entries()) {
    cpSync(join(fixtures, name), join(folder, `case${i}`), { recursive: true });
  }
  assert.deepEqual(
    findCases(folder).map(({ name }) => name),
    ['case0', 'case1', 'case2', 'case3', 'case4'],
  );
});

test('a released agent whose critic differs fails its case', async () => {
  const folder = mkdtempSync(join(scratch, 'agent-'));
  cpSync(join(fixtures, 'released'), join(folder, 'released'), { recursive: true });
  const state = join(folder, 'released/agent/trainer.pt');
  cpSync(join(state, 'pytorch_model_2.bin'), join(state, 'pytorch_model_1.bin'));
  const { code, lines } = await run(folder);
  assert.equal(code, 1, lines.join('\n'));
  assert.deepEqual(
    lines.filter((line) => line.startsWith('FAIL')).map((line) => line.split(/\s+/)[1]),
    ['released/agent/values.json'],
  );
});

const damages: [folder: string, file: string, tensor: string][] = [
  ['autoui-relu', 'model.safetensors', 'gate_dense.bias'],
  ['autoui-relu', 'case.safetensors', 'entropy'],
  ['autoui-gelu', 'grads.safetensors', 'mha_layer.in_proj_bias'],
  ['critic', 'target.safetensors', 'v1.0.bias'],
  ['critic', 'case.safetensors', '2.losses'],
  ['causal', 'case.safetensors', 'weight'],
  ['text-tower', 'model.safetensors', 'embeddings.position_embeddings.weight'],
  ['vision-tower', 'model.safetensors', 'embeddings.class_embedding'],
];
for (const [name, file, tensor] of damages) {
  test(`a change of 2 % in half of ${tensor} in ${name}/${file} fails the case`, async () => {
    const folder = mkdtempSync(join(scratch, 'changed-'));
    cpSync(join(fixtures, name), join(folder, name), { recursive: true });
    rmSync(join(folder, name, 'pytorch_model.bin'), { force: true });
    const { tensors } = readSafetensors(join(folder, name, file));
    const { data } = tensors.get(tensor)!;
    const values = new Float32Array(data.buffer, data.byteOffset, data.byteLength / 4);
    const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    for (let i = 0; i < values.length; i += 2) values[i] += 0.02 * largest;
    await writeSafetensors(join(folder, name, file), tensors);
    const { code, lines } = await run(folder);
    assert.equal(code, 1, lines.join('\n'));
    assert.match(lines[0], new RegExp(`^FAIL  ${name} `));
  });
}

test('a wrong folder or option gives a one-line error and exit code 2', async () => {
  const empty = join(scratch, 'empty');
  mkdirSync(empty);
  const short = join(scratch, 'short');
  cpSync(join(fixtures, 'autoui-relu'), join(short, 'autoui'), { recursive: true });
  rmSync(join(short, 'autoui', 'grads.safetensors'));
  const calls: [string[], RegExp][] = [
    [[join(scratch, 'none')], /no such folder/],
    [[empty], /has no golden cases; expected subfolders like/],
    [[short], /grads\.safetensors/],
    [[], /^usage: /],
    [[fixtures, '--runtime', 'gpu'], /^usage: /],
    [[fixtures, '--verbose'], /^usage: /],
  ];
  for (const [args, message] of calls) {
    const { code, lines } = await run(...args);
    assert.equal(code, 2, args.join(' '));
    assert.equal(lines.length, 1);
    assert.match(lines[0], message);
    assert.doesNotMatch(lines[0], /\n/);
  }
});
