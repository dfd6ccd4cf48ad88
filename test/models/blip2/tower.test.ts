import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { decodePng } from '../../../src/data/formats/png.js';
import { readSafetensors, writeSafetensors } from '../../../src/data/formats/safetensors.js';
import { VectorCache } from '../../../src/data/vector-cache.js';
import type { Frame } from '../../../src/data/formats/frame.js';
import { UserError } from '../../../src/errors.js';
import { Parameters, openRuntime } from '../../../src/graph/index.js';
import { Blip2Tower } from '../../../src/models/blip2/tower.js';
import { readJsonFile } from '../../../src/data/formats/json.js';
import { POCKET_TOWER, convTowerSpecs } from '../../../src/models/conv-tower.js';
import { withCursor } from '../../../src/models/cursor.js';
import {
  loadTower,
  readTowerReference,
  towerKind,
  writeTowerReference,
} from '../../../src/models/checkpoint/tower-folder.js';
import { ConvTower, writeTowerConfig } from '../../../src/models/vision.js';
import { checkpointCopy, newPlace } from '../../rigs/checkpoints.js';

const runtime = await openRuntime({ threads: 1 });
after(() => runtime.close());

const phone = decodePng(readFileSync('test/fixtures/preprocess/phone.png'));
const folder = checkpointCopy('blip2');
const expected = readJsonFile(join(folder, 'expected.json'), '') as number[][];

function upsideDown({ width, height, rgba }: Frame): Frame {
  const turned = new Uint8ClampedArray(rgba.length);
  for (let y = 0; y < height; y++)
    turned.set(rgba.subarray(y * width * 4, (y + 1) * width * 4), (height - 1 - y) * width * 4);
  return { width, height, rgba: turned };
}

/** Different screenshots. */
function shades(count: number): Frame[] {
  return Array.from({ length: count }, (_, i) => ({
    ...phone,
    rgba: phone.rgba.map((value, at) => (at % 4 === 3 ? 255 : value - 3 * i)),
  }));
}

test("BLIP-2's image vectors match those of PyTorch with its processor", async () => {
  const tower = await Blip2Tower.open(runtime, folder);
  const vectors = await tower.vectors([phone, upsideDown(phone)].map((frame) => tower.prepare(frame)));
  expected.forEach((vector, i) => {
    const most = Math.max(...vector.map(Math.abs));
    vector.forEach((value, j) => assert.ok(Math.abs(value - vectors[i][j]) < 1e-4 * most, `${value} ${vectors[i][j]}`));
  });
});

test('a vector is bit-identical alone and in a batch', async () => {
  const tower = await Blip2Tower.open(runtime, folder);
  const pixels = shades(7).map((frame) => tower.prepare(frame));
  const together = await tower.vectors(pixels);
  const alone = await Blip2Tower.open(runtime, folder);
  for (const i of [0, 2, 6]) assert.deepEqual(await alone.vectors([pixels[i]]), [together[i]]);
});

test('a cursor changes the vector', async () => {
  const tower = await Blip2Tower.open(runtime, folder);
  const marked = tower.prepareWithCursors(phone, [[0.5, 0.5], [0.1, 0.9]]); // prettier-ignore
  assert.deepEqual(
    marked[0],
    withCursor(phone, [0.5, 0.5], () => tower.prepare(phone)),
  );
  const [plain, one, other] = await tower.vectors([tower.prepare(phone), ...marked]);
  assert.notDeepEqual(one, plain);
  assert.notDeepEqual(one, other);
});

test('a referenced tower is loaded from its folder, but not if all vectors are in the cache', async () => {
  const copy = checkpointCopy('blip2');
  const vision = newPlace();
  const reference = await writeTowerReference(vision, copy);
  assert.equal(towerKind(vision), 'critiq-reference');
  assert.deepEqual(readTowerReference(vision), reference);
  const place = newPlace();
  const openCache = (name: string, dim: number) => VectorCache.open(join(place, name), dim);
  const tower = await loadTower(runtime, vision, openCache);
  const pixels = shades(3).map((frame) => tower.prepare(frame));
  const vectors = await tower.vectors(pixels);

  const again = await loadTower(runtime, vision, openCache);
  for (const shard of [1, 2]) rmSync(join(copy, `model-0000${shard}-of-00003.safetensors`));
  assert.deepEqual(await again.vectors(pixels), vectors);
});

test('a referenced folder that has changed gives a one-line error', async () => {
  const copy = checkpointCopy('blip2');
  const vision = newPlace();
  await writeTowerReference(vision, copy);
  const shard = join(copy, 'model-00002-of-00003.safetensors');
  const { tensors, metadata } = readSafetensors(shard);
  tensors.get('vision_model.post_layernorm.weight')!.data[0] ^= 1;
  await writeSafetensors(shard, tensors, metadata);
  await assert.rejects(
    loadTower(runtime, vision),
    (error: Error) =>
      error instanceof UserError && /has changed since .*expected fingerprint [0-9a-f]{32}, got/.test(error.message),
  );
});

test('the pocket tower is loaded from its own folder', async () => {
  const vision = newPlace();
  const params = Parameters.init(convTowerSpecs(POCKET_TOWER), 1);
  await writeTowerConfig(vision, POCKET_TOWER);
  await params.save(join(vision, 'model.safetensors'));
  const tower = await loadTower(runtime, vision);
  assert.ok(tower instanceof ConvTower);
  const own = new ConvTower(runtime, params, POCKET_TOWER);
  assert.deepEqual(await tower.vectors([tower.prepare(phone)]), await own.vectors([own.prepare(phone)]));
});

for (const [what, json, message] of [
  ['another kind', { model_type: 'resnet' }, /model_type: expected "critiq-conv" or "critiq-reference", got "resnet"/],
  [
    'a reference without a fingerprint',
    { model_type: 'critiq-reference', folder },
    /expected model_type "critiq-reference" with folder and fingerprint/,
  ],
] as const) {
  test(`a tower folder with ${what} gives a one-line error`, async () => {
    const vision = newPlace();
    mkdirSync(vision);
    writeFileSync(join(vision, 'config.json'), JSON.stringify(json));
    await assert.rejects(
      loadTower(runtime, vision),
      (error: Error) => error instanceof UserError && message.test(error.message) && !error.message.includes('\n'),
    );
  });
}
