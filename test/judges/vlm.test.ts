/** What a VLM judge asks, and when it need not ask. */
import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { decodePng, encodePng } from '../../src/data/formats/png.js';
import { UserError } from '../../src/errors.js';
import { loadExamples } from '../../src/judges/few-shot.js';
import { end, judgeAt, screen } from '../rigs/judge/settings.js';
import { JudgeServer, MODEL } from '../rigs/judge/server.js';
import { emptyFolder } from '../rigs/process.js';

async function fewShot(folder: string): Promise<string> {
  mkdirSync(join(folder, 'shots'));
  writeFileSync(join(folder, 'shots/a.png'), await encodePng(screen(1)));
  writeFileSync(join(folder, 'b.png'), await encodePng(screen(2)));
  const list = [
    { image: 'shots/a.png', task: 'Open settings', status: 'failure', reasoning: 'It shows the launcher.' },
    { image: 'b.png', task: 'Open the clock', status: 'success' },
  ];
  writeFileSync(join(folder, 'examples.json'), JSON.stringify(list));
  return folder;
}

const shade = (url: string): number => decodePng(Buffer.from(url.split(',')[1], 'base64')).rgba[0];

test('the question shows the examples in order, then the screen and the task', async (t) => {
  const server = await JudgeServer.start(t);
  const few_shot = await fewShot(emptyFolder(t));
  const { judge } = judgeAt(server, emptyFolder(t), { few_shot, format: 'text', max_tokens: 99 });
  assert.equal(await judge.judge(end(10)), 'success');
  const [{ url, body, parts, system }] = server.asked;
  assert.equal(url, '/v1/chat/completions');
  assert.deepEqual(Object.keys(body).sort(), ['max_tokens', 'messages', 'model', 'temperature']);
  assert.equal(body.model, MODEL);
  assert.equal(body.temperature, 0);
  assert.equal(body.max_tokens, 99);
  assert.match(system, /judging from a screenshot/);
  assert.deepEqual(parts.filter((part) => part.startsWith('data:image/png;base64,')).map(shade), [1, 2, 10]);
  assert.match(parts[2], /^Task: Open settings\nQ: [^\n]+\nA: It shows the launcher\.\nStatus: failure$/);
  assert.equal(parts[5], 'Task: Open the clock\nStatus: success');
  assert.match(parts.at(-1)!, /^Task: open the shop\n[\s\S]*Status: <success or failure>$/);
});

test('by default the answer is JSON by a strict schema, and the examples are shown as JSON', async (t) => {
  const server = await JudgeServer.start(t);
  const { judge } = judgeAt(server, emptyFolder(t), { few_shot: await fewShot(emptyFolder(t)), reasoning: true });
  assert.equal(await judge.judge(end(10)), 'success');
  const [{ body, parts }] = server.asked;
  const { type, json_schema } = body.response_format as {
    type: string;
    json_schema: { strict: boolean; schema: object };
  };
  assert.equal(type, 'json_schema');
  assert.equal(json_schema.strict, true);
  assert.deepEqual((json_schema.schema as { properties: { status: object } }).properties.status, {
    type: 'string',
    enum: ['success', 'failure'],
  });
  assert.ok(!('temperature' in body), 'reasoning models take none');
  assert.equal(body.max_completion_tokens, 512);
  assert.deepEqual(JSON.parse(parts[2].split('\n')[1]), { reasoning: 'It shows the launcher.', status: 'failure' });
});

test("requests to Gemini have Gemini's own form", async (t) => {
  const server = await JudgeServer.start(t);
  const { judge } = judgeAt(server, emptyFolder(t), { kind: 'gemini', model: `models/${MODEL}` });
  assert.equal(await judge.judge(end(10)), 'success');
  const [{ url, body }] = server.asked;
  assert.equal(url, `/v1beta/models/${MODEL}:generateContent`);
  assert.deepEqual(Object.keys(body).sort(), ['contents', 'generationConfig', 'systemInstruction']);
  const config = body.generationConfig as Record<string, unknown>;
  assert.equal(config.temperature, 0);
  assert.equal(config.maxOutputTokens, 512);
  assert.equal(config.responseMimeType, 'application/json');
});

