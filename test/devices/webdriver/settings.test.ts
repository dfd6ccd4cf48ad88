/** The settings of the webdriver backend: placeholders, secrets and mistakes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deviceCount, deviceInfluence } from '../../../pipelines/episodes/devices.js';
import { tasksOf } from '../../../pipelines/episodes/tasks.js';
import { filled } from '../../../src/devices/webdriver/template.js';
import { discreet, withoutKeys } from '../../../src/secrets/known.js';
import { WebDriverSettings } from '../../../src/devices/webdriver/settings.js';
import { deviceOf, EPISODE, fleetOf, PATIENT, tapAt, warnings } from '../../rigs/webdriver/rig.js';
import { ScriptedServer } from '../../rigs/webdriver/server.js';

const env = { NAME: 'value', SECRET: 'an ot#er' };
const fill = <T>(template: T, where = 'setting'): T =>
  filled(template, where, { slot: 3, udid: 'emulator-5554', episode: { task, seed: 9 } }, { env });
const task = { id: 't', text: `It's "so"`, family: 'f', goal: { url: 'https://a.b/?c d', deep: { n: 4, list: [1] } } };

test('placeholders stand for the device, the episode and the environment, at any depth', () => {
  assert.deepEqual(
    fill({
      a: ['{slot}', '{slot+8200}', 'p{slot+1}', '{udid}'],
      b: { c: '{task.id}-{seed}', d: '{task.goal.deep.n}', e: '{task.goal.deep}', f: '${ENV:NAME}!', g: 7, h: null },
      goal: '{task.goal}',
      task: '{task}',
    }),
    {
      a: [3, 8203, 'p4', 'emulator-5554'],
      b: { c: 't-9', d: 4, e: { n: 4, list: [1] }, f: 'value!', g: 7, h: null },
      goal: JSON.stringify(task.goal),
      task: JSON.stringify(task),
    },
  );
  assert.equal(fill('app://open?url={task.goal.url|uri}'), 'app://open?url=https%3A%2F%2Fa.b%2F%3Fc%20d');
  assert.equal(fill('echo {task.text|sh}'), `echo 'It'\\''s "so"'`);
  assert.equal(Buffer.from(fill('{task.goal|base64}'), 'base64').toString(), JSON.stringify(task.goal));
  assert.equal(fill('awk {print} ${HOME} {"a":1} {x.y}'), 'awk {print} ${HOME} {"a":1} {x.y}', 'other braces stay');
});

test('placeholders without a value are mistakes that name their setting', () => {
  const bad = (template: string, message: RegExp) =>
    assert.throws(() => fill(template, 'device.webdriver.prepare[0]'), { name: 'UserError', message });
  bad('${ENV:MISSING}', /^device.webdriver.prepare\[0\]: the environment variable MISSING is not set$/);
  bad('{task.goal.nothing}', /^device.webdriver.prepare\[0\]: \{task.goal.nothing\} has no value here/);
  bad('{udid+1}', /expected udid to be a number, got "emulator-5554"/);
  bad('{slot|html}', /expected \|uri, \|sh or \|base64/);
  const early = () => filled('{seed}', 'x', { slot: 0 }, { env });
  assert.throws(early, /^UserError: x: \{seed\} has no value here/);
});

test('secrets are sent to the server and appear in no message', async (t) => {
  const basic = `Basic ${Buffer.from('me:p@ss word').toString('base64')}`;
  const server = await ScriptedServer.start(t, {
    authorization: basic,
  });
  const secretEnv = { USER_VARIABLE: 'me', KEY_VARIABLE: 'p@ss word', TOKEN: 'tok-12345' };
  const named = { user_env: 'USER_VARIABLE', key_env: 'KEY_VARIABLE' };
  const vendor = { capabilities: { 'bstack:options': { accessKey: '${ENV:TOKEN}' } } };
  const device = await fleetOf(t, server, { ...named, ...vendor }, secretEnv).open(0);
  assert.deepEqual([...server.sessions.values()][0].capabilities, { 'bstack:options': { accessKey: 'tok-12345' } });
  assert.ok(server.calls.every(({ headers }) => headers.authorization === basic));
  await device.close();
  const wrong = fleetOf(t, server, named, { ...secretEnv, KEY_VARIABLE: 'another' });
  await assert.rejects(wrong.open(0), {
    name: 'UserError',
    message: /\/status: the server refuses the user name or key \(401\).*device.webdriver.user_env and key_env$/,
  });
  fill('${ENV:SECRET}');
  assert.equal(discreet('an ot#er, an%20ot%23er'), '***, ***');
  assert.equal(withoutKeys('an ot#er'), 'an ot#er', 'any variable may be named there, so data keep its value');
  for (const [setting, missing] of [
    ['user_env', { KEY_VARIABLE: 'x' }],
    ['key_env', { USER_VARIABLE: 'x' }],
  ] as const) {
    const variable = setting === 'user_env' ? 'USER_VARIABLE' : 'KEY_VARIABLE';
    assert.throws(() => fleetOf(t, server, named, missing), {
      name: 'UserError',
      message: `device.webdriver.${setting}: the environment variable ${variable} is not set`,
    });
  }
  assert.throws(
    () => fleetOf(t, server, vendor),
    /device.webdriver.capabilities: the environment variable TOKEN is not set/,
  );
});

test('a secret that a server repeats does not reach a message', async (t) => {
  const secret = 'tok-12345';
  const server = await ScriptedServer.start(t, {
    scripts: {
      'test: say': ({ key }) => {
        throw Object.assign(new Error(`no key ${String(key)}`), { status: 500, code: 'unknown error' });
      },
    },
  });
  const prepare = [{ script: 'test: say', args: { key: '${ENV:TOKEN}' } }];
  const device = await fleetOf(t, server, { prepare }, { TOKEN: secret }).open(0);
  t.after(() => device.close());
  await assert.rejects(device.reset('app', EPISODE), { message: /no key \*\*\*$/ });
  assert.equal(server.calls.at(-1)!.args.key, secret);
});

test('a Selenium Grid 3 works below /wd/hub, with errors of the older protocol', async (t) => {
  const server = await ScriptedServer.start(t, { dialect: 'grid3', base: '/wd/hub' });
  const device = await deviceOf(t, server);
  await device.act(tapAt(3, 3), PATIENT);
  server.end([...server.sessions.keys()][0]);
  const warned = await warnings(async () => {
    assert.deepEqual(await device.act(tapAt(3, 3), PATIENT), { applied: 'no' });
  });
  assert.match(warned[0], /Session \[session-0\] was terminated due to TIMEOUT \(applied: no\)$/);
  await assert.rejects(device.screenshot(PATIENT), { message: /the session has ended: .*due to TIMEOUT$/ });
  await device.reset('app', EPISODE);
  assert.equal(server.made, 2);
  const lost = { url: server.url.replace('/wd/hub', '') };
  await assert.rejects(fleetOf(t, lost).open(0), {
    name: 'UserError',
    message: /no WebDriver server at this path; correct the path of device.webdriver.url/,
  });
});

const config = (webdriver: object, others: object = {}) =>
  ({
    device: { backend: 'webdriver', count: 64, webdriver: WebDriverSettings.parse(webdriver), ...others },
    tasks: { set: 'webshop', train_file: '', test_file: '' },
  }) as never;

test('a change of server, device, user or timeouts rebuilds nothing; a change of what an episode is does', () => {
  const same = [
    { url: 'https://a.b' },
    { udids: ['x'] },
    { user_env: 'A' },
    { session_ms: 7 },
    { recording: 'screenrecord' },
  ];
  for (const one of same)
    assert.deepEqual(deviceInfluence(config(one)), deviceInfluence(config({})), JSON.stringify(one));
  const other = [
    { app: 'a' },
    { typing: 'keys' },
    { prepare: [{ script: 's' }] },
    { reward: { script: 's' } },
    { swipe_ms: 1 },
  ];
  for (const one of other) assert.notDeepEqual(deviceInfluence(config(one)), deviceInfluence(config({})));
});

test('the number of devices is limited by the listed ones', () => {
  assert.equal(deviceCount(config({})), 64);
  assert.equal(deviceCount(config({ udids: ['a', 'b'] })), 2);
  assert.equal(deviceCount(config({ udids: ['a', 'b'] }, { count: 1 })), 1);
});

test('settings that cannot work are refused with a hint', (t) => {
  const refused = (settings: object, message: RegExp) =>
    assert.throws(() => fleetOf(t, { url: 'http://127.0.0.1:1' }, settings), { message });
  refused({ reset: 'snapshot' }, /device.webdriver.snapshot/);
  refused({ key_env: 'KEY' }, /device.webdriver.key_env is set, but user_env is not/);
  refused({ url: 'http://me:secret@farm/wd/hub' }, /no password: see user_env and key_env/);
  refused({ snapshot: 'a; rm' }, /letters, digits/);
  refused({ reward: { success: '(' } }, /a regular expression/);
  assert.throws(
    () => tasksOf(config({}), 'test', { seed: 0 }),
    /device.backend=webdriver has no tasks of its own.*docs\/webdriver.md/,
  );
});
