import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { overlap, overlapLine, readTaskList } from '../../src/data/task-list.js';
import { UserError } from '../../src/errors.js';

const folder = mkdtempSync(join(tmpdir(), 'critiq-tasks-'));
const file = (name: string, content: string | Buffer) => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};

test('a text file has one task per line, each with a family', () => {
  const tasks = readTaskList(
    file(
      'webshop_test.txt',
      `Go to ebay.com\r\n\nGo to ebay.com, search for 'a lamp'\nGo to ebay.com, search for "a lamp", and select the first entry\nOpen the clock`,
    ),
  );
  assert.deepEqual(tasks, [
    { id: 'webshop_test-0000', text: 'Go to ebay.com', family: 'webshop-1' },
    { id: 'webshop_test-0001', text: "Go to ebay.com, search for 'a lamp'", family: 'webshop-2' },
    {
      id: 'webshop_test-0002',
      text: 'Go to ebay.com, search for "a lamp", and select the first entry',
      family: 'webshop-3',
    },
    { id: 'webshop_test-0003', text: 'Open the clock', family: 'webshop' },
  ]);
});

test('the overlap of two lists ignores quotes, case and spaces, and also counts the first 96', () => {
  const train = readTaskList(file('a_train.txt', ['Find "x"', 'find  ‘X’', 'Find y'].join('\n')));
  const late = Array.from({ length: 96 }, (_, i) => `Task ${i}`);
  const test = readTaskList(file('a_test.txt', ["FIND 'x'", ...late, 'find Y'].join('\n')));
  const found = overlap(train, test);
  assert.deepEqual(found, {
    train: { tasks: 3, distinct: 2 },
    test: { tasks: 98, distinct: 98 },
    leaked: 2,
    leakedOfFirst96: 1,
  });
  assert.equal(
    overlapLine(found),
    '3 (2 different) training tasks, 98 test tasks, of which 2 are training tasks too (1 of the first 96)',
  );
});

test('a file that is not a task list gives a one-line error', () => {
  const refused = (path: string, message: RegExp) =>
    assert.throws(
      () => readTaskList(path),
      (error) => error instanceof UserError && message.test(error.message) && !error.message.includes('\n'),
    );
  refused(join(folder, 'none.txt'), /none\.txt: cannot be read \(ENOENT\); expected a text file/);
  refused(file('empty.txt', '\n \n'), /empty\.txt: has no tasks/);
  refused(file('binary.txt', Buffer.from([65, 0, 255, 10])), /binary\.txt: not text/);
  refused(file('long.txt', `ok\n${'x'.repeat(3000)}`), /long\.txt:2: expected a task of at most 2000 characters, got 3000/);
  refused(folder, /EISDIR/);
});

test('a file of JSON lines has tasks with goals', () => {
  const lines = [
    '{"id":"a-1","text":"Do it","family":"web","goal":{"url":"a.html"}}',
    '',
    '{"id":"b","text":"And that"}',
  ];
  assert.deepEqual(readTaskList(file('web.jsonl', lines.join('\n'))), [
    { id: 'a-1', text: 'Do it', family: 'web', goal: { url: 'a.html' } },
    { id: 'b', text: 'And that', family: 'web' },
  ]);
  const refused = (text: string, message: RegExp) =>
    assert.throws(
      () => readTaskList(file('bad.jsonl', text)),
      (error) => error instanceof UserError && message.test(error.message) && !error.message.includes('\n'),
    );
  refused('{"id":"a","text":"x"}\n{', /bad\.jsonl:2: not valid JSON/);
  refused('{"text":"x"}', /bad\.jsonl:1: id: /);
  refused('{"id":"a b","text":"x"}', /:1: id: expected 1 to 100 letters/);
  refused('{"id":"a","text":"x","gaol":{}}', /:1: .*gaol/);
  refused('{"id":"a","text":"x"}\n{"id":"a","text":"y"}', /:2: the id a is repeated/);
  refused(
    JSON.stringify({ id: 'a', text: 'x', goal: { url: 'u'.repeat(20_000) } }),
    /:1: goal: expected at most 16384 characters/,
  );
  refused('\n', /has no tasks/);
});
