/** Judges whose servers answer under another name, think, or talk around their verdict. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OpenAiModel } from '../../src/judges/openai.js';
import { VERDICT } from '../../src/judges/status.js';
import { GeminiModel } from '../../src/judges/gemini.js';
import { JsonServer } from '../../src/net/json-server.js';
import { end, judgeAt } from '../rigs/judge/settings.js';
import { JudgeServer, MODEL } from '../rigs/judge/server.js';
import { emptyFolder } from '../rigs/process.js';

for (const kind of ['openai', 'gemini'] as const) {
  test(`${kind}: a server that answers under another name of the model gives verdicts, with one warning`, async (t) => {
    const server = await JudgeServer.start(t, { behave: () => 'other model' });
    const { judge, warnings } = judgeAt(server, emptyFolder(t), { kind });
    assert.equal(await judge.judge(end(10)), 'success');
    assert.equal(await judge.judge(end(20)), 'success');
    assert.equal(server.asked.length, 2, 'nothing is asked twice');
    assert.equal(warnings.length, 1);
    assert.match(warnings[0], /answers for the model "another", expected "tiny-vlm" \(judge\.model\)/);
  });
}

/** What a model makes of an answer, without a server: the check that JsonServer.post would call. */
async function verdictOf(
  t: { mock: { method: typeof import('node:test').mock.method } },
  kind: 'openai' | 'gemini',
  answer: unknown,
) {
  t.mock.method(JsonServer.prototype, 'post', (async (_path, _body, _label, check) =>
    check(answer)) as JsonServer['post']);
  const server = {
    url: 'http://x',
    setting: 's',
    apiKeyEnv: 'E',
    timeoutMs: 1,
    retries: 0,
    backoffMs: 1,
    seed: 0,
    docs: 'd',
  };
  const options = { section: 'judge', temperature: 0, maxTokens: 0, reasoning: true };
  const model =
    kind === 'gemini'
      ? new GeminiModel(server, MODEL, options, VERDICT)
      : new OpenAiModel(server, MODEL, options, VERDICT);
  return model.ask({ system: '', parts: [] }, 'json', 'q', () => undefined, new AbortController().signal);
}

const JSON_ANSWER = '{"reasoning": "seen", "status": "success"}';
const completion = (message: object, more: object = {}) => ({ model: MODEL, choices: [{ message, ...more }] });

for (const [what, answer] of Object.entries({
  'thoughts in tags': completion({ content: `<think>Status: failure?\n{"status": "failure"}</think>\n${JSON_ANSWER}` }),
  'thoughts without their opening tag': completion({ content: `Status: failure?\n</think>\n${JSON_ANSWER}` }),
  "Kimi's thoughts": completion({ content: `◁think▷Status: failure◁/think▷${JSON_ANSWER}` }),
  "Magistral's thoughts": completion({ content: `[THINK]Status: failure[/THINK]${JSON_ANSWER}` }),
  'thoughts in a field': completion({ content: JSON_ANSWER, reasoning_content: 'Status: failure' }),
  'an answer that was taken for thoughts': completion({ content: null, reasoning_content: JSON_ANSWER }),
  'a list of parts': completion({
    content: [
      { type: 'thinking', thinking: [{ type: 'text', text: 'Status: failure' }] },
      { type: 'text', text: JSON_ANSWER },
    ],
  }),
  'a token at the end': completion({ content: `<|begin_of_box|>Status: success<|end_of_box|><|im_end|>` }),
})) {
  test(`openai: a verdict beside ${what} is read`, async (t) =>
    assert.equal((await verdictOf(t, 'openai', answer)).status, 'success'));
}

test('gemini: thoughts are no verdict, whether marked or in tags', async (t) => {
  const parts = [{ text: 'Status: failure', thought: true }, { text: `<think>Status: failure</think>${JSON_ANSWER}` }];
  const answer = { modelVersion: MODEL, candidates: [{ finishReason: 'STOP', content: { parts } }] };
  assert.equal((await verdictOf(t, 'gemini', answer)).status, 'success');
});

for (const [what, answer] of Object.entries({
  'only thoughts': completion({ content: '', reasoning: 'Status: success' }),
  'thoughts that were cut off': completion({ content: '<think>It is there. Status: success' }),
  'an error in the choice': completion({ content: JSON_ANSWER }, { error: { message: 'upstream failed' } }),
})) {
  test(`openai: ${what} are no verdict`, async (t) => {
    await assert.rejects(verdictOf(t, 'openai', answer), { name: 'WrongAnswer' });
  });
}
