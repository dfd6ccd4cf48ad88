/** What servers and models answer: agents of every family, judges, embeddings, through the clients that read them. */
import { setTimeout as sleep } from 'node:timers/promises';
import { ServedChat } from '../../../src/agents/served/chat.js';
import { SERVED_FORMATS } from '../../../src/agents/served/formats.js';
import { VllmClient } from '../../../src/agents/representers/vllm-client.js';
import { GeminiModel } from '../../../src/judges/gemini.js';
import { RATING } from '../../../src/judges/rating-answer.js';
import { VERDICT } from '../../../src/judges/status.js';
import { OpenAiModel } from '../../../src/judges/openai.js';
import { parseAction } from '../../../src/agents/grammar.js';
import type { JsonServerOptions } from '../../../src/net/json-server.js';
import { mutatedJson, mutatedText } from '../texts.js';
import type { Kind, Seed } from '../kind.js';

const ANSWERS = {
  autoui: [
    'Action Plan: [DUAL_POINT]; Action Decision: "action_type": "DUAL_POINT", "touch_point": "[0.2500, 0.5000]", "lift_point": "[0.2500, 0.5000]", "typed_text": ""',
    'I type.\nAction Plan: [TYPE]; Action Decision: "action_type": "TYPE", "touch_point": "[-1.0, -1.0]", "lift_point": "[-1.0, -1.0]", "typed_text": "red lamp"',
  ],
  cogagent: [
    "Status: x\nAction: Tap.\nGrounded Operation: CLICK(box=[[120,340,180,390]], element_type='button', element_info='Go')\n<<General Operation>>",
    'Action：滚动\nGrounded Operation：SCROLL_DOWN(box=[[0,100,999,900]], step_count=5)',
  ],
  mobile_use: [
    '<tool_call>\n{"name": "mobile_use", "arguments": {"action": "click", "coordinate": [120, 300]}}\n</tool_call>',
    'I swipe.\n```json\n{"action": "swipe", "coordinate": [10, 300], "coordinate2": [10, 100]}\n```',
  ],
  ui_tars: [
    "Thought: I look.\nAction: click(start_box='(120,300)')",
    "Thought: x\nAction: type(content='it\\'s a lamp\\n')",
    "Action: scroll(start_box='<|box_start|>(10,20)<|box_end|>', direction='down')",
  ],
} as const;

const seeds = (texts: readonly string[]): Seed[] =>
  texts.map((text, i) => ({ name: String(i), bytes: Buffer.from(text) }));
const textual: Kind['mutate'] = (random, bytes, other) =>
  Buffer.from(mutatedText(random, bytes.toString('utf8'), other.toString('utf8')));

function families(): Kind[] {
  return (Object.keys(ANSWERS) as (keyof typeof ANSWERS)[]).map((family) => ({
    name: `answer-${family}`,
    seeds: () => seeds(ANSWERS[family]),
    mutate: textual,
    read: (input) => {
      const text = input.toString('utf8');
      for (const coordinates of ['pixels', 'thousandths'] as const) {
        const read = SERVED_FORMATS[family].read(text, { width: 280, height: 588, coordinates, scroll: 'content' });
        if ('invalid' in read) {
          if (read.invalid === '' || read.invalid.includes('\n'))
            throw new Error(`invalid: ${JSON.stringify(read.invalid)}`);
          continue;
        }
        for (const action of read.actions) {
          if (action.type !== 'DUAL_POINT') continue;
          const inside = [...action.touch, ...action.lift].every((value) => value >= 0 && value <= 1);
          if (!inside) throw new Error(`outside the screen: ${JSON.stringify(action)}`);
        }
      }
      if (family === 'autoui') parseAction(text);
    },
  }));
}

/** A chat completion as servers send it. @param more further fields of the message */
const completion = (content: unknown, more: object = {}): string =>
  JSON.stringify({
    id: 'c-1',
    model: 'm',
    choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content, ...more } }],
    usage: { total_tokens: 12 },
  });
const SAID = '{"reasoning": "seen", "status": "success"}';
const VECTOR = Buffer.from(new Float32Array([1.5, -2, 0.25, 3]).buffer).toString('base64');

