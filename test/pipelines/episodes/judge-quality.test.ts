/** Agreement of a judge with known verdicts: numbers checked by hand, labelled sets, runs on the phone, interruptions. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { JudgeQuality } from '../../../pipelines/episodes/judge-quality.js';
import { encodePng } from '../../../src/data/formats/png.js';
import { openDataset } from '../../../src/data/store/manifest.js';
import { readTable } from '../../../src/data/tables.js';
import { TRANSITIONS } from '../../../src/data/transitions.js';
import { UserError } from '../../../src/errors.js';
import { agreementOf, type Judged } from '../../../src/judges/agreement.js';
import { readLabelledSet } from '../../../src/judges/labelled-set.js';
import { JudgeServer, MODEL } from '../../rigs/judge/server.js';
import { KEY_ENV, screen } from '../../rigs/judge/settings.js';
import { critiq, emptyFolder, failedInOneLine, start, succeed, until } from '../../rigs/process.js';

const program = fileURLToPath(new URL('../../../src/cli/main.js', import.meta.url));

const S = 'success';
const F = 'failure';

function judged(label: Judged['label'], verdict: Judged['verdict'], count: number, from: number): Judged[] {
  return Array.from({ length: count }, (_, i) => ({ id: `n${from + i}`, task: 't', label, verdict }));
}

/** Equal up to the rounding of a table. */
const near = (value: number | null, expected: number) => assert.ok(Math.abs(value! - expected) < 5e-5, `${value}`);

test('agreement, precision, recall and F1 by hand', () => {
  const items = [...judged(S, S, 6, 0), ...judged(F, S, 2, 6), ...judged(F, F, 9, 8), ...judged(S, F, 1, 17)];
  const found = agreementOf([...items, ...judged(S, 'unknown', 2, 18)]);
  assert.equal(found.items, 20);
  assert.deepEqual(found.unknown, ['n18', 'n19']);
  assert.deepEqual(found.confusion, { true_success: 6, false_success: 2, true_failure: 9, false_failure: 1 });
  near(found.agreement.value, 15 / 18);
  near(found.precision.value, 6 / 8);
  near(found.recall.value, 6 / 7);
  near(found.f1.value, 12 / 15);
  // Wilson's interval of 6 of 8, computed apart: (0.75 + 1.9207/8 -+ 1.96 sqrt(0.75 * 0.25/8 + 0.9604/64)) / (1 + 3.8415/8)
  near(found.precision.ci95[0], 0.4093);
  near(found.precision.ci95[1], 0.9285);
  // of 6 of 9, carried over: 0.35420 -> 0.52312, 0.87942 -> 0.93584
  near(found.f1.ci95[0], 0.5231);
  near(found.f1.ci95[1], 0.9358);
  assert.deepEqual(found.disagreements, [
    { id: 'n6', label: F, verdict: S },
    { id: 'n7', label: F, verdict: S },
    { id: 'n17', label: S, verdict: F },
  ]);
});

test('a rate without any case is null', () => {
  const { precision, recall, f1, agreement } = agreementOf(judged(F, F, 3, 0));
  assert.deepEqual([precision.value, recall.value, f1.value], [null, null, null]);
  assert.deepEqual(precision.ci95, [0, 1]);
  assert.deepEqual(f1.ci95, [0, 1]);
  assert.equal(agreement.value, 1);
});

/** A set of screens with grey levels 0, 20, 40, ...: those from 100 on are successes. */
async function labelledSet(folder: string, count = 10): Promise<string> {
  mkdirSync(join(folder, 'set/screens'), { recursive: true });
  const lines: string[] = [];
  for (let i = 0; i < count; i++) {
    const image = `screens/${i}.png`;
    writeFileSync(join(folder, 'set', image), await encodePng(screen(20 * i)));
    lines.push(
      JSON.stringify({ image, task: `task ${i}`, label: i >= 5 ? S : F, id: `i${i}`, previous: 'screens/0.png' }),
    );
  }
  const file = join(folder, 'set/labelled.jsonl');
  writeFileSync(file, `${lines.join('\n')}\n\n`);
  return file;
}

const asking = (server: JudgeServer) => [
  'judge.kind=openai',
  `judge.model=${MODEL}`,
  `judge.url=${server.url}`,
  `judge.api_key_env=${KEY_ENV}`,
  'judge.retries=0',
];

