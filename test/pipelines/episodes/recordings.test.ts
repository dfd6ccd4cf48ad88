/** Recordings from the command line: which are kept, and what happens when a run is killed or repeated, or videos are made later. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { contents, critiq, emptyFolder, failedInOneLine, start, succeed, until } from '../../rigs/process.js';
import { flawless, testEpisodes } from '../../rigs/served/script.js';
import { MODEL, ServedServer, type Asked } from '../../rigs/served/server.js';

const program = fileURLToPath(new URL('../../../src/cli/main.js', import.meta.url));
const EPISODES = 6;
const NAME = 'eval/served-tiny-agent-test-greedy';

const episodes = testEpisodes(EPISODES);
const script = flawless('autoui', episodes);

/** A server that solves every other task. */
async function serve(t: { after(fn: () => unknown): void }) {
  const solve = await script;
  const hopeless = ({ text }: Asked) => episodes.some(({ task }, n) => n % 2 === 1 && text.includes(task.text));
  return ServedServer.start(t, { answer: (asked) => (hopeless(asked) ? 'Hm.' : (solve(asked) ?? 'Hm.')) });
}

const evaluating = (server: ServedServer, ...more: string[]) => [
  'eval',
  'eval.agent=served',
  `served.model=${MODEL}`,
  `served.url=${server.url}`,
  'served.format=autoui',
  `eval.episodes=${EPISODES}`,
  'eval.shard=3',
  'device.count=2',
  'tasks.max_steps=12',
  'recordings.fps=2',
  'recordings.width=100',
  ...more,
];

const folder = (cwd: string) => join(cwd, 'data/pocket/recordings', NAME);
const recorded = (cwd: string): string[] => (existsSync(folder(cwd)) ? readdirSync(folder(cwd)).sort() : []);
const all = episodes.map((_, n) => `00000${n}.webm`);
const failures = all.filter((_, n) => n % 2 === 1);

test('failures only, all, or none; the rest later, by number, in another format', async (t) => {
  const server = await serve(t);
  const cwd = emptyFolder(t);
  const where = { cwd, program };
  await succeed(evaluating(server, 'recordings.keep=failures'), where);
  assert.deepEqual(recorded(cwd), failures);
  const asked = server.asked.length;

  const record = (...more: string[]) => [
    'record',
    '--dataset',
    NAME,
    'recordings.fps=2',
    'recordings.width=100',
    ...more,
  ];
  const { stderr } = await succeed(record(), where);
  assert.match(
    stderr,
    /record: 3 videos made, 3 already there: data\/pocket\/recordings\/eval\/served-tiny-agent-test-greedy/,
  );
  assert.deepEqual(recorded(cwd), all);
  const before = contents(folder(cwd));
  await succeed(record('--force'), where);
  assert.deepEqual(contents(folder(cwd)), before, 'the same episodes, the same bytes');
  await succeed(record('--force', '--failures', '--episodes', '0-1,5', 'recordings.format=webp'), where);
  assert.deepEqual(recorded(cwd), ['000000.webm', '000001.webp', '000002.webm', '000003.webm', '000004.webm', '000005.webp']); // prettier-ignore
  assert.equal(server.asked.length, asked, 'no episode is run for it');

  for (const [args, line] of [
    [record('--episodes', '3..4'), /--episodes: expected numbers and ranges such as 3,7,10-20, got "3\.\.4"/],
    [['record'], /trajectories: no episodes; choose a --dataset that demos, collect or eval built/],
  ] as const) {
    failedInOneLine(await critiq([...args], where), 2, line);
  }

  // recordings are no output of a stage: they cause no rebuild, and rebuilt episodes are recorded again
  const { stderr: same } = await succeed(evaluating(server, 'recordings.keep=all'), where);
  assert.match(same, /up to date/);
  await succeed(evaluating(server, 'recordings.keep=failures', 'seed=0', '--force'), where);
  assert.deepEqual(recorded(cwd), failures, 'the old ones are gone');
});

test('a killed run loses unfinished recordings and makes them when it resumes', async (t) => {
  const server = await serve(t);
  const undisturbed = emptyFolder(t);
  await succeed(evaluating(server, 'recordings.keep=all'), { cwd: undisturbed, program });
  assert.deepEqual(recorded(undisturbed), all);
  const cwd = emptyFolder(t);
  const args = evaluating(server, 'recordings.keep=all', 'device.count=1');
  for (const least of [1, 2]) {
    const { child, ended } = start(args, { cwd, program });
    await until(() => recorded(cwd).filter((name) => !name.endsWith('.tmp')).length >= least, `${least} recordings`);
    child.kill('SIGKILL');
    await ended;
  }
  // an episode may be in the journal without its recording
  await succeed(args, { cwd, program });
  assert.deepEqual(contents(folder(cwd)), contents(folder(undisturbed)));
});

test('a recording that fails is a warning and nothing more', async (t) => {
  const server = await serve(t);
  const cwd = emptyFolder(t);
  mkdirSync(join(folder(cwd), '.000001.webm.tmp'), { recursive: true });
  const args = evaluating(server, 'recordings.keep=all', 'eval.episodes=2', 'eval.shard=2', 'tasks.max_steps=6');
  const { stderr } = await succeed(args, { cwd, program });
  assert.match(stderr, /warning: .*episode 000001 not recorded: .*000001\.webm: cannot be written/);
  assert.match(stderr, /warning: .*: 1 episode not recorded\n/);
  assert.ok(recorded(cwd).includes('000000.webm'));
});
