/**
 * The promise of docs/secrets.md: keys that every server repeats in every encoding are in no file of the data folder, in no
 * output of a command and in no answer of the viewer. Real commands on the embedded phone, from collecting to the report.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { RunFolders } from '../../src/viewer/run-folders.js';
import { openViewer } from '../../src/viewer/server.js';
import { noKeyBelow, noKeyIn } from '../rigs/canary/search.js';
import { EchoServer, MODEL, type Behaviour } from '../rigs/canary/server.js';
import { critiq, emptyFolder } from '../rigs/process.js';
import { TINY_OFFLINE } from '../rigs/tiny-settings.js';

const program = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const key = (client: string): string => `cnr/${client}-4711_"q+Z=z\\9&7Ä`;
const KEYS = {
  CRITIQ_CANARY_SERVED: key('served'),
  CRITIQ_CANARY_JUDGE: key('judge'),
  CRITIQ_CANARY_VLLM: key('vllm'),
  CRITIQ_CANARY_DEVICE: key('device'),
  MLFLOW_TRACKING_TOKEN: key('mlflow'),
};
const SECRETS = Object.values(KEYS);
const TYPED = 'typed-9hT2-on-the-command-line';

const settings = (url: string): string[] => [
  'device.count=4',
  'tasks.max_steps=3',
  'candidates.samples=2',
  ...['demos.episodes=4', 'demos.shard=4', 'sft.epochs=1', 'sft.batch=8', 'sft.width=16', 'sft.heads=2'],
  ...['sft.layers=1', 'sft.feed_forward=16', ...TINY_OFFLINE, 'collect.episodes=4', 'eval.episodes=4'],
  ...['collect.agent=served', 'eval.agent=served', `served.url=${url}`, `served.model=${MODEL}`],
  ...['served.format=ui_tars', 'served.api_key_env=CRITIQ_CANARY_SERVED', 'served.retries=0'],
  ...['judge.kind=openai', `judge.url=${url}`, `judge.model=${MODEL}`, 'judge.api_key_env=CRITIQ_CANARY_JUDGE'],
  ...['judge.declare=ignored', 'judge.retries=0', 'judge.ask=step'],
  ...['represent.backend=vllm', `represent.url=${url}`, `models.vlm=${MODEL}`, 'represent.answer=generated'],
  ...[`represent.chat_url=${url}`, 'represent.api_key_env=CRITIQ_CANARY_VLLM', 'represent.retries=0'],
  ...[
    `mlflow.url=${url}`,
    'mlflow.every_s=0.1',
    'report.evals=[base-test, served-canary-test]',
    'report.compare=[base-test, served-canary-test]',
  ],
];

/** What the servers' models say besides the key. */
function say(asked: string, said: string): string {
  if (asked.includes('logprobs')) return `Yes, ${said}`;
  if (!asked.includes('start_box'))
    return `It shows ${said}.\nStatus: ${asked.length % 2 === 0 ? 'success' : 'failure'}`;
  const action = [`type(content='${said}')`, `fly(to='${said}')`, `click(start_box='(90,90)')`][asked.length % 3];
  return `Thought: ${said}\nAction: ${action}`;
}

