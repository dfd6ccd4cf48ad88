/** The parts of the Appium rig that need no Appium: adb messages, shell lines, the emulator's console. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { encodeMessage, MAX_PAYLOAD, MessageReader } from './adb-message.js';
import { commandsOf, runShell } from './android-shell.js';
import { EmulatorConsole } from './emulator-console.js';
import { ServedPhone } from './served-phone.js';
import { PACKAGE } from './tools.js';
import { emptyFolder } from '../process.js';

test("the installer finds the rig's package.json and its lock file", () => {
  const read = (name: string) => JSON.parse(readFileSync(join(PACKAGE, name), 'utf8')) as Record<string, object>;
  assert.ok('appium' in read('package.json').dependencies);
  assert.ok('node_modules/appium' in read('package-lock.json').packages);
});

test('adb messages are read whole from any pieces, and other bytes are refused', () => {
  const sent = [
    encodeMessage('OPEN', 1, 0, 'shell:ls\0'),
    encodeMessage('OKAY', 2, 1),
    encodeMessage('WRTE', 1, 2, 'x'.repeat(900)),
  ];
  const bytes = Buffer.concat(sent);
  for (const size of [1, 7, 24, 100, bytes.length]) {
    const reader = new MessageReader();
    const got = [];
    for (let at = 0; at < bytes.length; at += size) got.push(...reader.push(bytes.subarray(at, at + size)));
    assert.deepEqual(
      got.map(({ command, arg0, arg1, payload }) => encodeMessage(command, arg0, arg1, payload)),
      sent,
    );
  }
  const huge = encodeMessage('WRTE', 1, 2);
  huge.writeUInt32LE(MAX_PAYLOAD + 1, 12);
  assert.throws(() => new MessageReader().push(huge), /payload of 262145 bytes/);
  assert.throws(() => new MessageReader().push(Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')), /bad magic/);
});

test('shell lines are split into commands and words', () => {
  const words = (line: string) => commandsOf(line).map(({ words, after }) => [after, ...words]);
  assert.deepEqual(words(String.raw`am start --es goal '{"a":"it'\''s"}' "b \"c\"" d\ e ''`), [
    [';', 'am', 'start', '--es', 'goal', `{"a":"it's"}`, 'b "c"', 'd e', ''],
  ]);
  assert.deepEqual(words('a 1;b&&c || d ;'), [
    [';', 'a', '1'],
    [';', 'b'],
    ['&&', 'c'],
    ['||', 'd'],
  ]);
});

async function shell(phone: ServedPhone, line: string): Promise<{ out: string; err: string; code: number }> {
  let [out, err] = ['', ''];
  const code = await new Promise<number>((exit) => {
    runShell(phone, line, { out: (text) => (out += String(text)), err: (text) => (err += String(text)), exit });
  });
  return { out, err, code };
}

test('an intent starts an episode, inputs act on it, and its state can be read', async () => {
  const phone = new ServedPhone('emulator-1');
  assert.equal((await shell(phone, 'settings get global critiq_achieved')).out, 'null\n');
  const begin = `am start -n critiq.phone/.Main --es goal '{"kind":"open","app":"clock"}' --es seed 7`;
  assert.equal((await shell(phone, begin)).code, 0);
  assert.equal((await shell(phone, 'settings get global critiq_achieved')).out, '0\n');
  const { rect } = phone.phone.view().elements.find(({ id }) => id === 'icon:clock')!;
  const tap = `input tap ${rect.x + 10} ${rect.y + 10}`;
  await shell(phone, tap);
  // a slow page appears with the next action; this one hits nothing
  if (phone.phone.state.loading) await shell(phone, 'input tap 135 1');
  assert.equal((await shell(phone, 'settings get global critiq_achieved')).out, '1\n');
  await shell(phone, 'input keyevent 3');
  assert.equal(phone.achieved, false);
  assert.deepEqual(await shell(phone, 'frob; echo on'), {
    out: 'on\n',
    err: '/system/bin/sh: frob: inaccessible or not found\n',
    code: 0,
  });
  assert.deepEqual(phone.unknown, ['frob']);
  assert.equal((await shell(phone, `am start -n critiq.phone/.Main --es goal '{"kind":"fly"}' --es seed 7`)).code, 255);
});

test('the console requires its token, and saves and loads snapshots', async (t) => {
  const phone = new ServedPhone('emulator-1');
  const file = join(emptyFolder(t), 'token');
  writeFileSync(file, 'secret\n');
  const console = new EmulatorConsole(phone, file);
  const port = await console.listen(0);
  t.after(() => console.close());
  const tell = (lines: string) =>
    new Promise<string[]>((resolve) => {
      let text = '';
      const socket = connect(port, '127.0.0.1', () => socket.write(`${lines}\nquit\n`));
      socket.setEncoding('utf8').on('data', (piece: string) => (text += piece));
      socket.on('close', () => resolve(text.split('\r\n').filter((line) => /^(OK|KO)/.test(line))));
    });
  assert.match((await tell('avd snapshot load default_boot'))[1], /^KO/);
  phone.start({ kind: 'open', app: 'clock' }, 7);
  phone.take({ do: 'finger', from: { x: 40, y: 300 } });
  const before = phone.phone.frame();
  assert.deepEqual(await tell('auth secret\navd snapshot save here'), ['OK', 'OK', 'OK']);
  phone.take({ do: 'press', key: 'HOME' });
  phone.start({ kind: 'open', app: 'camera' }, 8);
  assert.deepEqual(await tell('auth secret\navd snapshot load here'), ['OK', 'OK', 'OK']);
  assert.deepEqual(phone.phone.frame().rgba, before.rgba);
  assert.match((await tell('auth secret\navd snapshot load there'))[2], /^KO: Snapshot 'there'/);
});