const REPLIES = {
  judge: [
    completion(SAID),
    completion([
      { type: 'thinking', text: 'hm' },
      { type: 'text', text: `<think>no</think>${SAID}` },
    ]),
    completion(null, { reasoning_content: SAID }),
    completion(null, { refusal: 'I cannot' }),
    '{"error": {"message": "overloaded", "code": 503}}',
  ],
  rating: [
    completion('{"explanation": "it helps", "rating": 1}'),
    completion('```json\n{"rating": "2", "explanation": "x"}\n```'),
  ],
  gemini: [
    JSON.stringify({
      modelVersion: 'm-001',
      candidates: [{ finishReason: 'STOP', content: { parts: [{ text: 'x', thought: true }, { text: SAID }] } }],
      usageMetadata: { totalTokenCount: 9 },
    }),
    JSON.stringify({ promptFeedback: { blockReason: 'SAFETY' } }),
    '[{"error": {"code": 429, "message": "quota", "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.001s"}]}}]',
  ],
  served: [
    completion('Action: press_back()'),
    completion(null, {
      tool_calls: [{ type: 'function', function: { name: 'mobile_use', arguments: '{"action": "wait"}' } }],
    }),
  ],
  vllm: [
    JSON.stringify({ model: 'm', data: [{ index: 0, embedding: VECTOR }], usage: { total_tokens: 3 } }),
    completion('Yes', { logprobs: null }).replace(
      '"finish_reason"',
      '"logprobs": {"content": [{"top_logprobs": [{"token": "No", "logprob": -1}]}]}, "finish_reason"',
    ),
  ],
} as const;

/** The reply that `fetch` gives next. */
let reply: { body: Buffer; status: number } = { body: Buffer.alloc(0), status: 200 };
const realFetch = globalThis.fetch;
const answerOnce = (): Promise<Response> =>
  Promise.resolve(new Response(new Uint8Array(reply.body), { status: reply.status }));

const SERVER: JsonServerOptions = {
  url: 'http://fuzz.invalid',
  setting: 'judge.url',
  apiKey: 'key-of-the-fuzzer',
  apiKeyEnv: 'CRITIQ_JUDGE_KEY',
  timeoutMs: 5000,
  retries: 0,
  backoffMs: 1,
  seed: 1,
  docs: 'docs/judges.md',
};
const CHAT = { section: 'judge', temperature: 0, maxTokens: 0, reasoning: false };
const frame = { width: 2, height: 2, rgba: new Uint8ClampedArray(16).fill(200) };

async function asked(kind: keyof typeof REPLIES, signal: AbortSignal): Promise<void> {
  const question = { system: 's', parts: ['q'] };
  if (kind === 'judge') await new OpenAiModel(SERVER, 'm', CHAT, VERDICT).ask(question, 'json', 'l', () => {}, signal);
  else if (kind === 'rating')
    await new OpenAiModel(SERVER, 'm', CHAT, RATING).ask(question, 'json', 'l', () => {}, signal);
  else if (kind === 'gemini')
    await new GeminiModel(SERVER, 'm', CHAT, VERDICT).ask(question, 'json', 'l', () => {}, signal);
  else if (kind === 'served')
    await new ServedChat({ server: SERVER, model: 'm', temperature: 0, maxTokens: 0, body: {} }).ask(
      [],
      'l',
      1,
      signal,
    );
  else {
    const options = { server: SERVER, chat: SERVER, model: 'm', concurrency: 1 };
    const vlm = new VllmClient({ ...options, position: 'prompt', answer: 'yes' });
    await vlm.vector({ key: 'k', frame, text: 't' } as never, undefined, signal);
  }
}

function servers(): Kind[] {
  return (Object.keys(REPLIES) as (keyof typeof REPLIES)[]).map((kind) => ({
    name: `reply-${kind}`,
    seeds: () => seeds(REPLIES[kind]),
    mutate: (random, bytes, other) => mutatedJson(random, bytes, other),
    read: async (input) => {
      globalThis.fetch = answerOnce;
      try {
        // a wrong answer may be asked again, an error of the server too
        for (const status of [200, 400, 500]) {
          reply = { body: input, status };
          const stop = new AbortController();
          const late = sleep(3000, undefined, { signal: stop.signal, ref: false }).catch(() => undefined);
          try {
            await asked(kind, stop.signal);
          } catch (error) {
            if (status === 200) throw error;
            const { name, message } = error as Error;
            if (!/RunError|UserError/.test(name) || message.includes('\n')) throw error;
          } finally {
            stop.abort();
            await late;
          }
        }
      } finally {
        globalThis.fetch = realFetch;
      }
    },
  }));
}

export const REPLIED: readonly Kind[] = [...families(), ...servers()];
