import { createCanvas, loadImage } from '@napi-rs/canvas';
import { crc32 } from '@node-rs/crc32';
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { imageId, ImageStore } from '../../src/data/images.js';
import { decodePng, encodePng } from '../../src/data/formats/png.js';
import type { Frame } from '../../src/data/formats/frame.js';
import { Random } from '../../src/random.js';
import { flipByte, rejectsWithLine, tempFolder } from '../rigs/files.js';

function noise(seed: number, width: number, height: number, alpha?: number): Frame {
  const random = new Random(seed, 'frame');
  const rgba = Uint8ClampedArray.from({ length: 4 * width * height }, (_, i) =>
    i % 4 === 3 && alpha !== undefined ? alpha : random.int(256),
  );
  return { width, height, rgba };
}

test('images are read back exactly, opaque or not', async (t) => {
  const store = new ImageStore(join(tempFolder(t), 'images'));
  for (const frame of [noise(1, 27, 58, 255), noise(2, 1, 1, 255), noise(3, 30, 7), noise(4, 5, 5, 0)]) {
    const id = await store.put(frame);
    assert.equal(id, imageId(frame));
    assert.deepEqual(await store.get(id), frame);
    assert.ok(await store.has(id));
  }
  await store.sync();
});

test('images encoded concurrently, or one after another in the same memory, do not mix', async () => {
  const frames = Array.from({ length: 24 }, (_, i) =>
    noise(20 + i, 1 + ((i * 37) % 150), 1 + ((i * 53) % 200), i % 3 === 0 ? undefined : 255),
  );
  for (let round = 0; round < 2; round++) {
    const files = await Promise.all(frames.map(encodePng));
    files.forEach((file, i) => assert.deepEqual(decodePng(file), frames[i]));
  }
  // pixels at an odd offset in their buffer
  const { rgba, ...size } = frames[1];
  const shifted = new Uint8ClampedArray(rgba.length + 1).subarray(1);
  shifted.set(rgba);
  assert.deepEqual(decodePng(await encodePng({ ...size, rgba: shifted })), frames[1]);
});

test('equal images are stored once; the same bytes with another size are another image', async (t) => {
  const store = new ImageStore(tempFolder(t));
  const frame = noise(1, 6, 4, 255);
  const ids = await Promise.all([
    store.put(frame),
    store.put({ ...frame }),
    store.put({ ...frame, width: 4, height: 6 }),
  ]);
  assert.equal(ids[0], ids[1]);
  assert.notEqual(ids[0], ids[2]);
  const files = readdirSync(store.folder, { recursive: true }).filter((name) => String(name).includes('.'));
  assert.equal(files.length, 2);
});

test('other programs can read the PNG files, and theirs can be read', async (t) => {
  const store = new ImageStore(tempFolder(t));
  const frame = noise(5, 33, 21, 255);
  const image = await loadImage(store.path(await store.put(frame)));
  const canvas = createCanvas(33, 21);
  const context = canvas.getContext('2d');
  context.drawImage(image, 0, 0);
  assert.deepEqual(new Uint8ClampedArray(context.getImageData(0, 0, 33, 21).data), frame.rgba);
  // a PNG of another program, with its choice of line filters
  context.fillStyle = '#88a';
  context.fillRect(3, 3, 20, 12);
  context.fillText('filters', 4, 12);
  const theirs = decodePng(canvas.toBuffer('image/png'));
  assert.deepEqual(theirs.rgba, new Uint8ClampedArray(context.getImageData(0, 0, 33, 21).data));
});

test('a missing, truncated, damaged or swapped image gives a one-line error', async (t) => {
  const store = new ImageStore(tempFolder(t));
  const id = await store.put(noise(6, 20, 20, 255));
  const other = await store.put(noise(7, 20, 20, 255));
  const file = store.path(id);
  const whole = readFileSync(file);
  const fault = (pattern: RegExp) =>
    rejectsWithLine(() => store.get(id), /\.png: /, pattern, /run `critiq collect` again/);
  const random = new Random(10, 'faults');
  for (let i = 0; i < 20; i++) {
    truncateSync(file, random.int(whole.length));
    await fault(/truncated PNG|not a PNG/);
    writeFileSync(file, whole);
    flipByte(file, random.int(whole.length));
    await fault(/PNG/);
    writeFileSync(file, whole);
  }
  writeFileSync(file, readFileSync(store.path(other)));
  await fault(new RegExp(`expected the image ${id}, got ${other}`));
  rmSync(file);
  await fault(/the image is missing/);
});

test('an image that a power cut left empty is written again', async (t) => {
  const folder = tempFolder(t);
  const frame = noise(8, 9, 9, 255);
  const file = new ImageStore(folder).path(await new ImageStore(folder).put(frame));
  truncateSync(file, 0);
  const store = new ImageStore(folder);
  assert.deepEqual(await store.get(await store.put(frame)), frame);
  assert.deepEqual(readdirSync(dirname(file)).length, 1);
});

test('temporary files of killed processes are removed at the next write to their folder, others stay', async (t) => {
  const store = new ImageStore(tempFolder(t));
  const frame = noise(2, 9, 9, 255);
  const file = store.path(await store.put(frame));
  const [dead, own] = [`${file}.1-0.tmp`, `${file}.${process.pid}-7.tmp`];
  for (const name of [dead, own]) writeFileSync(name, 'half');
  await new ImageStore(store.folder).put(frame);
  assert.ok(!existsSync(dead));
  assert.ok(existsSync(own));
});

test('a path is not accepted as an id', async (t) => {
  const store = new ImageStore(tempFolder(t));
  for (const id of ['../../etc/passwd', '', 'a', `${'0'.repeat(31)}/`, 'A'.repeat(32), `${'0'.repeat(32)}\n`]) {
    await rejectsWithLine(() => store.get(id), /expected the id of an image \(32 hex digits\), got /);
    await rejectsWithLine(() => store.has(id), /expected the id of an image/);
  }
});

test('a PNG whose header has a wrong size is an error, without large allocations', async () => {
  const png = await encodePng(noise(9, 4, 4, 255));
  for (const [width, message] of [
    [0xffffffff, /expected 1 to 16384 pixels per side .*, got 4294967295×4/],
    [16000, /damaged PNG: expected \d+ bytes of pixels, got 52/],
    [2, /damaged|larger|Cannot create a Buffer/],
  ] as const) {
    const bytes = Buffer.from(png);
    bytes.writeUInt32BE(width, 16);
    bytes.writeUInt32BE(crc32(bytes.subarray(12, 29)), 29);
    assert.throws(() => decodePng(bytes), message);
  }
});
