/** Third-party agents, evaluated from the command line on the embedded phone. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readTransitions } from '../../../pipelines/datasets.js';
import { SERVED_FORMATS, type ServedFormatName } from '../../../src/agents/served/formats.js';
import { isValidAction } from '../../../src/agents/grammar.js';
import { ImageVectors } from '../../../src/data/image-vectors.js';
import { openDataset } from '../../../src/data/store/manifest.js';
import { readTable } from '../../../src/data/tables.js';
import { TRANSITIONS } from '../../../src/data/transitions.js';
import { readFolder } from '../../rigs/folder-reader.js';
import { contents, critiq, emptyFolder, failedInOneLine, succeed } from '../../rigs/process.js';
import { flawless, testEpisodes } from '../../rigs/served/script.js';
import { FAULTS_THAT_PASS, MODEL, ServedServer, type Asked, type Behaviour } from '../../rigs/served/server.js';

const program = fileURLToPath(new URL('../../../src/cli/main.js', import.meta.url));
const EPISODES = 6;
const KEY = 'sk-very-secret-0815';
process.env.CRITIQ_TEST_SERVED_KEY = KEY;

const asking = (server: { url: string }, format: ServedFormatName, ...more: string[]) => [
  'eval.agent=served',
  `served.model=${MODEL}`,
  `served.url=${server.url}/v1`,
  `served.format=${format}`,
  'served.api_key_env=CRITIQ_TEST_SERVED_KEY',
  'served.backoff_ms=1',
  'served.timeout_ms=2000',
  `eval.episodes=${EPISODES}`,
  'eval.shard=3',
  'device.count=3',
  'tasks.max_steps=16',
  ...more,
];

const episodes = testEpisodes(EPISODES);
/** Every other task is solved; in the rest the agent never answers with a valid action. */
const hopeless = (text: string) => episodes.some(({ task }, n) => n % 2 === 1 && text.includes(task.text));

/** Invalid answers: nonsense, a refusal, half an answer, a point off the screen. */
const POOR: Readonly<Record<ServedFormatName, readonly string[]>> = {
  autoui: ['Roses are red.', "I'm sorry, I can't help with that.", 'Action Plan: [DUAL_POINT]; Action Dec', 'Action Plan: [DUAL_POINT]; Action Decision: "action_type": "DUAL_POINT", "touch_point": "[1.5, 0.2]", "lift_point": "[1.5, 0.2]", "typed_text": ""'], // prettier-ignore
  cogagent: ['Roses are red.', "I'm sorry, I can't help with that.", 'Action: Touch.\nGrounded Operation: CLICK(box=[[1', 'Grounded Operation: CLICK(box=[[1,2,3,4000]])'], // prettier-ignore
  mobile_use: ['Roses are red.', "I'm sorry, I can't help with that.", '<tool_call>{"name": "mobile_use", "arg', '<tool_call>{"name": "mobile_use", "arguments": {"action": "click", "coordinate": [999, 9]}}</tool_call>'], // prettier-ignore
  ui_tars: ['Roses are red.', "I'm sorry, I can't help with that.", "Thought: I touch.\nAction: click(start_box='(1", "Thought: I.\nAction: click(start_box='(999,9)')"], // prettier-ignore
};

async function answers(format: ServedFormatName) {
  const script = await flawless(format, episodes);
  // depends only on the prompt, so that the same question gets the same answer
  const poor = ({ text }: Asked): string =>
    POOR[format][createHash('sha1').update(text).digest()[0] % POOR[format].length];
  return (asked: Asked): string => (hopeless(asked.text) ? undefined : script(asked)) ?? poor(asked);
}

async function evaluated(cwd: string) {
  const folder = join(cwd, 'data/pocket/eval/served-tiny-agent-test-greedy');
  const { shards } = await openDataset(folder);
  const rows = await readTransitions(folder, 'eval');
  const lines = shards.flatMap(({ shard }) =>
    readFileSync(join(folder, `_answers-${shard}.jsonl`), 'utf8')
      .trim()
      .split('\n'),
  );
  const said = lines.map(
    (line) => JSON.parse(line) as { trajectory: string; step: number; action: string; answer: string },
  );
  const result = JSON.parse(readFileSync(join(folder, '_result.json'), 'utf8')) as Record<string, unknown>;
  return { folder, rows, said, result, shards };
}

