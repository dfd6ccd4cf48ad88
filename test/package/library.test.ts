/** The installed package as a library and with plugins, outside any checkout. */
import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { packageRoot } from '../../src/package.js';
import { demonstrated, packageTest, run } from '../rigs/package.js';
import { panelServer, PANEL_MIDDLES } from '../rigs/plugins/panel-server.js';
import { emptyFolder } from '../rigs/process.js';
import { TINY_DEMO, TINY_TASKS } from '../rigs/tiny-settings.js';

const TSC = join(packageRoot(), 'node_modules/typescript/bin/tsc');

/** The package's own copy of a folder of examples. */
const examples = (project: string, name: string): string => join(project, 'node_modules/critiq/examples', name);

packageTest('a program in strict TypeScript reads the tables of the demo', async () => {
  const { folder, cwd } = await demonstrated();
  const own = join(folder, 'library');
  mkdirSync(own, { recursive: true });
  cpSync(examples(folder, 'library'), own, { recursive: true });
  // what a mistake in the types would let through
  writeFileSync(
    join(own, 'types.ts'),
    `import { openRun, stage, z, type Transition } from 'critiq';
import type { Device } from 'critiq/devices';
import { grad, mean, type Tensor } from 'critiq/graph';
import { qTarget } from 'critiq/algorithms';
import { Policy, parseAction } from 'critiq/agents';

const rows: Pick<Transition, 'reward' | 'done'>[] = await (await openRun('x')).transitions('trajectories', ['reward', 'done']);
// @ts-expect-error only the columns asked for are there
rows[0].goal;
// @ts-expect-error a stage needs outputs
stage({ name: 'x', summary: 'y', settings: z.object({}), plan: () => [], run: async () => [] });
export const device: Device['act'] = async () => ({ applied: 'yes' });
export const loss: (reward: Tensor) => Tensor = (reward) => mean(qTarget(reward, reward, reward, 0.95));
export { grad, Policy, parseAction };
`,
  );
  const options = [
    '--noEmit',
    '--strict',
    '--noUncheckedIndexedAccess',
    'false',
    '--exactOptionalPropertyTypes',
    'false',
  ];
  const target = ['--module', 'nodenext', '--target', 'es2022', '--types', 'node', '--typeRoots'];
  const args = [TSC, ...options, ...target, join(packageRoot(), 'node_modules/@types'), '--skipLibCheck'];
  const files = [join(own, 'success-by-family.ts'), join(own, 'types.ts')];
  const checked = await run(process.execPath, [...args, ...files], own);
  assert.equal(checked.stdout, '');
  assert.equal(checked.code, 0);

  const built = [TSC, '--module', 'nodenext', '--target', 'es2022', '--skipLibCheck', '--types', 'node', '--typeRoots'];
  const compiled = await run(process.execPath, [...built, join(packageRoot(), 'node_modules/@types'), files[0]], own);
  assert.equal(compiled.stdout, '');
  const ended = await run(process.execPath, [join(own, 'success-by-family.js'), join(cwd, 'data/pocket')], own);
  assert.equal(ended.stderr, '');
  assert.match(ended.stdout, /^digiq-test: \d+ of \d+$/m);
  assert.match(ended.stdout, /mean advantage of the action taken: -?\d/);
});

packageTest('the example plugins run outside the project, where `critiq` is not installed', async (_, t) => {
  const { folder, bin, cwd } = await demonstrated();
  const elsewhere = emptyFolder(t);
  cpSync(examples(folder, 'plugins'), elsewhere, { recursive: true });
  assert.ok(!existsSync(join(dirname(elsewhere), 'node_modules/critiq')));

  // a stage, on a copy of the demo
  cpSync(join(cwd, 'data'), join(elsewhere, 'data'), { recursive: true });
  writeFileSync(join(elsewhere, 'tasks.jsonl'), TINY_TASKS);
  const rates = ['action_rates', 'plugins=[./action-rates.js]', '--json', ...TINY_DEMO];
  const stage = await run(bin, rates, elsewhere);
  assert.equal(stage.code, 0, stage.stderr);
  const summaries = JSON.parse(stage.stdout) as { instance: string; made: number; rows: number }[];
  assert.equal(summaries.at(-1)!.instance, 'action_rates');
  assert.ok(summaries.at(-1)!.rows > 0);
  assert.ok(
    summaries.slice(0, -1).every(({ made }) => made === 0),
    'the demo is up to date',
  );

  // a device, a judge and an answer format
  const server = await panelServer(t);
  const play = ['eval', '--config', 'panel.yaml', `served.url=${server.url}`, 'served.model=m', 'eval.episodes=12'];
  const evaluated = await run(bin, play, elsewhere);
  assert.equal(evaluated.code, 0, evaluated.stderr);
  const right = PANEL_MIDDLES.filter(({ wanted, middle }) => wanted === middle).length;
  assert.match(evaluated.stderr, new RegExp(`${right} of 12 succeed`));
});
