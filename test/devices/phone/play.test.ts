import assert from 'node:assert/strict';
import { test } from 'node:test';
import { servePhone } from '../../../src/devices/phone/index.js';
import { taskFor } from '../../rigs/phone/hand.js';

test('a person can use the phone over loopback', async (t) => {
  const lines: string[] = [];
  const task = taskFor({ kind: 'open', app: 'music' }, "Open <b>'music'</b>");
  const { url, close } = await servePhone({ port: 0, task, seed: 1, log: (line) => lines.push(line) });
  t.after(close);
  const page = await (await fetch(url)).text();
  assert.ok(page.includes('Open &#60;b&#62;&#39;music&#39;') && !page.includes('<b>&#39;'));
  const png = Buffer.from(await (await fetch(`${url}screen.png`)).arrayBuffer());
  assert.equal(png.subarray(1, 4).toString(), 'PNG');
  const post = (body: string, type = 'application/json') =>
    fetch(`${url}act`, { method: 'POST', body, headers: { 'content-type': type } });
  const acted = await post('{"type":"PRESS_HOME"}');
  assert.deepEqual(await acted.json(), { achieved: false });
  assert.deepEqual(lines, ['{"type":"PRESS_HOME"} achieved=false']);
  assert.equal((await post('{"type":"DUAL_POINT","touch":[2,0],"lift":[0,0]}')).status, 400);
  assert.equal((await post('not json')).status, 400);
  assert.equal((await post(`{"type":"TYPE","text":"${'x'.repeat(9000)}"}`)).status, 400);
  assert.equal((await post('{"type":"PRESS_HOME"}', 'text/plain')).status, 415);
  assert.equal((await fetch(`${url}nothing`)).status, 404);
  const taken = Number(new URL(url).port);
  await assert.rejects(servePhone({ port: taken, task, seed: 1 }), /cannot serve on 127.0.0.1:\d+ \(EADDRINUSE\)/);
});
