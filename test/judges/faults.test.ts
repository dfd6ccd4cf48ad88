/** Faults of a judge's server: which are retried, make a verdict unknown or end the run; and that the key never leaks. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { UserError } from '../../src/errors.js';
import { end, judgeAt, KEY } from '../rigs/judge/settings.js';
import { FAULTS_THAT_PASS, JudgeServer, type Behaviour } from '../rigs/judge/server.js';
import { emptyFolder } from '../rigs/process.js';

for (const kind of ['openai', 'gemini'] as const) {
  for (const fault of FAULTS_THAT_PASS) {
    test(`${kind}: the question is retried after "${fault}"`, async (t) => {
      const server = await JudgeServer.start(t, {
        behave: (_, nth) => (nth === 0 ? fault : 'well'),
        decide: () => 'failure',
      });
      const { judge, warnings } = judgeAt(server, emptyFolder(t), { kind });
      assert.equal(await judge.judge(end(10)), 'failure');
      assert.equal(server.asked.length, 2);
      assert.deepEqual(warnings, []);
    });

    test(`${kind}: the verdict is unknown if "${fault}" outlasts all retries`, async (t) => {
      const server = await JudgeServer.start(t, { behave: () => fault });
      const { judge, warnings } = judgeAt(server, emptyFolder(t), { kind, timeout_ms: 100 });
      assert.equal(await judge.judge(end(10)), 'unknown');
      assert.equal(server.asked.length, 3);
      assert.equal(warnings.length, 1);
      assert.match(warnings[0], /no usable answer in 3 tries/);
      assert.equal(judge.counts.unanswered, 1);
    });
  }

  test(`${kind}: the verdict is unknown if the model declines, without a retry`, async (t) => {
    const server = await JudgeServer.start(t, { behave: () => 'refusal' });
    const { judge, warnings } = judgeAt(server, emptyFolder(t), { kind });
    assert.equal(await judge.judge(end(10)), 'unknown');
    assert.equal(server.asked.length, 1);
    assert.match(warnings[0], /declined/);
  });

  for (const mistake of ['no key', 'unknown model', 'moved'] as const) {
    test(`${kind}: "${mistake}" ends the run, even after good answers`, async (t) => {
      const behaviours: Behaviour[] = ['well', mistake];
      const server = await JudgeServer.start(t, { behave: () => behaviours.shift() ?? mistake });
      const { judge } = judgeAt(server, emptyFolder(t), { kind });
      assert.equal(await judge.judge(end(10)), 'success');
      await assert.rejects(judge.judge(end(20)), UserError);
      assert.equal(server.asked.length, 2);
    });
  }

  test(`${kind}: a refused request ends the run before any good answer, and is an unknown verdict after one`, async (t) => {
    const behaviours: Behaviour[] = ['bad picture', 'well', 'bad picture', 'well'];
    const server = await JudgeServer.start(t, { behave: () => behaviours.shift()! });
    const { judge, warnings } = judgeAt(server, emptyFolder(t), { kind, format: 'json' });
    await assert.rejects(judge.judge(end(10)), UserError);
    assert.equal(await judge.judge(end(20)), 'success');
    assert.equal(await judge.judge(end(30)), 'unknown');
    assert.match(warnings[0], /cannot read the image/);
    assert.equal(await judge.judge(end(30)), 'success');
  });

  test(`${kind}: a server without JSON schemas is asked for text, with one warning`, async (t) => {
    const server = await JudgeServer.start(t, { behave: () => 'no schema', decide: () => 'failure' });
    const { judge, warnings } = judgeAt(server, emptyFolder(t), { kind });
    assert.equal(await judge.judge(end(10)), 'failure');
    assert.equal(await judge.judge(end(20)), 'failure');
    assert.deepEqual(
      server.asked.map(({ json }) => json),
      [true, false, false],
    );
    assert.equal(warnings.length, 1);
    const strict = judgeAt(server, emptyFolder(t), { kind, format: 'json' });
    await assert.rejects(strict.judge.judge(end(10)), UserError);
  });

  test(`${kind}: the key is sent in a header and appears in no message, URL, body or file`, async (t) => {
    const behaviours: Behaviour[] = ['echo', 'no key', 'moved', 'broken'];
    let output = '';
    for (const behaviour of behaviours) {
      const server = await JudgeServer.start(t, { behave: () => behaviour });
      const cwd = emptyFolder(t);
      const { judge, warnings } = judgeAt(server, cwd, { kind });
      const error = await judge.judge(end(10)).catch(String);
      output += [error, ...warnings, ...files(cwd)].join('\n');
      const [{ url, headers, body }] = server.asked;
      assert.doesNotMatch(url + JSON.stringify(body), new RegExp(KEY));
      assert.equal(
        kind === 'openai' ? headers.authorization : headers['x-goog-api-key'],
        kind === 'openai' ? `Bearer ${KEY}` : KEY,
      );
    }
    assert.match(output, /\*\*\*/, 'the server sent the key back');
    assert.doesNotMatch(output, new RegExp(KEY));
  });
}

function files(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'));
}

test('an aborted signal stops the question and rejects with its reason', async (t) => {
  const server = await JudgeServer.start(t, { behave: () => 'hang' });
  const { judge } = judgeAt(server, emptyFolder(t), { timeout_ms: 60_000 });
  const stop = new AbortController();
  const asking = judge.judge(end(10, { signal: stop.signal }));
  setTimeout(() => stop.abort(new Error('enough')), 50);
  await assert.rejects(asking, /enough/);
  await assert.rejects(judge.judge(end(20, { signal: stop.signal })), /enough/);
  assert.equal(server.asked.length, 1);
});
