/** `critiq represent` with a served VLM and with a local export: resumed, repeated, killed, and with wrong settings. */
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Represent } from '../../pipelines/vlm/represent-settings.js';
import { Random } from '../../src/random.js';
import { contents, critiq, emptyFolder, failedInOneLine, start, succeed } from '../rigs/process.js';
import { program, smallRun, type SmallRun } from '../rigs/vlm/run.js';
import { VllmServer } from '../rigs/vlm/server.js';

const EXPORT = fileURLToPath(new URL('../../../test/fixtures/vlm-onnx', import.meta.url));
const KEY = 'sk-do-not-tell-anybody';

const made = mkdtempSync(join(tmpdir(), 'critiq-vlm-'));
let size: SmallRun;
/** The output of a run without faults, and its calls. */
let expected: { files: Record<string, string>; calls: number; contents: Set<string>; stderr: string };
before(async () => {
  size = await smallRun(made);
  const calm = mkdtempSync(join(made, 'calm-'));
  cpSync(join(made, 'data'), join(calm, 'data'), { recursive: true });
  const server = await VllmServer.start({ after });
  const { stderr } = await succeed(served(server), { cwd: calm, program });
  const asked = server.asked.map(({ content }) => content);
  expected = { files: representations(calm), calls: asked.length, contents: new Set(asked), stderr };
});
after(() => rmSync(made, { recursive: true, force: true }));

/** A folder with a copy of the small run. */
function copied(t: { after(fn: () => void): void }): string {
  const cwd = emptyFolder(t);
  cpSync(join(made, 'data'), join(cwd, 'data'), { recursive: true });
  return cwd;
}

const served = ({ url }: VllmServer, ...more: string[]) => [
  'represent',
  'models.vlm=tiny-llava',
  'represent.backend=vllm',
  'represent.state=true',
  'represent.backoff_ms=5',
  `represent.url=${url}/v1/`,
  ...more,
];

const representations = (cwd: string, run = 'pocket') => contents(join(cwd, 'data', run, 'representations'));

test('each distinct screenshot and action is asked once; other runs ask nothing; another position asks again', async (t) => {
  const { calls, stderr } = expected;
  const rows = size.rows + size.transitions;
  assert.equal(expected.contents.size, calls, 'no content twice');
  assert.ok(calls > 20 && calls < rows, `${calls} calls for ${rows} rows`);
  assert.match(stderr, new RegExp(`represent: ${calls} VLM calls; \\d+ answers from the cache\n`));
  assert.match(stderr, new RegExp(`represent: done \\(2 shards, ${rows} rows`));

  const cwd = copied(t);
  const server = await VllmServer.start(t);
  await succeed(served(server), { cwd, program });
  const again = await succeed(served(server, 'represent.concurrency=2', 'represent.retries=1'), { cwd, program });
  assert.match(again.stderr, /represent: up to date/, 'the limits of requests do not matter');
  for (const name of ['trajectories', 'candidates', 'images']) {
    cpSync(join(cwd, 'data/pocket', name), join(cwd, 'data/second', name), { recursive: true });
  }
  const other = await succeed(served(server, 'run=second'), { cwd, program });
  assert.match(other.stderr, /represent: 0 VLM calls; /);
  assert.equal(server.asked.length, calls);
  assert.deepEqual(representations(cwd, 'second'), expected.files);

  await succeed([...served(server, 'represent.position=prompt'), '--redo'], { cwd, program });
  assert.equal(server.asked.length, 2 * calls);
  assert.notDeepEqual(representations(cwd), expected.files);
});

test('the server crashes repeatedly, and critiq is killed: the same bytes as an uninterrupted run', async (t) => {
  const cwd = copied(t);
  const random = new Random(0, 'moments');
  const server = await VllmServer.start(t, { delayMs: 10 });
  const going = { on: true, downs: 0 };
  const unrest = (async () => {
    while (going.on) {
      await sleep(80 + random.int(120));
      await server.kill();
      going.downs++;
      await sleep(10 + random.int(50));
      await server.listen();
    }
  })();
  t.after(() => (going.on = false));
  let kills = 0;
  const args = served(server, 'represent.concurrency=2', 'represent.retries=100', '--quiet');
  for (let ready = false; !ready;) {
    const { child, ended } = start(args, { cwd, program });
    ended.then(
      () => (ready = true),
      () => {},
    );
    // every process makes progress: it is killed at a random answer, or a moment later
    const enough = server.answered.length + 5 + random.int(40);
    while (!ready && server.answered.length < enough) await sleep(3);
    await sleep(random.int(20));
    child.kill('SIGKILL');
    const { killed, code, stderr } = await ended;
    ready = killed === null;
    if (killed) kills++;
    else assert.equal(code, 0, stderr);
  }
  going.on = false;
  await unrest;
  t.diagnostic(`${kills} kills of critiq, ${going.downs} of the server`);
  assert.ok(kills >= 2, `killed only ${kills} times`);
  assert.ok(going.downs >= 5, `only ${going.downs} server crashes`);
  assert.deepEqual(representations(cwd), expected.files);
  const distinct = expected.calls;
  assert.equal(new Set(server.answered).size, distinct);
  // only answers in flight at a crash are lost
  const lost = server.answered.length - distinct;
  assert.ok(lost <= 2 * (kills + going.downs), `${lost} answers were lost by ${kills} kills`);
});

