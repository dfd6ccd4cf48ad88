import assert from 'node:assert/strict';
import { test } from 'node:test';
import { actionsMatch, type Box } from '../../src/agents/matching.js';
import { ACTION_TYPES, tap, type Action, type Point } from '../../src/data/action.js';

const swipe = (touch: Point, lift: Point): Action => ({ type: 'DUAL_POINT', touch, lift });

test('taps match at a distance of up to 0.14', () => {
  assert.ok(actionsMatch(tap([0.5, 0.5]), tap([0.5, 0.6399])));
  assert.ok(!actionsMatch(tap([0.5, 0.5]), tap([0.5, 0.6401])));
});

test('taps match inside the same grown box, edges included', () => {
  // height 0.1 grows to 0.24, from 0.43 to 0.67; width 0.2 grows to 0.48, from 0.26 to 0.74
  const box: Box = [0.5, 0.4, 0.1, 0.2];
  assert.ok(actionsMatch(tap([0.55, 0.27]), tap([0.55, 0.73]), [box]));
  assert.ok(!actionsMatch(tap([0.55, 0.25]), tap([0.55, 0.73]), [box]), 'left of it');
  assert.ok(!actionsMatch(tap([0.55, 0.27]), tap([0.68, 0.73]), [box]), 'below it');
  assert.ok(!actionsMatch(tap([0.55, 0.27]), tap([0.55, 0.73]), []));
  assert.ok(
    !actionsMatch(tap([0.55, 0.1]), tap([0.55, 0.9]), [
      [0.5, 0, 0.1, 0.2],
      [0.5, 0.8, 0.1, 0.2],
    ]),
    'two boxes',
  );
});

test('a box at the edge of the screen keeps its grown size when its corner stops there', () => {
  // width 0.2 grows to 0.48; the corner would be at -0.14 and stops at 0, so it reaches to 0.48 and not to 0.34
  assert.ok(actionsMatch(tap([0.5, 0.01]), tap([0.5, 0.47]), [[0.4, 0, 0.2, 0.2]]));
});

test('swipes match by their main axis, in either direction, and never match a tap', () => {
  const down = swipe([0.2, 0.5], [0.8, 0.55]);
  assert.ok(actionsMatch(down, swipe([0.9, 0.1], [0.3, 0.2])));
  assert.ok(!actionsMatch(down, swipe([0.5, 0.2], [0.55, 0.8])));
  assert.ok(!actionsMatch(down, tap([0.2, 0.5])));
  assert.ok(actionsMatch(swipe([0.5, 0.5], [0.6, 0.6]), swipe([0.2, 0.2], [0.8, 0.2])), 'a tie counts as y');
});

test('other actions match by type, whatever the typed text', () => {
  assert.ok(actionsMatch({ type: 'TYPE', text: 'a' }, { type: 'TYPE', text: 'b' }));
  for (const a of ACTION_TYPES) {
    for (const b of ACTION_TYPES) {
      const [x, y] = [a, b].map((type) =>
        type === 'DUAL_POINT' ? tap([0, 0]) : type === 'TYPE' ? { type, text: '' } : { type },
      );
      assert.equal(actionsMatch(x as Action, y as Action), a === b, `${a} ${b}`);
    }
  }
});

test('matching is symmetric', () => {
  const actions = [
    tap([0.1, 0.1]),
    tap([0.2, 0.15]),
    swipe([0, 0], [1, 0]),
    swipe([0, 0], [0, 1]),
    { type: 'PRESS_BACK' } as Action,
  ];
  const boxes: Box[] = [[0.1, 0.1, 0.3, 0.1]];
  for (const a of actions) for (const b of actions) assert.equal(actionsMatch(a, b, boxes), actionsMatch(b, a, boxes));
});
