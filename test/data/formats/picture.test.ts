/** Screenshots as users have them: JPEG and WebP beside PNG; and text files as Windows writes them. */
import assert from 'node:assert/strict';
import { createCanvas, ImageData } from '@napi-rs/canvas';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readTemplate } from '../../../src/agents/served/template.js';
import { decodePicture } from '../../../src/data/formats/picture.js';
import { decodeText, linesOf } from '../../../src/data/formats/text.js';
import { readTaskList } from '../../../src/data/task-list.js';
import { readLabelledSet } from '../../../src/judges/labelled-set.js';
import { loadExamples } from '../../../src/judges/few-shot.js';
import { readJson } from '../../../src/models/checkpoint/checkpoint.js';
import { Random } from '../../../src/random.js';
import { emptyFolder } from '../../rigs/process.js';

const [WIDTH, HEIGHT] = [45, 70];

/** A screen of smooth colours, which survive a lossy format. */
function screen(): Uint8ClampedArray<ArrayBuffer> {
  const rgba = new Uint8ClampedArray(4 * WIDTH * HEIGHT);
  for (let y = 0; y < HEIGHT; y++) {
    for (let x = 0; x < WIDTH; x++) rgba.set([100 + x, 60 + y, 200 - x, 255], 4 * (y * WIDTH + x));
  }
  return rgba;
}

async function encoded(type: 'png' | 'jpeg' | 'webp'): Promise<Buffer> {
  const canvas = createCanvas(WIDTH, HEIGHT);
  canvas.getContext('2d').putImageData(new ImageData(screen(), WIDTH, HEIGHT), 0, 0);
  return type === 'png' ? canvas.encode('png') : canvas.encode(type, 95);
}

for (const [type, most] of [
  ['png', 0],
  ['jpeg', 8],
  ['webp', 8],
] as const) {
  test(`a screenshot in ${type} has its size and its colours`, async () => {
    const { width, height, rgba } = await decodePicture(await encoded(type));
    assert.deepEqual([width, height], [WIDTH, HEIGHT]);
    const worst = screen().reduce((sum, value, i) => Math.max(sum, Math.abs(value - rgba[i])), 0);
    assert.ok(worst <= most, `${worst}`);
  });

  test(`a cut ${type} is an error, and so is one whose size is too large`, async () => {
    const file = await encoded(type);
    for (const part of [0.2, 0.6, 0.97]) {
      await assert.rejects(decodePicture(file.subarray(0, Math.floor(file.length * part))), /truncated|damaged/);
    }
  });
}

test('sizes are checked before anything is allocated', async () => {
  const jpeg = await encoded('jpeg');
  const frame = jpeg.indexOf(Buffer.from([0xff, 0xc0]));
  jpeg.fill(0xff, frame + 5, frame + 9);
  await assert.rejects(decodePicture(jpeg), /unsupported JPEG: .* got 65535×65535/);
  const webp = await encoded('webp');
  assert.equal(webp.toString('latin1', 12, 16), 'VP8X');
  webp.fill(0xff, 24, 30);
  await assert.rejects(decodePicture(webp), /unsupported WebP: .* got 16777216×16777216/);
  const lossy = Buffer.concat([webp.subarray(0, 12), webp.subarray(webp.indexOf('VP8 '))]);
  lossy.writeUInt32LE(lossy.length - 8, 4);
  assert.equal((await decodePicture(lossy)).width, WIDTH);
  lossy.writeUInt32LE(0x3fff3fff, 26);
  await assert.rejects(decodePicture(lossy), /unsupported WebP: .* got 16383×16383/);
  await assert.rejects(decodePicture(Buffer.from('GIF89a and more')), /not a PNG, JPEG or WebP file/);
});

test('damaged files are errors or pictures', async () => {
  const random = new Random(5, 'pictures');
  const files = [await encoded('jpeg'), await encoded('webp')];
  for (let i = 0; i < 200; i++) {
    const bytes = Buffer.from(random.pick(files));
    for (let times = random.int(4); times >= 0; times--) bytes[random.int(bytes.length)] = random.int(256);
    await decodePicture(bytes).then(
      ({ width, height, rgba }) => assert.equal(rgba.length, 4 * width * height),
      (error: unknown) => assert.match((error as Error).message, /JPEG|WebP/),
    );
  }
});

test('texts are the same with a byte order mark, in UTF-16, and with any ends of lines', () => {
  const text = 'a, ü 灯\nb\n\nc';
  const utf16 = (order: 'le' | 'be') => {
    const bytes = Buffer.from(`\uFEFF${text}`, 'utf16le');
    return order === 'le' ? bytes : bytes.swap16();
  };
  for (const bytes of [Buffer.from(text), Buffer.from(`\uFEFF${text}`), utf16('le'), utf16('be')])
    assert.equal(decodeText(bytes), text);
  for (const end of ['\n', '\r\n', '\r']) assert.deepEqual(linesOf(text.replaceAll('\n', end)), ['a, ü 灯', 'b', '', 'c']);
});

for (const [what, written] of [
  ['a byte order mark and Windows line ends', (text: string) => Buffer.from(`\uFEFF${text.replaceAll('\n', '\r\n')}`)],
  ['carriage returns alone', (text: string) => Buffer.from(text.replaceAll('\n', '\r'))],
  ["PowerShell's UTF-16", (text: string) => Buffer.from(`\uFEFF${text}`, 'utf16le')],
] as const) {
  test(`every text file that a user writes is read with ${what}`, async (t) => {
    const folder = emptyFolder(t);
    const file = (name: string, text: string): string => {
      writeFileSync(join(folder, name), written(text));
      return join(folder, name);
    };
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'a.jpg'), await encoded('jpeg'));
    const lines = '{"id": "1", "text": "Go to ä.com"}\n{"id": "2", "text": "b"}\n';
    assert.deepEqual(readTaskList(file('t.jsonl', lines)).map(({ text }) => text), ['Go to ä.com', 'b']);
    assert.deepEqual(readTaskList(file('t.txt', 'Go to ä.com\nb\n')).map(({ text }) => text), ['Go to ä.com', 'b']);
    const label = '{"image": "a.jpg", "task": "a", "label": "success"}';
    const [labelled] = readLabelledSet(file('set.jsonl', `${label}\n`));
    assert.equal((await labelled.frame()).width, WIDTH);
    file('examples.json', '[\n{"image": "a.jpg", "task": "a", "status": "success"}\n]\n');
    assert.equal(loadExamples(folder)[0].picture.type, 'image/jpeg');
    assert.deepEqual(readTemplate(file('p.yaml', 'user: "{task}"\nturns: true\n')), { user: '{task}', turns: true });
    assert.deepEqual(readJson(file('config.json', '{\n"a": 1\n}\n')), { a: 1 });
  });
}
