import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { SourceEpisode, Unreadable } from '../../../src/data/episodes/episode.js';
import { vemEpisodes } from '../../../src/data/episodes/vem.js';
import { openPictures } from '../../../src/data/released/pictures.js';
import { writeScreen } from '../../rigs/demonstrations.js';
import { tempFolder } from '../../rigs/files.js';

const STEPS = [
  { action_type: 'DUAL_POINT', touch_point: [0.2, 0.7], lift_point: [0.2, 0.7], typed_text: '' },
  { action_type: 'SCROLL_LEFT', touch_point: [0.9, 0.5], lift_point: [0.1, 0.5], typed_text: '' },
  { action_type: 'TYPE', touch_point: [-1, -1], lift_point: [-1, -1], typed_text: 'x' },
  { action_type: 'STATUS_TASK_COMPLETE', touch_point: [-1, -1], lift_point: [-1, -1], typed_text: '' },
];

/** Rows as VEM's code writes them; the lists lack the steps whose screenshots it did not find. */
function rows(id: string, missing: readonly number[] = []) {
  const there = STEPS.map((_, i) => i).filter((i) => !missing.includes(i));
  return STEPS.map((step, i) => ({
    ...{ ep_id: id, step_id: i, task: `task ${id}`, position: [0.1 * i, 0.1, 0.2, 0.2], ...step },
    action_list: there.map((n) => STEPS[n]),
    image_list: there.map((n) => `images/aitw_images/general/${id}_${n}.png`),
  }));
}

test("VEM's rows become episodes in any order of the rows, with boxes by step", async (t) => {
  const folder = tempFolder(t);
  for (const id of ['a', 'b']) for (const i of STEPS.keys()) await writeScreen(join(folder, 'i', 'general', `${id}_${i}.png`), i);
  const [a, b, c] = [rows('a'), rows('b'), rows('c', [1])];
  const file = join(folder, 'general_val_critic.jsonl');
  // labelled rows come as the answers arrive, and one was never answered
  const lines = [a[2], b[1], a[0], c[0], c[3], b[0], a[3], b[3], b[2]];
  writeFileSync(file, lines.map((row) => `${JSON.stringify(row)}\n`).join('') + '{"ep_id": 3}\n');
  rmSync(join(folder, 'i', 'general', 'b_0.png'));
  const found: (SourceEpisode | Unreadable)[] = [];
  for await (const one of vemEpisodes([file], { pictures: await openPictures(join(folder, 'i')), scrolls: 'recorded' })) found.push(one);
  const episodes = found.filter((one) => 'id' in one);
  assert.deepEqual(episodes.map(({ id, goal, family, split }) => [id, goal, family, split]), [
    ['a', 'task a', 'general', 'val'],
    ['b', 'task b', 'general', 'val'],
  ]);
  const [first, scroll, typed] = episodes[0].steps;
  assert.deepEqual(first.does, { action: { type: 'DUAL_POINT', touch: [0.7, 0.2], lift: [0.7, 0.2] } });
  assert.deepEqual(scroll.does, { action: { type: 'DUAL_POINT', touch: [0.5, 0.9], lift: [0.5, 0.1] } });
  assert.deepEqual(typed.does, { action: { type: 'TYPE', text: 'x' } });
  // the row of step 1 is not there: its boxes are unknown, and those of step 2 are its own
  assert.deepEqual(scroll.boxes, []);
  assert.deepEqual(typed.boxes, [[0.2, 0.1, 0.2, 0.2]]);
  assert.equal((await first.picture())?.width, 36);
  // a picture that is not there is not that of another step
  assert.equal(await episodes[1].steps[0].picture(), undefined);
  const unreadable = found.flatMap((one) => ('unreadable' in one ? [`${one.where}: ${one.unreadable}`] : []));
  assert.equal(unreadable.length, 2);
  assert.match(unreadable[0], /row 9 at byte \d+: expected ep_id, step_id, action_list and image_list, got ep_id/);
  assert.match(unreadable[1], /\(episode c\): its lists have 3 screenshots and 3 actions, but there is a row of step 3/);
});
