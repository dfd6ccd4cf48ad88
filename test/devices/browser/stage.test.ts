/** The command line on the web tasks of examples/web, with a third-party agent. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readTransitions } from '../../../pipelines/datasets.js';
import { formatAction } from '../../../src/agents/grammar.js';
import { readTaskList } from '../../../src/data/task-list.js';
import type { Action } from '../../../src/data/action.js';
import { Random } from '../../../src/random.js';
import { browserTest, WEB } from '../../rigs/browser/rig.js';
import { contents, emptyFolder, succeed } from '../../rigs/process.js';
import { MODEL, ServedServer } from '../../rigs/served/server.js';
import { BOOK, colour, fill, letterOf, menuEntry, OPEN_MENU, Reader } from '../../rigs/browser/agents.js';

const program = fileURLToPath(new URL('../../../src/cli/main.js', import.meta.url));
const list = readTaskList(join(WEB, 'tasks.jsonl'));

/** The actions for each task: the first task of each kind is solved, the second one is not. */
const SCRIPTS: Readonly<Record<string, (seed: number) => Action[]>> = {
  'menu-teal': (seed) => [OPEN_MENU, menuEntry(seed, 'Colour'), colour(seed, 'teal')],
  'menu-brown': (seed) => [OPEN_MENU, menuEntry(seed, 'Colour'), colour(seed, 'red')],
  'form-grace': (seed) => [
    ...fill(seed, 'name', 'Grace'),
    ...fill(seed, 'guests', '4'),
    ...fill(seed, 'mail', 'grace@example.org'),
    BOOK,
  ],
  'form-alan': (seed) => [
    ...fill(seed, 'name', 'Alan'),
    ...fill(seed, 'guests', '12'),
    ...fill(seed, 'mail', 'alan@example.com'),
    BOOK,
  ],
  'list-noor': (seed) => new Reader().keep(letterOf(seed)),
  'list-eli': (seed) => new Reader().keep(letterOf(seed) + 1),
};
const solved = (task: string): boolean => ['menu-teal', 'form-grace', 'list-noor'].includes(task);

/** An agent that knows the seeds of `critiq eval`, whose n-th episode is the list's n-th task. */
function agent(t: { after(fn: () => unknown): void }): Promise<ServedServer> {
  const taken = new Map<string, number>();
  return ServedServer.start(t, {
    answer: ({ text }) => {
      const n = list.findIndex((task) => text.includes(task.text));
      const { id } = list[n];
      const step = taken.get(id) ?? 0;
      taken.set(id, step + 1);
      const seed = new Random(0, 'eval', 'test', n).int(2 ** 31);
      return `I go on.\n${formatAction(SCRIPTS[id](seed)[step] ?? { type: 'STATUS_TASK_COMPLETE' })}`;
    },
  });
}

const settings = (url: string, devices: number): string[] => [
  'eval.agent=served',
  `eval.episodes=${list.length}`,
  'served.format=autoui',
  `served.model=${MODEL}`,
  `served.url=${url}`,
  'device.backend=browser',
  `device.count=${devices}`,
  `device.browser.folder=${WEB}`,
  'device.browser.await_release=true',
  `tasks.train_file=${join(WEB, 'tasks.jsonl')}`,
  `tasks.test_file=${join(WEB, 'tasks.jsonl')}`,
  'tasks.max_steps=16',
];

/** The episodes' rewards by task. */
async function ends(folder: string): Promise<Record<string, number>> {
  const rows = await readTransitions(folder, 'eval', ['trajectory', 'trajectoryReward', 'done']);
  return Object.fromEntries(
    rows
      .filter(({ done }) => done)
      .map(({ trajectory, trajectoryReward }) => [list[Number(trajectory)].id, trajectoryReward]),
  );
}

const wanted = Object.fromEntries(list.map(({ id }) => [id, solved(id) ? 1 : 0]));

browserTest('eval takes successes from the page; one session and three write the same bytes', async (t) => {
  const kept = [];
  for (const devices of [1, 3]) {
    const cwd = emptyFolder(t);
    const server = await agent(t);
    await succeed(['eval', ...settings(server.url, devices)], { cwd, program });
    const folder = join(cwd, 'data/pocket/eval/served-tiny-agent-test-greedy');
    assert.deepEqual(await ends(folder), wanted);
    const result = JSON.parse(readFileSync(join(folder, '_result.json'), 'utf8')) as Record<string, unknown>;
    assert.deepEqual([result.successes, result.episodes], [3, 6]);
    kept.push(Object.entries(contents(join(cwd, 'data/pocket'))).filter(([name]) => /\.(parquet|png)$/.test(name)));
  }
  assert.ok(kept[0].length > 20, 'with its screenshots');
  assert.deepEqual(kept[1], kept[0]);
});
