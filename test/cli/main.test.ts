/** The command line: exit codes, one line per error, what goes to stdout. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { packageRoot } from '../../src/package.js';
import { contents, critiq, emptyFolder, failedInOneLine, start, succeed, until } from '../rigs/process.js';

const CLI = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const TORCH_FILE = join(packageRoot(), 'test/fixtures/torch/digiq-numpy.pt');
const root = process.getuid?.() === 0;

test('--version, --help, and the help of every command with an example', async (t) => {
  const cwd = emptyFolder(t);
  assert.match((await succeed(['--version'], { cwd, program: CLI })).stdout, /^\d+\.\d+\.\d+\n$/);
  const help = (await succeed(['--help'], { cwd, program: CLI })).stdout;
  const commands = [...help.slice(help.indexOf('Commands:')).matchAll(/^ {2}([a-z]+) /gm)].map((match) => match[1]);
  assert.ok(commands.includes('status') && commands.includes('config'), help);
  for (const command of commands) {
    assert.match(
      (await succeed([command, '--help'], { cwd, program: CLI })).stdout,
      /Example:\n {2}\$ critiq /,
      command,
    );
  }
  assert.equal((await critiq([], { cwd, program: CLI })).code, 2);
  assert.deepEqual(readdirSync(cwd), [], 'nothing was written');
});

test('usage errors: one line, exit code 2, nothing written', async (t) => {
  const cwd = emptyFolder(t);
  for (const [args, line] of [
    [['numbrs'], /unknown command 'numbrs' \(Did you mean numbers\?\)/],
    [['numbers', '--forse'], /unknown option '--forse' \(Did you mean --force\?\)/],
    [['numbers', 'numbers.cuont=3'], /command line: unknown setting numbers\.cuont; did you mean numbers\.count\?/],
    [['numbers', '--config', 'no.yaml'], /no\.yaml: no such settings file/],
    [['numbers', '--threads', 'many'], /threads: expected integer/],
    [['total', '--no-deps'], /squares: missing, and total\/all needs it; run `critiq squares` first/],
    [['status', 'run=a/b'], /run: expected string/],
  ] as const) {
    failedInOneLine(await critiq(args, { cwd }), 2, line);
  }
  assert.deepEqual(
    readdirSync(cwd).filter((name) => name !== 'data'),
    [],
  );
});

test('failures: the right exit code, one line, and the stack trace only with --verbose', async (t) => {
  const cwd = emptyFolder(t);
  failedInOneLine(await critiq(['numbers', 'numbers.fail=user', '-q'], { cwd }), 2, /the user is wrong; be right/);
  failedInOneLine(await critiq(['numbers', 'numbers.fail=run', '-q'], { cwd }), 1, /the phone died/);
  failedInOneLine(
    await critiq(['numbers', 'numbers.fail=bug', '-q'], { cwd }),
    1,
    /unexpected error: x is not \(--verbose shows where\)/,
  );
  const verbose = await critiq(['numbers', 'numbers.fail=bug', '--verbose'], { cwd });
  assert.equal(verbose.code, 1);
  assert.match(verbose.stderr, /TypeError: x is not\na function\n {4}at /);
});

test('--json prints the result to stdout and nothing else', async (t) => {
  const cwd = emptyFolder(t);
  const { stdout, stderr } = await succeed(['squares', '--json', '--threads', '1'], { cwd });
  assert.equal(stderr, '');
  const summaries = JSON.parse(stdout) as Record<string, unknown>[];
  assert.deepEqual(
    summaries.map(({ instance, shards, made }) => [instance, shards, made]),
    [
      ['numbers', 6, 6],
      ['squares', 6, 6],
    ],
  );
  const status = JSON.parse((await succeed(['status', '--json'], { cwd })).stdout) as Record<string, unknown>[];
  assert.deepEqual(status[0], {
    stage: 'numbers',
    instance: 'numbers',
    state: 'up to date',
    done: 6,
    planned: 6,
    rows: 0,
    outputs: ['numbers', 'notes'],
    why: [],
    lastMetric: { shard: 'n5', step: 29, value: (status[0].lastMetric as { value: number }).value },
  });
});

test('config prints settings that give the same run, and run.json stores them with versions and commit', async (t) => {
  const cwd = emptyFolder(t);
  const { stdout } = await succeed(['config', 'numbers.count=3', 'seed=5', 'total_lr=0.125'], { cwd });
  writeFileSync(join(cwd, 'mine.yaml'), stdout);
  assert.match(stdout, /^total:\n(?: .*\n)* {2}lr: 0\.125 # command line$/m);
  await succeed(['numbers', '--config', 'mine.yaml'], { cwd });
  const { stdout: again } = await succeed(['numbers', '--json', 'numbers.count=3', 'seed=5'], { cwd });
  assert.equal((JSON.parse(again) as { made: number }[])[0].made, 0);
  const record = JSON.parse(readFileSync(join(cwd, 'data/pocket/run.json'), 'utf8')) as Record<string, unknown>;
  assert.deepEqual(Object.keys(record), ['versions', 'commit', 'seed', 'changed', 'settings', 'set', 'crc32']);
  assert.deepEqual(record.changed, {
    seed: { default: 0, value: 5 },
    'numbers.count': { default: 50, value: 3 },
    'total.lr': { default: 0.5, value: 0.125 },
  });
  assert.equal(record.seed, 5);
  assert.equal((record.versions as Record<string, string>).node, process.version);
  assert.equal((record.settings as { numbers: { count: number } }).numbers.count, 3);
});

test('an unwritable folder is named, with what to do', async (t) => {
  const cwd = emptyFolder(t);
  writeFileSync(join(cwd, 'data'), 'a file');
  failedInOneLine(await critiq(['numbers'], { cwd }), 2, /data\/pocket/);
});

test('a folder without write permission', async (t) => {
  // root may write anywhere except on a read-only file system
  const cwd = root ? mounted(t, 'READ-ONLY FOLDER', 'ro,size=1m') : emptyFolder(t);
  if (!cwd) return;
  if (!root) chmodSync(cwd, 0o555);
  failedInOneLine(await critiq(['numbers'], { cwd }), 2, /data\/pocket[^\n]* \((EACCES|EROFS)\); [^\n]+/);
  if (!root) chmodSync(cwd, 0o755);
});

test('a broken manifest is rejected, with its name and what to do', async (t) => {
  const cwd = emptyFolder(t);
  await succeed(['numbers'], { cwd });
  const manifest = join(cwd, 'data/pocket/numbers/_manifest.jsonl');
  writeFileSync(manifest, readFileSync(manifest, 'utf8').replace('n1.json', 'n9.json'));
  failedInOneLine(await critiq(['squares', '-q'], { cwd }), 2, /numbers\/_manifest\.jsonl, line 2: damaged/);
});

test('a full disk: one line, finished work is kept, and the same command resumes when there is space', async (t) => {
  const folder = mounted(t, 'FULL DISK', 'size=4m');
  if (!folder) return;
  writeFileSync(join(folder, 'ballast'), Buffer.alloc(3_000_000));
  const args = ['numbers', 'numbers.bytes=300000', 'numbers.workers=1', '--quiet'];
  failedInOneLine(
    await critiq(args, { cwd: folder }),
    1,
    /pocket[^\n]*: the disk is full \(ENOSPC\); free some space and run the same command again/,
  );
  const names = Object.keys(contents(join(folder, 'data/pocket')));
  assert.ok(names.includes('numbers/n0.json'), 'the first shard is kept');
  assert.deepEqual(
    names.filter((name) => name.endsWith('.tmp')),
    [],
  );
  rmSync(join(folder, 'ballast'));
  await succeed(args, { cwd: folder });
  const calm = emptyFolder(t);
  await succeed(args, { cwd: calm });
  assert.deepEqual(contents(join(folder, 'data/pocket')), contents(join(calm, 'data/pocket')));
});

test('import creates data sets that the stages use and do not overwrite', async (t) => {
  const cwd = emptyFolder(t);
  const { stdout } = await succeed(['import', 'digiq', TORCH_FILE, '--json'], { cwd, program: CLI });
  const { transitions } = JSON.parse(stdout) as { transitions: number };
  const collected = async (): Promise<unknown> => {
    const rows = JSON.parse((await succeed(['status', '--json'], { cwd, program: CLI })).stdout) as {
      stage: string;
      state: string;
      rows: number;
    }[];
    return rows.filter(({ stage }) => stage === 'collect').map(({ state, rows }) => [state, rows]);
  };
  assert.deepEqual(await collected(), [['imported', transitions]]);
  const before = contents(join(cwd, 'data'));
  failedInOneLine(await critiq(['import', 'digiq', '/dev/null'], { cwd, program: CLI }), 2, /\/dev\/null: /);
  failedInOneLine(
    await critiq(['collect'], { cwd, program: CLI }),
    2,
    /holds data that `critiq collect` did not build/,
  );
  assert.deepEqual(contents(join(cwd, 'data')), before);
  failedInOneLine(await critiq(['import'], { cwd, program: CLI }), 2, /import: expected a subcommand/);
});

for (const json of [false, true]) {
  test(`the phone can be played until Ctrl-C${json ? '; --json prints its address' : ''}`, async (t) => {
    const words = ['phone', '--port', '0', '--task', '1', ...(json ? ['--json'] : [])];
    const { child, ended } = start(words, { cwd: emptyFolder(t), program: CLI });
    t.after(() => child.kill('SIGKILL'));
    let said = '';
    child[json ? 'stdout' : 'stderr']!.on('data', (piece: Buffer) => (said += String(piece)));
    await until(() => said.includes('\n'), 'the address');
    const { url, task } = json
      ? (JSON.parse(said.split('\n')[0]) as { url: string; task: string })
      : { url: said.split(' ')[0], task: said };
    assert.ok(task.length > 5, said);
    const response = await fetch(url);
    assert.equal(response.status, 200);
    assert.match(await response.text(), /<html|<!doctype/i);
    child.kill('SIGINT');
    assert.equal((await ended).code, 130);
  });
}

/** A new in-memory file system, if this user may mount one. */
function mounted(t: TestContext, what: string, options: string): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'critiq-disk-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'critiq-test', folder], { stdio: 'ignore' });
  } catch {
    rmSync(folder, { recursive: true });
    t.skip(`${what} NOT TESTED: mounting a tmpfs needs root and CAP_SYS_ADMIN`);
    return undefined;
  }
  t.after(() => {
    execFileSync('umount', [folder]);
    rmSync(folder, { recursive: true });
  });
  return folder;
}
