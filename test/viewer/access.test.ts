/** Who the viewer answers, and what: only under its own names, only reading, only from the run folders. */
import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { UserError } from '../../src/errors.js';
import { RunFolders } from '../../src/viewer/run-folders.js';
import { openViewer } from '../../src/viewer/server.js';
import { emptyFolder } from '../rigs/process.js';
import { viewing } from '../rigs/viewer/rig.js';

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

/** A request as a browser would not send it: the path and the headers as they are given. */
function ask(url: string, path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> {
  const { hostname: host, port } = new URL(url);
  return new Promise((resolve, reject) => {
    request({ host, port, path, method, headers }, (response) => {
      let text = '';
      response.on('data', (piece: Buffer) => (text += String(piece)));
      response.on('end', () => resolve({ status: response.statusCode!, headers: response.headers, text }));
    })
      .on('error', reject)
      .end();
  });
}

/** A data folder with an empty run, a secret beside it, and another outside. */
function folders(t: Parameters<typeof emptyFolder>[0]): string {
  const root = emptyFolder(t);
  mkdirSync(join(root, 'data/pocket'), { recursive: true });
  mkdirSync(join(root, 'data/not-a-run'));
  mkdirSync(join(root, 'outside/metrics'), { recursive: true });
  writeFileSync(join(root, 'outside/run.json'), '{"seed":5}');
  writeFileSync(join(root, 'outside/metrics/secret.jsonl'), '{"shard":"s","step":1,"secret":1}\n');
  writeFileSync(join(root, 'data/not-a-run/secret.txt'), 'secret');
  return join(root, 'data');
}

test('on loopback it answers to the names of loopback on any port, and to no other name', async (t) => {
  const { url } = await viewing(t, folders(t), 'pocket');
  for (const host of ['127.0.0.1', '127.0.0.1:9', 'localhost:8701', '[::1]:1', 'LOCALHOST']) {
    assert.equal((await ask(url, '/api/runs', { host })).status, 200, host);
  }
  for (const host of [
    'evil.example',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    '10.0.0.1',
    `${hostname()}.x`,
  ]) {
    for (const path of ['/', '/api/runs', '/assets/x.js']) {
      assert.equal((await ask(url, path, { host })).status, 403, `${host} ${path}`);
    }
  }
});

test('it is read-only, and its policy lets the page load nothing from elsewhere', async (t) => {
  const { url } = await viewing(t, folders(t), 'pocket');
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
    assert.equal((await ask(url, '/api/runs', {}, method)).status, 405, method);
  }
  for (const path of ['/', '/values', '/api/runs', '/nothing']) {
    const { headers } = await ask(url, path);
    assert.match(String(headers['content-security-policy']), /^default-src 'self';/);
    assert.equal(headers['x-content-type-options'], 'nosniff');
    assert.equal(headers['access-control-allow-origin'], undefined);
  }
  assert.equal((await ask(url, '/', {}, 'HEAD')).text, '');
});

test('paths of URLs stay inside the run folder', async (t) => {
  const data = folders(t);
  symlinkSync('/etc', join(data, 'pocket/images'));
  const { url, complaints } = await viewing(t, data, 'pocket');
  const paths = [
    '/../../../etc/passwd',
    '/assets/..%2f..%2f..%2fpackage.json',
    '/assets/%2e%2e/%2e%2e/package.json',
    '//etc/passwd',
    '/api/runs/..%2foutside',
    '/api/runs/../../outside',
    '/api/runs/..',
    '/api/runs/%2e%2e%2foutside/metrics',
    '/api/runs/not-a-run',
    '/api/runs/.cache',
    '/api/runs/pocket%2f..%2f..%2foutside',
    '/api/runs/pocket/images/..%2f..%2fpasswd',
    '/api/runs/pocket/images/passwd',
    `/api/runs/pocket/images/${'0'.repeat(32)}`,
    '/api/runs/pocket/metrics-tail?instance=../../outside/metrics/secret',
    '/api/runs/pocket/metrics-tail?instance=%00',
    '/api/runs/pocket/trajectory?set=../../outside&id=x',
    '/api/runs/pocket/policy-scores?set=trajectories&id=0&step=0&policy=../../..',
    '/api/runs/pocket/screen?set=trajectories&id=../x&step=0',
  ];
  for (const path of paths) {
    const { status, text } = await ask(url, path);
    assert.ok(status === 404 || status === 400, `${path}: ${status}`);
    assert.doesNotMatch(text, /root:|"seed":5|"secret":1|^secret$/, path);
  }
  assert.deepEqual(complaints, [], 'none of them is an error of the viewer');
});

test('bytes that are not HTTP do not end it', async (t) => {
  const { url, get } = await viewing(t, folders(t), 'pocket');
  const { port } = new URL(url);
  await new Promise<void>((done) => {
    const socket = connect(Number(port), '127.0.0.1', () =>
      socket.end('GET /api/runs/%ff%fe HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n'),
    );
    socket.on('data', () => {}).on('close', () => done());
  });
  assert.equal((await get('/runs/%25')).status, 404);
  assert.equal((await get('/runs')).status, 200);
});

test('on other addresses it needs the token, and then keeps it in a cookie', async (t) => {
  const { url } = await viewing(t, folders(t), 'pocket', { host: '0.0.0.0' });
  const token = new URL(url).searchParams.get('token')!;
  assert.ok(token.length >= 32);
  for (const path of ['/', '/api/runs', '/api/runs?token=', `/api/runs?token=${token.slice(1)}x`, '/assets/none.js']) {
    const { status, text } = await ask(url, path);
    assert.equal(status, 401, path);
    assert.doesNotMatch(text, new RegExp(token.slice(4)));
  }
  const entered = await ask(url, `/values?token=${token}&run=pocket`);
  assert.equal(entered.status, 302);
  assert.equal(entered.headers.location, '/values?run=pocket', 'the token leaves the address line');
  for (const path of ['//other.example/a', '///other.example'])
    assert.match(String((await ask(url, `${path}?token=${token}`)).headers.location), /^\/[^/\\]/, path);
  const [cookie] = String(entered.headers['set-cookie']).split(';');
  assert.match(String(entered.headers['set-cookie']), /HttpOnly; SameSite=Strict/);
  assert.equal((await ask(url, '/api/runs', { cookie: `other=1; ${cookie}` })).status, 200);
  assert.equal((await ask(url, '/api/runs', { authorization: `Bearer ${token}` })).status, 200);
  assert.equal((await ask(url, '/api/runs', { cookie: `${cookie}x` })).status, 401);
  assert.equal((await ask(url, '/api/runs', { cookie, host: 'evil.example' })).status, 403, 'a rebound name');
  assert.equal((await ask(url, '/api/runs', { cookie, host: hostname() })).status, 200);
  const again = await viewing(t, folders(t), 'pocket', { host: '0.0.0.0' });
  assert.notEqual(new URL(again.url).searchParams.get('token'), token);
});

test('a missing run and a taken port are errors of one line', async (t) => {
  const data = folders(t);
  assert.throws(
    () => RunFolders.open(data, 'nothing'),
    (error) => error instanceof UserError && /nothing/.test(error.message),
  );
  const { url } = await viewing(t, data, 'pocket');
  const options = { runs: RunFolders.open(data, 'pocket'), host: '127.0.0.1', complain: () => {} };
  await assert.rejects(
    openViewer({ ...options, port: Number(new URL(url).port), cache: emptyFolder(t) }),
    (error) => error instanceof UserError && /taken; --port 0/.test(error.message),
  );
});
