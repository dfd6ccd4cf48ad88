import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ratedPicture, shortText } from '../../src/agents/rated-action.js';
import { formatAction } from '../../src/agents/grammar.js';
import type { Action } from '../../src/data/action.js';
import type { Frame } from '../../src/data/formats/frame.js';
import type { Picture } from '../../src/judges/chat.js';
import { parseRating } from '../../src/judges/rating-answer.js';
import { ratingQuestion } from '../../src/judges/rating-prompt.js';

for (const [what, text, rating, explanation] of [
  ['JSON', '{"rating": 2, "explanation": "opens the clock"}', 2, 'opens the clock'],
  ['a rating as text', '{"rating": "1", "explanation": "a detour"}', 1, 'a detour'],
  ['a fence and words', 'Sure!\n```json\n{"rating": 2, "explanation": "ok"}\n```\nI am sure.', 2, 'ok'],
  ['Python', "{'rating': 1, 'explanation': 'no, it\\'s wrong',}", 1, "no, it's wrong"],
  ['capitals', '{"Rating": 2, "Explanation": "ok"}', 2, 'ok'],
  ['no explanation', '{"rating": 2}', 2, ''],
  ['the same twice', '{"rating": 2, "explanation": "ok"} {"rating": "2"}', 2, 'ok'],
] as const) {
  test(`a rating is read from ${what}`, () => assert.deepEqual(parseRating(text), { rating, explanation }));
}

for (const [what, text, why] of [
  ['a digit in free words', 'On a scale of 1 to 2, I would say 2.', /without a rating/],
  ['a bare digit', '2', /without a rating/],
  ['another rating', '{"rating": 3, "explanation": "great"}', /the rating 3, expected 1 or 2/],
  ['a rating between', '{"rating": 1.5}', /expected 1 or 2/],
  ['a text that begins with a rating', '{"rating": "2 out of 2"}', /expected 1 or 2/],
  ['null', '{"rating": null}', /expected 1 or 2/],
  ['true, which is 1 to some', '{"rating": true}', /expected 1 or 2/],
  ['a list', '{"rating": [2]}', /expected 1 or 2/],
  ['both ratings', '{"rating": 1} {"rating": 2}', /both ratings/],
  ['half an object', '{"rating": 2, "explanation": "opens the', /invalid JSON/],
  ['quotes inside quotes', '{"rating": 2, "explanation": "taps "OK" twice"}', /invalid JSON/],
  ['nothing', '', /without a rating/],
] as const) {
  // C takes int(...) of the free answer, so that one bad answer ends the labelling, or another digit is taken
  test(`${what} is no rating`, () => assert.throws(() => parseRating(text), { name: 'WrongAnswer', message: why }));
}

const picture = (base64: string): Picture => ({ type: 'image/png', base64 });
const STEPS = ['first', 'second', 'third'].map((text, i) => ({ text, picture: picture(String(i)) }));

test("the question has the task, the whole episode, then the current action's own text and picture", () => {
  const { parts } = ratingQuestion('Open the clock', STEPS, 1, 'episode');
  const at = parts.indexOf('The current action, which is the one to rate:');
  assert.deepEqual(parts.slice(0, at), [
    'Task: Open the clock',
    'The whole episode, 3 steps:',
    ...['Step 1: first', picture('0'), 'Step 2: second', picture('1'), 'Step 3: third', picture('2')],
  ]);
  // C drops the text of the current action
  assert.deepEqual(parts.slice(at + 1, -1), ['Step 2: second', picture('1')]);
  assert.match(parts.at(-1) as string, /\{"rating": <1 or 2>, "explanation": "<why>"\}/);
});