test('no key in any file, output or answer, whatever the servers repeat', async (t) => {
  const echo = new EchoServer();
  const url = await echo.start();
  t.after(() => echo.stop());
  echo.say = say;
  Object.assign(process.env, KEYS);
  const cwd = emptyFolder(t);
  const data = join(cwd, 'data');
  const words: string[] = [];
  const run = async (args: readonly string[], code?: number) => {
    const ended = await critiq(args, { cwd, program });
    if (code !== undefined) assert.equal(ended.code, code, `${args.join(' ')}: ${ended.stderr}`);
    const output = `${ended.stdout}\n${ended.stderr}`;
    noKeyIn(output, SECRETS, `critiq ${args.join(' ')}`);
    words.push(output);
    return output;
  };

  // all clients at work: agent, judge, VLM, MLflow
  await run(['report', ...settings(url)], 0);
  const answers = join(data, 'pocket/eval/served-canary-test/_answers-00000.jsonl');
  assert.match(readFileSync(answers, 'utf8'), /Thought: \*\*\*/, 'the servers did repeat the keys');
  assert.ok(noKeyBelow(data, SECRETS) > 50);

  // failing servers
  for (const behaviour of ['JSON error', 'redirect', 'odd'] satisfies Behaviour[]) {
    echo.behaviour = behaviour;
    await run(['eval', 'seed=2', `run=${behaviour.replace(' ', '-')}`, ...settings(url), '--verbose']);
  }
  await run(['log', 'push']);
  echo.behaviour = 'JSON error';
  await run(['doctor', ...settings(url)]);
  const farm = 'device.webdriver.capabilities={"v:options": {"accessKey": "${ENV:CRITIQ_CANARY_DEVICE}"}}';
  const credentials = ['device.webdriver.user_env=HOME', 'device.webdriver.key_env=CRITIQ_CANARY_DEVICE'];
  for (const behaviour of ['good', 'JSON error'] satisfies Behaviour[]) {
    echo.behaviour = behaviour;
    await run(['demos', 'run=farm', 'device.backend=webdriver', `device.webdriver.url=${url}`, 'device.webdriver.server_ms=1', 'device.count=1', farm, ...credentials]); // prettier-ignore
  }

  // what was written on a command line by mistake is neither repeated nor logged
  const typed = [];
  for (const settings of [
    [
      `judge.url=http://me:${TYPED}@127.0.0.1:9`,
      `device.webdriver.capabilities={"v:options": {"accessKey": "${TYPED}"}}`,
    ],
    [`judge.url=http://127.0.0.1:9/?api_key=${TYPED}`, `served.body={"api_key": "${TYPED}"}`],
  ]) {
    const { stderr, stdout, code } = await critiq(['eval', ...settings], { cwd, program });
    assert.equal(code, 2);
    assert.equal(stderr.match(/judge\.url: expected|no key in the settings/g)?.length, 2, stderr);
    typed.push(stderr, stdout);
  }
  noKeyIn(typed.join('\n'), [TYPED], 'an error about a setting');

  // everything that looks at the run
  for (const args of [['config'], ['log', '--json'], ['status', '--why'], ['runs', '--json']]) await run(args, 0);
  await run(['record', '--dataset', 'eval/served-canary-test', 'recordings.format=webp'], 0);
  await run(['compare', 'pocket', 'farm', '--html', join(cwd, 'compared.html')]);
  assert.match(readFileSync(join(data, 'pocket/report.html'), 'utf8'), /<html/);

  const viewer = await openViewer({
    runs: RunFolders.open(data, 'pocket'),
    ...{ host: '127.0.0.1', port: 0, images: undefined, cache: join(cwd, 'pictures') },
    complain: (line) => words.push(line),
  });
  t.after(() => viewer.close());
  const get = async (path: string): Promise<Record<string, unknown>> => {
    const text = await (await fetch(`${new URL(viewer.url).origin}/api/${path}`)).text();
    noKeyIn(text, SECRETS, path);
    return JSON.parse(text) as Record<string, unknown>;
  };
  const page = (await get('runs/pocket/trajectories')) as { rows?: { set: string; id: string }[] };
  assert.ok(page.rows!.length >= 4);
  for (const { set, id } of page.rows!) {
    const named = `set=${encodeURIComponent(set)}&id=${encodeURIComponent(id)}`;
    await get(`runs/pocket/trajectory?${named}`);
    await get(`runs/pocket/state?${named}&step=0`);
  }
  for (const path of [
    'runs',
    'all-runs',
    'runs/pocket',
    'runs/pocket/values',
    'runs/pocket/evaluations',
    'runs/pocket/metrics',
  ])
    await get(path);

  writeFileSync(join(cwd, 'words.txt'), words.join('\n'));
  assert.ok(noKeyBelow(cwd, [...SECRETS, TYPED]) > 60);
  assert.deepEqual(echo.strayed, [], 'no redirect was followed');
});
