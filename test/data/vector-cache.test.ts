import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, statSync, truncateSync, writeFileSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { VectorCache } from '../../src/data/vector-cache.js';

const newFolder = () => join(mkdtempSync(join(tmpdir(), 'critiq-cache-')), 'model');
const vector = (...values: number[]) => Float32Array.from(values);
const file = (folder: string, end: string) =>
  join(
    folder,
    readdirSync(folder).find((name) => name.endsWith(end))!,
  );

test('a stored vector is found by its key, at once and after reopening', () => {
  const folder = newFolder();
  const cache = VectorCache.open(folder, 2);
  assert.equal(cache.get('a'), undefined);
  cache.put('a', vector(1, 2));
  assert.deepEqual(cache.get('a'), vector(1, 2));
  cache.put('b', vector(3, -4));
  assert.deepEqual(cache.get('b'), vector(3, -4));
  cache.close();
  const again = VectorCache.open(folder, 2);
  assert.equal(again.size, 2);
  assert.deepEqual([again.get('a'), again.get('b'), again.get('c')], [vector(1, 2), vector(3, -4), undefined]);
  again.put('a', vector(9, 9));
  assert.deepEqual(again.get('a'), vector(1, 2), 'the first vector of a key stays');
});

test('two concurrent writers do not disturb each other', () => {
  const folder = newFolder();
  const [one, two] = [VectorCache.open(folder, 1), VectorCache.open(folder, 1)];
  for (let i = 0; i < 50; i++) {
    one.put(`one ${i}`, vector(i));
    two.put(`two ${i}`, vector(-i));
  }
  one.close();
  two.close();
  const both = VectorCache.open(folder, 1);
  for (let i = 0; i < 50; i++) assert.deepEqual([both.get(`one ${i}`), both.get(`two ${i}`)], [vector(i), vector(-i)]);
});

test('an incomplete entry or a flipped byte is a miss, not a wrong vector', () => {
  const folder = newFolder();
  const cache = VectorCache.open(folder, 2);
  for (const [i, key] of ['a', 'b', 'c'].entries()) cache.put(key, vector(i, i));
  cache.close();
  const [keys, vectors] = [file(folder, '.keys'), file(folder, '.vectors')];
  truncateSync(vectors, statSync(vectors).size - 1);
  const bytes = readFileSync(vectors);
  bytes[2] ^= 64;
  writeFileSync(vectors, bytes);
  truncateSync(keys, statSync(keys).size - 3);
  const torn = VectorCache.open(folder, 2);
  assert.deepEqual([torn.get('a'), torn.get('b'), torn.get('c')], [undefined, vector(1, 1), undefined]);
  torn.put('a', vector(7, 7));
  assert.deepEqual(torn.get('a'), vector(7, 7));
  torn.close();
  assert.deepEqual(VectorCache.open(folder, 2).get('b'), vector(1, 1));
});

test('vectors of another length or with NaN are errors', () => {
  const cache = VectorCache.open(newFolder(), 2);
  assert.throws(() => cache.put('a', vector(1)), /expected a vector of 2 floats, got 1/);
  assert.throws(() => cache.put('a', vector(1, NaN)), /finite/);
});
