/** The scripts of `critiq completion` in the shells themselves, in a folder with two runs and a settings file. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { emptyFolder, succeed } from '../rigs/process.js';

const CLI = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

interface Shell {
  /** runs a script of the shell, with the completion script in completion.txt */
  run(...args: string[]): string;
}

/** The shell with its completion script, or undefined where it is not installed. */
async function shell(t: TestContext, name: string): Promise<Shell | undefined> {
  const cwd = emptyFolder(t);
  for (const run of ['exp7', 'pocket']) {
    mkdirSync(join(cwd, 'data', run), { recursive: true });
    writeFileSync(join(cwd, 'data', run, 'run.json'), '{}');
  }
  mkdirSync(join(cwd, 'data', 'no-run'));
  writeFileSync(join(cwd, 'phones.yaml'), '');
  const { stdout } = await succeed(['completion', name], { cwd, program: CLI });
  writeFileSync(join(cwd, 'completion.txt'), stdout);
  const run = (...args: string[]): string => execFileSync(name, args, { cwd, encoding: 'utf8' });
  try {
    run('-n', 'completion.txt');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || process.env.CRITIQ_NO_SKIP === '1') throw error;
    t.skip(`NO ${name.toUpperCase()}, COMPLETION NOT TESTED: apt-get install ${name}`);
    return undefined;
  }
  return { run };
}

test('bash completes commands, options, settings and their values, settings files and runs', async (t) => {
  const bash = await shell(t, 'bash');
  const complete = (line: string): string[] => {
    const script = `source completion.txt; COMP_WORDBREAKS=$' \\t\\n"\\'><=;|&(:'
      COMP_LINE=$1; COMP_POINT=\${#1}; _critiq; printf '%s\\n' "\${COMPREPLY[@]}"`;
    return bash!.run('--norc', '-c', script, 'bash', line).split('\n').filter(Boolean);
  };
  for (const command of ['eval', 'demo', 'completion']) assert.ok(complete('critiq ').includes(command), command);
  assert.deepEqual(complete('critiq ev'), ['eval']);
  assert.deepEqual(complete('critiq vlm ex'), ['export']);
  assert.deepEqual(complete('critiq checkpoint '), ['inspect', 'convert', 'greedy']);
  assert.deepEqual(complete('critiq eval --js'), ['--json']);
  assert.deepEqual(complete('critiq checkpoint convert --dtype '), ['f32', 'f16', 'bf16']);
  assert.deepEqual(complete('critiq critic seed=1 critic.lr'), ['critic.lr=', 'critic.lr_schedule=']);
  assert.deepEqual(complete('critiq eval device.backend=p'), ['phone'], 'what readline puts behind the =');
  assert.deepEqual(complete('critiq eval --config pocket run='), ['exp7', 'pocket']);
  assert.deepEqual(complete('critiq view e').slice(0, 1), ['exp7']);
  assert.deepEqual(complete('critiq status --config '), [
    ...[
      'aitw-base',
      'aitw-coso',
      'aitw-digirl',
      'aitw-general',
      'aitw-webshop',
      'digiq-import',
      'pocket',
      'pocket-coso',
      'pocket-hard',
      'pocket-vem',
      'vem-base',
      'vem-eval',
      'vem-general',
      'vem-webshopping',
      'phones.yaml',
      'data',
    ],
  ]);
  assert.deepEqual(complete('critiq import digiq compl'), ['completion.txt']);
});

test('zsh takes the script as the completion of critiq', async (t) => {
  const zsh = await shell(t, 'zsh');
  if (!zsh) return;
  const script =
    'autoload -U compinit; compinit -u -D; source completion.txt; print $_comps[critiq] $_critiq_arguments[critiq]';
  assert.match(zsh.run('-f', '-c', script), /^_critiq demos sft .* completion$/m);
});

test('fish completes the same', async (t) => {
  const fish = await shell(t, 'fish');
  if (!fish) return;
  const complete = (line: string): string[] =>
    fish
      .run('--no-config', '-c', 'source completion.txt; complete -C $argv[1]', line)
      .split('\n')
      .filter(Boolean)
      .map((found) => found.split('\t')[0]);
  assert.deepEqual(complete('critiq ev'), ['eval']);
  assert.deepEqual(complete('critiq vlm ex'), ['export']);
  assert.deepEqual(complete('critiq eval --js'), ['--json']);
  assert.deepEqual(complete('critiq critic critic.lr'), ['critic.lr=', 'critic.lr_schedule=']);
  assert.deepEqual(complete('critiq eval device.backend=p'), ['device.backend=phone']);
  assert.deepEqual(complete('critiq eval run='), ['run=exp7', 'run=pocket']);
  assert.ok(complete('critiq status --config ').includes('aitw-webshop'));
});