test('critiq judge on a labelled set; repeated, it asks only unanswered questions', async (t) => {
  const cwd = emptyFolder(t);
  await labelledSet(cwd);
  // wrong about task 4 (judged a success) and 8; no answer on 9 at first
  const server = await JudgeServer.start(t, {
    decide: ({ frame, task }) => (frame.rgba[0] >= 80 && task !== 'task 8' ? S : F),
    behave: ({ task }, nth) => (task === 'task 9' && nth === 0 ? 'maybe' : 'well'),
  });
  const args = ['judge', 'set/labelled.jsonl', ...asking(server)];
  const { stdout } = await succeed([...args, '--json'], { cwd, program });
  const quality = JSON.parse(stdout) as JudgeQuality;
  assert.equal(quality.judge, `openai ${MODEL}`);
  assert.equal(quality.items, 10);
  assert.deepEqual(quality.unknown, ['i9']);
  assert.deepEqual(quality.confusion, { true_success: 3, false_success: 1, true_failure: 4, false_failure: 1 });
  near(quality.agreement.value, 7 / 9);
  near(quality.precision.value, 3 / 4);
  near(quality.recall.value, 3 / 4);
  near(quality.f1.value, 3 / 4);
  assert.deepEqual(quality.disagreements, [
    { id: 'i4', label: F, verdict: S },
    { id: 'i8', label: S, verdict: F },
  ]);
  assert.equal(server.asked.length, 10);
  const again = await succeed(args, { cwd, program });
  assert.equal(server.asked.length, 11);
  assert.match(again.stderr, /openai tiny-vlm on set\/labelled\.jsonl: 10 screens\n/);
  assert.match(again.stderr, /agreement {2}80\.0 %/);
  assert.match(again.stderr, /precision {2}80\.0 %/);
  assert.match(again.stderr, /judged success: 4 correct, 1 wrong; judged failure: 4 correct, 1 wrong/);
  assert.match(again.stderr, /disagreements: i4 \(judged success\), i8 \(judged failure\)/);
  assert.match(again.stderr, /answers: 1 new, 9 from the cache; the run folder has spent 11 calls/);
});

test('a judge that never answers is an error', async (t) => {
  const cwd = emptyFolder(t);
  await labelledSet(cwd, 3);
  const server = await JudgeServer.start(t, { behave: () => 'broken' });
  const mute = await critiq(['judge', 'set/labelled.jsonl', ...asking(server)], { cwd, program });
  assert.equal(mute.code, 1);
  assert.match(mute.stderr, /critiq: judge: none of 3 screens got a verdict; the warnings above say why\n$/);
});

test('a server that dies does not cost its time limit for every screen', async (t) => {
  const cwd = emptyFolder(t);
  await labelledSet(cwd, 60);
  const server = await JudgeServer.start(t, { behave: () => (server.asked.length <= 2 ? 'well' : 'broken') });
  const args = ['judge', 'set/labelled.jsonl', 'judge.concurrency=1', 'judge.retries=0', ...asking(server)];
  const dead = await critiq(args, { cwd, program });
  assert.equal(dead.code, 1);
  assert.match(dead.stderr, /critiq: judge: no usable answer to 8 questions in a row; .*answers are kept\n$/);
  assert.ok(server.asked.length < 20, `${server.asked.length} questions`);
});

test('after an interruption it resumes with the missing answers', async (t) => {
  const cwd = emptyFolder(t);
  await labelledSet(cwd, 8);
  let stuck = true;
  const server = await JudgeServer.start(t, {
    behave: () => (stuck && server.asked.length === 5 ? 'hang' : 'well'),
  });
  const args = ['judge', 'set/labelled.jsonl', 'judge.concurrency=1', ...asking(server)];
  const { child, ended } = start(args, { cwd, program });
  t.after(() => child.kill('SIGKILL'));
  await until(() => server.asked.length === 5, 'the fifth question');
  child.kill('SIGINT');
  const { code, stderr } = await ended;
  stuck = false;
  assert.equal(code, 130, stderr);
  assert.match(stderr, /run the same command again to resume/);
  const { stdout } = await succeed([...args, '--json'], { cwd, program });
  const { items, unknown, counts } = JSON.parse(stdout) as JudgeQuality;
  assert.deepEqual([items, unknown.length, counts.known, counts.answered], [8, 0, 4, 4]);
});

