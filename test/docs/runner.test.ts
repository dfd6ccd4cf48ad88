/** The rig that runs the docs' commands: what counts as a failure, and whose settings win. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { test, type TestContext } from 'node:test';
import { parsePage } from '../rigs/docs/markdown.js';
import { unitFolder } from '../rigs/docs/prepared.js';
import { runUnit } from '../rigs/docs/shell.js';
import { unitsOf } from '../rigs/docs/units.js';

/** What becomes of the only unit of a page. @param lines of the page */
async function run(t: TestContext, ...lines: string[]): Promise<string | undefined> {
  const [unit, ...more] = unitsOf(parsePage('page.md', lines.join('\n')));
  assert.deepEqual(more, []);
  const folder = unitFolder(undefined);
  t.after(() => rmSync(folder.parent, { recursive: true, force: true }));
  return (await runUnit(unit, folder, { servers: {}, settings: [] })).failure;
}

test('what a page writes wins over tiny settings, and these over what critiq ships', async (t) => {
  const check = [
    "critiq config --json --config mine.yaml collect.episodes=5 | node -e '",
    '  const { run, sft, eval: own, collect, critic } = JSON.parse(require("fs").readFileSync(0)).settings;',
    '  const found = [run, critic.mc_weight, sft.width, own.shard, collect.shard, collect.episodes];',
    '  require("assert").deepEqual(found, ["pocket", 0.4, 32, 3, 2, 5]);',
    "'",
  ];
  const failure = await run(
    t,
    '<!-- test: file=mine.yaml -->',
    '```yaml',
    'extends: [pocket, below.yaml]',
    'eval: { shard: 3 }',
    '```',
    '<!-- test: file=below.yaml -->',
    '```yaml',
    'collect: { shard: 2, episodes: 4 }',
    '```',
    '```sh',
    ...check,
    '```',
  );
  assert.equal(failure, undefined);
});

test('with the mark `tiny`, tiny sizes win over the files of the page, and its own value over both', async (t) => {
  const failure = await run(
    t,
    '<!-- test: file=mine.yaml -->',
    '```yaml',
    'run: mine',
    'sft: { width: 64 }',
    'eval: { episodes: 500 }',
    '```',
    '<!-- test: tiny="eval.episodes=9" -->',
    '```sh',
    "critiq config --json --config mine.yaml collect.episodes=5 | node -e '",
    '  const { run, sft, eval: own, collect } = JSON.parse(require("fs").readFileSync(0)).settings;',
    '  require("assert").deepEqual([run, sft.width, own.episodes, collect.episodes], ["mine", 32, 9, 5]);',
    "'",
    '```',
  );
  assert.equal(failure, undefined);
});

test('a command that fails is named with its line and what it said', async (t) => {
  const failure = await run(
    t,
    '# A page',
    '',
    '```sh',
    'critiq config > all.yaml',
    'critiq config sede=1',
    'true',
    '```',
  );
  assert.match(failure!, /^page\.md:5: ended with exit code 2:\n {2}critiq config sede=1\n[^]*unknown setting sede/);
});

test('a command in the middle of a pipe that fails is a failure', async (t) => {
  assert.match((await run(t, '```sh', 'critiq config sede=1 | cat', '```'))!, /^page\.md:2: ended with exit code 2/);
});

test('an exit code that the page names is expected, and no other', async (t) => {
  const page = (code: number): string[] => [
    `<!-- test: exit=${code} -->`,
    '```sh',
    'true',
    'critiq config sede=1',
    '```',
  ];
  assert.equal(await run(t, ...page(2)), undefined);
  assert.match((await run(t, ...page(1)))!, /^page\.md:4: [^]*ended with 2, expected 1/);
});

test('blocks of a sequence share a shell, and make builds nothing', async (t) => {
  const failure = await run(
    t,
    '<!-- test: sequence=one -->',
    '```sh',
    'mkdir mine && cd mine && export WHERE=mine',
    '```',
    'Then',
    '<!-- test: sequence=one -->',
    '```sh',
    'test "$(basename $PWD)" = $WHERE && cd ..',
    'make config > config.yaml && grep -q "width: 32" config.yaml',
    '```',
  );
  assert.equal(failure, undefined);
});

test('a page that is served has to answer, and to end on Ctrl-C', async (t) => {
  assert.equal(await run(t, '<!-- test: serves -->', '```sh', 'critiq phone --task 3', '```'), undefined);
  const silent = await run(t, '<!-- test: serves -->', '```sh', 'critiq config > all.yaml', '```');
  assert.match(silent!, /serves: ended with 0 before it printed an address/);
});
