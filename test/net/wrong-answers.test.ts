/** Answers of servers with any part of another type: asked again, never an exception of another kind. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import { embedding, yesOrNo } from '../../src/agents/representers/vllm-client.js';
import { RunError } from '../../src/errors.js';
import { DeclinedAnswer } from '../../src/judges/chat.js';
import { GeminiModel } from '../../src/judges/gemini.js';
import { OpenAiModel } from '../../src/judges/openai.js';
import { VERDICT } from '../../src/judges/status.js';
import { JsonServer, WrongAnswer, type JsonServerOptions } from '../../src/net/json-server.js';

const SAID = JSON.stringify({ reasoning: 'seen', status: 'success' });
const CHAT = {
  model: 'm',
  choices: [
    {
      finish_reason: 'stop',
      message: { content: SAID, refusal: null, tool_calls: [{ function: { name: 'f', arguments: {} } }] },
      logprobs: { content: [{ top_logprobs: [{ token: 'Yes', logprob: -1 }] }] },
    },
  ],
  usage: { total_tokens: 3 },
};
const GEMINI = {
  modelVersion: 'm',
  candidates: [{ finishReason: 'STOP', content: { parts: [{ text: SAID, thought: false }] } }],
  promptFeedback: { blockReason: null },
  usageMetadata: { totalTokenCount: 3 },
};
const EMBEDDING = { model: 'm', data: [{ embedding: Buffer.from(Float32Array.of(1, 2).buffer).toString('base64') }] };

const ODD: readonly unknown[] = [null, [], [null], {}, { a: null }, 0, -1, 1e300, '', 'x', '\u001b[2J', true];

/** The value with each of its parts, one at a time, as each odd value. */
function* withOddParts(value: unknown): Generator<unknown> {
  yield* ODD;
  if (typeof value !== 'object' || value === null) return;
  for (const [key, part] of Object.entries(value)) {
    for (const odd of withOddParts(part))
      yield Array.isArray(value)
        ? value.map((one, i) => (i === Number(key) ? odd : (one as unknown)))
        : { ...value, [key]: odd };
  }
}

/** A server that gives the answers one after the other. */
async function serving(
  t: TestContext,
  answers: readonly string[],
): Promise<JsonServerOptions & { asked: () => number }> {
  let asked = 0;
  const server = createServer((request, response) => {
    request.resume();
    response.setHeader('content-type', 'application/json');
    response.end(answers[Math.min(asked++, answers.length - 1)]);
  });
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  t.after(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const manners = { timeoutMs: 20_000, retries: 2, backoffMs: 1, seed: 0, docs: 'docs/judges.md' };
  return { url, setting: 'judge.url', apiKeyEnv: 'KEY', ...manners, asked: () => asked };
}

test('any part of an answer may be of another type', () => {
  let wrong = 0;
  for (const [good, read] of [
    [CHAT, yesOrNo],
    [EMBEDDING, (answer: unknown) => embedding(answer, 'm', 2)],
  ] as const) {
    for (const answer of withOddParts(good)) {
      try {
        read(answer);
      } catch (error) {
        assert.ok(error instanceof WrongAnswer, `${JSON.stringify(answer)}: ${(error as Error).stack}`);
        wrong++;
      }
    }
  }
  assert.ok(wrong > 100, String(wrong));
});

for (const [name, good] of [
  ['gemini', GEMINI],
  ['openai', CHAT],
] as const) {
  test(`${name}: a wrong answer is asked again, and then the verdict is unknown`, async (t) => {
    const odd = [...withOddParts(good)].map((answer) => JSON.stringify(answer));
    const deep = '['.repeat(20_000) + ']'.repeat(20_000);
    let refused = 0;
    for (const answer of [...odd, deep, deep.replaceAll('[', '{"a":[').replaceAll(']', ']}'), '', '{', '\u001b[2J']) {
      const server = await serving(t, [answer]);
      const options = { maxTokens: 10, reasoning: false, section: 'judge', temperature: 0 };
      const model =
        name === 'gemini'
          ? new GeminiModel(server, 'm', options, VERDICT)
          : new OpenAiModel(server, 'm', options, VERDICT);
      const question = { system: 's', parts: ['p'] };
      try {
        await model.ask(question, 'json', 'q', () => undefined, new AbortController().signal);
      } catch (error) {
        // the judge takes every RunError for no verdict
        assert.ok(error instanceof RunError, `${answer.slice(0, 200)}: ${(error as Error).stack}`);
        // eslint-disable-next-line no-control-regex
        assert.doesNotMatch(error.message, /cannot be read|\n|\u001b/, answer.slice(0, 200));
        if (!(error instanceof DeclinedAnswer)) assert.equal(server.asked(), 3, answer.slice(0, 200));
        refused++;
      }
    }
    assert.ok(refused > 50, String(refused));
  });
}

test('an answer that breaks the code which reads it costs a retry, too', async (t) => {
  const server = await serving(t, ['{"a":null}', '{"a":{"b":1}}']);
  const read = (answer: unknown): number => (answer as { a: { b: number } }).a.b;
  const asked = new JsonServer(server).post('/x', '{}', 'label', read, new AbortController().signal);
  assert.equal(await asked, 1);
  const broken = await serving(t, ['{"a":null}']);
  await assert.rejects(
    new JsonServer(broken).post('/x', '{}', 'label', read, new AbortController().signal),
    (error) => {
      assert.ok(error instanceof RunError);
      assert.match(error.message, /no usable answer in 3 tries; .*gave an answer that cannot be read/);
      return true;
    },
  );
});
