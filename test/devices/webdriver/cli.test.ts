/** The command line on devices behind WebDriver. */
import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { phoneTasks } from '../../../src/devices/phone/index.js';
import { contents, critiq, emptyFolder, start, succeed } from '../../rigs/process.js';
import { until } from '../../rigs/webdriver/rig.js';
import { ScriptedServer } from '../../rigs/webdriver/server.js';

const program = fileURLToPath(new URL('../../../src/cli/main.js', import.meta.url));

/** Tiny sizes; the policy learns just enough to write valid actions. */
const TINY = [
  'tasks.max_steps=4',
  'demos.episodes=24',
  'sft.epochs=30',
  'sft.lr=0.01',
  'sft.warmup=10',
  'sft.batch=8',
  'sft.width=32',
  'sft.heads=2',
  'sft.layers=1',
  'sft.feed_forward=64',
  'eval.episodes=6',
  'eval.temperature=0',
];

/** The settings file of a user whose phones are the scripted server's. */
const yaml = (url: string): string => `
device:
  backend: webdriver
  count: 2
  webdriver:
    url: ${url}
    udids: [cli-${process.pid}-1, cli-${process.pid}-2]
    typing: type
    server_ms: 1000
    settle_ms: 0
    blank_ms: 0
    prepare:
      - { script: 'test: begin', args: { task: '{task}', seed: '{seed}' } }
    reward: { script: 'test: achieved' }
tasks: { train_file: tasks.jsonl, test_file: tasks.jsonl }
`;

function tasksFile(): string {
  const tasks = phoneTasks({ set: 'webshop', split: 'test', seed: 0 });
  return tasks.map((task) => JSON.stringify(task)).join('\n');
}

test('an evaluation over WebDriver is byte-identical to one in process; Ctrl-C leaves no session', async (t) => {
  const cwd = emptyFolder(t);
  const server = await ScriptedServer.start(t);
  writeFileSync(join(cwd, 'tasks.jsonl'), tasksFile());
  writeFileSync(join(cwd, 'phones.yaml'), yaml(server.url));
  await succeed(['eval', 'device.count=2', ...TINY], { cwd, program });
  const evaluation = join(cwd, 'data/pocket/eval');
  const kept = () => Object.entries(contents(evaluation)).filter(([name]) => name.endsWith('.parquet'));
  const inProcess = kept();
  assert.equal(inProcess.length, 1);
  rmSync(evaluation, { recursive: true });
  const overWire = ['eval', '--no-deps', '--config', 'phones.yaml', ...TINY];
  await succeed(overWire, { cwd, program });
  assert.deepEqual(kept(), inProcess);
  assert.ok(server.count('POST /actions') > 0);
  assert.deepEqual([server.made, server.ended, server.killed], [2, 2, 0]);

  const { child, ended } = start([...overWire, '--force'], { cwd, program });
  await until('at work again', () => server.made === 4);
  child.kill('SIGINT');
  assert.equal((await ended).code, 130);
  assert.deepEqual([server.made, server.ended, server.sessions.size], [4, 4, 0]);
});

test('the settings in docs/webdriver.md are valid', async (t) => {
  const cwd = emptyFolder(t);
  const root = fileURLToPath(new URL('../../../../', import.meta.url));
  const page = readFileSync(join(root, 'docs/webdriver.md'), 'utf8');
  const blocks = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text]) => text);
  assert.equal(blocks.length, 4);
  for (const block of blocks) {
    writeFileSync(join(cwd, 'phones.yaml'), block);
    const { stdout } = await succeed(['config', '--config', 'phones.yaml'], { cwd, program });
    assert.match(stdout, /webdriver:/);
    assert.doesNotMatch(stdout, /undefined/);
  }
});

test('critiq doctor reports what it found at the server, and what is missing', async (t) => {
  const cwd = emptyFolder(t);
  const server = await ScriptedServer.start(t, {
    behave: ({ script }) => (script === 'mobile: shell' ? 'insecure' : 'well'),
  });
  writeFileSync(join(cwd, 'tasks.jsonl'), tasksFile());
  writeFileSync(join(cwd, 'phones.yaml'), yaml(server.url));
  const doctor = (...args: string[]) => critiq(['doctor', '--config', 'phones.yaml', ...args], { cwd, program });
  const fine = await doctor();
  assert.match(
    fine.stdout,
    /^fine +device +webdriver: Appium 3\.8\.0 at http:\S+: screen of 270 × 585 pixels; 2 in parallel$/m,
  );
  const lacking = await doctor("device.webdriver.prepare=[{script: 'mobile: shell', args: {command: ls}}]");
  assert.match(lacking.stdout, /^missing +device .*start Appium with --allow-insecure uiautomator2:adb_shell$/m);
  assert.equal(server.sessions.size, 0);
  await server.down();
  const away = await doctor();
  assert.match(
    away.stdout,
    /^missing +device +http:\S+: GET \/status: nothing listens there \(ECONNREFUSED\); start the server/m,
  );
});
