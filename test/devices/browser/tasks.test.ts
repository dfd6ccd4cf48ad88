import assert from 'node:assert/strict';
import { join } from 'node:path';
import { readTaskList } from '../../../src/data/task-list.js';
import type { Action } from '../../../src/data/action.js';
import type { BrowserDevice } from '../../../src/devices/browser/browser.js';
import { stateJudge } from '../../../src/judges/state.js';
import { browserTest, openDevice, PATIENT, WEB } from '../../rigs/browser/rig.js';
import { BOOK, colour, field, fill, letterOf, menuEntry, OPEN_MENU, Reader } from '../../rigs/browser/agents.js';

const tasks = new Map(readTaskList(join(WEB, 'tasks.jsonl')).map((task) => [task.id, task]));

async function begin(device: BrowserDevice, id: string, seed: number): Promise<void> {
  await device.reset('app', { task: tasks.get(id)!, seed, ...PATIENT });
}

/** Executes the actions. @returns whether the task is achieved after each */
async function play(device: BrowserDevice, actions: readonly Action[]): Promise<(boolean | undefined)[]> {
  const achieved = [];
  for (const action of actions) {
    assert.deepEqual(await device.act(action, PATIENT), { applied: 'yes' });
    achieved.push(device.achieved());
  }
  return achieved;
}

browserTest('touch: only the right swatch is rewarded', async (t) => {
  const { device } = openDevice(t, { folder: WEB });
  for (const [id, wanted] of [
    ['menu-teal', 'teal'],
    ['menu-brown', 'brown'],
  ]) {
    for (const seed of [1, 2]) {
      await begin(device, id, seed);
      assert.equal(device.achieved(), false);
      const path = [OPEN_MENU, menuEntry(seed, 'About'), OPEN_MENU, menuEntry(seed, 'Colour')];
      assert.deepEqual(await play(device, path), [false, false, false, false]);
      assert.deepEqual(await play(device, [colour(seed, 'red'), colour(seed, wanted)]), [false, true]);
      assert.deepEqual(await play(device, [OPEN_MENU, menuEntry(seed, 'Switch off')]), [true, false]);
    }
  }
});

browserTest(
  'typing: a correct booking is rewarded, a refused one can be corrected, a wrong one is final',
  async (t) => {
    const { device } = openDevice(t, { folder: WEB });
    for (const typing of [1, 2]) {
      await begin(device, 'form-grace', typing);
      await play(device, [
        ...fill(typing, 'name', 'Grace'),
        ...fill(typing, 'guests', '4'),
        ...fill(typing, 'mail', 'grace'),
      ]);
      assert.deepEqual(await play(device, [BOOK]), [false], 'no address');
      assert.equal(device.over(), false);
      const end: Action[] = [field(typing, 'mail'), { type: 'TYPE', text: '@example.org' }, { type: 'PRESS_ENTER' }];
      assert.deepEqual(await play(device, end), [false, false, true]);
      assert.equal(device.over(), true);
    }
    await begin(device, 'form-alan', 3);
    await play(device, [
      ...fill(3, 'name', 'Alan'),
      ...fill(3, 'guests', '12'),
      ...fill(3, 'mail', 'alan@example.com'),
    ]);
    assert.deepEqual(await play(device, [BOOK]), [false], '12 guests, not 11');
    assert.equal(device.over(), true);
  },
);

browserTest('typing=insert fills a field too', async (t) => {
  const { device } = openDevice(t, { folder: WEB, typing: 'insert' });
  await begin(device, 'form-alan', 0);
  await play(device, [...fill(0, 'name', 'Alan'), ...fill(0, 'guests', '11'), ...fill(0, 'mail', 'alan@example.com')]);
  assert.deepEqual(await play(device, [BOOK]), [true]);
});

browserTest('scrolling: only the letter far down the growing list is rewarded', async (t) => {
  const { device } = openDevice(t, { folder: WEB });
  for (const [id, seed] of [
    ['list-noor', 1],
    ['list-eli', 5],
  ] as const) {
    await begin(device, id, seed);
    const reader = new Reader();
    const wanted = letterOf(seed);
    assert.equal((await play(device, reader.keep(2))).at(-1), false, 'another letter');
    assert.equal((await play(device, new Reader().keep(2))).at(-1), false, 'no longer kept');
    assert.equal((await play(device, reader.keep(wanted))).at(-1), true);
    assert.equal((await play(device, reader.keep(wanted - 1))).at(-1), false, 'one letter too many');
  }
});

browserTest('the state judge requires a declaration unless the page has ended the task', async (t) => {
  const { device } = openDevice(t, { folder: WEB });
  const judge = stateJudge();
  const task = { id: 'x', text: '' };
  await begin(device, 'menu-teal', 4);
  await play(device, [OPEN_MENU, menuEntry(4, 'Colour'), colour(4, 'teal')]);
  assert.equal(await judge.judge({ device, task, completed: false }), 'failure');
  await play(device, [{ type: 'STATUS_TASK_COMPLETE' }]);
  assert.equal(await judge.judge({ device, task, completed: true }), 'success');
  assert.equal(device.over(), false, 'the lamp can still be changed');
});

browserTest('equal tasks, seeds and actions give equal pixels; another seed gives another page', async (t) => {
  const { device } = openDevice(t, { folder: WEB, await_release: true });
  const film = async (seed: number) => {
    await begin(device, 'list-noor', seed);
    const frames = [await device.screenshot(PATIENT)];
    for (const action of new Reader().keep(30)) {
      await device.act(action, PATIENT);
      frames.push(await device.screenshot(PATIENT));
    }
    return frames.map(({ width, height, rgba }) => {
      assert.deepEqual([width, height, rgba.length], [412, 915, 412 * 915 * 4]);
      return Buffer.from(rgba);
    });
  };
  const [first, again, other] = [await film(7), await film(7), await film(8)];
  first.forEach((frame, i) => assert.ok(frame.equals(again[i]), `frame ${i}`));
  assert.ok(!first[0].equals(other[0]));
});
