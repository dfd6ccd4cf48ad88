import assert from 'node:assert/strict';
import { symlinkSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { findChromium } from '../../../src/devices/browser/chromium.js';
import { loadHook } from '../../../src/devices/browser/hook.js';
import { startUrls } from '../../../src/devices/browser/start-url.js';
import { StaticServer } from '../../../src/devices/browser/static-server.js';
import { UserError } from '../../../src/errors.js';
import { folderOf, taskAt } from '../../rigs/browser/rig.js';

const folder = folderOf({ 'a b.html': 'page', '.hidden': 'secret', 'index.html': 'index' });
const outside = folderOf({ 'secret.txt': 'secret', 'hook.mjs': 'export const reward = 1', 'none.mjs': 'export {}' });
symlinkSync(outside, join(folder, 'link'));
const served = { folder, url: 'http://127.0.0.1:5/' };
const none = { url: '', reset_url: '' };
const userError = (pattern: RegExp) => (error: unknown) => error instanceof UserError && pattern.test(error.message);

test('start URLs are relative or file: URLs in the served folder, or http(s) URLs', () => {
  const of = (url: string) => startUrls(none, taskAt(url), 7, served);
  assert.deepEqual(of('a.html?seed={seed}&t={task}'), ['http://127.0.0.1:5/a.html?seed=7&t=task']);
  assert.deepEqual(of(`file://${folder}/a%20b.html?x#y`), ['http://127.0.0.1:5/a%20b.html?x#y']);
  assert.deepEqual(of('https://example.org/x'), ['https://example.org/x']);
  assert.deepEqual(
    startUrls({ url: 'u.html', reset_url: 'r?{seed}' }, { ...taskAt('x'), goal: undefined }, 2, served),
    ['http://127.0.0.1:5/r?2', 'http://127.0.0.1:5/u.html'],
  );
  for (const url of ['file:///etc/passwd', `file://${folder}/../x`, 'file://host/etc/passwd']) {
    assert.throws(() => of(url), userError(/not below device\.browser\.folder=.*; only files/), url);
  }
  for (const url of ['javascript:alert(1)', 'chrome://crash', 'data:text/html,x']) {
    assert.throws(() => of(url), userError(/expected an http\(s\) URL/), url);
  }
  assert.throws(() => startUrls(none, taskAt('a.html'), 0, undefined), userError(/folder, which is not set/));
  assert.throws(() => startUrls(none, taskAt(''), 0, served), userError(/no start URL/));
});

test('the static server serves only the files of its folder', async (t) => {
  const server = await StaticServer.open(folder);
  t.after(() => server.close());
  const get = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
    new Promise<{ status?: number; text: string }>((resolve, reject) => {
      request({ host: '127.0.0.1', port: server.port, path, headers, method }, (response) => {
        let text = '';
        response.on('data', (chunk) => (text += chunk));
        response.on('end', () => resolve({ status: response.statusCode, text }));
      })
        .on('error', reject)
        .end();
    });
  assert.deepEqual(await get('/a%20b.html?x=1'), { status: 200, text: 'page' });
  assert.deepEqual(await get('/'), { status: 200, text: 'index' });
  for (const path of ['/.hidden', '/link/secret.txt', '/../secret.txt', '/%2e%2e/secret.txt', '/none', '/%00', '/%']) {
    assert.equal((await get(path)).status, 404, path);
  }
  assert.equal((await get('/', { host: 'evil.example' })).status, 403);
  assert.equal((await get('/', {}, 'POST')).status, 405);
  await assert.rejects(StaticServer.open(join(folder, 'none')), userError(/folder=.*cannot be read \(ENOENT\)/));
});

test('a missing Chromium and an unusable hook are one-line errors that say what to do', async () => {
  assert.throws(
    () => findChromium('', { PATH: folder }),
    userError(/found no Chromium .*apt install chromium-headless-shell/),
  );
  assert.throws(() => findChromium('/none'), userError(/device\.browser\.path=\/none: no such file/));
  assert.throws(() => findChromium('', { CHROMIUM: folder }), userError(/not an executable file/));
  await assert.rejects(loadHook('/none.mjs'), userError(/cannot be loaded/));
  await assert.rejects(loadHook(join(outside, 'hook.mjs')), userError(/reward: expected a function/));
  await assert.rejects(loadHook(join(outside, 'none.mjs')), userError(/exports none of them/));
});
