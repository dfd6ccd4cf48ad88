/** `critiq eval` and `critiq collect` with a policy: the same data sets on phones in process, through Appium and a Grid. */
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { readResult } from '../../../pipelines/eval.js';
import type { Task } from '../../../src/data/task.js';
import { phoneTasks } from '../../../src/devices/phone/index.js';
import type { WebDriverSettings } from '../../../src/devices/webdriver/settings.js';
import { Random } from '../../../src/random.js';
import { appiumTest, shared } from '../../rigs/appium/shared-rig.js';
import { rigSettings } from '../../rigs/appium/rig-settings.js';
import { Rig, until } from '../../rigs/appium/rig.js';
import { contents, emptyFolder, start, succeed } from '../../rigs/process.js';

const program = fileURLToPath(new URL('../../../src/cli/main.js', import.meta.url));
/** A folder with a policy that was trained, evaluated and used for collecting on phones in process. */
const inProcess = shared(async () => {
  const cwd = mkdtempSync(join(tmpdir(), 'critiq-wire-'));
  await run(cwd, SETTINGS, ['sft'], ['eval'], ['collect']);
  return { cwd, close: async () => rmSync(cwd, { recursive: true, force: true }) };
});

const rig = shared(() => Rig.start({ phones: 2 }));

const SEED = 0;
const EPISODES = { eval: 12, collect: 8 };
/** Settings for a policy that learns to write valid actions and little else. */
const SETTINGS = {
  run: 'wire',
  seed: SEED,
  tasks: { set: 'general', max_steps: 6 },
  judge: { declare: 'ignored' },
  demos: { episodes: 120, noise: 0 },
  sft: { epochs: 10, batch: 8, width: 48, heads: 2, layers: 1, feed_forward: 64, lr: 0.005, warmup: 20 },
  eval: { episodes: EPISODES.eval, temperature: 0.6, name: 'base-test' },
  collect: { episodes: EPISODES.collect, temperature: 0.6 },
};

/** The phone's tasks as files, arranged so that other devices get them in the same order. */
function taskFiles(folder: string): { train_file: string; test_file: string } {
  const set = 'general';
  const write = (name: string, tasks: readonly Task[]) => {
    writeFileSync(join(folder, name), tasks.map((task) => `${JSON.stringify(task)}\n`).join(''));
    return name;
  };
  const test = phoneTasks({ set, split: 'test', seed: new Random(SEED, 'eval').int(2 ** 31) });
  const seed = new Random(SEED, 'collect').int(2 ** 31);
  const train = phoneTasks({ set, split: 'train', count: EPISODES.collect, seed });
  // training tasks from a file are shuffled: write them in the order that the shuffle turns into the phone's
  const order = new Random(seed, 'tasks', 0).shuffled(train.map((_, i) => i));
  const shuffled: Task[] = [];
  order.forEach((from, to) => (shuffled[from] = train[to]));
  return { train_file: write('train.jsonl', shuffled), test_file: write('test.jsonl', test) };
}

/** A folder with the policy, and settings for the rig's devices. */
async function wired(t: TestContext, webdriver: WebDriverSettings): Promise<{ cwd: string; settings: object }> {
  const cwd = emptyFolder(t);
  for (const made of ['policy', 'demos']) {
    const from = join((await inProcess()).cwd, 'data', 'wire', made);
    cpSync(from, join(cwd, 'data', 'wire', made), { recursive: true });
  }
  const device = { backend: 'webdriver', count: 2, webdriver };
  return { cwd, settings: { ...SETTINGS, device, tasks: { ...SETTINGS.tasks, ...taskFiles(cwd) } } };
}

async function run(cwd: string, settings: object, ...stages: readonly (readonly string[])[]): Promise<void> {
  writeFileSync(join(cwd, 'settings.yaml'), JSON.stringify(settings));
  for (const stage of stages) await succeed([...stage, '--config', 'settings.yaml'], { cwd, program });
}

/** The episodes' data: transitions, image vectors, and the result of the evaluation. */
function found(cwd: string): object {
  const data = join(cwd, 'data', 'wire');
  const all = Object.entries(contents(data));
  // without manifests: their fingerprints of the settings differ between devices
  const kept = all.filter(([name]) => /^(eval|trajectories|image-vectors)\/.*\.(parquet|arrow)$/.test(name));
  const { unseen: _, ...result } = readResult(join(data, 'eval', 'base-test'));
  return { ...Object.fromEntries(kept), result };
}

/** The names of the stored screens, which are digests of their pixels. */
function screens(cwd: string): string[] {
  return Object.keys(contents(join(cwd, 'data', 'wire', 'images')));
}

appiumTest(
  'eval and collect give the same data on phones in process, through Appium and a Grid of two nodes',
  async (t) => {
    const { cwd: alone } = await inProcess();
    const expected = found(alone);
    assert.ok(Object.keys(expected).filter((name) => name.endsWith('.parquet')).length === 2);

    const grid = await (await rig()).grid();
    const appium = await (await rig()).appium();
    t.after(() => appium.stop());

    for (const webdriver of [rigSettings(await rig(), appium.url), rigSettings(await rig(), grid, { udids: [] })]) {
      const { cwd, settings } = await wired(t, webdriver);
      const before = (await rig()).phones.map(({ episodes }) => episodes);
      await run(cwd, settings, ['eval', '--no-deps'], ['collect', '--no-deps']);
      assert.deepEqual(found(cwd), expected);
      const known = new Set(screens(alone));
      assert.ok(screens(cwd).length > 20 && screens(cwd).every((name) => known.has(name)));
      // both devices were used, and every episode started once
      const started = (await rig()).phones.map(({ episodes }, i) => episodes - before[i]);
      assert.ok(
        started.every((episodes) => episodes > 0),
        String(started),
      );
      assert.equal(started[0] + started[1], EPISODES.eval + EPISODES.collect);
      for (const set of ['eval/base-test', 'trajectories']) {
        const manifest = readFileSync(join(cwd, 'data', 'wire', set, '_manifest.jsonl'), 'utf8');
        assert.doesNotMatch(manifest, /repeated|lost/);
      }
    }
  },
);

for (const [signal, what, code] of [
  ['SIGINT', 'Ctrl-C ends the sessions but no server', 130],
  ['SIGKILL', 'the sessions of a killed critiq end by their timeout', null],
] as const) {
  appiumTest(what, async (t) => {
    const appium = await (await rig()).appium();
    t.after(() => appium.stop());
    const { phones } = await rig();
    const capabilities = signal === 'SIGKILL' ? { 'appium:newCommandTimeout': 2 } : {};
    const { cwd, settings } = await wired(t, rigSettings(await rig(), appium.url, { capabilities }));
    writeFileSync(join(cwd, 'settings.yaml'), JSON.stringify(settings));
    const taken = () => phones.reduce((sum, phone) => sum + phone.taken.length, 0);
    const before = taken();
    const args = ['eval', '--no-deps', '--config', 'settings.yaml', 'eval.episodes=5000'];
    const { child, ended } = start(args, { cwd, program });
    await until('at work', () => taken() > before + 10, 60_000);
    child.kill(signal);
    assert.equal((await ended).code, code);
    await until('no session', () => phones.every(({ processes }) => !processes.instrumented), 60_000);
    assert.equal((await fetch(`${appium.url}/status`)).status, 200, 'the server still runs');
    const now = taken();
    await sleep(300);
    assert.equal(taken(), now, 'no further input arrives');
  });
}
