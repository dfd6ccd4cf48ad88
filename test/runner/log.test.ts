/** The log of a run: its commands with their ends, the time of its shards, no secrets, and no log of what did not happen. */
import assert from 'node:assert/strict';
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { CommandRecord } from '../../src/runner/log/commands.js';
import { masked } from '../../src/runner/log/secrets.js';
import { secondsPerShard, type ShardTime } from '../../src/runner/log/shards.js';
import { contents, critiq, emptyFolder, start, succeed, until } from '../rigs/process.js';

async function logOf(cwd: string): Promise<{ commands: CommandRecord[]; shards: ShardTime[] }> {
  const { stdout } = await succeed(['log', '--json'], { cwd });
  return JSON.parse(stdout) as { commands: CommandRecord[]; shards: ShardTime[] };
}

test('every command that worked on a run is in its log, with its end; also a killed and a stopped one', async (t) => {
  const cwd = emptyFolder(t);
  const run = join(cwd, 'data/pocket');
  assert.equal((await critiq(['numbers', 'numbers.cuont=3'], { cwd })).code, 2);
  assert.equal((await critiq(['total', '--no-deps'], { cwd })).code, 2);
  assert.equal(existsSync(run), false, 'nothing was done, so there is no run and no log');

  const killed = start(['numbers'], { cwd, delayMs: 20_000 });
  await until(() => existsSync(join(run, '.log/commands.jsonl')), 'the log', 60);
  assert.equal((await logOf(cwd)).commands[0].state, 'running');
  killed.child.kill('SIGKILL');
  await killed.ended;
  // a kill in the middle of a line
  appendFileSync(join(run, '.log/commands.jsonl'), '{"id":"torn","event":"en');

  const stopped = start(['numbers'], { cwd, delayMs: 20_000 });
  await until(() => readFileSync(join(run, '.log/commands.jsonl'), 'utf8').split('"start"').length === 3, 'begun', 60);
  stopped.child.kill('SIGTERM');
  assert.equal((await stopped.ended).code, 143);

  assert.equal((await critiq(['numbers', 'numbers.fail=run'], { cwd })).code, 1);
  await succeed(['total', 'numbers.fail=', '--threads', '2'], { cwd });
  assert.equal((await critiq(['numbers', 'seed=7'], { cwd })).code, 2, 'refused: it would replace');
  await succeed(['status'], { cwd });
  const { commands, shards } = await logOf(cwd);
  assert.deepEqual(
    commands.map(({ args, state, code, signal }) => [args?.join(' '), state, code, signal]),
    [
      ['numbers', 'killed', null, null],
      ['numbers', 'stopped', 143, 'SIGTERM'],
      ['numbers numbers.fail=run', 'failed', 1, null],
      ['total numbers.fail= --threads 2', 'done', 0, null],
      ['numbers seed=7', 'failed', 2, null],
    ],
  );
  assert.match(commands[2].error!, /the phone died/);
  const [, , , { host, hardware, versions, commit, seconds, cwd: where }] = commands;
  assert.equal(host, hostname());
  assert.ok(hardware.cores >= 1 && hardware.memory_gb > 0, JSON.stringify(hardware));
  assert.equal(versions.node, process.version);
  assert.match(String(versions.critiq), /^\d+\.\d+\.\d+$/);
  assert.ok(commit === null || /^[0-9a-f]{40}$/.test(commit), String(commit));
  assert.ok(seconds! > 0 && where.endsWith(cwd));

  const built = shards.filter(({ command }) => command === commands[3].id);
  assert.deepEqual(
    new Set(built.map(({ instance }) => instance)),
    new Set(['numbers', 'squares', 'total/all']),
    'shards name the command that built them',
  );
  assert.ok(built.every(({ seconds, start, workers }) => seconds >= 0 && Date.parse(start) > 1.6e12 && workers >= 1));
  assert.equal(typeof secondsPerShard(shards, 'squares'), 'number');
  assert.equal(secondsPerShard(shards, 'none'), undefined);
  const text = (await succeed(['log'], { cwd })).stdout;
  assert.match(text, /^\d{4}-\d\d-\d\d \d\d:\d\d UTC +killed +/);
  assert.match(text, /done .*critiq total numbers\.fail= --threads 2\n/);
  assert.match(text, /squares: 6 shards in /);
  assert.equal((await critiq(['log', 'run=nowhere'], { cwd })).code, 2);
  assert.deepEqual(
    Object.keys(contents(run)).filter((name) => name.startsWith('.log')),
    [],
  );
});

test('arguments and errors are logged without secrets', () => {
  const key = `sk-${'a1'.repeat(12)}`;
  for (const [args, logged] of [
    [
      ['judge.api_key_env=MY_KEY', 'critic.text_tokens=32'],
      ['judge.api_key_env=MY_KEY', 'critic.text_tokens=32'],
    ],
    [
      ['judge.api_key=abc', 'a.token=b=c'],
      ['judge.api_key=***', 'a.token=***'],
    ],
    [
      ['--api-key', 'abc', 'seed=1'],
      ['--api-key', '***', 'seed=1'],
    ],
    [['judge.url=https://me:pw@host:80/v1?key=abc&n=2'], ['judge.url=https://***@host:80/v1?key=***&n=2']],
    [[`served.body={"x": "${key}"}`], ['served.body={"x": "***"}']],
    [['served.body={"secret": "a b", "n": 3}'], ['served.body={"secret": ***, "n": 3}']],
    [
      ['policy.tokenizer=/models/t5', 'run=key'],
      ['policy.tokenizer=/models/t5', 'run=key'],
    ],
  ])
    assert.deepEqual(masked(args), logged);
});
