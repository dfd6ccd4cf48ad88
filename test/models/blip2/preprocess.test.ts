import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { decodePng } from '../../../src/data/formats/png.js';
import type { Frame } from '../../../src/data/formats/frame.js';
import { UserError } from '../../../src/errors.js';
import { Blip2Preprocessor, readBlip2Preprocessing } from '../../../src/models/blip2/preprocess.js';
import { withCursor } from '../../../src/models/cursor.js';
import { Resampler } from '../../../src/models/resample.js';

/** Made by test/fixtures/python/preprocess.py. */
const fixture = 'test/fixtures/preprocess';
const expected = JSON.parse(readFileSync(join(fixture, 'expected.json'), 'utf8')) as {
  cases: ({ size: number } & (
    { width: number; height: number; slow: string; fast: string } | { file: string; slow_sha256: string }
  ))[];
  normalised: { bytes: number[]; values: number[][] };
};
const phone = decodePng(readFileSync(join(fixture, 'phone.png')));
const scratch = mkdtempSync(join(tmpdir(), 'critiq-preprocess-'));
after(() => rmSync(scratch, { recursive: true }));

/** The generator's picture: noise with an alpha channel of its own. */
function picture(width: number, height: number): Frame {
  const rgba = new Uint8ClampedArray(width * height * 4);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < 4; c++) {
        rgba[at++] = (x * 37 + y * 91 + c * 53 + x * y * 7 + ((x * x + y * (c + 1)) % 17) * 11) % 256;
      }
    }
  }
  return { width, height, rgba };
}

function folder(files: Record<string, unknown>): string {
  const at = mkdtempSync(join(scratch, 'folder-'));
  for (const [name, json] of Object.entries(files)) writeFileSync(join(at, name), JSON.stringify(json));
  return at;
}

for (const one of expected.cases) {
  const name = 'file' in one ? one.file : `${one.width} x ${one.height}`;
  test(`${name} to ${one.size}: Pillow's bytes exactly, torchvision's within one`, () => {
    const size = { width: one.size, height: one.size };
    const frame = 'file' in one ? phone : picture(one.width, one.height);
    const got = new Resampler(frame, size, 'bicubic').resample(frame);
    if ('file' in one) {
      assert.equal(createHash('sha256').update(got).digest('hex'), one.slow_sha256);
      return;
    }
    assert.deepEqual(Buffer.from(got), Buffer.from(one.slow, 'base64'));
    const fast = Buffer.from(one.fast, 'base64');
    assert.ok(got.every((byte, i) => Math.abs(byte - fast[i]) <= 1));
  });
}

test('bytes are normalised as the processor does', () => {
  const { scale, shift, filter, size } = readBlip2Preprocessing(folder({}), 224);
  assert.deepEqual({ filter, size }, { filter: 'bicubic', size: { width: 224, height: 224 } });
  const { bytes, values } = expected.normalised;
  values.forEach((row, c) =>
    row.forEach((value, i) => assert.ok(Math.abs(bytes[i] * scale[c] + shift[c] - value) < 1e-6)),
  );
});

test('cursors change just what a new resizing of the changed screenshot changes', () => {
  const preprocessor = new Blip2Preprocessor(readBlip2Preprocessing(folder({}), 224));
  const points = [[0.5, 0.52], [0, 0], [0.999, 0.999], [0.2, 0.9]] as const; // prettier-ignore
  const plain = preprocessor.prepare(phone);
  const marked = preprocessor.prepareWithCursors(phone, points);
  points.forEach((point, i) => {
    assert.deepEqual(
      withCursor(phone, point, () => preprocessor.prepare(phone)),
      marked[i],
    );
    assert.notDeepEqual(marked[i], plain);
  });
  assert.deepEqual(preprocessor.prepare(phone), plain);
});

test('screenshots of several sizes may come in turn', () => {
  const preprocessor = new Blip2Preprocessor(readBlip2Preprocessing(folder({}), 16));
  const first = preprocessor.prepare(picture(37, 91));
  preprocessor.prepare(picture(91, 37));
  assert.deepEqual(preprocessor.prepare(picture(37, 91)), first);
});

test("both of transformers' layouts of the processor's file are read", () => {
  const image = { image_mean: [0, 0.5, 1], image_std: [1, 0.5, 0.25], rescale_factor: 0.5, resample: 2 };
  const own = readBlip2Preprocessing(folder({ 'preprocessor_config.json': { ...image, size: 32 } }), 32);
  assert.deepEqual(own, {
    size: { width: 32, height: 32 },
    filter: 'bilinear',
    scale: [0.5, 1, 2],
    shift: [-0, -1, -4],
  });
  const nested = { processor_class: 'Blip2Processor', image_processor: { ...image, size: { height: 32, width: 32 } } };
  assert.deepEqual(readBlip2Preprocessing(folder({ 'processor_config.json': nested }), 32), own);
  // transformers 4 writes this file beside preprocessor_config.json, without the image processor
  const without = folder({ 'processor_config.json': { num_query_tokens: 32 } });
  assert.deepEqual(readBlip2Preprocessing(without, 224), readBlip2Preprocessing(folder({}), 224));
});

const faults: [what: string, json: unknown, message: RegExp][] = [
  ['another size than the tower takes', { size: { height: 384, width: 384 } }, /size: expected 224x224 .*got 384x384/],
  ['another filter', { resample: 1 }, /resample: expected 3 \(bicubic\) or 2 \(bilinear\), got 1/],
  ['no resizing', { do_resize: false }, /do_resize: expected true/],
  ['a crop', { do_center_crop: true }, /do_center_crop: .*BlipImageProcessor/],
  ['a deviation of zero', { image_std: [1, 0, 1] }, /image_std/],
];
for (const [what, json, message] of faults) {
  test(`a processor with ${what} is an error of one line`, () => {
    assert.throws(
      () => readBlip2Preprocessing(folder({ 'preprocessor_config.json': json }), 224),
      (error: Error) => error instanceof UserError && message.test(error.message) && !error.message.includes('\n'),
    );
  });
}