for (const format of Object.keys(SERVED_FORMATS) as ServedFormatName[]) {
  test(`${format}: solved tasks succeed, invalid answers fail, and no policy is built`, async (t) => {
    const server = await ServedServer.start(t, { answer: await answers(format) });
    const cwd = emptyFolder(t);
    const { stderr } = await succeed(['eval', ...asking(server, format)], { cwd, program });
    const { rows, said, result } = await evaluated(cwd);
    const ends = rows.filter(({ done }) => done);
    assert.deepEqual(
      ends.map(({ trajectory, trajectoryReward }) => [Number(trajectory), trajectoryReward]),
      episodes.map((_, n) => [n, n % 2 === 0 ? 1 : 0]),
    );
    assert.equal(result.policy, 'served-tiny-agent');
    assert.equal(result.mode, 'greedy');
    assert.equal(result.successes, EPISODES / 2);
    const invalid = rows.filter(({ action }) => !isValidAction(action));
    assert.equal(result.invalid_steps, invalid.length);
    assert.equal(invalid.length, (EPISODES / 2) * 16, 'each invalid answer is a step of the episode');
    for (const { action, image, nextImage } of invalid) {
      assert.match(action, /^invalid answer: /);
      assert.equal(image, nextImage, 'the phone did nothing');
    }
    // answers are stored in full
    assert.equal(said.length, server.asked.length);
    assert.ok(said.some(({ answer }) => POOR[format].includes(answer)));
    const compound = rows.length - said.length;
    if (format === 'cogagent' || format === 'ui_tars') assert.ok(compound > 0, 'some answers take several steps');
    else assert.equal(compound, 0);
    assert.match(stderr, new RegExp(`served agent: ${said.length} answers, ${invalid.length} invalid\n`));
    assert.match(stderr, new RegExp(`invalid answer from ${MODEL}: `));
    assert.ok(!existsSync(join(cwd, 'data/pocket/policy')), 'no policy was needed');
    for (const { body, headers } of server.asked) {
      assert.equal(headers.authorization, `Bearer ${KEY}`);
      assert.equal(body.model, MODEL);
      assert.equal(body.temperature, 0);
      assert.equal(body.seed, undefined, 'greedy sampling needs no seed');
    }
    assert.doesNotMatch(stderr, new RegExp(KEY));
  });
}

test('temporary faults change nothing; the limit of parallel requests holds', async (t) => {
  const answer = await answers('mobile_use');
  const calm = await ServedServer.start(t, { answer });
  const undisturbed = emptyFolder(t);
  await succeed(['eval', ...asking(calm, 'mobile_use', 'served.concurrency=2')], { cwd: undisturbed, program });
  assert.ok(calm.mostAtATime <= 2, String(calm.mostAtATime));
  let n = 0;
  const server = await ServedServer.start(t, {
    answer,
    // a hung request takes the whole timeout, so there are few of them
    behave: (_, nth) => {
      const fault = FAULTS_THAT_PASS[n++ % (8 * FAULTS_THAT_PASS.length)] as Behaviour | undefined;
      return nth === 0 && fault ? fault : 'well';
    },
  });
  const cwd = emptyFolder(t);
  await succeed(['eval', ...asking(server, 'mobile_use')], { cwd, program });
  const bytes = (folder: string) =>
    Object.entries(contents(join(folder, 'data/pocket/eval'))).filter(([name]) => !name.endsWith('_plan.json'));
  assert.ok(server.asked.length > calm.asked.length);
  assert.deepEqual(bytes(cwd), bytes(undisturbed));
});

test('a permanent server failure ends the run; the same command resumes and repeats no episode', async (t) => {
  const answer = await answers('mobile_use');
  let broken = true;
  const server = await ServedServer.start(t, {
    answer,
    behave: ({ text }) => (broken && text.includes(episodes[4].task.text) ? 'broken' : 'well'),
  });
  const cwd = emptyFolder(t);
  const args = ['eval', ...asking(server, 'mobile_use', 'served.retries=1', 'device.count=1')];
  const failed = await critiq(args, { cwd, program });
  assert.equal(failed.code, 1);
  assert.match(
    failed.stderr,
    /critiq: http:\/\/127.0.0.1:\d+\/v1\/chat\/completions: no usable answer in 2 tries; .*500.*served\.url/,
  );
  const first = server.asked.filter(({ text }) => text.includes(episodes[0].task.text)).length;
  assert.ok(first > 0);
  broken = false;
  await succeed(args, { cwd, program });
  assert.equal(server.asked.filter(({ text }) => text.includes(episodes[0].task.text)).length, first);
  const { result } = await evaluated(cwd);
  assert.equal(result.successes, EPISODES / 2);
});

test('a single refused request loses its episode, which is listed and not counted', async (t) => {
  const server = await ServedServer.start(t, {
    answer: await answers('mobile_use'),
    behave: ({ text }) =>
      text.includes(episodes[2].task.text) && text.includes('Step 3:') ? 'too long a prompt' : 'well',
  });
  const cwd = emptyFolder(t);
  const { stderr } = await succeed(['eval', ...asking(server, 'mobile_use', 'device.count=1')], { cwd, program });
  const { result, shards } = await evaluated(cwd);
  assert.deepEqual(result.lost, ['000002']);
  assert.equal(result.episodes, EPISODES - 1);
  assert.match(
    stderr,
    /1 episode lost to refusals by the agent's server and not counted: 000002 .*maximum context length/,
  );
  assert.match(stderr, /1 episode without a result: run the same command with --force /);
  const [{ lost }] = shards.map(({ facts }) => facts as { lost?: { faults: { call: string; step: number }[] }[] });
  assert.deepEqual(
    lost![0].faults.map(({ call, step }) => [call, step]),
    [['agent', 3]],
    'once, not three times',
  );
});