test('within an episode a nearly equal screen is not sent again, but a changed one is', async (t) => {
  const server = await JudgeServer.start(t, { decide: ({ frame }) => (frame.rgba[0] > 100 ? 'success' : 'failure') });
  const { judge } = judgeAt(server, emptyFolder(t), { ask: 'step', same_screen: 4 });
  const [dark, darkish, bright] = [screen(50), screen(52), screen(200)];
  assert.equal(await judge.judge(end(50)), 'failure');
  const step = { previousFrame: dark, before: 'failure' as const };
  assert.equal(await judge.judge(end(0, { ...step, frame: darkish })), 'failure');
  assert.equal(server.asked.length, 1);
  assert.equal(judge.counts.same, 1);
  // (53 - 50)² is more than 4
  assert.equal(await judge.judge(end(53, step)), 'failure');
  assert.equal(server.asked.length, 2);
  assert.equal(await judge.judge(end(0, { ...step, frame: bright })), 'success');
  assert.equal(server.asked.length, 3);
  // the screen before has no verdict, or an unknown one
  assert.equal(await judge.judge(end(0, { previousFrame: bright, frame: screen(201) })), 'success');
  assert.equal(await judge.judge(end(0, { previousFrame: bright, frame: screen(202), before: 'unknown' })), 'success');
  assert.equal(server.asked.length, 5);
});

test('screens=2 sends both screens if they differ, the one to judge last', async (t) => {
  const server = await JudgeServer.start(t);
  const { judge } = judgeAt(server, emptyFolder(t), { screens: 2 });
  await judge.judge(end(90, { previousFrame: screen(30) }));
  await judge.judge(end(90, { previousFrame: screen(90) }));
  const pictures = server.asked.map(({ parts }) => parts.filter((part) => part.startsWith('data:')).map(shade));
  assert.deepEqual(pictures, [[30, 90], [90]]);
});

test('an episode that was not declared complete fails without a question; without a screen it is unknown', async (t) => {
  const server = await JudgeServer.start(t);
  const { judge } = judgeAt(server, emptyFolder(t), { declare: 'required' });
  assert.equal(await judge.judge(end(10, { completed: false })), 'failure');
  assert.equal(await judge.judge({ ...end(10), frame: undefined }), 'unknown');
  assert.equal(server.asked.length, 0);
  assert.equal(await judge.judge(end(10)), 'success');
});

test('settings that cannot work are refused with a hint', async (t) => {
  const server = await JudgeServer.start(t);
  const cwd = emptyFolder(t);
  assert.throws(() => judgeAt(server, cwd, { model: '' }), /judge\.kind=openai: needs judge\.model/);
  assert.throws(() => judgeAt(server, cwd, { ask: 'step', declare: 'required' }), /set judge\.declare=ignored/);
  assert.throws(
    () => judgeAt(server, cwd, { few_shot: join(cwd, 'none') }),
    /examples\.json: cannot be read \(ENOENT\)/,
  );
});

test('a wrong example is named, and no picture outside the folder is read', async (t) => {
  const folder = await fewShot(emptyFolder(t));
  assert.equal(loadExamples(folder).length, 2);
  writeFileSync(join(folder, 'text.png'), 'no picture');
  symlinkSync('/etc/hostname', join(folder, 'link.png'));
  const good = { image: 'b.png', task: 'x', status: 'success' };
  const cases: [unknown, RegExp][] = [
    ['{', /examples\.json: not valid JSON/],
    [{}, /expected a list/],
    [Array(33).fill(good), /33 examples, expected at most 32/],
    [[good, 7], /entry 2: expected an object/],
    [[{ ...good, task: ' ' }], /entry 1: "task"/],
    [[{ ...good, status: 'maybe' }], /entry 1: "status": expected "success" or "failure", got "maybe"/],
    [[{ ...good, reasoning: 1 }], /entry 1: "reasoning"/],
    [[{ ...good, image: 'c.png' }], /entry 1: "image": .*c\.png cannot be read \(ENOENT\)/],
    [[{ ...good, image: '../b.png' }], /outside of it/],
    [[{ ...good, image: join(folder, 'b.png') }], /outside of it/],
    [[{ ...good, image: 'link.png' }], /outside of it/],
    [[{ ...good, image: 'shots' }], /expected a file, but .* is not one/],
    [[{ ...good, image: 'text.png' }], /text\.png: expected a PNG, JPEG or WebP image/],
  ];
  for (const [list, message] of cases) {
    writeFileSync(join(folder, 'examples.json'), typeof list === 'string' ? list : JSON.stringify(list));
    assert.throws(
      () => loadExamples(folder),
      (error: unknown) => error instanceof UserError && message.test(error.message),
      String(message),
    );
  }
});
