/** Answers are cached across judges, runs and processes; a run's budget covers all its processes. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { appendFileSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { encodeLine } from '../../src/data/formats/jsonl.js';
import { SharedLines } from '../../src/data/store/shared-lines.js';
import { end, judgeAt } from '../rigs/judge/settings.js';
import { JudgeServer, TOKENS } from '../rigs/judge/server.js';
import { emptyFolder } from '../rigs/process.js';

const PROGRAM = fileURLToPath(new URL('../rigs/judge/process.js', import.meta.url));
const run = promisify(execFile);

test('a question is sent only once, even concurrently, repeatedly or from another judge', async (t) => {
  const server = await JudgeServer.start(t, { decide: ({ frame }) => (frame.rgba[0] > 100 ? 'success' : 'failure') });
  const cwd = emptyFolder(t);
  const { judge } = judgeAt(server, cwd);
  const verdicts = await Promise.all([10, 200, 10, 200, 10].map((shade) => judge.judge(end(shade))));
  assert.deepEqual(verdicts, ['failure', 'success', 'failure', 'success', 'failure']);
  assert.equal(server.asked.length, 2);
  assert.equal(await judge.judge(end(200)), 'success');
  const other = judgeAt(server, cwd);
  assert.equal(await other.judge.judge(end(200)), 'success');
  assert.equal(server.asked.length, 2);
  assert.deepEqual(judge.counts, { answered: 2, known: 4, same: 0, unanswered: 0 });
});

test('the cache key covers every setting that can change an answer, and no other', async (t) => {
  const server = await JudgeServer.start(t);
  const cwd = emptyFolder(t);
  const ask = async (settings = {}, more = {}) => {
    await judgeAt(server, cwd, settings).judge.judge(end(10, more));
    return server.asked.length;
  };
  assert.equal(await ask(), 1);
  assert.equal(
    await ask({ timeout_ms: 500, retries: 9, concurrency: 1, budget_calls: 99, url: `${server.url}/v1/` }),
    1,
  );
  assert.equal(await ask({}, { task: { id: 't', text: 'open the clock' } }), 2);
  assert.equal(await ask({ format: 'text' }), 3);
  assert.equal(await ask({ max_tokens: 100 }), 4);
  assert.equal(await ask({ reasoning: true }), 5);
  assert.equal(await ask({ kind: 'gemini' }), 6);
});

test('an unknown verdict is not cached', async (t) => {
  const server = await JudgeServer.start(t, { behave: (_, nth) => (nth === 0 ? 'refusal' : 'well') });
  const { judge } = judgeAt(server, emptyFolder(t));
  assert.equal(await judge.judge(end(10)), 'unknown');
  assert.equal(await judge.judge(end(10)), 'success');
});

test('concurrent and later processes share the answers and the budget', async (t) => {
  const server = await JudgeServer.start(t, { decide: ({ frame }) => (frame.rgba[0] > 100 ? 'success' : 'failure') });
  const cwd = emptyFolder(t);
  const start = (...shades: number[]) => run(process.execPath, [PROGRAM, server.url, cwd, ...shades.map(String)]);
  const both = await Promise.all([start(1, 2, 3, 201), start(4, 5, 6, 202)]);
  assert.deepEqual(
    both.map(({ stdout }) => stdout),
    ['failure failure failure success', 'failure failure failure success'],
  );
  assert.equal(server.asked.length, 8);
  const { stdout } = await start(6, 202, 3, 201, 1);
  assert.equal(stdout, 'failure success failure success failure');
  assert.equal(server.asked.length, 8, 'all were cached');
  assert.deepEqual(judgeAt(server, cwd).budget.spent, { calls: 8, tokens: 8 * TOKENS });
});

test('a torn last line and a damaged line cost only their own questions', async (t) => {
  const server = await JudgeServer.start(t);
  const cwd = emptyFolder(t);
  const { judge } = judgeAt(server, cwd);
  for (const shade of [10, 20, 30]) await judge.judge(end(shade));
  const folder = join(cwd, 'data/.cache/judge');
  const [name] = readdirSync(folder);
  const file = join(folder, name);
  const text = readFileSync(file, 'utf8');
  writeFileSync(file, text.replace('"success"', '"failure"'));
  truncateSync(file, text.length - 3);
  const again = judgeAt(server, cwd).judge;
  for (const shade of [10, 20, 30]) assert.equal(await again.judge(end(shade)), 'success');
  assert.equal(again.counts.known, 1);
  assert.equal(server.asked.length, 5);
});

test('each reader gets the lines of all writers once, even if they arrive in pieces', (t) => {
  const folder = join(emptyFolder(t), 'lines');
  const [a, b] = [new SharedLines<{ n: number }>(folder), new SharedLines<{ n: number }>(folder)];
  const numbers = (lines: SharedLines<{ n: number }>) =>
    lines
      .news()
      .map(({ n }) => n)
      .sort();
  assert.deepEqual(numbers(a), []);
  a.append({ n: 1 });
  b.append({ n: 2 });
  assert.deepEqual(numbers(a), [1, 2]);
  a.append({ n: 3 });
  assert.deepEqual(numbers(a), [3]);
  assert.deepEqual(numbers(b), [1, 2, 3]);
  const line = encodeLine({ n: 4 });
  const other = join(folder, 'other.jsonl');
  writeFileSync(other, line.slice(0, 5));
  assert.deepEqual(numbers(a), []);
  appendFileSync(other, `${line.slice(5)}${encodeLine({ n: 5 })}`);
  assert.deepEqual(numbers(a), [4, 5]);
  a.close();
  b.close();
});

test('a spent budget makes verdicts unknown for all judges of the run, with one warning; retries count', async (t) => {
  const server = await JudgeServer.start(t, { behave: (_, nth) => (nth === 0 ? 'broken' : 'well') });
  const cwd = emptyFolder(t);
  const { judge, warnings } = judgeAt(server, cwd, { budget_calls: 3 });
  assert.equal(await judge.judge(end(10)), 'success');
  assert.equal(await judge.judge(end(20)), 'unknown');
  assert.equal(server.asked.length, 3);
  assert.equal(await judge.judge(end(30)), 'unknown');
  assert.equal(await judge.judge(end(10)), 'success', 'cached answers cost nothing');
  assert.equal(server.asked.length, 3);
  assert.deepEqual(warnings, [
    "the judge gave no verdict: the run's budget of 3 calls is spent (judge.budget_calls); episodes without a verdict do not count",
  ]);
  const next = judgeAt(server, cwd, { budget_calls: 3 }).judge;
  assert.equal(await next.judge(end(30)), 'unknown');
  assert.equal(server.asked.length, 3);
  const richer = judgeAt(server, cwd, { budget_calls: 9 }).judge;
  assert.equal(await richer.judge(end(30)), 'success');
});

test('a spent token budget makes verdicts unknown', async (t) => {
  const server = await JudgeServer.start(t);
  const { judge, budget, warnings } = judgeAt(server, emptyFolder(t), { budget_tokens: TOKENS + 1, concurrency: 1 });
  for (const shade of [10, 20]) assert.equal(await judge.judge(end(shade)), 'success');
  assert.equal(await judge.judge(end(30)), 'unknown');
  assert.match(warnings[0], /judge\.budget_tokens/);
  assert.deepEqual(budget.spent, { calls: 2, tokens: 2 * TOKENS });
});
