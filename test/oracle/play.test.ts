/** Playing on from a state of the embedded phone. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tap, type Action } from '../../src/data/action.js';
import { imageId } from '../../src/data/images.js';
import { DEFAULT_GRID, expert, Phone, phoneTasks } from '../../src/devices/phone/index.js';
import { playOn, type Decide, type Position } from '../../src/oracle/play.js';
import { Random } from '../../src/random.js';

const [SHOP] = phoneTasks({ set: 'webshop', split: 'train', count: 1, seed: 4 });
const [APP] = phoneTasks({ set: 'general', split: 'train', count: 1, seed: 4 });
const DONE: Action = { type: 'STATUS_TASK_COMPLETE' };
const GIVEN_UP: Action = { type: 'STATUS_TASK_IMPOSSIBLE' };
const JUDGED = { declare: 'required', ask: 'end' } as const;

function begun(task = SHOP, seed = 3): Phone {
  const phone = new Phone();
  phone.begin(task, seed);
  return phone;
}

/** The expert's next action, the same in the same state. */
const best = (phone: Phone): Action => expert(phone, { grid: DEFAULT_GRID, random: new Random(0, 'expert') });

/** Everyone at a position does the same. */
const together =
  (choose: (position: Position) => Action): Decide =>
  async (positions) =>
    positions.map((position) => [{ text: 'x', action: choose(position), members: position.members }]);

test('a copy of a phone goes its own way, and the same way for the same actions', () => {
  const phone = begun();
  for (let i = 0; i < 3; i++) phone.apply(best(phone));
  const before = imageId(phone.frame());
  const [one, two] = [phone.copy(), phone.copy()];
  while (!one.achieved()) one.apply(best(one));
  assert.equal(imageId(phone.frame()), before, 'the original stays');
  assert.equal(imageId(two.frame()), before, 'and so does another copy');
  while (!two.achieved()) two.apply(best(two));
  assert.equal(imageId(two.frame()), imageId(one.frame()));
});

test('an outcome is the number of actions up to the declared success, within the steps that are left', async () => {
  const phone = begun();
  const needed = (() => {
    const twin = phone.copy();
    let n = 1;
    for (; best(twin).type !== 'STATUS_TASK_COMPLETE'; n++) twin.apply(best(twin));
    return n;
  })();
  const decide = together(({ phone: there }) => best(there));
  const start = (steps: number) => ({ key: `${steps}`, phone, previous: '', steps });
  const outcomes = await playOn([start(needed), start(needed - 1)], { decide, rollouts: 3, ...JUDGED });
  assert.deepEqual(outcomes, [
    [needed, needed, needed],
    [0, 0, 0],
  ]);
  const [ignored] = await playOn([start(needed - 1)], { decide, rollouts: 1, declare: 'ignored', ask: 'end' });
  assert.deepEqual(ignored, [needed - 1], 'the goal is reached one action before it is declared');
  const never = together(({ phone: there }) => (there.achieved() ? { type: 'PRESS_HOME' } : best(there)));
  const [step] = await playOn([start(needed + 5)], { decide: never, rollouts: 1, declare: 'ignored', ask: 'step' });
  assert.deepEqual(step, [needed - 1], 'asked at each step, the first success ends the episode');
});

test('the first action is done whoever decides: an end is final, and what is no action changes nothing', async () => {
  const phone = begun(APP);
  const decide = together(({ phone: there }) => best(there));
  const common = { phone, previous: '', steps: 15 };
  const [wrong, invalid, own, given] = await playOn(
    [
      { ...common, key: 'done', first: { text: 'done', action: DONE } },
      { ...common, key: 'invalid', first: { text: 'nonsense' } },
      { ...common, key: 'own' },
      { ...common, key: 'given up', first: { text: 'no', action: GIVEN_UP } },
    ],
    { decide, rollouts: 2, ...JUDGED },
  );
  assert.deepEqual([wrong, given], [[0, 0], [0, 0]]); // prettier-ignore
  assert.ok(own[0] > 1);
  assert.deepEqual(invalid, own.map((n) => n + 1)); // prettier-ignore
});

test('shared positions have the outcomes of separate episodes', async () => {
  const phone = begun(APP);
  // an agent that errs in three actions of ten, by the random stream of its episode
  const draw = (key: string, member: number) => new Random(7, key, member).next();
  const act = (there: Phone, u: number): Action => (u < 0.7 ? best(there) : u < 0.85 ? tap([0.99, 0.01]) : GIVEN_UP);
  let decisions = 0;
  let episodes = 0;
  const decide: Decide = async (positions) => {
    decisions += positions.length;
    return positions.map(({ key, phone: there, members }) => {
      episodes += members.length;
      const by = new Map<string, { text: string; action: Action; members: number[] }>();
      for (const member of members) {
        const action = act(there, draw(key, member));
        const text = JSON.stringify(action);
        const found = by.get(text);
        if (found) found.members.push(member);
        else by.set(text, { text, action, members: [member] });
      }
      return [...by.values()];
    });
  };
  const start = { key: 'a', phone, previous: '', steps: 6 };
  const rollouts = 4000;
  const [outcomes] = await playOn([start], { decide, rollouts, ...JUDGED });
  assert.ok(decisions * 50 < episodes, `${decisions} decisions for ${episodes}`);
  assert.deepEqual(
    await playOn([start], { decide, rollouts, ...JUDGED }),
    [outcomes],
    'the same streams, the same ends',
  );
  assert.deepEqual(
    (await playOn([start], { decide, rollouts: 10, ...JUDGED }))[0],
    outcomes.slice(0, 10),
    'an episode does not depend on how many others there are',
  );
  // the same agent, episode by episode
  const random = new Random(8, 'separate');
  let wins = 0;
  for (let i = 0; i < rollouts; i++) {
    const alone = phone.copy();
    for (let step = 0; step < 6; step++) {
      const action = act(alone, random.next());
      alone.apply(action);
      if (action.type === 'STATUS_TASK_COMPLETE') wins += alone.achieved() ? 1 : 0;
      if (action === GIVEN_UP || action.type === 'STATUS_TASK_COMPLETE') break;
    }
  }
  const shared = outcomes.filter((n) => n > 0).length / rollouts;
  const apart = wins / rollouts;
  assert.ok(shared > 0.1 && shared < 0.9, `${shared}`);
  assert.ok(Math.abs(shared - apart) < 5 * Math.sqrt((2 * 0.25) / rollouts), `${shared} and ${apart}`);
});

test('a start without a step left is a mistake of the caller', async () => {
  const start = { key: 'late', phone: begun(), previous: '', steps: 0 };
  await assert.rejects(
    playOn([start], { decide: async () => [], rollouts: 1, ...JUDGED }),
    /late: expected at least 1 step/,
  );
});
