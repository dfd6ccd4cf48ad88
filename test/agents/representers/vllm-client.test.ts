/** Representations from a served VLM: the questions, their number, and faults of the server. */
import assert from 'node:assert/strict';
import { performance } from 'node:perf_hooks';
import { join } from 'node:path';
import { test } from 'node:test';
import { AnswerCache } from '../../../src/agents/representers/answer-cache.js';
import { AskingRepresenter } from '../../../src/agents/representers/asking-representer.js';
import { formatAction } from '../../../src/agents/grammar.js';
import type { RepresentedState } from '../../../src/agents/representers/representer.js';
import { VllmClient, type VllmOptions } from '../../../src/agents/representers/vllm-client.js';
import { imageId } from '../../../src/data/images.js';
import { decodePng } from '../../../src/data/formats/png.js';
import { tap } from '../../../src/data/action.js';
import type { Frame } from '../../../src/data/formats/frame.js';
import { RunError, UserError } from '../../../src/errors.js';
import { emptyFolder } from '../../rigs/process.js';
import { FAULTS_THAT_PASS, VllmServer, type Behaviour } from '../../rigs/vlm/server.js';

const TAP = formatAction(tap([0.5, 0.25]));
const SWIPE = formatAction({ type: 'DUAL_POINT', touch: [0.8, 0.5], lift: [0.2, 0.5] });
const TYPE = formatAction({ type: 'TYPE', text: 'lamp' });
const BACK = formatAction({ type: 'PRESS_BACK' });
const KEY = 'sk-very-secret';

function screen(shade: number): Frame {
  const rgba = new Uint8ClampedArray(4 * 20 * 40).fill(shade);
  for (let i = 3; i < rgba.length; i += 4) rgba[i] = 255;
  return { width: 20, height: 40, rgba };
}

function state(shade: number, actions: readonly string[], goal = 'buy a lamp'): RepresentedState {
  const frame = screen(shade);
  return { prompt: '', goal, image: imageId(frame), frame: async () => frame, actions };
}

const STATES = [state(10, [TAP, BACK, TYPE]), state(20, [TAP, SWIPE, '']), state(10, [BACK, TAP])];
/** number of distinct pairs of screenshot and action among these */
const DISTINCT = 6;

interface Ways extends Partial<VllmOptions> {
  timeoutMs?: number;
  retries?: number;
  folder?: string;
  chatUrl?: string;
}

/** A representer of a server, with a cache in `folder`. */
function representerOf(t: { after(fn: () => void): void }, { url }: VllmServer, ways: Ways = {}) {
  const { timeoutMs = 5000, retries = 3, folder = emptyFolder(t), chatUrl, ...options } = ways;
  const at = (setting: string, where: string) => ({
    url: where,
    setting,
    apiKey: KEY,
    apiKeyEnv: 'VLLM_API_KEY',
    timeoutMs,
    retries,
    backoffMs: 2,
    seed: 0,
    docs: 'docs/vlm.md',
  });
  const client = new VllmClient({
    server: at('represent.url', url),
    chat: chatUrl === undefined ? undefined : at('represent.chat_url', chatUrl),
    model: 'tiny-llava',
    position: 'answer',
    answer: 'yes',
    concurrency: 4,
    ...options,
  });
  return new AskingRepresenter(client, AnswerCache.open(join(folder, 'cache')));
}

/** The vectors from a server without faults. */
async function undisturbed(t: { after(fn: () => unknown): void }, ways: Ways = {}): Promise<Float32Array[]> {
  const server = await VllmServer.start(t);
  return representerOf(t, server, ways).represent(STATES);
}

