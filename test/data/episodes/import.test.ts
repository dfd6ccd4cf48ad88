import assert from 'node:assert/strict';
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { actionColumns } from '../../../src/agents/action-columns.js';
import { formatAction, parseAction } from '../../../src/agents/grammar.js';
import { policyPrompt } from '../../../src/agents/policy/prompt.js';
import { ANNOTATIONS, boxesOf, IMPORTED_EPISODES } from '../../../src/data/annotations.js';
import type { Source } from '../../../src/data/episodes/episode.js';
import { importEpisodes, splitById, type EpisodeImportOptions } from '../../../src/data/episodes/import.js';
import { plainEpisodes } from '../../../src/data/episodes/plain.js';
import { seeclickEpisodes, type ScrollRule } from '../../../src/data/episodes/seeclick.js';
import { ImageStore, imageId } from '../../../src/data/images.js';
import { openPictures } from '../../../src/data/released/pictures.js';
import { readTable } from '../../../src/data/tables.js';
import { TRANSITIONS } from '../../../src/data/transitions.js';
import { screenOf, seeclickEpisode, usualSteps, writeScreen, writeSeeClick, type SeeClickStep } from '../../rigs/demonstrations.js';
import { rejectsWithLine, tempFolder } from '../../rigs/files.js';
import { contents } from '../../rigs/process.js';

const OPTIONS: EpisodeImportOptions = {
  ...{ layout: 'seeclick', inputs: {}, gamma: 0.5, validation: 0, test: 0, shardSize: 10 },
  format: (action) => formatAction(action),
  parse: actionColumns,
  prompt: policyPrompt,
};

async function seeclick(folder: string, files: readonly string[], scrolls: ScrollRule = 'recorded'): Promise<Source> {
  return seeclickEpisodes(files, { pictures: await openPictures(join(folder, 'images')), scrolls });
}

const rowsOf = (run: string, set: string, shard = '00000') => readTable(join(run, set, `transitions-${shard}.parquet`), TRANSITIONS);
const annotationsOf = (run: string, set: string, shard = '00000') =>
  readTable(join(run, set, '_annotations', `annotations-${shard}.parquet`), ANNOTATIONS);

/** One episode of these steps, imported. */
async function imported(t: TestContext, steps: readonly SeeClickStep[], scrolls?: ScrollRule) {
  const folder = tempFolder(t);
  for (const i of steps.keys()) await writeScreen(join(folder, 'images', 'general', `e_${i}.png`), i);
  const file = join(folder, 'x_train.json');
  writeFileSync(file, JSON.stringify({ general: [seeclickEpisode('e', 'a goal', steps)] }));
  const counts = await importEpisodes(await seeclick(folder, [file], scrolls), join(folder, 'run'), OPTIONS);
  return { folder, counts, rows: await rowsOf(join(folder, 'run'), 'trajectories'), run: join(folder, 'run') };
}

test('an episode of SeeClick becomes transitions: points [y, x], prompts with the action before, boxes, rewards', async (t) => {
  const { rows, run, counts } = await imported(t, usualSteps(3));
  assert.deepEqual(
    rows.map(({ actionType, touchY, touchX, liftY, liftX, typedText }) => [actionType, touchY, touchX, liftY, liftX, typedText]),
    [
      // the file's point is [0.4, 0.75], x first
      ['DUAL_POINT', 0.75, 0.4, 0.75, 0.4, null],
      ['TYPE', null, null, null, null, 'item 3'],
      ['PRESS_ENTER', null, null, null, null, null],
      ['DUAL_POINT', 0.8, 0.5, 0.3, 0.5, null],
      ['STATUS_TASK_COMPLETE', null, null, null, null, null],
    ],
  );
  // each prompt has the action before it: not one that is still to come, and not that of two steps ago
  assert.equal(rows[0].prompt, 'Previous Actions: Goal: a goal</s>');
  rows.slice(1).forEach(({ prompt, prevAction }, i) => {
    assert.equal(prompt, policyPrompt('a goal', rows[i].action));
    assert.equal(prevAction, rows[i].action);
  });
  rows.forEach(({ image, nextImage }, i) => {
    assert.equal(image, imageId(screenOf(i)));
    assert.equal(nextImage, imageId(screenOf(Math.min(i + 1, 4))));
  });
  assert.deepEqual(rows.map(({ reward }) => reward), [0, 0, 0, 0, 1]);
  assert.deepEqual(rows.map(({ mcReturn }) => mcReturn), [0.0625, 0.125, 0.25, 0.5, 1]);
  assert.deepEqual(rows.map(({ imagePath }) => imagePath), [0, 1, 2, 3, 4].map((i) => `general/e_${i}.png`));
  assert.ok(rows.every(({ family }) => family === 'general'));
  const [annotation] = await annotationsOf(run, 'trajectories');
  assert.deepEqual(boxesOf(annotation), [
    [0.7, 0.35000000000000003, 0.1, 0.1],
    [0.1, 0.1, 0.2, 0.2],
  ]);
  assert.equal(annotation.split, 'train');
  assert.deepEqual([counts.episodes, counts.steps, counts.boxes, counts.successes], [1, 5, 2, 1]);
  assert.equal((await new ImageStore(join(run, 'images')).get(rows[2].image)).width, 36);
});

