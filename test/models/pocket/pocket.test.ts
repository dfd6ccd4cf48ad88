/** How screenshots and actions are prepared for the pocket models. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Frame } from '../../../src/data/formats/frame.js';
import {
  convTowerDim,
  convTowerMap,
  POCKET_TOWER,
  shrink,
  shrunkLength,
  type ConvTowerConfig,
} from '../../../src/models/conv-tower.js';
import { withCursor } from '../../../src/models/cursor.js';
import { gridCentre, pocketTokenizer } from '../../../src/models/pocket/tokenizer.js';
import { screenChange } from '../../../src/data/screen-change.js';
import { Tokenizer } from '@huggingface/tokenizers';
import { Random } from '../../../src/random.js';

function noise(width: number, height: number, seed: number): Frame {
  const random = new Random(seed, 'frame');
  return { width, height, rgba: Uint8ClampedArray.from({ length: width * height * 4 }, () => random.int(256)) };
}

const SMALL: ConvTowerConfig = {
  model_type: 'critiq-conv',
  image_size: [4, 6],
  layers: [{ channels: 2, kernel: 3, stride: 2, pad: 1 }],
};

test('shrink averages whole blocks in each channel', () => {
  for (const [fy, fx] of [
    [3, 2],
    [2, 3],
    [1, 1],
    [4, 5],
  ]) {
    const frame = noise(6 * fx, 4 * fy, 1);
    const out = shrink(frame, SMALL);
    assert.equal(out.length, shrunkLength(SMALL));
    for (let channel = 0; channel < 3; channel++) {
      for (let block = 0; block < 24; block++) {
        const [y, x] = [Math.floor(block / 6), block % 6];
        let total = 0;
        for (let dy = 0; dy < fy; dy++)
          for (let dx = 0; dx < fx; dx++)
            total += frame.rgba[((y * fy + dy) * frame.width + x * fx + dx) * 4 + channel];
        assert.equal(out[channel * 24 + block], Math.floor(total / (fx * fy) + 0.5));
      }
    }
  }
  // the widest possible blocks, whose sums are just below the limit
  const white = { width: 257, height: 2, rgba: new Uint8ClampedArray(257 * 2 * 4).fill(255) };
  assert.deepEqual([...shrink(white, { ...SMALL, image_size: [1, 1] })], [255, 255, 255]);
});

test('a screenshot of any other size is stretched to the input: what is at a fraction of the screen stays there', () => {
  const config: ConvTowerConfig = { ...SMALL, image_size: [195, 90] };
  for (const [width, height] of [
    [108, 228],
    [301, 77],
    [36, 72],
    [23_131, 1],
  ]) {
    // left third black, the rest white
    const rgba = new Uint8ClampedArray(4 * width * height).map((_, i) => ((i >> 2) % width < width / 3 ? 0 : 255));
    const out = shrink({ width, height, rgba }, config);
    for (let y = 0; y < 195; y++)
      for (const [x, value] of [
        [5, 0],
        [20, 0],
        [45, 255],
        [85, 255],
      ])
        assert.equal(out[90 * y + x], value, `${width}x${height}: ${x}, ${y}`);
  }
});

test('a cursor changes only the square around it, and the screenshot is restored', () => {
  const frame = noise(90, 180, 2);
  const before = frame.rgba.slice();
  const config: ConvTowerConfig = { ...SMALL, image_size: [60, 30] };
  const plain = shrink(frame, config);
  for (const point of [
    [0.5, 0.5],
    [0, 0],
    [0.999, 0.3],
  ] as const) {
    const { partial, whole } = withCursor(frame, point, (changed) => ({
      partial: shrink(frame, config, plain.slice(), changed),
      whole: shrink(frame, config),
    }));
    assert.deepEqual(partial, whole, 'shrinking only the changed region gives the same result');
    assert.notDeepEqual(whole, plain);
    assert.deepEqual(frame.rgba, before);
  }
});

test('the last feature map of the pocket tower has 6 channels of 17 x 8 for a screen of 270 x 585', () => {
  assert.deepEqual(convTowerMap(POCKET_TOWER), { channels: 6, rows: 17, columns: 8 });
  assert.equal(convTowerDim(POCKET_TOWER), 6 * 17 * 8);
});

test('screenChange is the mean squared difference at a quarter of the size', () => {
  const a: Frame = { width: 8, height: 9, rgba: new Uint8ClampedArray(8 * 9 * 4) };
  const b: Frame = { ...a, rgba: a.rgba.slice() };
  assert.equal(screenChange(a, b), 0);
  for (let y = 0; y < 4; y++) for (let x = 0; x < 4; x++) b.rgba[(y * 8 + x) * 4] = 40;
  assert.equal(screenChange(a, b), 1600 / (3 * 2 * 2));
  b.rgba.fill(255, 8 * 8 * 4); // the last row is not part of a whole block
  assert.equal(screenChange(a, b), 1600 / (3 * 2 * 2));
  assert.equal(screenChange(a, noise(8, 8, 1)), Infinity);
});

test('the pocket tokenizer splits names into pieces and decodes every text to itself', () => {
  const { tokenizer, config } = pocketTokenizer({
    pieces: ['best', 'mart', '.com', 'red'],
    words: ['Go', 'to', 'top', 'lamp'],
    grid: { rows: 24, columns: 12 },
  });
  const t = new Tokenizer(tokenizer, config);
  const tokens = (text: string) => t.encode(text, { add_special_tokens: false }).tokens;
  assert.deepEqual(tokens('Go to bestmart.com'), ['Go', ' to', ' ', 'best', 'mart', '.com']);
  assert.deepEqual(tokens("'red lamp'"), ["'", 'red', ' lamp', "'"]);
  // `top` is a word, so it does not match inside another word
  assert.deepEqual(tokens('topaz'), ['t', 'o', 'p', 'a', 'z']);
  const point = `${gridCentre(0, 24)}, ${gridCentre(11, 12)}`;
  assert.deepEqual(tokens(`", "touch_point": "[${point}`), ['", "touch_point": "[', '0.0208, ', '0.9583']);
  const random = new Random(3, 'texts');
  for (let i = 0; i < 200; i++) {
    const text = Array.from({ length: 1 + random.int(40) }, () => String.fromCharCode(32 + random.int(95))).join('');
    assert.equal(t.decode(t.encode(text).ids, { skip_special_tokens: true }), text);
  }
});