test('a run on the phone: its exact rewards serve as labels', async (t) => {
  const cwd = emptyFolder(t);
  const tiny = [
    'device.count=4',
    'tasks.max_steps=6',
    'demos.episodes=20',
    'sft.epochs=1',
    'sft.width=16',
    'sft.heads=2',
  ];
  const small = [...tiny, 'sft.layers=1', 'sft.feed_forward=16', 'collect.episodes=12'];
  const server = await JudgeServer.start(t);
  await succeed(['collect', ...small, 'judge.declare=ignored'], { cwd, program });
  const folder = join(cwd, 'data/pocket/trajectories');
  const [shard] = (await openDataset(folder)).files();
  const ends = (await readTable(shard, TRANSITIONS)).filter(({ done }) => done);
  const won = ends.filter(({ trajectoryReward }) => trajectoryReward > 0).map(({ trajectory }) => trajectory);
  const args = ['judge', '--run', 'pocket', ...asking(server)];
  const { stdout } = await succeed([...args, 'judge.declare=ignored', '--json'], { cwd, program });
  const quality = JSON.parse(stdout) as JudgeQuality;
  assert.equal(quality.items, 12);
  assert.equal(quality.undeclared, 0);
  // the server says success to everything
  assert.equal(quality.confusion.true_success, won.length);
  assert.equal(quality.confusion.false_success, 12 - won.length);
  assert.deepEqual(
    server.asked.map(({ task }) => task).sort(),
    [...new Set(server.asked.map(({ task }) => task))].sort(),
  );
  assert.ok(server.asked.every(({ task }) => ends.some(({ goal }) => goal === task)));
  const other = await critiq([...args, 'judge.declare=required'], { cwd, program });
  failedInOneLine(other, 2, /collected with judge\.declare=ignored, but judge\.declare=required here/);

  await succeed(['collect', ...small, 'run=strict'], { cwd, program });
  const strict = await succeed(['judge', '--run', 'strict', ...asking(server), '--json'], { cwd, program });
  const declared = JSON.parse(strict.stdout) as JudgeQuality;
  assert.equal(declared.items + declared.undeclared, 12);
  assert.ok(declared.undeclared > 0, 'an untrained policy does not declare success each time');

  const asked = await succeed(['collect', ...small, 'run=asked', ...asking(server)], { cwd, program });
  assert.match(asked.stderr, /collect: done/);
  const circular = await critiq(['judge', '--run', 'asked', ...asking(server)], { cwd, program });
  failedInOneLine(
    circular,
    2,
    /collected with judge\.kind=openai and device\.backend=phone; only rewards by the state of the embedded phone are exact/,
  );
  failedInOneLine(await critiq(['judge', '--run', 'none', ...asking(server)], { cwd, program }), 2, /no trajectories/);
});

test('an invalid set is reported by line; nothing outside its folder is read', async (t) => {
  const cwd = emptyFolder(t);
  const file = await labelledSet(cwd, 2);
  assert.deepEqual(
    readLabelledSet(file).map(({ id, label }) => [id, label]),
    [
      ['i0', F],
      ['i1', F],
    ],
  );
  const good = { image: 'screens/0.png', task: 'x', label: S };
  const cases: [string, RegExp][] = [
    ['', /empty/],
    ['{', /line 1: not valid JSON/],
    ['null', /line 1: "task"/],
    [JSON.stringify({ ...good, task: 7 }), /line 1: "task"/],
    [JSON.stringify({ ...good, label: 'yes' }), /line 1: "label": expected "success" or "failure", got "yes"/],
    [`${JSON.stringify(good)}\n${JSON.stringify(good)}`, /line 2: duplicate id "screens\/0\.png"/],
    [JSON.stringify({ ...good, image: '../../etc/passwd' }), /"image": .*outside of it/],
    [JSON.stringify({ ...good, previous: '/etc/passwd' }), /"previous": .*outside of it/],
    [JSON.stringify({ ...good, image: undefined }), /"image": expected the name of a file/],
  ];
  for (const [text, message] of cases) {
    writeFileSync(file, text);
    assert.throws(
      () => readLabelledSet(file),
      (error: unknown) => error instanceof UserError && message.test(error.message),
      String(message),
    );
  }
  writeFileSync(join(cwd, 'set/screens/0.png'), 'no picture');
  writeFileSync(file, JSON.stringify(good));
  await assert.rejects(
    readLabelledSet(file)[0].frame(),
    (error: unknown) =>
      error instanceof UserError && /screens\/0\.png: not a PNG, JPEG or WebP file/.test(error.message),
  );
});