test('a scroll moves along its own axis, under each rule', async (t) => {
  const steps = ['up', 'down', 'left', 'right'].map((name) => ({ kind: `scroll ${name}` }));
  for (const [rule, ways] of [
    ['seeclick', ['down', 'up', 'right', 'left']],
    ['recorded', ['down', 'up', 'right', 'left']],
    ['vem', ['up', 'down', 'left', 'right']],
  ] as const) {
    const { rows } = await imported(t, steps, rule);
    const moved = rows.map(({ touchY, touchX, liftY, liftX }) => {
      const [dy, dx] = [liftY! - touchY!, liftX! - touchX!];
      assert.ok(dy === 0 || dx === 0, 'along one axis');
      return dx === 0 ? (dy < 0 ? 'up' : 'down') : dx < 0 ? 'left' : 'right';
    });
    assert.deepEqual(moved, ways, rule);
  }
});

test('an action outside of the grammar stays an invalid action of its step, counted and named', async (t) => {
  const { rows, counts } = await imported(t, [{ kind: 'long press', touch: [0.5, 0.5] }, { kind: 'click', touch: [-1, 2] }, { kind: 'press back' }]);
  assert.deepEqual(rows.map(({ actionType }) => actionType), ['INVALID', 'INVALID', 'PRESS_BACK']);
  assert.ok('invalid' in parseAction(rows[0].action));
  assert.deepEqual(counts.outside, { 'click outside the screen': 1, 'long press': 1 });
  // it is never replaced by PRESS_HOME or any other action
  assert.match(rows[0].action, /long press/);
});

test('a missing screenshot leaves out its episode and shifts nothing in others', async (t) => {
  const folder = tempFolder(t);
  const file = await writeSeeClick(folder, 'train', 3);
  rmSync(join(folder, 'images', 'general', 'e1_2.png'));
  const run = join(folder, 'run');
  const counts = await importEpisodes(await seeclick(folder, [file]), run, { ...OPTIONS, shardSize: 100 });
  assert.equal(counts.episodes, 2);
  assert.equal(counts.leftOut, 1);
  assert.match(counts.leftOutNames[0], /aitw_data_train\.json: general, episode 1 at byte \d+ \(e1\): general\/e1_2\.png: the screenshot is not there/);
  const rows = await rowsOf(run, 'trajectories');
  assert.deepEqual(rows.map(({ trajectory }) => trajectory), [...Array<string>(5).fill('e0'), ...Array<string>(5).fill('e2')]);
  for (const { trajectory, step, image } of rows) assert.equal(image, imageId(screenOf(5 * Number(trajectory.slice(1)) + step)));
  const list = await readTable(join(run, 'imported', 'episodes-00000.parquet'), IMPORTED_EPISODES);
  assert.deepEqual(list.map(({ leftOut }) => leftOut === ''), [true, false, true]);
});