test("requests have vLLM's documented form, and a tap's picture has the cursor", async (t) => {
  const server = await VllmServer.start(t);
  await representerOf(t, server).represent([state(10, [TAP, SWIPE])]);
  await representerOf(t, server, { position: 'prompt' }).represent([state(10, [BACK])]);
  const bodies = server.asked.map(({ body }) => body);
  assert.equal(bodies.length, 3);
  const picture = (n: number): Frame => {
    const [part] = bodies[n].messages[0].content as { image_url: { url: string } }[];
    return decodePng(Buffer.from(part.image_url.url.slice('data:image/png;base64,'.length), 'base64'));
  };
  assert.notDeepEqual(picture(0).rgba, screen(10).rgba, 'the cursor is drawn');
  const middle = 4 * (20 * 20 + 5);
  assert.deepEqual([...picture(0).rgba.subarray(middle, middle + 4)].slice(0, 3), [255, 0, 255], 'at the touch point');
  assert.deepEqual(picture(1).rgba, screen(10).rgba, 'a swipe has none');
  assert.deepEqual(picture(2).rgba, screen(10).rgba);
  for (const n of [0, 1]) {
    const { messages, ...rest } = bodies[n];
    assert.deepEqual(rest, {
      model: 'tiny-llava',
      continue_final_message: true,
      add_generation_prompt: false,
      encoding_format: 'base64',
      embed_dtype: 'float32',
      endianness: 'little',
      use_activation: false,
    });
    assert.deepEqual(messages[1], { role: 'assistant', content: 'Yes' });
  }
  assert.match(JSON.stringify(bodies[0].messages), /touch point \[0\.5000, 0\.2500\] of a tap/);
  assert.match(JSON.stringify(bodies[1].messages), /swipes up, from \[0\.8000, 0\.5000\] to \[0\.2000, 0\.5000\]/);
  assert.equal(bodies[2].messages.length, 1);
  assert.deepEqual([bodies[2].continue_final_message, bodies[2].add_generation_prompt], [false, true]);
  assert.ok(server.asked.every(({ key }) => key === KEY));
});

test('each distinct screenshot and action is asked about once across states, calls and processes', async (t) => {
  const server = await VllmServer.start(t);
  const folder = emptyFolder(t);
  const representer = representerOf(t, server, { folder });
  assert.equal(representer.calls(STATES), DISTINCT);
  let told = 0;
  const first = await representer.represent(STATES, { onCall: () => told++ });
  assert.deepEqual([server.asked.length, told, representer.counts.calls], [DISTINCT, DISTINCT, DISTINCT]);
  assert.deepEqual(
    first.map(({ length }) => length),
    [24, 24, 16],
  );
  assert.deepEqual(
    first[2].subarray(0, 8),
    first[0].subarray(8, 16),
    'BACK on the same screenshot has the same vector',
  );
  assert.deepEqual(first[2].subarray(8), first[0].subarray(0, 8), 'the tap');
  assert.equal(representer.calls(STATES), 0);

  const later = representerOf(t, server, { folder });
  assert.deepEqual(await later.represent(STATES), first);
  assert.deepEqual(
    await later.represent([state(10, [TAP], 'find a chair')]),
    [first[0].slice(0, 8)],
    "a tap's question has no goal",
  );
  assert.equal(server.asked.length, DISTINCT, 'no question is repeated');
  assert.deepEqual(later.counts, { calls: 0, hits: DISTINCT + 1 });

  const elsewhere = await representerOf(t, server, { folder, position: 'prompt' }).represent(STATES);
  assert.equal(server.asked.length, 2 * DISTINCT, 'another position is another question');
  assert.notDeepEqual(elsewhere, first);
});

for (const fault of FAULTS_THAT_PASS) {
  test(`the fault "${fault}", once for every question, costs only retries`, async (t) => {
    const expected = await undisturbed(t);
    const behaved = await VllmServer.start(t, { behave: (_, nth) => (nth === 0 ? fault : 'well') });
    const folder = emptyFolder(t);
    // a first answer, so that the width is known
    await representerOf(t, await VllmServer.start(t), { folder }).represent([state(99, [BACK])]);
    const timeoutMs = fault === 'hang' ? 150 : 5000;
    const made = await representerOf(t, behaved, { folder, timeoutMs }).represent(STATES);
    assert.deepEqual(made, expected);
    assert.equal(behaved.asked.length, 2 * DISTINCT, 'one retry each');
    assert.equal(new Set(behaved.answered).size, DISTINCT);
  });
}

