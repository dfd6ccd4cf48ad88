/** What servers say about waiting, names and keys, and how models write objects. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { JsonServer, RefusedRequest } from '../../src/net/json-server.js';
import { looseValue, objectsIn } from '../../src/net/loose-json.js';
import { ModelName } from '../../src/net/model-name.js';
import { retryAfterMs } from '../../src/net/retry-after.js';
import { readCompletion, withoutThoughts } from '../../src/net/completion.js';
import { Random } from '../../src/random.js';

const info = (retryDelay: unknown) => ({
  details: [{ '@type': 'x' }, { '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay }],
});

for (const [what, ms, headers, error] of [
  ['Retry-After in seconds', 7000, { 'retry-after': '7' }, undefined],
  ['Retry-After with a fraction', 1500, { 'retry-after': '1.5' }, undefined],
  [
    'Retry-After as a date',
    90_000,
    { 'retry-after': 'Fri, 31 Dec 1999 23:59:59 GMT', date: 'Fri, 31 Dec 1999 23:58:29 GMT' },
    undefined,
  ],
  ['retry-after-ms', 250, { 'retry-after-ms': '250', 'retry-after': '1' }, undefined],
  ["Gemini's RetryInfo", 45_800, {}, info('45.8s')],
  ['a duration in two fields', 2500, {}, info({ seconds: '2', nanos: 500_000_000 })],
  ["Gemini's words", 3200, {}, { message: 'Quota exceeded. Please retry in 3.2s.' }],
  ["OpenAI's words", 360_500, {}, { message: 'Rate limit reached. Please try again in 6m0.5s. Visit ...' }],
  ["OpenAI's milliseconds", 20, {}, { message: 'Please try again in 20ms.' }],
  ["Azure's words", 20_000, {}, 'Please retry after 20 seconds.'],
  ['a field in seconds', 5000, {}, { detail: 'slow down', retry_after: 5 }],
  ['other numbers', 0, {}, { message: 'tried again in 3 regions; 20 s is the limit', details: 'none' }],
  ['nonsense', 0, { 'retry-after': 'soon' }, info('soon')],
  ['nothing', 0, {}, undefined],
] as const) {
  test(`the wait a server asks for: ${what}`, () =>
    assert.equal(Math.round(retryAfterMs(new Headers(headers as Record<string, string>), error)), ms));
}

test('one warning for a model of another name, none for a snapshot, a provider or a variant', () => {
  const same = [
    ['gpt-4o', 'gpt-4o-2024-08-06'],
    ['qwen/qwen3-vl:free', 'qwen/qwen3-vl'],
    ['Qwen/Qwen3-VL', 'qwen3-vl'],
    ['gemini-flash-latest', 'gemini-flash-2.5'],
    ['m', undefined],
  ] as const;
  for (const [asked, answered] of same) new ModelName(asked, 's', assert.fail).check(answered);
  const lines: string[] = [];
  const name = new ModelName('second', 'judge.model', (line) => lines.push(line));
  for (const answered of ['first', 'first', 'third']) name.check(answered);
  assert.equal(lines.length, 1);
  assert.match(lines[0], /"first", expected "second" \(judge\.model\)/);
});

test('an error in an answer with status 200 is quoted: refused at once if it is the request, else tried again', async (t) => {
  let code = 404;
  let asked = 0;
  const server = createServer((request, response) => {
    request.resume().on('end', () => {
      asked++;
      response.end(JSON.stringify({ error: { message: 'Provider returned error', code } }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const client = new JsonServer({
    url,
    setting: 'x.url',
    apiKeyEnv: 'E',
    timeoutMs: 5000,
    retries: 1,
    backoffMs: 1,
    seed: 0,
    docs: 'd',
  });
  const ask = () => client.post('/v1', '{}', 'q', (answer) => answer, new AbortController().signal);
  await assert.rejects(
    ask(),
    (error: unknown) => error instanceof RefusedRequest && /Provider returned error/.test(error.message),
  );
  assert.equal(asked, 1);
  code = 502;
  await assert.rejects(ask(), /no usable answer in 2 tries; .*answered 200 with an error: Provider returned error/);
  assert.equal(asked, 3);
});

test('arguments of a function call come as a text or as an object', () => {
  const called = (args: unknown) =>
    readCompletion({
      choices: [{ message: { content: null, tool_calls: [{ function: { name: 'f', arguments: args } }] } }],
    }).call;
  assert.equal(called('{"a": [1]}'), '<tool_call>\n{"name": "f", "arguments": {"a": [1]}}\n</tool_call>');
  assert.equal(called({ a: [1] }), '<tool_call>\n{"name": "f", "arguments": {"a":[1]}}\n</tool_call>');
});

test('thoughts are left out wherever they are', () => {
  for (const [text, said] of [
    ['<think>a</think> b', 'b'],
    ['a</think>b', 'b'],
    ['b <think>a</think> c', 'b  c'],
    ['b <thinking>a', 'b'],
    ['<think>a <think> a</think>b', 'b'],
    ['<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>b<|return|>', 'b'],
    ['  b</s> <|im_end|>\n', 'b'],
    ['a < b, thinking', 'a < b, thinking'],
  ]) {
    assert.equal(withoutThoughts(text), said, text);
  }
});

/** A random value. */
function anything(random: Random, depth: number): unknown {
  const kind = random.int(depth > 3 ? 4 : 6);
  const text = () => Array.from({ length: random.int(8) }, () => random.pick([...'ab"\'\\{}[]:,\n\té😀 '])).join('');
  if (kind === 0) return random.pick([true, false, null]);
  if (kind === 1) return random.pick([0, -1, 0.5, 1e21, 140]);
  if (kind <= 3) return text();
  const many = Array.from({ length: random.int(4) }, () => anything(random, depth + 1));
  return kind === 4 ? many : Object.fromEntries(many.map((value, i) => [`${text()}${i}`, value]));
}