test('wrong settings end the run with one line, before or at the first request', async (t) => {
  const answer = () => 'x';
  const refusing = await ServedServer.start(t, { answer, behave: () => 'no key' });
  // a new run each time: a run keeps the settings of the command that made it
  const fails = async (args: readonly string[], line: RegExp) =>
    failedInOneLine(await critiq(['eval', ...args, '--quiet'], { cwd: emptyFolder(t), program }), 2, line);
  await fails(asking(refusing, 'ui_tars'), /401.*\*\*\*.*check the key in .*CRITIQ_TEST_SERVED_KEY/);
  await fails(['eval.agent=served'], /needs served\.model/);
  await fails(
    asking(refusing, 'ui_tars', 'served.template=nowhere.yaml'),
    /served\.template=nowhere\.yaml: cannot be read \(ENOENT\)/,
  );
  await fails(asking(refusing, 'ui_tars', 'served.body={stream: true}'), /served\.body\.stream/);
  await fails(asking(refusing, 'ui_tars', 'served.min_pixels=2000', 'served.max_pixels=1500'), /min_pixels=2000/);
});

test('a truncated answer is invalid', async (t) => {
  const server = await ServedServer.start(t, { answer: await answers('ui_tars'), behave: () => 'length' });
  const cwd = emptyFolder(t);
  const args = asking(server, 'ui_tars', 'eval.episodes=1', 'tasks.max_steps=3');
  const { stderr } = await succeed(['eval', ...args], { cwd, program });
  const { result } = await evaluated(cwd);
  assert.equal(result.invalid_steps, 3);
  assert.match(stderr, /cut off at served\.max_tokens: /);
});

test('critiq doctor checks the served agent without asking it', async (t) => {
  const server = await ServedServer.start(t, { answer: () => 'x' });
  const cwd = emptyFolder(t);
  const line = async (...args: string[]) => {
    const { stdout } = await critiq(['doctor', '--json', ...args], { cwd, program });
    return (JSON.parse(stdout) as { what: string; state: string; line: string }[]).find(
      ({ what }) => what === 'served',
    )!;
  };
  assert.equal((await line()).state, 'fine');
  const fine = await line(...asking(server, 'ui_tars'));
  assert.equal(fine.state, 'fine', fine.line);
  assert.match(fine.line, /serves lab\/tiny-agent; answer format ui_tars, 5 screens per question; used by eval$/);
  const other = await line(...asking(server, 'ui_tars'), 'served.model=another');
  assert.equal(other.state, 'note');
  assert.match(other.line, /not another: set served\.model/);
  const closed = createServer();
  await new Promise<void>((resolve) => closed.listen(0, '127.0.0.1', resolve));
  const { port } = closed.address() as AddressInfo;
  await new Promise((resolve) => closed.close(resolve));
  const gone = await line(...asking({ url: `http://127.0.0.1:${port}` }, 'ui_tars'));
  assert.equal(gone.state, 'missing');
  assert.match(gone.line, /ECONNREFUSED; start the server, or set served\.url/);
  assert.equal(server.asked.length, 0);
});

test("collect with a served agent: its trajectories, with the base policy's image vectors", async (t) => {
  const server = await ServedServer.start(t, { answer: () => POOR.mobile_use[0] });
  const cwd = emptyFolder(t);
  const tiny = ['demos.episodes=4', 'sft.epochs=1', 'sft.batch=8', 'sft.width=16', 'sft.heads=2', 'sft.layers=1', 'sft.feed_forward=16']; // prettier-ignore
  const args = [
    ...asking(server, 'mobile_use', ...tiny, 'tasks.max_steps=2'),
    'collect.agent=served',
    'collect.episodes=3',
  ];
  await succeed(['collect', ...args], { cwd, program });
  const folder = join(cwd, 'data/pocket/trajectories');
  const [{ files }] = (await openDataset(folder)).shards;
  assert.deepEqual(
    files.map(({ file }) => file),
    ['transitions-00000.parquet', '_answers-00000.jsonl'],
  );
  const rows = await readTable(join(folder, 'transitions-00000.parquet'), TRANSITIONS);
  assert.equal(rows.length, 6);
  const readByOthers = await readFolder(folder);
  assert.equal(readByOthers.length, 6, 'the answers do not stand in the way of reading the folder');
  assert.match(String(readByOthers[0].policy), /^served-/);
  const [vectors] = (await openDataset(join(cwd, 'data/pocket/image-vectors'))).files();
  const made = ImageVectors.open([vectors]);
  for (const { image, nextImage } of rows) for (const id of [image, nextImage]) assert.ok(made.has(id), id);
  made.close();
  // the answers beside the transitions do not disturb stages that read trajectories
  await succeed(['candidates', ...args, 'candidates.samples=2', '--no-deps'], { cwd, program });
});
