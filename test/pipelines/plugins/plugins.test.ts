/** Plugins named in the settings: the examples at work through the command line, and what is wrong with bad ones. */
import assert from 'node:assert/strict';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openRun } from '../../../src/library/run.js';
import { packageRoot } from '../../../src/package.js';
import { critiq, emptyFolder, failedInOneLine, succeed, type Where } from '../../rigs/process.js';
import { PANEL_MIDDLES, panelServer } from '../../rigs/plugins/panel-server.js';

const program = fileURLToPath(new URL('../../../src/cli/main.js', import.meta.url));

/** A folder outside the repository with the example plugins in it. */
function elsewhere(t: TestContext): Where & { program: string } {
  const cwd = emptyFolder(t);
  cpSync(join(packageRoot(), 'examples/plugins'), cwd, { recursive: true });
  return { cwd, program };
}

test('an evaluation runs with a device, a judge and an answer format from plugins, with shards in worker threads', async (t) => {
  const where = elsewhere(t);
  const server = await panelServer(t);
  const args = ['eval', '--config', 'panel.yaml', `served.url=${server.url}`, 'served.model=m', 'eval.episodes=12'];
  const more = ['eval.shard=4', 'device.count=3', '--json'];
  await succeed([...args, ...more], where);
  const run = await openRun(join(where.cwd, 'data/panel'));
  const result = run.evaluation('served-m-test-greedy');
  assert.equal(result.episodes, 12);
  assert.equal(result.judge, 'lamp');
  // the model of the rig always taps the middle button: right in the episodes whose middle button is the one wanted
  const expected = PANEL_MIDDLES.filter(({ wanted, middle }) => wanted === middle).length;
  assert.equal(result.successes, expected);
  assert.ok(expected > 0 && expected < 12, 'both outcomes are there');

  const again = await succeed([...args, ...more], where);
  assert.equal((JSON.parse(again.stdout) as { made: number }[]).at(-1)!.made, 0, 'nothing is outdated');
  const changed = await succeed([...args, ...more, 'judge.lamp.tolerance=1', '--redo'], where);
  assert.equal((JSON.parse(changed.stdout) as { made: number }[]).at(-1)!.made, 3, "a judge's setting counts");
});

test("a plugin's settings are validated, listed and documented like critiq's own", async (t) => {
  const where = elsewhere(t);
  const wrong = await critiq(['config', '--config', 'panel.yaml', 'device.panel.repeat=3'], where);
  failedInOneLine(wrong, 2, /device\.panel\.repeat.*did you mean device\.panel\.repeats/);
  const type = await critiq(['config', '--config', 'panel.yaml', 'judge.lamp.tolerance=much'], where);
  failedInOneLine(type, 2, /judge\.lamp\.tolerance.*expected.*got.*much/);
  const backend = await critiq(['config', '--config', 'panel.yaml', 'device.backend=robot'], where);
  failedInOneLine(backend, 2, /device\.backend.*phone.*panel/);
  const { stdout } = await succeed(['config', '--config', 'panel.yaml', '--markdown'], where);
  assert.match(stdout, /`judge\.lamp\.tolerance`.*largest difference of a colour channel/);
  const help = await succeed(['--config', 'panel.yaml', '--help'], where);
  assert.match(help.stdout, /action_rates.*count actions and successes by type/);
  const own = await succeed(['action_rates', '--help', '--config', 'panel.yaml'], where);
  assert.match(own.stdout, /critiq action_rates/);
});

test('plugins are resolved from the file that names them, or from the working directory on the command line', async (t) => {
  const where = elsewhere(t);
  const outer = emptyFolder(t);
  writeFileSync(join(outer, 'mine.yaml'), `extends: ${join(where.cwd, 'panel.yaml')}\nrun: mine\n`);
  const { stdout } = await succeed(['config', '--config', 'mine.yaml', '--json'], { cwd: outer, program });
  const { plugins } = (JSON.parse(stdout) as { settings: { plugins: string[] } }).settings;
  assert.deepEqual(plugins[1], join(where.cwd, 'panel-device.js'));
  await succeed(['config', 'plugins=[./panel-device.js]', 'device.backend=panel'], where);
  const missing = await critiq(['config', 'plugins=[./nothing.js]'], where);
  failedInOneLine(missing, 2, /command line: plugins: \.\/nothing\.js: no such file/);
});

const BAD: readonly [what: string, text: string, line: RegExp][] = [
  [
    'no default export',
    'export const plugin = 1;',
    /bad\.js: expected definePlugin\(.*\) as its default export, got none/,
  ],
  ['a module that throws', 'throw new Error("no arm");', /bad\.js: cannot be loaded: no arm/],
  ['a syntax error', 'export default {', /bad\.js: cannot be loaded: /],
  ['an unknown part', "export default { name: 'x', stage: [] };", /does not know stage; a plugin has name, stages/],
  ['no name', 'export default {};', /name: expected text/],
  ['a stage that is none', "export default { name: 'x', stages: [{}] };", /stages\.0: expected what stage\(/],
  [
    'a device without open',
    "export default { name: 'x', devices: { robot: {} } };",
    /devices\.robot: expected an object with the function open/,
  ],
  [
    'a name that is taken',
    "export default { name: 'x', devices: { phone: { open: () => ({}) } } };",
    /device backend phone: the name is taken/,
  ],
  [
    'a name that cannot be a setting',
    "export default { name: 'x', judges: { 'A-b': { open: () => ({}) } } };",
    /judge "A-b": expected a name of lower-case letters/,
  ],
  [
    'a setting without a default',
    "import { z } from 'critiq';\nexport default { name: 'x', devices: { arm: { settings: z.object({ speed: z.number() }), open: () => ({}) } } };",
    /device backend arm: needs \.default\(\.\.\.\) for speed/,
  ],
];

for (const [what, text, line] of BAD) {
  test(`a plugin with ${what} is rejected with one line`, async (t) => {
    const cwd = emptyFolder(t);
    writeFileSync(join(cwd, 'bad.js'), text);
    writeFileSync(join(cwd, 'package.json'), '{ "type": "module" }');
    writeFileSync(join(cwd, 'bad.yaml'), 'plugins: [./bad.js]\n');
    failedInOneLine(await critiq(['config', '--config', 'bad.yaml'], { cwd, program }), 2, line);
  });
}

test('the examples match docs/extending.md', () => {
  const page = readFileSync(join(packageRoot(), 'docs/extending.md'), 'utf8');
  for (const name of ['action-rates.js', 'panel-device.js', 'lamp-judge.js', 'word-answers.js'])
    assert.match(page, new RegExp(`examples/plugins/${name}`), `${name} is named`);
});