test('objects as JSON writes them are read as JSON reads them, in any words; half of one is none', () => {
  const random = new Random(2, 'objects');
  for (let i = 0; i < 2000; i++) {
    const value = { a: anything(random, 0) };
    const json = JSON.stringify(value, null, random.int(3));
    const { objects, cut } = objectsIn(`So {this}: ${json} } and [that]`);
    assert.equal(cut, false);
    assert.equal(objects.length, 1, json);
    assert.equal(JSON.stringify(objects[0].value), JSON.stringify(value));
    const half = objectsIn(json.slice(0, 1 + random.int(json.length - 1)));
    assert.deepEqual(half, { objects: [], cut: true });
  }
});

test("Python's notation is read; a key that occurs twice, and the inside of a broken object, are not", () => {
  const { objects } = objectsIn("{'a': (1, 2,), \"b\": None, 'c': [True, False], }");
  assert.equal(JSON.stringify(objects[0].value), '{"a":[1,2],"b":null,"c":[true,false]}');
  for (const broken of ['{"a": 1, "a": 2}', '{"x": 1]} ', '{"x": {"a": 1}]']) {
    assert.deepEqual(objectsIn(broken), { objects: [], cut: false }, broken);
  }
  assert.deepEqual(looseValue('[1, 2] '), [1, 2]);
  assert.equal(looseValue('[1, 2] 3'), undefined);
});

test('hostile texts take no time', () => {
  const began = performance.now();
  for (const text of [
    '{'.repeat(200_000),
    '{"a":'.repeat(40_000),
    '{"a":[{},'.repeat(20_000),
    '<think>'.repeat(30_000),
    `${' '.repeat(200_000)}x`,
  ]) {
    objectsIn(text);
    withoutThoughts(text);
  }
  assert.ok(performance.now() - began < 20_000);
});