test('a slow server gets the time it needs', async (t) => {
  const expected = await undisturbed(t);
  const slow = await VllmServer.start(t, { behave: () => 'slow' });
  assert.deepEqual(await representerOf(t, slow, { timeoutMs: 10_000 }).represent(STATES), expected);
  assert.equal(slow.asked.length, DISTINCT);
});

for (const fault of ['busy a second', 'busy until'] as const) {
  test(`Retry-After is respected (${fault})`, async (t) => {
    const server = await VllmServer.start(t, { behave: (_, nth) => (nth === 0 ? fault : 'well') });
    const began = performance.now();
    await representerOf(t, server).represent([state(10, [BACK])]);
    const ms = performance.now() - began;
    assert.ok(ms >= 990, `retried after ${ms} ms`);
  });
}

const PERMANENT: [Behaviour, new (message: string) => Error, number, RegExp][] = [
  [
    'broken',
    RunError,
    4,
    /no usable answer in 4 tries; at the last try, the server answered 500: EngineCore encountered an/,
  ],
  [
    'starting',
    RunError,
    4,
    /answered 503: Service Unavailable; check the server and represent\.url, then run the same/,
  ],
  ['cut', RunError, 4, /at the last try, the server broke off in the middle/],
  ['hang', RunError, 4, /took more than 60 ms/],
  ['nan', RunError, 4, /answered NaN as float 3 of 8/],
  ['zeros', RunError, 4, /answered 8 zeros/],
  ['empty', RunError, 4, /answered 0 embeddings, expected 1/],
  ['two', RunError, 4, /answered 2 embeddings, expected 1/],
  ['floats', RunError, 4, /an embedding that is not base64: \[/],
  ['ragged', RunError, 4, /not a list of float32 in base64/],
  ['not JSON', RunError, 4, /did not answer with JSON, but with "Internal Server Error"/],
  ['page', RunError, 4, /did not answer with JSON, but with "<html>log in<\/html>"/],
  ['null', RunError, 4, /answered null/],
  [
    'unknown model',
    UserError,
    1,
    /answered 404: The model `tiny-llava` does not exist; check represent\.url and the model's name/,
  ],
  [
    'no key',
    UserError,
    1,
    /answered 401: Unauthorized: \*\*\*; check the key in the environment variable VLLM_API_KEY/,
  ],
  ['moved', UserError, 1, /the server redirects \(302\) to https:\/\/login\.example\/; set represent\.url/],
];
for (const [fault, kind, tries, message] of PERMANENT) {
  test(`the permanent fault "${fault}" is a one-line ${kind.name} after ${tries} ${tries === 1 ? 'try' : 'tries'}`, async (t) => {
    const server = await VllmServer.start(t, { behave: () => fault });
    const representer = representerOf(t, server, { timeoutMs: fault === 'hang' ? 60 : 5000 });
    await assert.rejects(representer.represent([state(10, [BACK])]), (error: Error) => {
      assert.ok(error instanceof kind, error.stack);
      assert.match(error.message, message);
      assert.ok(error.message.startsWith(`${server.url}/v1/embeddings: `), error.message);
      assert.doesNotMatch(error.message, /\n|very-secret/);
      return true;
    });
    assert.equal(server.asked.length, tries);
  });
}

test('a missing server and a changed width have different errors', async (t) => {
  const server = await VllmServer.start(t);
  const folder = emptyFolder(t);
  await representerOf(t, server, { folder }).represent([state(10, [BACK])]);
  await server.kill();
  await assert.rejects(
    representerOf(t, server, { folder }).represent(STATES),
    /could not be reached \(ECONNREFUSED\); check the server/,
  );
  const wider = await VllmServer.start(t, { dim: 12 });
  await assert.rejects(
    representerOf(t, wider, { folder }).represent(STATES),
    /answered 12 floats, expected 8 as before; does "tiny-llava" now name another model\?/,
  );
});

test("an unknown model's width is the one on which two answers in a row agree", async (t) => {
  const expected = await undisturbed(t);
  let n = 0;
  const once = await VllmServer.start(t, { behave: () => (n++ === 0 ? 'narrow' : 'well') });
  assert.deepEqual(await representerOf(t, once).represent(STATES), expected);
  assert.equal(once.asked.length, DISTINCT + 1);
  const always = await VllmServer.start(t, { behave: () => (n++ % 2 === 0 ? 'narrow' : 'well') });
  await assert.rejects(representerOf(t, always).represent(STATES), /changing widths: (7, 8|8, 7)[ ,0-9]* floats/);
});

test('the answers before a failure are kept', async (t) => {
  const folder = emptyFolder(t);
  const failing = await VllmServer.start(t, {
    behave: ({ body }) => (JSON.stringify(body.messages).includes('lamp') ? 'broken' : 'well'),
  });
  await assert.rejects(representerOf(t, failing, { folder, retries: 0, concurrency: 1 }).represent(STATES), RunError);
  assert.deepEqual(failing.answered.length, 2);
  const well = await VllmServer.start(t);
  assert.deepEqual(await representerOf(t, well, { folder }).represent(STATES), await undisturbed(t));
  assert.equal(well.asked.length, DISTINCT - 2);
});

test('an abort takes effect soon, both during an answer and between retries', async (t) => {
  for (const behaviour of ['hang', 'busy a second'] as const) {
    const server = await VllmServer.start(t, { behave: () => behaviour });
    const stop = new AbortController();
    const going = representerOf(t, server).represent(STATES, { signal: stop.signal });
    setTimeout(() => stop.abort(), 50);
    const began = performance.now();
    await assert.rejects(going, { name: 'AbortError' });
    assert.ok(performance.now() - began < 900);
  }
});

test('a generated answer becomes the assistant message of the embedding request', async (t) => {
  const server = await VllmServer.start(t);
  const chat = await VllmServer.start(t, { behave: (_, nth) => (nth === 0 ? 'half JSON' : 'well') });
  await representerOf(t, server, { answer: 'generated', chatUrl: chat.url }).represent(STATES);
  const said = server.asked.map(({ body }) => body.messages[1].content);
  assert.deepEqual([...new Set(said)].sort(), ['No', 'Yes']);
  assert.equal(chat.answered.length, DISTINCT);
  const [{ body }] = chat.asked as unknown as { body: Record<string, unknown> }[];
  assert.deepEqual([body.max_tokens, body.temperature], [1, 0]);

  const unsure = await VllmServer.start(t, { behave: () => 'maybe' });
  await assert.rejects(
    representerOf(t, server, { answer: 'generated', chatUrl: unsure.url }).represent(STATES),
    /v1\/chat\/completions: .*answered neither Yes nor No: "Maybe"; check the server and represent\.chat_url/,
  );
});

test('normalised vectors cause one warning', async (t) => {
  const server = await VllmServer.start(t, { behave: () => 'unit' });
  const lines: string[] = [];
  await representerOf(t, server, { warn: (line) => lines.push(line) }).represent(STATES);
  assert.equal(lines.length, 1);
  assert.match(lines[0], /norm 1, so the server seems to normalise them; start it with --pooler-config/);
});

test('a server that answers under another name of the model is used, with one warning', async (t) => {
  const server = await VllmServer.start(t, { behave: () => 'other model' });
  const lines: string[] = [];
  await representerOf(t, server, { warn: (line) => lines.push(line) }).represent(STATES);
  assert.equal(server.asked.length, DISTINCT, 'nothing is asked twice');
  assert.deepEqual(
    lines.filter((line) => /model "another", expected "tiny-llava" \(models\.vlm\)/.test(line)).length,
    1,
  );
});
