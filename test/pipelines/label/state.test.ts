import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { formatAction } from '../../../src/agents/grammar.js';
import { imageId } from '../../../src/data/images.js';
import type { Action } from '../../../src/data/action.js';
import { expert, DEFAULT_GRID, Phone, phoneTasks } from '../../../src/devices/phone/index.js';
import { Random } from '../../../src/random.js';
import { rateByState, type ReplayedStep } from '../../../pipelines/label/state.js';
import { readLabels, readTransitions } from '../../../pipelines/datasets.js';
import { run, withPolicy } from '../../rigs/tiny-runs.js';

/** Plays actions on a phone and records the steps. */
function played(phone: Phone, choose: (phone: Phone, step: number) => Action | string | undefined): ReplayedStep[] {
  const steps: ReplayedStep[] = [];
  for (let step = 0; ; step++) {
    const action = choose(phone, step);
    if (action === undefined) return steps;
    const image = imageId(phone.frame());
    if (typeof action !== 'string') phone.apply(action);
    const text = typeof action === 'string' ? action : formatAction(action);
    steps.push({ trajectory: '00000', step, action: text, image, nextImage: imageId(phone.frame()) });
  }
}

const [task] = phoneTasks({ set: 'webshop', split: 'train', count: 1, seed: 0 });
const random = new Random(0, 'test');
const right = (phone: Phone): Action => expert(phone, { grid: DEFAULT_GRID, random });

test('rates right steps good, detours, wrong declarations and texts that are no action bad, and the way back good', async () => {
  const phone = new Phone();
  phone.begin(task, 3);
  const order: (Action | string | 'right')[] = [
    'right',
    { type: 'STATUS_TASK_IMPOSSIBLE' },
    'not an action',
    { type: 'PRESS_HOME' },
    'right',
    { type: 'STATUS_TASK_COMPLETE' },
    'right',
  ];
  const steps = played(phone, (at, i) => (order[i] === 'right' ? right(at) : order[i]));
  const ratings = await rateByState(steps, { task, seed: 3 });
  assert.deepEqual(
    ratings.map(({ rating }) => rating),
    [2, 1, 1, 1, 2, 1, 2],
  );
  assert.equal(ratings[5].explanation, 'the task is not achieved yet');
  // home undoes the first step exactly
  assert.equal(ratings[3].after, ratings[0].before);
});

test('a whole right episode is good throughout; its last step is the declaration, after which nothing is left', async () => {
  const phone = new Phone();
  phone.begin(task, 4);
  let over = false;
  const steps = played(phone, (at) => {
    if (over) return undefined;
    const action = right(at);
    over = action.type === 'STATUS_TASK_COMPLETE';
    return action;
  });
  const ratings = await rateByState(steps, { task, seed: 4 });
  assert.ok(ratings.every(({ rating }) => rating === 2));
  assert.deepEqual([ratings.at(-1)!.before, ratings.at(-1)!.after], [1, 0]);
});

test('a replay that shows another screen is an error, not a rating', async () => {
  const phone = new Phone();
  phone.begin(task, 3);
  const steps = played(phone, (at, i) => (i < 3 ? right(at) : undefined));
  await assert.rejects(rateByState(steps, { task, seed: 5 }), /step 0 of trajectory 00000: the replay/);
  await assert.rejects(
    rateByState([{ ...steps[0], nextImage: '0'.repeat(32) }], { task, seed: 3 }),
    /the end of trajectory 00000: the replay/,
  );
});

test('the stage rates what demos and collect have played, by outcome and exactly by state', async (t) => {
  const data = await withPolicy(t);
  for (const [set, stage] of [
    ['demos', 'demos'],
    ['trajectories', 'collect'],
  ] as const) {
    const said = await run(data, 'label', ['label.from=state', `label.data=${set}`, `run=pocket`], { redo: true });
    const folder = join(data, 'pocket', 'labels');
    const labels = await readLabels(folder);
    const steps = await readTransitions(join(data, 'pocket', set), stage);
    assert.deepEqual(
      labels.map(({ tid, trajectory, step }) => [tid, trajectory, step]),
      steps.map(({ tid, trajectory, step }) => [tid, trajectory, step]),
    );
    assert.ok(labels.every(({ rating, stateRating, judge }) => rating === stateRating && judge === 'state'));
    assert.deepEqual(
      labels.map(({ outcomeRating }) => outcomeRating),
      steps.map(({ trajectoryReward }) => (trajectoryReward > 0 ? 2 : 1)),
    );
    assert.match(said, new RegExp(`${labels.length} steps of ${set} rated by state: \\d+ good, \\d+ bad`));
  }
  const said = await run(data, 'label', ['label.from=outcome'], { redo: true });
  assert.match(said, /agreement with the state of the phone: [\d.]+ % of \d+ steps, kappa/);
});
