import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { formatAction } from '../../src/agents/grammar.js';
import { actionsMatch, type Box } from '../../src/agents/matching.js';
import { matches, offlineRates, scored, type Convention } from '../../src/agents/offline.js';
import { tap, type Action, type Point } from '../../src/data/action.js';
import { bootstrap95 } from '../../src/data/interval.js';
import { Random } from '../../src/random.js';
import { fixture } from '../rigs/files.js';

const swipe = (touch: Point, lift: Point): Action => ({ type: 'DUAL_POINT', touch, lift });
const UP = swipe([0.8, 0.5], [0.2, 0.5]);
const LEFT = swipe([0.5, 0.8], [0.5, 0.2]);

interface GoldenAction {
  readonly type: Action['type'];
  readonly touch: Point;
  readonly lift: Point;
}

const asAction = ({ type, touch, lift }: GoldenAction): Action =>
  type === 'DUAL_POINT' ? { type, touch, lift } : type === 'TYPE' ? { type, text: '' } : { type };

/** Predictions for one step. */
function score(reference: string, prediction: string, boxes: readonly Box[] = [], convention: Convention = 'aitw') {
  return scored({ tid: 0, trajectory: 'e', step: 0, family: '', action: reference, prediction, boxes }, convention);
}

test('the metric gives every golden verdict, from texts with four decimals', () => {
  const { cases } = JSON.parse(readFileSync(fixture('golden', 'action_matching.json'), 'utf8')) as {
    cases: { a: GoldenAction; b: GoldenAction; boxes: Box[]; match: boolean }[];
  };
  assert.ok(cases.length >= 60);
  for (const { a, b, boxes, match } of cases) {
    const row = score(formatAction(asAction(a)), formatAction(asAction(b)), boxes);
    assert.equal(row.matched, match, JSON.stringify({ a, b, boxes }));
  }
});

/** Android in the Wild's rule as its own code writes it, on arrays [type, touch, lift] with points [-1, -1] where unused. */
function official(a: GoldenAction, b: GoldenAction, boxes: readonly Box[]): boolean {
  const norm = (p: Point, q: Point) => Math.sqrt((p[0] - q[0]) ** 2 + (p[1] - q[1]) ** 2);
  if (a.type !== 'DUAL_POINT' || b.type !== 'DUAL_POINT') return a.type === b.type;
  const [tapA, tapB] = [norm(a.touch, a.lift) <= 0.04, norm(b.touch, b.lift) <= 0.04];
  if (tapA !== tapB) return false;
  if (!tapA) {
    const axis = ({ touch, lift }: GoldenAction) => {
      const moved = [Math.abs(lift[0] - touch[0]), Math.abs(lift[1] - touch[1])];
      return moved.indexOf(Math.max(...moved));
    };
    return axis(a) === axis(b);
  }
  const grown = boxes.map(([y, x, h, w]) => [
    Math.max(0, y - (1.4 * h) / 2),
    Math.max(0, x - (1.4 * w) / 2),
    Math.min(1, h + 1.4 * h),
    Math.min(1, w + 1.4 * w),
  ]);
  const within = ([py, px]: Point, [y, x, h, w]: number[]) => py >= y && py <= y + h && px >= x && px <= x + w;
  return norm(a.touch, b.touch) <= 0.14 || grown.some((box) => within(a.touch, box) && within(b.touch, box));
}

