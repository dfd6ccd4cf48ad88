/** `critiq doctor run=NAME`: everything foreign, half-made or damaged in a run folder is found and explained; nothing is written. */
import assert from 'node:assert/strict';
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { examineRun, type Oddity } from '../../src/runner/examine.js';
import { contents, critiq, emptyFolder, failedInOneLine, start, succeed, until } from '../rigs/process.js';

const short = ({ path, kind, action }: Oddity): string => `${kind} ${path}${action === null ? '' : ' !'}`;

test('a whole run has nothing to say; a missing one is an error', async (t) => {
  const cwd = emptyFolder(t);
  failedInOneLine(await critiq(['doctor', 'run=exp'], { cwd }), 2, /exp: no such run folder; choose a run/);
  await succeed(['total', 'run=exp'], { cwd });
  const { stdout } = await succeed(['doctor', 'run=exp'], { cwd });
  assert.match(stdout, /exp: every file is whole, and nothing is left over\n$/);
  await succeed(['total', 'run=exp', 'shared.scale=7', '--redo'], { cwd });
  assert.deepEqual(
    (await examineRun(join(cwd, 'data/exp'))).map(short),
    ['kept .trash'],
    'replaced results need nothing',
  );
  assert.deepEqual(JSON.parse((await succeed(['doctor', 'run=exp', '--json'], { cwd })).stdout).length, 1);
});

test('every kind of residue is found, with what to do, and nothing is changed', async (t) => {
  const cwd = emptyFolder(t);
  const run = join(cwd, 'data/pocket');
  await succeed(['total'], { cwd });
  const write = (name: string, text = 'x'): void => {
    mkdirSync(join(run, name, '..'), { recursive: true });
    writeFileSync(join(run, name), text);
  };
  write('notes.txt');
  write('mine/data.csv');
  mkdirSync(join(run, 'eval/old'), { recursive: true });
  write('numbers/extra.json');
  write('numbers/.n9.json.tmp');
  write('images/00/.abc.png.tmp');
  write(
    'lock',
    JSON.stringify({ pid: 4, started: 'long ago', host: (await import('node:os')).hostname(), running: '' }),
  );
  write('lock.4194999-ab.tmp', '');
  write('scratch/total,all/total/state.json');
  write('metrics/gone.jsonl', '{"shard":"a","step":1}\n');
  write('.trash/0009-x/file');
  rmSync(join(run, 'squares/n1.json'));
  writeFileSync(join(run, 'squares/n2.json'), readFileSync(join(run, 'squares/n2.json'), 'utf8').replace(/\d/, 'x'));
  appendFileSync(join(run, 'squares/n3.json'), ' ');
  writeFileSync(join(run, 'run.json'), '{');
  const before = contents(run);
  const found = await examineRun(run);
  assert.deepEqual(found.map(short).sort(), [
    'damaged run.json !',
    'damaged squares/n1.json !',
    'damaged squares/n2.json !',
    'damaged squares/n3.json !',
    'lock lock',
    'temporary images/00/.abc.png.tmp !',
    'temporary lock.4194999-ab.tmp !',
    'temporary numbers/.n9.json.tmp !',
    'unknown .trash/0009-x !',
    'unknown eval !',
    'unknown metrics/gone.jsonl !',
    'unknown mine !',
    'unknown notes.txt !',
    'unknown numbers/extra.json !',
    'unknown scratch/total,all !',
  ]);
  assert.deepEqual(contents(run), before, 'read-only');
  const said = (path: string): string => found.find((one) => one.path === path)!.what;
  assert.match(said('squares/n1.json'), /^shard s-n1: missing$/);
  assert.match(said('squares/n2.json'), /^shard s-n2: damaged: expected crc32 \d+, got \d+$/);
  assert.match(said('squares/n3.json'), /^shard s-n3: changed: expected \d+ bytes, got \d+$/);
  const { code, stdout, stderr } = await critiq(['doctor', 'run=pocket'], { cwd });
  assert.equal(code, 1);
  assert.match(
    stdout,
    /^note +lock: data\/pocket\/lock \(1 kB\): left by a command that was killed; the next command takes it over$/m,
  );
  assert.match(stdout, /^action +damaged: data\/pocket\/squares\/n1\.json .*run `critiq squares` again/m);
  assert.match(stderr, /^critiq: .*data\/pocket: 14 things need a look; the lines above say what to do\n$/);

  // what it says is true: the stage repairs the shards
  writeFileSync(join(run, 'run.json'), '{}');
  for (const file of ['squares/n2.json', 'squares/n3.json']) rmSync(join(run, file));
  await succeed(['squares'], { cwd });
  assert.deepEqual(
    (await examineRun(run)).map(short).filter((line) => /squares|lock|numbers\/\./.test(line)),
    ['temporary numbers/.n9.json.tmp !'],
  );
  write('lock', 'mine');
  utimesSync(join(run, 'lock'), 1e9, 1e9);
  assert.ok((await examineRun(run)).map(short).includes('unknown lock !'));
});

test('a stopped stage and a running one', async (t) => {
  const cwd = emptyFolder(t);
  const run = join(cwd, 'data/pocket');
  const first = start(['total'], { cwd, delayMs: 20_000 });
  t.after(() => first.child.kill('SIGKILL'));
  await until(() => existsSync(join(run, 'notes/_plan.json')), 'the plans', 60);
  assert.ok((await examineRun(run)).every(({ kind, action }) => kind === 'in use' && action === null));
  first.child.kill('SIGKILL');
  await first.ended;
  // checkpoint folders may be there by then, or not
  const found = (await examineRun(run)).filter(({ kind }) => kind !== 'checkpoint');
  assert.deepEqual(found.map(short), ['lock lock', 'half-made notes !', 'half-made numbers !']);
  assert.equal(found[2].what, '0 of 6 shards built by numbers, which was stopped or failed');
  assert.equal(found[2].action, '`critiq numbers` builds the rest');
});