test('a damaged screenshot leaves out its episode and is named', async (t) => {
  const folder = tempFolder(t);
  const file = await writeSeeClick(folder, 'train', 2);
  writeFileSync(join(folder, 'images', 'general', 'e0_1.png'), 'no picture');
  const counts = await importEpisodes(await seeclick(folder, [file]), join(folder, 'run'), OPTIONS);
  assert.deepEqual([counts.episodes, counts.leftOut], [1, 1]);
  assert.match(counts.leftOutNames[0], /e0_1\.png.*expected a PNG, JPEG or WebP/);
});

test('episodes are held out whole, by the name of their file or by the hash of their id', async (t) => {
  const folder = tempFolder(t);
  const files = [await writeSeeClick(folder, 'train', 3), await writeSeeClick(folder, 'val', 2, 10), await writeSeeClick(folder, 'other', 20, 20)];
  const run = join(folder, 'run');
  const counts = await importEpisodes(await seeclick(folder, files), run, { ...OPTIONS, validation: 0.2, test: 0.3, shardSize: 1000 });
  const hashed = Array.from({ length: 20 }, (_, i) => splitById(`e${20 + i}`, { validation: 0.2, test: 0.3 }));
  const count = (split: string) => hashed.filter((one) => one === split).length;
  assert.deepEqual(counts.splits, { train: 3 + count('train'), val: 2 + count('val'), test: count('test') });
  assert.ok(count('val') > 0 && count('test') > 0);
  const [train, held] = [await rowsOf(run, 'trajectories'), await rowsOf(run, 'heldout')];
  const ids = (rows: typeof train) => new Set(rows.map(({ trajectory }) => trajectory));
  assert.equal([...ids(held)].filter((id) => ids(train).has(id)).length, 0);
  assert.equal(new Set([...train, ...held].map(({ tid }) => tid)).size, train.length + held.length);
  for (const { trajectory, split } of await annotationsOf(run, 'heldout'))
    assert.equal(split, Number(trajectory.slice(1)) >= 20 ? hashed[Number(trajectory.slice(1)) - 20] : 'val');
});

test('an interrupted import goes on to the same bytes, without reading pictures of finished shards again', async (t) => {
  const folder = tempFolder(t);
  const files = [await writeSeeClick(folder, 'train', 7), await writeSeeClick(folder, 'val', 3, 10)];
  const [whole, stopped] = [join(folder, 'whole'), join(folder, 'stopped')];
  const expected = await importEpisodes(await seeclick(folder, files), whole, OPTIONS);
  assert.ok(expected.shards > 3);
  for (const stop of [1, 2, 5, 8, 9]) {
    const onEpisode = (episodes: number): void => {
      if (episodes >= stop) throw new Error('stopped');
    };
    await assert.rejects(importEpisodes(await seeclick(folder, files), stopped, { ...OPTIONS, onEpisode }), /stopped/);
  }
  // the first four episodes are in finished shards
  cpSync(join(folder, 'images'), join(folder, 'fewer', 'images'), { recursive: true });
  for (let i = 0; i < 4; i++) rmSync(join(folder, 'fewer', 'images', 'general', `e${i}_0.png`));
  const resumed = await importEpisodes(await seeclick(join(folder, 'fewer'), files), stopped, OPTIONS);
  assert.deepEqual(resumed, expected);
  assert.deepEqual(contents(stopped), contents(whole));
});

test('a shorter import into the same folder removes the shards of the longer one', async (t) => {
  const folder = tempFolder(t);
  const run = join(folder, 'run');
  const long = await writeSeeClick(folder, 'train', 8);
  await importEpisodes(await seeclick(folder, [long]), run, OPTIONS);
  const short = await writeSeeClick(folder, 'val', 2, 10);
  const counts = await importEpisodes(await seeclick(folder, [short]), run, { ...OPTIONS, inputs: 'other' });
  assert.deepEqual(counts.splits, { train: 0, val: 2, test: 0 });
  for (const set of ['trajectories', 'imported'])
    assert.match(readFileSync(join(run, set, '_manifest.jsonl'), 'utf8').trim().split('\n').at(-1)!, /"removed":true/);
});