test('an unreachable server ends the stage with one line; when it is back, the remaining questions are asked', async (t) => {
  const cwd = copied(t);
  const half = await VllmServer.start(t, { behave: () => (half.answered.length < 10 ? 'well' : 'broken') });
  const args = (server: VllmServer) => served(server, 'represent.retries=1', '--quiet');
  failedInOneLine(
    await critiq(args(half), { cwd, program }),
    1,
    /v1\/embeddings: no usable answer in 2 tries; .*500: Engine/,
  );
  assert.equal(half.answered.length, 10);
  await half.kill();
  failedInOneLine(
    await critiq(args(half), { cwd, program }),
    1,
    /could not be reached \(ECONNREFUSED\); check the server/,
  );
  const back = await VllmServer.start(t);
  await succeed(args(back), { cwd, program });
  assert.equal(back.asked.length, expected.calls - 10);
  assert.deepEqual(representations(cwd), expected.files);
});

test('Ctrl-C stops at once, and no answer is lost', async (t) => {
  const cwd = copied(t);
  const server = await VllmServer.start(t, { behave: () => (server.answered.length < 5 ? 'well' : 'hang') });
  const { child, ended } = start(served(server, '--quiet'), { cwd, program });
  while (server.answered.length < 5) await sleep(5);
  await sleep(50);
  child.kill('SIGINT');
  const { code, stderr } = await ended;
  assert.equal(code, 130);
  assert.match(stderr, /^critiq: stopped by SIGINT; [^\n]+\n$/);
  const rest = await VllmServer.start(t);
  await succeed(served(rest), { cwd, program });
  assert.equal(rest.asked.length, expected.calls - 5);
  assert.deepEqual(representations(cwd), expected.files);
});

test('the API key is sent to the server and appears nowhere else', async (t) => {
  const cwd = copied(t);
  const args = ['represent.api_key_env=MY_KEY', '--verbose'];
  const env = process.env;
  env.MY_KEY = KEY;
  t.after(() => delete env.MY_KEY);
  const refusing = await VllmServer.start(t, { behave: () => 'no key' });
  const refused = await critiq(served(refusing, ...args), { cwd, program });
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /answered 401: Unauthorized: \*\*\*; check the key in the environment variable MY_KEY/);
  const server = await VllmServer.start(t);
  const done = await succeed(served(server, ...args), { cwd, program });
  assert.ok(server.asked.every(({ key }) => key === KEY));
  for (const text of [refused, done].flatMap(({ stdout, stderr }) => [stdout, stderr])) assert.ok(!text.includes(KEY));
  const files = readdirSync(cwd, { recursive: true }).map((name) => join(cwd, String(name)));
  for (const file of files.filter((path) => statSync(path).isFile())) {
    assert.equal(readFileSync(file).indexOf(KEY), -1, file);
  }
});

test('a local export: the same vectors from the graph and from the cache', async (t) => {
  const cwd = copied(t);
  const args = ['represent', `models.vlm=${EXPORT}`, 'represent.backend=onnx'];
  const first = await succeed(args, { cwd, program });
  const [, calls] = /represent: (\d+) VLM calls/.exec(first.stderr)!;
  assert.ok(Number(calls) > 20);
  const files = representations(cwd);
  const again = await succeed([...args, '--force'], { cwd, program });
  assert.match(again.stderr, /represent: 0 VLM calls/);
  assert.deepEqual(representations(cwd), files);
});

test('settings that cannot work do not remove the representations', async (t) => {
  const cwd = copied(t);
  const server = await VllmServer.start(t);
  await succeed(served(server), { cwd, program });
  for (const wrong of ['represent.answer=generated', 'represent.backend=onnx', 'represent.backend=pocket']) {
    const { code, stderr } = await critiq([...served(server, wrong), '--quiet', '--no-deps'], { cwd, program });
    assert.equal(code, 2, stderr);
    assert.deepEqual(representations(cwd), expected.files, wrong);
  }
});

test('impossible combinations of settings are rejected with one line', async (t) => {
  const cwd = copied(t);
  cpSync(join(cwd, 'data/pocket/trajectories'), join(cwd, 'data/pocket/image-vectors'), { recursive: true });
  const record = readFileSync(join(cwd, 'data/pocket/run.json'));
  const server = await VllmServer.start(t);
  const refused: [string[], RegExp][] = [
    [['models.vlm=tiny-llava'], /the VLM of this run is "tiny-llava", which represent\.backend=pocket cannot run; set/],
    [
      ['models.vlm=tiny-llava', 'represent.backend=onnx'],
      /is only a server's name, and represent\.backend=onnx reads files/,
    ],
    [
      ['models.vlm=./nothing', 'represent.backend=vllm'],
      /\.\/nothing: no such folder; expected the folder of a VLM, or/,
    ],
    [['models.vlm=./data', 'represent.backend=vllm'], /data: expected the folder of a VLM, with config\.json/],
    [served(server, 'represent.answer=generated').slice(1), /represent\.answer=generated: needs represent\.chat_url/],
    [
      served(server, 'models.vlm=other').slice(1),
      /answered 404: The model `other` does not exist; check represent\.url/,
    ],
  ];
  for (const [args, says] of refused) {
    // each with the settings that the run was made with
    writeFileSync(join(cwd, 'data/pocket/run.json'), record);
    const ended = await critiq(['represent', '--redo', '--quiet', ...args], { cwd, program });
    // a replaced VLM that could not be built is told in a line of its own
    failedInOneLine({ ...ended, stderr: ended.stderr.replace(/^warning: vlm: not finished; .*\n/gm, '') }, 2, says);
  }
  for (const url of ['localhost:8000', 'http://me:secret@host', 'file:///etc/passwd', '']) {
    assert.ok(!Represent.safeParse({ url }).success, url);
  }
});