test('the metric is the official rule on other cases of the same layout, and swapped axes would be seen', () => {
  const random = new Random(7, 'matching');
  const kinds: Action['type'][] = ['DUAL_POINT', 'DUAL_POINT', 'DUAL_POINT', 'TYPE', 'PRESS_BACK', 'PRESS_HOME'];
  const round = (value: number) => Number(value.toFixed(4));
  const point = (): Point => [round(random.next()), round(random.next())];
  const near = ([y, x]: Point, by: number): Point =>
    [y, x].map((part) => round(Math.min(1, Math.max(0, part + by * (2 * random.next() - 1))))) as [number, number];
  const draw = (like?: GoldenAction): GoldenAction => {
    const type = like && random.next() < 0.8 ? like.type : random.pick(kinds);
    if (type !== 'DUAL_POINT') return { type, touch: [-1, -1], lift: [-1, -1] };
    const touch = like && like.type === 'DUAL_POINT' && random.next() < 0.7 ? near(like.touch, 0.25) : point();
    return { type, touch, lift: random.next() < 0.6 ? near(touch, 0.04) : near(touch, 0.6) };
  };
  let [matching, swapped] = [0, 0];
  for (let i = 0; i < 3000; i++) {
    const a = draw();
    const b = draw(a);
    const boxes: Box[] = Array.from(
      { length: random.int(5) },
      () => [...point(), round(0.3 * random.next()), round(0.3 * random.next())] as unknown as Box,
    );
    const expected = official(a, b, boxes);
    assert.equal(actionsMatch(asAction(a), asAction(b), boxes), expected, JSON.stringify({ a, b, boxes }));
    if (expected) matching++;
    const turned = ({ type, touch, lift }: GoldenAction): GoldenAction => ({
      type,
      touch: [touch[1], touch[0]],
      lift: [lift[1], lift[0]],
    });
    if (actionsMatch(asAction(a), asAction(turned(b)), boxes) !== expected) swapped++;
  }
  assert.ok(matching > 800 && matching < 2200, `${matching} match`);
  assert.ok(swapped > 300, `${swapped} verdicts would change with x first`);
});

test('other types than DUAL_POINT match by type, and never because both have no points', () => {
  // VEM's metric takes them for taps at [-1, -1], which then match each other
  assert.equal(score(formatAction({ type: 'PRESS_BACK' }), formatAction({ type: 'PRESS_HOME' })).matched, false);
  assert.equal(
    score(formatAction({ type: 'TYPE', text: 'a' }), formatAction({ type: 'STATUS_TASK_COMPLETE' })).matched,
    false,
  );
  assert.equal(score(formatAction({ type: 'PRESS_BACK' }), formatAction({ type: 'PRESS_BACK' })).matched, true);
  // and two taps far apart, or a tap and a swipe, are not the same because both are DUAL_POINT
  assert.equal(score(formatAction(tap([0.1, 0.1])), formatAction(tap([0.9, 0.9]))).matched, false);
  assert.equal(score(formatAction(tap([0.5, 0.5])), formatAction(UP)).matched, false);
});

test('a text that cannot be parsed is a miss for every recorded action, and never another action', () => {
  const recorded: Action[] = [
    tap([0.5, 0.5]),
    UP,
    { type: 'TYPE', text: '' },
    { type: 'PRESS_HOME' },
    { type: 'PRESS_BACK' },
    { type: 'STATUS_TASK_COMPLETE' },
  ];
  // the last one is the critic's short text, which is no decision
  for (const text of [
    '',
    'click the button',
    'Action Decision:',
    'step 3: "action_type": "DUAL_POINT", "click_point": "[0.5, 0.5]"',
  ])
    for (const action of recorded) {
      const row = score(formatAction(action), text);
      assert.deepEqual(
        [row.parsed, row.matched, row.typeMatched],
        [false, false, false],
        `${action.type} and ${JSON.stringify(text)}`,
      );
    }
});

test('a recorded action outside of the grammar does not count, for or against', () => {
  const row = score('{"action_type":"open_app"}', formatAction({ type: 'PRESS_HOME' }));
  assert.equal(row.kind, 'outside');
  const rates = offlineRates([row, { ...score(formatAction(UP), formatAction(UP)), step: 1 }], 0);
  assert.deepEqual([rates.step.of, rates.outside, rates.task.rate], [1, 1, 1]);
});