test('the plain layout reads episodes and steps, in any order and unit of coordinates', async (t) => {
  const folder = tempFolder(t);
  for (let i = 0; i < 6; i++) await writeScreen(join(folder, `s${i}.png`), i);
  const lines = [
    {
      ...{ episode: 'a', goal: 'one', split: 'test', family: 'shop', success: false, final_image: 's2.png' },
      steps: [
        { image: 's0.png', action: { type: 'tap', point: [0.25, 0.5] }, boxes: [[0.2, 0.4, 0.1, 0.2]], box_texts: ['Buy'], instruction: 'tap Buy' },
        { image: 's1.png', action: 'Action Plan: [TYPE]; Action Decision: "action_type": "TYPE", "touch_point": "[-1.0, -1.0]", "lift_point": "[-1.0, -1.0]", "typed_text": "milk"' },
      ],
    },
    { episode: 'b', step: 0, goal: 'two', image: 's3.png', order: 'xy', units: 'pixels', width: 200, height: 400, action: { type: 'swipe', touch: [100, 300], lift: [100, 100] }, boxes: [[20, 40, 60, 80]] },
    { episode: 'b', step: 1, goal: 'two', image: 's4.png', units: 'thousandths', action: { type: 'click', point: [500, 250] } },
    { episode: 'b', step: 2, goal: 'two', image: 's5.png', action: { type: 'status_task_complete' } },
    { episode: 'c', goal: 'three', steps: [{ image: 's0.png', action: { type: 'fly' } }] },
    { episode: 'd', steps: [] },
  ];
  const file = join(folder, 'episodes.jsonl');
  writeFileSync(file, lines.map((line) => JSON.stringify(line)).join('\n'));
  const parse = (text: string) => {
    const parsed = parseAction(text);
    return 'invalid' in parsed ? parsed : parsed.action;
  };
  const run = join(folder, 'run');
  const counts = await importEpisodes(plainEpisodes([file], { pictures: await openPictures(folder), parse }), run, { ...OPTIONS, shardSize: 100 });
  assert.deepEqual(counts.outside, { FLY: 1 });
  assert.deepEqual([counts.episodes, counts.leftOut, counts.splits.test, counts.successes], [3, 1, 1, 1]);
  assert.match(counts.leftOutNames[0], /entry 5 at byte \d+: episode d: expected a goal/);
  const [a] = await rowsOf(run, 'heldout');
  assert.deepEqual([a.touchY, a.touchX, a.trajectoryReward], [0.25, 0.5, 0]);
  const held = await annotationsOf(run, 'heldout');
  assert.deepEqual([held[0].boxTexts, held[0].instruction, boxesOf(held[0])], [['Buy'], 'tap Buy', [[0.2, 0.4, 0.1, 0.2]]]);
  const rows = await rowsOf(run, 'heldout');
  assert.equal(rows[1].nextImage, imageId(screenOf(2)));
  const b = (await rowsOf(run, 'trajectories')).filter(({ trajectory }) => trajectory === 'b');
  assert.deepEqual([b[0].touchY, b[0].touchX, b[0].liftY, b[0].liftX], [0.75, 0.5, 0.25, 0.5]);
  assert.deepEqual([b[1].touchY, b[1].touchX], [0.5, 0.25]);
  const [box] = boxesOf((await annotationsOf(run, 'trajectories'))[0]);
  assert.deepEqual(box, [0.1, 0.1, 0.2, 0.3]);
});

test('broken JSON is an error with the file and the position; an entry that is no episode is left out', async (t) => {
  const folder = tempFolder(t);
  const file = await writeSeeClick(folder, 'train', 2);
  const text = readFileSync(file, 'utf8');
  const run = join(folder, 'run');
  const attempt = async (content: string) => {
    writeFileSync(file, content);
    return importEpisodes(await seeclick(folder, [file]), run, OPTIONS);
  };
  await rejectsWithLine(() => attempt(text.slice(0, 700)), /aitw_data_train\.json: byte 700: truncated/);
  await rejectsWithLine(() => attempt(text.replace('"step":1', '"step":,')), /byte \d+: item 0: not valid JSON/);
  await rejectsWithLine(() => attempt('{"general": []}'), /nothing to import: the files have no episodes/);
  const counts = await attempt(text.replace('"goal":"find item 0"', '"aim":"x"'));
  assert.equal(counts.leftOut, 1);
  assert.match(counts.leftOutNames[0], /step 1: has another goal or ep_id than step 0|expected ep_id and goal/);
});