test('where only the past is shown, a step sees exactly the steps before it, and the first sees none', () => {
  // C takes history[:step_id-1]: the first step sees all but the last one, and the others lack their newest one
  for (const current of STEPS.keys()) {
    const { parts } = ratingQuestion('Open the clock', STEPS, current, 'past');
    const at = parts.indexOf('The current action, which is the one to rate:');
    const texts = parts.slice(0, at).filter((part) => typeof part === 'string' && part.startsWith('Step '));
    assert.deepEqual(texts, STEPS.slice(0, current).map(({ text }, i) => `Step ${i + 1}: ${text}`)); // prettier-ignore
    assert.deepEqual(parts.slice(at + 1, -1), [
      `Step ${current + 1}: ${STEPS[current].text}`,
      picture(String(current)),
    ]);
  }
});

test('a missing picture leaves its place in the list to words, so that texts and pictures stay together', () => {
  const steps = STEPS.map((step, i) => (i === 1 ? { ...step, picture: undefined } : step));
  const { parts } = ratingQuestion('t', steps, 2, 'episode');
  assert.deepEqual(parts.slice(2, 8), ['Step 1: first', picture('0'), 'Step 2: second', '(no screenshot)', 'Step 3: third', picture('2')]); // prettier-ignore
});

test('the instructions name eleven kinds of action and three examples of each rating', () => {
  const { system } = ratingQuestion('t', STEPS, 0, 'episode');
  assert.equal([...system.matchAll(/^\d+\. .*"action_type": "/gm)].length, 11);
  const [, ratings] = system.split('# Ratings');
  assert.deepEqual(ratings.split(/^[12]: /m).slice(1).map((one) => [...one.matchAll(/^- /gm)].length), [3, 3]); // prettier-ignore
});

const swipe = (touch: [number, number], lift: [number, number]): Action => ({ type: 'DUAL_POINT', touch, lift });

test('actions in the short form: points are [y, x], a scroll is named by the way of the finger', () => {
  for (const [action, text] of [
    [swipe([0.25, 0.75], [0.25, 0.75]), '"action_type": "DUAL_POINT", "click_point": "[0.2500, 0.7500]"'],
    // C swaps the axes of scrolls
    [swipe([0.5, 0.5], [0.2, 0.5]), '"action_type": "SCROLL_UP"'],
    [swipe([0.2, 0.5], [0.5, 0.5]), '"action_type": "SCROLL_DOWN"'],
    [swipe([0.5, 0.8], [0.5, 0.2]), '"action_type": "SCROLL_LEFT"'],
    [swipe([0.5, 0.2], [0.5, 0.8]), '"action_type": "SCROLL_RIGHT"'],
    [{ type: 'TYPE', text: 'a lamp' }, '"action_type": "TYPE", "typed_text": "a lamp"'],
    [{ type: 'PRESS_ENTER' }, '"action_type": "PRESS_ENTER"'],
  ] as const)
    assert.equal(shortText(formatAction(action)), text);
  assert.equal(shortText('go home'), 'an invalid action: go home');
});

test('the dot is red, of 20 pixels, at the middle of touch and lift, and only on taps and swipes', () => {
  const frame: Frame = { width: 100, height: 200, rgba: new Uint8ClampedArray(4 * 100 * 200).fill(7) };
  const red = (action: Action): number[][] => {
    const { rgba } = ratedPicture(frame, formatAction(action));
    const found: number[][] = [];
    for (let i = 0; i < 100 * 200; i++)
      if (rgba[4 * i] === 255 && rgba[4 * i + 1] === 0) found.push([Math.floor(i / 100), i % 100]);
    return found;
  };
  const found = red(swipe([0.4, 0.5], [0.6, 0.5]));
  assert.ok(Math.abs(found.length - Math.PI * 400) < 40, `${found.length} pixels`);
  const mean = (axis: number) => found.reduce((sum, point) => sum + point[axis], 0) / found.length;
  assert.deepEqual([mean(0).toFixed(1), mean(1).toFixed(1)], ['99.5', '49.5']);
  // at the edge it is cut, not moved
  assert.ok(red(swipe([0, 0], [0, 0])).every(([y, x]) => y < 20 && x < 20));
  assert.equal(red({ type: 'PRESS_BACK' }).length, 0);
  assert.equal(frame.rgba[0], 7);
});
