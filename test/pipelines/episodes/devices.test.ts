/** Stages on a pool of devices: which device settings matter, and how faults are reported. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { disturbedEpisodes, outOfOrder } from '../../../pipelines/episodes/episode-faults.js';
import { judgedEpisodes } from '../../../pipelines/episodes/episodes.js';
import type { LostEpisode } from '../../../src/agents/rollout.js';
import type { Episode } from '../../../src/data/store/journal.js';
import { openDataset } from '../../../src/data/store/manifest.js';
import { contents, critiq, emptyFolder, failedInOneLine, succeed } from '../../rigs/process.js';

const program = fileURLToPath(new URL('../../../src/cli/main.js', import.meta.url));
const DEMOS = ['demos', 'demos.episodes=6', 'demos.shard=3', 'tasks.max_steps=4'];

test('the number of devices and the time limits change no result and rebuild nothing', async (t) => {
  const [one, many] = [emptyFolder(t), emptyFolder(t)];
  await succeed([...DEMOS, 'device.count=1'], { cwd: one, program });
  await succeed([...DEMOS, 'device.count=3', 'device.deadline_ms=20000', 'device.attempts=1'], { cwd: many, program });
  const made = contents(join(one, 'data/pocket/demos'));
  assert.ok(Object.keys(made).length > 2);
  assert.deepEqual(contents(join(many, 'data/pocket/demos')), made);
  const { stdout, stderr } = await succeed([...DEMOS, 'device.count=2', 'device.give_up_after=1'], {
    cwd: one,
    program,
  });
  assert.match(stdout + stderr, /demos: up to date/);
});

test('a wrong backend does not remove the demonstrations', async (t) => {
  const cwd = emptyFolder(t);
  await succeed(DEMOS, { cwd, program });
  const made = contents(join(cwd, 'data/pocket/demos'));
  const wrong = await critiq([...DEMOS, 'device.backend=browser'], { cwd, program });
  failedInOneLine(wrong, 2, /device\.backend=browser: demonstrations exist only for the embedded phone/);
  assert.deepEqual(contents(join(cwd, 'data/pocket/demos')), made);
});

const fault = { device: 'phone-1', call: 'act', step: 2, applied: 'unknown', reason: 'socket hang up' } as const;
const episode = (name: string, faults?: Episode['faults']) => ({ episode: name, ...(faults && { faults }) }) as Episode;
const lostEpisode = (name: string): LostEpisode => ({
  episode: name,
  task: 't',
  faults: [fault, { ...fault, call: 'reset' }],
});

function logged() {
  const lines: string[] = [];
  const at = (level: string) => (line: string) => void lines.push(`${level} ${line}`);
  return { lines, log: { debug: at('debug'), info: at('info'), warn: at('warn') } };
}

test('restarted and lost episodes are listed for the manifest and logged; nothing is logged without faults', () => {
  const { lines, log } = logged();
  assert.deepEqual(disturbedEpisodes([episode('0'), episode('1')], [], { planned: 2, log }), {});
  assert.deepEqual(lines, []);
  const lost = Array.from({ length: 12 }, (_, i) => lostEpisode(`l${i}`));
  const facts = disturbedEpisodes([episode('0'), episode('1', [fault])], lost, { planned: 14, log });
  assert.deepEqual(facts, { repeated: [{ episode: '1', faults: [fault] }], lost });
  assert.deepEqual(lines, [
    'info 1 episode restarted after device faults: 1',
    'warn 12 episodes lost to device faults and not counted: l0, l1, l2, l3, l4, l5, l6, l7, l8, l9 and 2 more (last fault of l0: phone-1: reset: socket hang up)',
  ]);
});

test('a shard that lost all its episodes fails', () => {
  const { log } = logged();
  assert.throws(() => disturbedEpisodes([], [lostEpisode('a'), lostEpisode('b')], { planned: 2, log }), {
    name: 'RunError',
    message: /^all episodes of a shard \(2\) were lost .*socket hang up.*run the same command again$/,
  });
});

test('an evaluation collects the lost episodes of all its shards', async (t) => {
  const folder = emptyFolder(t);
  const set = await openDataset(folder);
  const { log } = logged();
  for (const [shard, names] of [
    ['00000', ['a', 'b']],
    ['00001', []],
    ['00002', ['c']],
  ] as const) {
    const disturbed = disturbedEpisodes([], names.map(lostEpisode), { planned: 5, log });
    const facts = { episodes: 5 - names.length, successes: 1, unknown: [], ...disturbed };
    await set.commit({ shard, files: [], inputs: '', settings: '', facts });
  }
  assert.deepEqual(await judgedEpisodes(folder, 'eval'), { unknown: [], lost: ['a', 'b', 'c'], judged: 12 });
});

test('the progress line shows devices out of order', () => {
  const status = { working: 5, free: 0, opening: 1, resting: 0, givenUp: 0 };
  assert.equal(outOfOrder({ count: 8, status }), '');
  assert.equal(outOfOrder({ count: 8, status: { ...status, resting: 2 } }), '2 of 8 devices out of order');
  assert.equal(
    outOfOrder({ count: 8, status: { ...status, resting: 1, givenUp: 1 } }),
    '2 of 8 devices out of order, 1 for good',
  );
});
