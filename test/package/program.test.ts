/** The program as it is installed, in folders that are no checkout of critiq. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { demonstrated, packageTest, run } from '../rigs/package.js';
import { contents, emptyFolder, failedInOneLine, until } from '../rigs/process.js';
import { TINY_DEMO, TINY_TASKS } from '../rigs/tiny-settings.js';

interface Summary {
  readonly instance: string;
  readonly made: number;
}

packageTest('critiq demo goes from nothing to a report, and says where it is', async () => {
  const { cwd, log } = await demonstrated();
  for (const instance of ['demos', 'sft', 'collect', 'vlm', 'critic', 'actor/filteredbc', 'actor/digiq', 'report'])
    assert.match(log, new RegExp(`^${instance}: done`, 'm'));
  assert.match(log, /^demo: wrote data\/pocket\/report\.html/m);
  assert.ok(existsSync(join(cwd, 'data/pocket/report.html')));
  assert.match(readFileSync(join(cwd, 'data/pocket/run.json'), 'utf8'), /"onnxruntime-node": "\d/);
});

packageTest('each step of the demo is the command of its stage: those find everything up to date', async () => {
  const { cwd, bin } = await demonstrated();
  const before = contents(join(cwd, 'data'));
  const report = await run(bin, ['report', '--json', ...TINY_DEMO], cwd);
  const summaries = JSON.parse(report.stdout) as Summary[];
  assert.deepEqual(
    summaries.filter(({ made }) => made > 0),
    [],
  );
  const names = summaries.map(({ instance }) => instance);
  for (const name of ['actor/filteredbc', 'actor/digiq', 'eval/digiq-test']) assert.ok(names.includes(name), name);
  const again = await run(bin, ['demo', '--json', ...TINY_DEMO], cwd);
  const demo = JSON.parse(again.stdout) as { report: string; stages: Summary[] };
  assert.equal(demo.report, 'data/pocket/report.html');
  assert.deepEqual(
    demo.stages.filter(({ made }) => made > 0),
    [],
  );
  assert.deepEqual(contents(join(cwd, 'data')), before);
});

packageTest('a stopped or killed demo leaves nothing running, and goes on where it was', async ({ bin }, t) => {
  const cwd = emptyFolder(t);
  writeFileSync(join(cwd, 'tasks.jsonl'), TINY_TASKS);
  const begin = (): { child: ChildProcess; said: () => string; ended: Promise<number | null> } => {
    const child = spawn(bin, ['demo', ...TINY_DEMO], { cwd, stdio: ['ignore', 'ignore', 'pipe'] });
    t.after(() => child.kill('SIGKILL'));
    let text = '';
    child.stderr.on('data', (piece: Buffer) => (text += String(piece)));
    return { child, said: () => text, ended: once(child, 'exit').then(([code]) => code as number | null) };
  };
  const stopped = begin();
  await until(() => stopped.said().includes('demos: done'), 'the first stage', 120);
  await sleep(500);
  stopped.child.kill('SIGTERM');
  assert.equal(await stopped.ended, 143);
  assert.equal(stopped.said().match(/stopped by SIGTERM/g)?.length, 1, stopped.said());
  const lock = join(cwd, 'data/pocket/lock');
  assert.ok(!existsSync(lock));
  const killed = begin();
  await until(() => killed.said().includes('demos: up to date'), 'the first stage again', 120);
  await until(() => existsSync(lock), 'the second stage', 120);
  killed.child.kill('SIGKILL');
  await until(() => !existsSync(lock), 'the end of the second stage', 120);
});

packageTest('critiq eval and critiq view work on what the demo made', async (_, t) => {
  const { cwd, bin } = await demonstrated();
  const evaluated = await run(
    bin,
    ['eval', '--no-deps', '--json', ...TINY_DEMO, 'eval.policy=digiq', 'eval.best_of_q=2'],
    cwd,
  );
  assert.equal(evaluated.code, 0, evaluated.stderr);
  const viewer = spawn(bin, ['view', 'pocket', '--port', '0', '--no-open'], {
    cwd,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  t.after(() => viewer.kill('SIGKILL'));
  let said = '';
  viewer.stderr.on('data', (piece: Buffer) => (said += String(piece)));
  await until(() => said.includes('\n'), 'the address');
  const [url] = said.split(' ');
  assert.match(url, /^http:\/\/127\.0\.0\.1:\d+\//);
  const page = await (await fetch(url)).text();
  const script = /src="([^"]+\.js)"/.exec(page);
  assert.ok(script, page);
  assert.equal((await fetch(new URL(script[1], url))).status, 200);
});

packageTest('settings files go by name, and messages give addresses', async ({ bin }, t) => {
  const cwd = emptyFolder(t);
  const { stdout } = await run(bin, ['config', '--config', 'aitw-webshop'], cwd);
  assert.match(stdout, /^run: aitw-webshop\b/m);
  writeFileSync(join(cwd, 'mine.yaml'), 'extends: pocket\nrun: mine\n');
  const mine = await run(bin, ['config', '--config', 'mine.yaml'], cwd);
  assert.match(mine.stdout, /^run: mine\b/m);
  assert.match(mine.stdout, /^ {2}episodes: 1200\b/m);
  failedInOneLine(
    await run(bin, ['config', '--config', 'pockt'], cwd),
    2,
    /pockt: no such settings file; .*pocket-coso/,
  );
  failedInOneLine(
    await run(bin, ['judge', 'none.jsonl', 'judge.kind=openai', 'judge.model=m'], cwd),
    2,
    /\(https:\/\/github\.com\/critiq-ai\/critiq\/blob\/main\/docs\/judges\.md\)/,
  );
});

packageTest('critiq init writes a project that make builds, and overwrites nothing', async ({ bin }, t) => {
  const cwd = emptyFolder(t);
  const wrote = await run(bin, ['init', 'mine'], cwd);
  assert.equal(wrote.code, 0, wrote.stderr);
  assert.match(wrote.stdout, /^Next: cd mine && make$/m);
  const folder = join(cwd, 'mine');
  mkdirSync(join(cwd, 'half'));
  writeFileSync(join(cwd, 'half', 'Makefile'), '# mine');
  const before = contents(cwd);
  failedInOneLine(await run(bin, ['init', 'mine'], cwd), 2, /mine: [^\n]*Makefile, critiq\.yaml, /);
  failedInOneLine(await run(bin, ['init', 'half'], cwd), 2, /half: [^\n]*Makefile/);
  assert.deepEqual(contents(cwd), before, 'nothing else was written');

  const env = { ...process.env, PATH: `${dirname(bin)}${delimiter}${process.env.PATH}` };
  const doctor = await run('make', ['doctor'], folder, env);
  assert.match(doctor.stdout, /12 test tasks/);
  writeFileSync(join(folder, 'tasks.jsonl'), TINY_TASKS);
  const args = TINY_DEMO.map((setting) => setting.replaceAll(' ', '')).join(' ');
  const built = await run('make', ['collect', `ARGS=${args}`], folder, env);
  assert.equal(built.code, 0, built.stderr);
  assert.match(built.stderr, /^collect: done/m);
  assert.ok(existsSync(join(folder, 'data/first/trajectories')));
});
