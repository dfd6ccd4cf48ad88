/** Sweeps: values and seeds on the command line, one table over seeds, and resuming after kill -9. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { meanInterval, t975 } from '../../src/data/student-t.js';
import { wilson95 } from '../../src/data/interval.js';
import { Random } from '../../src/random.js';
import { axesOf, membersOf } from '../../src/runs/sweep/axes.js';
import type { Sweep } from '../../src/runs/sweep/definition.js';
import { sweepTable, sweepText, type SweepTable } from '../../src/runs/sweep/table.js';
import {
  contents,
  critiq,
  emptyFolder,
  failedInOneLine,
  killedAgainAndAgain,
  succeed,
  timed,
} from '../rigs/process.js';
import { TINY_OFFLINE } from '../rigs/tiny-settings.js';

const program = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

test('several values make an axis; brackets and quotes keep a value together; ranges count', () => {
  const { axes, plain } = axesOf([
    'critic.lr=1e-4,3e-4',
    'seed=0..2',
    'run=a',
    'critic.q_hidden=[1,2],[3]',
    'x.y=[1,2]',
  ]);
  assert.deepEqual(axes, [
    { path: 'critic.lr', values: ['1e-4', '3e-4'] },
    { path: 'seed', values: ['0', '1', '2'] },
    { path: 'critic.q_hidden', values: ['[1,2]', '[3]'] },
  ]);
  assert.deepEqual(plain, ['run=a', 'x.y=[1,2]']);
  const members = membersOf('s', axes.slice(0, 2));
  assert.equal(members.length, 6);
  assert.deepEqual(members[4], {
    run: 's.lr-3e-4.seed-1',
    settings: { 'critic.lr': '3e-4' },
    seed: '1',
    evaluation: null,
  });
  const odd = membersOf('s', [{ path: 'a.b', values: ['[1,2]', '[1.2]', '[1;2]'] }]).map(({ run }) => run);
  assert.equal(new Set(odd).size, 3, 'names stay apart where values cannot be a part of a name');
  for (const wrong of [['a=1,'], ['a=1,1'], ['seed=4..0'], ['a=1,2', 'a=3,4']]) assert.throws(() => axesOf(wrong));
});

test('Student’s t: quantiles against published ones, and the interval of a mean', () => {
  // NIST/SEMATECH e-Handbook, table of critical values of t, 0.975
  for (const [freedom, quantile] of [
    [1, 12.706],
    [4, 2.776],
    [30, 2.042],
    [40, 2.021],
    [100, 1.984],
  ] as const)
    assert.ok(Math.abs(t975(freedom) - quantile) < 6e-4, String(freedom));
  const { mean, ci95 } = meanInterval([1, 2, 3, 4, 5]);
  assert.equal(mean, 3);
  assert.ok(Math.abs(ci95![1] - (3 + 2.7764 * Math.sqrt(2.5 / 5))) < 1e-9);
  assert.equal(meanInterval([1]).ci95, null);
});

test('the table: means over seeds, differences paired by seed, and Wilson where there is one run', (t) => {
  const data = emptyFolder(t);
  const members = membersOf('s', axesOf(['a.b=1,2', 'seed=0..2']).axes).map((one) => ({
    ...one,
    evaluation: 'x-test',
  }));
  const sweep: Sweep = { name: 's', base: 'base', stages: ['eval'], plain: [], config: null, members };
  const rates = [50, 60, 70, 55, 65, 75];
  for (const [i, { run }] of members.entries()) result(join(data, run), rates[i], 100);
  const table = sweepTable(data, sweep);
  const [first, second] = table.rows;
  assert.ok(Math.abs(first.mean! - 0.6) < 1e-12);
  assert.ok(Math.abs(first.ci95![1] - (0.6 + (4.3027 * 0.1) / Math.sqrt(3))) < 1e-12);
  assert.equal(first.against_baseline, null);
  // every seed gains 5 points: the seeds vary, their differences do not
  assert.ok(Math.abs(second.against_baseline!.mean - 0.05) < 1e-12);
  assert.ok(second.against_baseline!.ci95!.every((end) => Math.abs(end - 0.05) < 1e-12));
  assert.match(
    sweepText(table),
    /^a\.b +RUNS +SUCCESS % .*\n1 +3 +60\.0 +35\.2 to 84\.8\n2 +3 +65\.0 .*\+5\.0 \(\+5\.0 to \+5\.0; 3 seeds\)/,
  );
  const single = sweepTable(data, { ...sweep, members: members.filter(({ seed }) => seed === '0') });
  assert.equal(single.rows[0].interval, 'Wilson over episodes');
  assert.deepEqual(single.rows[0].ci95, wilson95(50, 100));
  const half = sweepTable(data, { ...sweep, members: [...members, { ...members[0], run: 'absent', seed: '9' }] });
  assert.equal(half.rows[0].missing, 1);
});

function result(run: string, successes: number, episodes: number): void {
  const folder = join(run, 'eval/x-test');
  mkdirSync(folder, { recursive: true });
  const rate = { successes, episodes, rate: successes / episodes, ci95: wilson95(successes, episodes) };
  const how = { policy: 'x', split: 'test', protocol: 'all', mode: 'sampled', temperature: 1, mean_steps: 1 };
  writeFileSync(join(folder, '_result.json'), JSON.stringify({ ...how, ...rate }));
  const plan = { stage: 'eval', instance: 'eval/x-test', settings: {}, shards: [], finished: true };
  writeFileSync(join(folder, '_plan.json'), JSON.stringify(plan));
}

const SWEEP = ['sweep', 'total.lr=0.5,0.25', 'seed=0..1', '--stages', 'total', 'run=base', '--json'];

test('killed and started again, a sweep makes the same runs and table; then it does nothing', async (t) => {
  const [calm, killed] = [emptyFolder(t), emptyFolder(t)];
  const calmMs = await timed(SWEEP, { cwd: calm, delayMs: 8 });
  const kills = await killedAgainAndAgain(
    SWEEP,
    { cwd: killed, delayMs: 8 },
    { most: 6, calmMs, random: new Random(3, 'sweep') },
  );
  t.diagnostic(`${kills} kills`);
  const last = await succeed(SWEEP, { cwd: killed });
  const again = await succeed(SWEEP, { cwd: calm });
  assert.deepEqual(JSON.parse(last.stdout), JSON.parse(again.stdout));
  assert.equal((JSON.parse(last.stdout) as SweepTable).done, 4);
  assert.deepEqual(contents(join(killed, 'data')), contents(join(calm, 'data')));
  // the shared part was made once
  const base = join(calm, 'data/base');
  assert.ok(
    existsSync(join(base, 'squares')) && !existsSync(join(base, 'total')),
    'the base gets the shared part alone',
  );
  const member = join(calm, 'data/base-sweep.lr-0.25.seed-1');
  const plan = (set: string) =>
    JSON.parse(readFileSync(join(member, set, '_plan.json'), 'utf8')) as { settings: { seed?: number } };
  assert.equal(plan('total/all').settings.seed, 1, 'the seed of the sweep is that of its stages');
  assert.equal(plan('numbers').settings.seed, 0, 'and not that of what they share');
  // with more values it grows
  const grown = await succeed(
    [...SWEEP, '--dry-run'].map((word) => word.replace('0..1', '0..2')),
    { cwd: calm },
  );
  const planned = (JSON.parse(grown.stdout) as { members: { todo: string[] }[] }).members;
  assert.deepEqual(
    planned.map(({ todo }) => todo.join()),
    ['', '', '', '', 'fork,total', 'fork,total'],
  );
});

test('stages that have the same settings in several members are built once', async (t) => {
  const cwd = emptyFolder(t);
  const words = ['sweep', 'total.lr=0.5,0.25', 'squares.power=2,3', '--stages', 'squares,total', 'run=base', '--json'];
  const plan = await succeed([...words, '--dry-run'], { cwd });
  const [first, second, third, last] = [
    'base-sweep.lr-0.5.power-2',
    'base-sweep.lr-0.5.power-3',
    'base-sweep.lr-0.25.power-2',
    'base-sweep.lr-0.25.power-3',
  ];
  assert.deepEqual(
    (JSON.parse(plan.stdout) as { members: { run: string; todo: string[] }[] }).members.map(({ run, todo }) => [
      run,
      ...todo,
    ]),
    [
      [first, 'fork', 'squares', 'total'],
      [second, 'fork', 'squares', 'total'],
      [third, `fork of ${first}`, 'total'],
      [last, `fork of ${second}`, 'total'],
    ],
  );
  const table = await succeed([...words, '--jobs', '2'], { cwd });
  assert.equal((JSON.parse(table.stdout) as SweepTable).done, 4);
  const inode = (run: string) => {
    const folder = join(cwd, 'data', run, 'squares');
    return readdirSync(folder)
      .filter((name) => !/^[._]/.test(name))
      .map((name) => statSync(join(folder, name)).ino);
  };
  assert.deepEqual(inode(third), inode(first), 'the same files');
  assert.notDeepEqual(inode(second), inode(first));
  const same = await succeed([...words, '--dry-run'], { cwd });
  assert.ok(!same.stdout.includes('fork'), 'then there is nothing to do');
});

test('mistakes are told in one line before anything is made', async (t) => {
  const cwd = emptyFolder(t);
  const wrong: [string[], RegExp][] = [
    [['sweep', 'total.lr=0.5,0.25', '--stages', 'totl'], /no stage totl; expected some of numbers, squares, total/],
    [
      ['sweep', 'squares.power=2,3', '--stages', 'total'],
      /squares\.power: belongs to the stage squares.*add it to --stages/,
    ],
    [['sweep', 'total.lr=0.5', '--stages', 'total'], /expected a setting with several values/],
    [['sweep', 'total.lr=0.5,x', '--stages', 'total'], /total\.lr: expected number > 0, got "x"/],
    [['sweep', 'seed=0..1', '--stages', 'total', '--jobs', '0'], /--jobs: expected an integer >= 1, got 0/],
  ];
  for (const [args, message] of wrong) failedInOneLine(await critiq(args, { cwd }), 2, message);
  assert.ok(!existsSync(join(cwd, 'data')));
  failedInOneLine(await critiq(['numbers', 'seeds.nmbers=1'], { cwd }), 2, /seeds\.nmbers: no such stage/);
  assert.ok(!existsSync(join(cwd, 'data')));
});

test('critic, actor and eval over two seeds: they vary with the seed, all before them is shared', async (t) => {
  const cwd = emptyFolder(t);
  const tiny = [
    ...['device.count=4', 'tasks.max_steps=3', 'demos.episodes=4', 'sft.epochs=1', 'sft.batch=8', 'sft.width=16'],
    ...['sft.heads=2', 'sft.layers=1', 'sft.feed_forward=16', 'candidates.samples=3', ...TINY_OFFLINE],
  ];
  const args = ['sweep', 'seed=0..1', '--stages', 'critic,actor,eval', '--jobs', '2', '--json', ...tiny];
  const { stdout } = await succeed(args, { cwd, program });
  const table = JSON.parse(stdout) as SweepTable;
  assert.equal(table.done, 2);
  const [row] = table.rows;
  assert.equal(row.evaluation, 'digiq-test', 'what the actor makes is evaluated');
  assert.equal(row.interval, 't over seeds');
  assert.deepEqual(
    row.runs.map(({ seed }) => seed),
    ['0', '1'],
  );
  const read = (run: string, file: string) => readFileSync(join(cwd, 'data', `pocket-sweep.seed-${run}`, file));
  assert.ok(read('0', 'trajectories/_manifest.jsonl').equals(read('1', 'trajectories/_manifest.jsonl')));
  assert.ok(!read('0', 'critic/model.safetensors').equals(read('1', 'critic/model.safetensors')));
});
