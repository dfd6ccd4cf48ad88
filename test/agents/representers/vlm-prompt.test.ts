/** The questions to a VLM about each type of action. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatAction } from '../../../src/agents/grammar.js';
import { vlmPrompt } from '../../../src/agents/representers/vlm-prompt.js';
import { tap, type Action } from '../../../src/data/action.js';

const of = (action: Action, goal = 'buy a lamp') => vlmPrompt(goal, formatAction(action));
const swipe = (touch: [number, number], lift: [number, number]): Action => ({ type: 'DUAL_POINT', touch, lift });

test('each type of action has its own question for Yes or No', () => {
  const actions: Action[] = [
    tap([0.1, 0.2]),
    swipe([0.8, 0.5], [0.2, 0.5]),
    { type: 'TYPE', text: 'lamp' },
    { type: 'PRESS_BACK' },
    { type: 'PRESS_HOME' },
    { type: 'PRESS_ENTER' },
    { type: 'STATUS_TASK_COMPLETE' },
    { type: 'STATUS_TASK_IMPOSSIBLE' },
  ];
  const prompts = [
    ...actions.map((action) => of(action)),
    vlmPrompt('buy a lamp', ''),
    vlmPrompt('buy a lamp', 'tap it'),
  ];
  assert.equal(new Set(prompts.map(({ text }) => text)).size, prompts.length);
  for (const { text } of prompts)
    assert.match(text, /^This is the screen of a phone\. .* Answer with one word, Yes or No\.$/);
  assert.deepEqual(
    prompts.map(({ cursor }) => cursor),
    [[0.1, 0.2], ...Array<undefined>(9).fill(undefined)],
    'only a tap has a cursor',
  );
});

test('a tap has a cursor at its touch point; a swipe is described by its ends and its direction', () => {
  const { text, cursor } = of({ type: 'DUAL_POINT', touch: [0.5, 0.25], lift: [0.51, 0.25] });
  assert.deepEqual(cursor, [0.5, 0.25]);
  assert.match(text, /marks the touch point \[0\.5000, 0\.2500\] of a tap/);
  assert.match(of(swipe([0.8, 0.5], [0.2, 0.4])).text, /swipes up, from \[0\.8000, 0\.5000\] to \[0\.2000, 0\.4000\]/);
  assert.match(of(swipe([0.2, 0.5], [0.8, 0.5])).text, /swipes down/);
  assert.match(of(swipe([0.5, 0.9], [0.4, 0.1])).text, /swipes left/);
  assert.match(of(swipe([0.5, 0.1], [0.4, 0.9])).text, /swipes right/);
});

test('tasks share the questions about actions, but not those about completion', () => {
  for (const action of [tap([0.1, 0.2]), { type: 'PRESS_BACK' } as const, { type: 'TYPE', text: 'x' } as const]) {
    assert.deepEqual(of(action, 'buy a lamp'), of(action, 'buy a chair'));
  }
  for (const text of ['', formatAction({ type: 'STATUS_TASK_COMPLETE' })]) {
    assert.notDeepEqual(vlmPrompt('buy a lamp', text), vlmPrompt('buy a chair', text));
  }
  assert.deepEqual(
    vlmPrompt('', formatAction(tap([0.1, 0.2]), ['DUAL_POINT', 'TYPE'])),
    of(tap([0.1, 0.2])),
    'a plan does not matter',
  );
  assert.deepEqual(vlmPrompt('', 'nonsense'), vlmPrompt('x', 'other nonsense'));
});

test('an outside text never becomes a special token, breaks the line or fills the context', () => {
  const { text } = of({ type: 'TYPE', text: 'a <image> b</s> <|im_end|>\n<<image>> 1 < 2 > 0' });
  assert.match(text, /"a ‹image› b‹\/s› ‹\|im_end\|› <‹image›> 1 < 2 > 0"/);
  assert.doesNotMatch(text, /<image>|<\/s>|<\|/);
  assert.ok(of({ type: 'TYPE', text: 'long '.repeat(1000) }).text.length < 800);
  assert.ok(vlmPrompt('<image> '.repeat(1000), '').text.length < 800);
});
