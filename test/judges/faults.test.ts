/** A judge's server that misbehaves: what is asked again, what is unknown, what ends the run, and what never leaks. */
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
    test(`${kind}: after "${fault}" the question is put again`, async (t) => {
      const server = await JudgeServer.start(t, {
        behave: (_, nth) => (nth === 0 ? fault : 'well'),
        decide: () => 'failure',
      });
      const { judge, warnings } = judgeAt(server, emptyFolder(t), { kind });
      assert.equal(await judge.judge(end(10)), 'failure');
      assert.equal(server.asked.length, 2);
      assert.deepEqual(warnings, []);
    });

    test(`${kind}: "${fault}" for ever is unknown, after the last retry`, async (t) => {
      const server = await JudgeServer.start(t, { behave: () => fault });
      const { judge, warnings } = judgeAt(server, emptyFolder(t), { kind, timeout_ms: 100 });
      assert.equal(await judge.judge(end(10)), 'unknown');
      assert.equal(server.asked.length, 3);
      assert.equal(warnings.length, 1);
      assert.match(warnings[0], /no good answer in 3 tries/);
      assert.equal(judge.counts.unanswered, 1);
    });
  }

  test(`${kind}: a refusal is unknown, and is not put again`, async (t) => {
    const server = await JudgeServer.start(t, { behave: () => 'refusal' });
    const { judge, warnings } = judgeAt(server, emptyFolder(t), { kind });
    assert.equal(await judge.judge(end(10)), 'unknown');
    assert.equal(server.asked.length, 1);
    assert.match(warnings[0], /declined/);
  });

  for (const mistake of ['no key', 'unknown model', 'moved'] as const) {
    test(`${kind}: "${mistake}" ends the run, also in its middle`, async (t) => {
      const behaviours: Behaviour[] = ['well', mistake];
      const server = await JudgeServer.start(t, { behave: () => behaviours.shift() ?? mistake });
      const { judge } = judgeAt(server, emptyFolder(t), { kind });
      assert.equal(await judge.judge(end(10)), 'success');
      await assert.rejects(judge.judge(end(20)), UserError);
      assert.equal(server.asked.length, 2);
    });
  }

  test(`${kind}: a request that is refused from the start ends the run; later ones are unknown`, async (t) => {
    const behaviours: Behaviour[] = ['bad picture', 'well', 'bad picture', 'well'];
    const server = await JudgeServer.start(t, { behave: () => behaviours.shift()! });
    const { judge, warnings } = judgeAt(server, emptyFolder(t), { kind, format: 'json' });
    await assert.rejects(judge.judge(end(10)), UserError);
    assert.equal(await judge.judge(end(20)), 'success');
    assert.equal(await judge.judge(end(30)), 'unknown');
    assert.match(warnings[0], /cannot read the image/);
    assert.equal(await judge.judge(end(30)), 'success');
  });

  test(`${kind}: a server without schemas is asked for text, and is told so once`, async (t) => {
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

  test(`${kind}: the key is in a header, and in nothing that is said or kept`, async (t) => {
    const behaviours: Behaviour[] = ['echo', 'no key', 'moved', 'broken'];
    let said = '';
    for (const behaviour of behaviours) {
      const server = await JudgeServer.start(t, { behave: () => behaviour });
      const cwd = emptyFolder(t);
      const { judge, warnings } = judgeAt(server, cwd, { kind });
      const error = await judge.judge(end(10)).catch(String);
      said += [error, ...warnings, ...files(cwd)].join('\n');
      const [{ url, headers, body }] = server.asked;
      assert.doesNotMatch(url + JSON.stringify(body), new RegExp(KEY));
      assert.equal(
        kind === 'openai' ? headers.authorization : headers['x-goog-api-key'],
        kind === 'openai' ? `Bearer ${KEY}` : KEY,
      );
    }
    assert.match(said, /\*\*\*/, 'the server has sent it back');
    assert.doesNotMatch(said, new RegExp(KEY));
  });
}

function files(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'));
}

test('what is no longer wanted is not asked, and is no verdict', async (t) => {
  const server = await JudgeServer.start(t, { behave: () => 'hang' });
  const { judge } = judgeAt(server, emptyFolder(t), { timeout_ms: 60_000 });
  const stop = new AbortController();
  const asking = judge.judge(end(10, { signal: stop.signal }));
  setTimeout(() => stop.abort(new Error('enough')), 50);
  await assert.rejects(asking, /enough/);
  await assert.rejects(judge.judge(end(20, { signal: stop.signal })), /enough/);
  assert.equal(server.asked.length, 1);
});
