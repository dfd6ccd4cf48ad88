import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { TextTower } from '../../../src/agents/text/text-tower.js';
import { VectorCache } from '../../../src/data/vector-cache.js';
import { UserError } from '../../../src/errors.js';
import { openRuntime } from '../../../src/graph/index.js';
import { readJson } from '../../../src/models/checkpoint/checkpoint.js';
import { readJsonFile } from '../../../src/data/formats/json.js';
import { checkpointCopy, newPlace } from '../../rigs/checkpoints.js';

const runtime = await openRuntime({ threads: 1 });
after(() => runtime.close());
/** Number of compiled graphs; none means that nothing was computed. */
let sessions = 0;
const compile = runtime.session.bind(runtime);
runtime.session = (...args) => {
  sessions++;
  return compile(...args);
};

const folder = checkpointCopy('roberta');
const expected = readJsonFile(join(folder, 'expected.json'), '') as { text: string; vector: number[] }[];
const texts = expected.map(({ text }) => text);

test("vectors equal PyTorch's, also for empty texts and for texts longer than the model's positions", async () => {
  const tower = await TextTower.open(runtime, folder);
  const vectors = await tower.vectors(texts);
  expected.forEach(({ text, vector }, i) => {
    assert.equal(vectors[i].length, tower.dim);
    vector.forEach((value, j) =>
      assert.ok(Math.abs(value - vectors[i][j]) < 2e-5, `${text}: ${value} ${vectors[i][j]}`),
    );
  });
});

test('a vector is bit-identical alone and in any batch', async () => {
  const many = Array.from({ length: 70 }, (_, i) => `${texts[i % 4]} ${'word '.repeat(i % 9)}${i}`);
  const together = await (await TextTower.open(runtime, folder)).vectors(many);
  for (const i of [0, 13, 33, 69]) {
    const [alone] = await (await TextTower.open(runtime, folder)).vectors([many[i]]);
    assert.deepEqual(alone, together[i], many[i]);
  }
  const backwards = await (await TextTower.open(runtime, folder)).vectors([...many].reverse());
  assert.deepEqual(backwards.reverse(), together);
});

test('known vectors come from memory or the cache, without reading the weights', async () => {
  const place = newPlace();
  const opened: string[] = [];
  const openCache = (name: string, dim: number) => {
    opened.push(name);
    return VectorCache.open(join(place, name), dim);
  };
  const first = await TextTower.open(runtime, folder, openCache);
  const vectors = await first.vectors([...texts, ...texts]);
  assert.deepEqual(vectors.slice(texts.length), vectors.slice(0, texts.length));
  vectors[0].fill(0); // the caller may overwrite its copy
  const before = sessions;
  const again = await first.vectors(texts);
  assert.notDeepEqual(again[0], vectors[0]);

  const copy = checkpointCopy('roberta');
  const second = await TextTower.open(runtime, copy, openCache);
  assert.equal(second.fingerprint, first.fingerprint);
  rmSync(join(copy, 'model.safetensors'));
  assert.deepEqual(await second.vectors(texts), again);
  assert.equal(sessions, before);
  assert.deepEqual(opened, [`roberta-${first.fingerprint}`, `roberta-${first.fingerprint}`]);
  await assert.rejects(second.vectors(['new']), /expected model\.safetensors/);
});

test('concurrent calls get equal vectors', async () => {
  const tower = await TextTower.open(runtime, folder);
  const [one, other] = await Promise.all([tower.vectors(texts), tower.vectors(texts)]);
  assert.deepEqual(one, other);
});

test('a tokenizer with more ids than the model is a one-line error', async () => {
  const copy = checkpointCopy('roberta');
  const config = readJson(join(copy, 'config.json')) as Record<string, unknown>;
  writeFileSync(join(copy, 'config.json'), JSON.stringify({ ...config, vocab_size: 100 }));
  await assert.rejects(
    TextTower.open(runtime, copy),
    (error: Error) =>
      error instanceof UserError && /has \d+ ids, but config\.json has vocab_size 100/.test(error.message),
  );
});
