import assert from 'node:assert/strict';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Journal } from '../../../src/data/store/journal.js';
import { flipByte, rejectsWithLine, tempFolder } from '../../rigs/files.js';

interface Note {
  episode: string;
  note?: string;
}

test('episodes are kept in order, and a repeated id is not written', async (t) => {
  const file = join(tempFolder(t), 'sub', 'trajectories.jsonl');
  const journal = Journal.open<Note>(file);
  assert.equal(await journal.append({ episode: 'a', note: 'é,"crc32":7' }), true);
  assert.equal(await journal.append({ episode: 'b' }), true);
  assert.equal(await journal.append({ episode: 'a', note: 'again' }), false);
  const again = Journal.open<Note>(file);
  assert.deepEqual(again.episodes, [{ episode: 'a', note: 'é,"crc32":7' }, { episode: 'b' }]);
  assert.ok(again.has('a') && !again.has('c'));
  assert.equal(await again.append({ episode: 'b' }), false);
  assert.equal(readFileSync(file, 'utf8').split('\n').length, 3);
});

test('an incomplete last line is ignored, wherever it ends', async (t) => {
  const file = join(tempFolder(t), 'trajectories.jsonl');
  await Journal.open<Note>(file).append({ episode: 'a' });
  const first = readFileSync(file);
  await Journal.open<Note>(file).append({ episode: 'b', note: 'é'.repeat(40000) });
  const both = readFileSync(file);
  for (const length of [0, 1, first.length - 1, first.length + 1, both.length - 100, both.length - 1]) {
    writeFileSync(file, both.subarray(0, length));
    const kept = Journal.open<Note>(file).episodes.map(({ episode }) => episode);
    assert.deepEqual(kept, length < first.length ? [] : ['a']);
    const journal = Journal.open<Note>(file);
    await journal.append({ episode: 'c' });
    assert.deepEqual(
      Journal.open<Note>(file).episodes.map(({ episode }) => episode),
      [...kept, 'c'],
    );
  }
});

test('a flipped byte gives an error that names its line', async (t) => {
  const file = join(tempFolder(t), 'trajectories.jsonl');
  for (const episode of ['a', 'b', 'c']) await Journal.open<Note>(file).append({ episode, note: 'some words' });
  const whole = readFileSync(file);
  const second = whole.indexOf('"b"');
  for (const at of [second + 1, whole.indexOf('some', second), whole.indexOf('crc32', second) + 7]) {
    flipByte(file, at);
    await rejectsWithLine(
      () => Journal.open(file),
      /trajectories\.jsonl, line 2: damaged: expected crc32 \d+, got \d+; delete/,
    );
    writeFileSync(file, whole);
  }
});

test('a line without a CRC is an error, an empty object is kept', async (t) => {
  const file = join(tempFolder(t), 'trajectories.jsonl');
  appendFileSync(file, '{"episode":"a"}\n');
  await rejectsWithLine(() => Journal.open(file), /line 1: expected a JSON object with crc32 as its last field, got "\{/);
  writeFileSync(file, '\n');
  await rejectsWithLine(() => Journal.open(file), /line 1: expected a JSON object/);
  const other = join(tempFolder(t), 'other.jsonl');
  await Journal.open<Partial<Note> & { episode: string }>(other).append({} as Note);
  assert.equal(Journal.open(other).episodes.length, 1);
});