test('rates: steps, whole episodes, types, texts, taps, swipes and unparsable texts', () => {
  const text = (typed: string) => formatAction({ type: 'TYPE', text: typed });
  const step = (trajectory: string, n: number, reference: string, prediction: string) =>
    scored({ tid: n, trajectory, step: n, family: 'f', action: reference, prediction, boxes: [] }, 'aitw');
  const rows = [
    step('a', 0, formatAction(tap([0.5, 0.5])), formatAction(tap([0.55, 0.5]))),
    step('a', 1, text('Blue Shoes'), text('shoes')),
    step('b', 0, formatAction(tap([0.5, 0.5])), formatAction(tap([0.9, 0.5]))),
    step('b', 1, formatAction(UP), formatAction(LEFT)),
    step('b', 2, text('x'), text('')),
    step('c', 0, formatAction(UP), 'nothing'),
    step('c', 1, text('y'), formatAction({ type: 'PRESS_ENTER' })),
  ];
  const rates = offlineRates(rows, 1);
  const short = Object.fromEntries(
    Object.entries(rates).map(([name, rate]) => [name, typeof rate === 'number' ? rate : [rate.hits, rate.of]]),
  );
  assert.deepEqual(short, {
    step: [3, 7],
    task: [1, 3],
    type: [5, 7],
    // an empty text is no part of another
    typed_text: [1, 3],
    click: [1, 2],
    scroll: [0, 2],
    unparsable: [1, 7],
    outside: 0,
  });
});

test("AndroidControl's convention: the smallest element, the direction, the text", () => {
  const boxes: Box[] = [
    [0, 0, 1, 1],
    [0.4, 0.4, 0.1, 0.2],
  ];
  const exact = (a: Action, b: Action, within = boxes) => matches(a, b, within, 'androidcontrol');
  assert.ok(exact(tap([0.45, 0.45]), tap([0.41, 0.59])));
  assert.ok(!exact(tap([0.45, 0.45]), tap([0.39, 0.45])), 'outside of the element, though near');
  assert.ok(matches(tap([0.45, 0.45]), tap([0.39, 0.45]), boxes, 'aitw'));
  assert.ok(exact(tap([0.45, 0.45]), tap([0.5, 0.5]), []), 'no element known: within 0.14');
  assert.ok(!exact(tap([0.45, 0.45]), tap([0.7, 0.5]), []));
  assert.ok(!exact(UP, swipe([0.2, 0.5], [0.8, 0.5])), 'the other way');
  assert.ok(matches(UP, swipe([0.2, 0.5], [0.8, 0.5]), [], 'aitw'));
  assert.ok(exact(UP, swipe([0.6, 0.1], [0.4, 0.15])));
  assert.ok(exact({ type: 'TYPE', text: 'Milk ' }, { type: 'TYPE', text: 'milk' }));
  assert.ok(!exact({ type: 'TYPE', text: 'milk' }, { type: 'TYPE', text: 'mil' }));
  assert.ok(!exact(tap([0.5, 0.5]), UP));
  assert.ok(exact({ type: 'PRESS_BACK' }, { type: 'PRESS_BACK' }));
});

test('the bootstrap draws whole episodes: its interval is wider where steps of an episode agree', () => {
  const random = new Random(3, 'clusters');
  const together = Array.from({ length: 60 }, () => (random.next() < 0.5 ? { hits: 10, of: 10 } : { hits: 0, of: 10 }));
  const apart = Array.from({ length: 60 }, (_, i) => ({ hits: 5 + (i % 2), of: 10 + (i % 2) }));
  const width = ([low, high]: [number, number]) => high - low;
  assert.ok(width(bootstrap95(together, 1)) > 0.2);
  assert.ok(width(bootstrap95(apart, 1)) < 0.02);
  assert.deepEqual(bootstrap95(together, 1), bootstrap95(together, 1));
  const [low, high] = bootstrap95(together, 1);
  const rate = together.reduce((sum, { hits }) => sum + hits, 0) / 600;
  assert.ok(low < rate && rate < high);
  // every episode the same: the bootstrap alone would say that the rate is certain
  const sure = bootstrap95(
    Array.from({ length: 4 }, () => ({ hits: 5, of: 5 })),
    1,
  );
  assert.ok(sure[0] < 0.6 && sure[1] === 1);
  assert.deepEqual(bootstrap95([], 1), [0, 1]);
});
