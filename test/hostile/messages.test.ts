/** What is printed is fit for a terminal, whoever wrote it, and says something, whatever was thrown. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { z } from 'zod';
import { complain, print } from '../../src/cli/command.js';
import { oneLine, printable, RunError, UserError } from '../../src/errors.js';
import { JsonServer } from '../../src/net/json-server.js';
import { Display } from '../../src/runner/display.js';
import { describeFailure } from '../../src/runner/failure.js';

/** A title, a cleared screen, C1's CSI, a reversed text, a line break and a return. */
const EVIL = 'a\u001b]0;PWN\u0007\u001b[2J\u009b31m\u202ecba\u2066\u2028\nforged: line\r\u0000\u007f';
// eslint-disable-next-line no-control-regex
const UNSAFE = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/;

test('errors are one line without control characters, whatever they quote', () => {
  for (const error of [new UserError(EVIL), new RunError(EVIL), new UserError([EVIL])]) {
    assert.doesNotMatch(error.message, UNSAFE);
    assert.doesNotMatch(error.message, /\n/);
    assert.match(
      error.message,
      /^a\\u001b\]0;PWN\\u0007\\u001b\[2J\\u009b31m\\u202ecba\\u2066\\u2028\\nforged: line\\r/,
    );
  }
  assert.equal(new UserError(['one', 'two']).message, 'one\ntwo');
});

test('a long message keeps its beginning and its end', () => {
  for (const length of [3000, 10_000, 5_000_000]) {
    const { message } = new UserError(`file.json: expected a name, got ${'\u001bx'.repeat(length)}; do this`);
    assert.ok(message.length <= 2000, String(message.length));
    assert.match(message, /^file\.json: expected a name, got \\u001bx.*….*; do this$/);
  }
  assert.equal(oneLine('é ü 漢字 🙂 עברית'), 'é ü 漢字 🙂 עברית');
  assert.equal(printable('a\tb\nc'), 'a\tb\nc');
});

test('the command line and the log of a stage escape what they print', (t) => {
  const written: string[] = [];
  const write = (text: unknown): boolean => written.push(String(text)) > 0;
  t.mock.method(process.stdout, 'write', write);
  t.mock.method(process.stderr, 'write', write);
  const display = new Display('verbose', { write });
  try {
    complain(EVIL);
    print(EVIL);
    print(JSON.stringify({ said: EVIL }));
    display.info(EVIL);
    display.warn(EVIL);
    display.progress(2, EVIL).advance(2);
  } finally {
    t.mock.restoreAll();
  }
  assert.ok(written.length >= 5);
  for (const text of written) assert.doesNotMatch(text, UNSAFE);
  assert.deepEqual(JSON.parse(written[2]), { said: EVIL });
  assert.doesNotMatch(written[0].trimEnd(), /\n/);
});

test('the words of a server are escaped', async (t) => {
  const server = createServer((request, response) => {
    request.resume();
    response.statusCode = 401;
    response.end(JSON.stringify({ error: { message: EVIL } }));
  });
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  t.after(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const options = { url, setting: 'judge.url', apiKeyEnv: 'KEY', timeoutMs: 20_000, retries: 0, backoffMs: 1, seed: 0 };
  const asked = new JsonServer({ ...options, docs: 'docs/judges.md' }).post(
    '/x',
    '{}',
    'x',
    (x) => x,
    new AbortController().signal,
  );
  await assert.rejects(asked, (error: Error) => {
    assert.match(error.message, /answered 401: a\\u001b\]0;PWN/);
    assert.doesNotMatch(error.message, UNSAFE);
    return error instanceof UserError;
  });
});

test('a shape or a size that no reader has named is told in one line, too', () => {
  const thrown = (fail: () => unknown): unknown => {
    try {
      return fail();
    } catch (error) {
      return describeFailure(error);
    }
  };
  const deep = (): number => deep() + 1;
  for (const [fail, wanted] of [
    [deep, /nested deeper, than can be held/],
    [() => new Array<number>(-1), /larger, or nested/],
    [() => 'x'.repeat(2 ** 30), /larger, or nested/],
    [() => z.object({ a: z.object({ b: z.number() }) }).parse({ a: {} }), /^a\.b: Invalid input/],
  ] as const) {
    const error = thrown(fail);
    assert.ok(error instanceof UserError || error instanceof RunError, String(error));
    assert.match(error.message, wanted);
    assert.doesNotMatch(error.message, /\n/);
  }
  const bug = new TypeError('x is not a function');
  assert.equal(describeFailure(bug), bug);
});
