import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatAction, formatDecision, isValidAction, parseAction } from '../../src/agents/grammar.js';
import { policyPrompt } from '../../src/agents/policy/prompt.js';
import { ACTION_TYPES, tap, type Action, type ActionType } from '../../src/data/action.js';
import { Random } from '../../src/random.js';

function randomText(random: Random): string {
  const alphabet = [...'ab Z9",[]:;\\{}\'\n</s>é漢😀', ', "typed_text": "', '; Action Decision: ', '-1.0'];
  return Array.from({ length: random.int(12) }, () => random.pick(alphabet)).join('');
}

function randomAction(random: Random): Action {
  const type = random.pick(ACTION_TYPES);
  const point = () => [random.int(10001) / 10000, random.int(10001) / 10000] as const;
  if (type === 'DUAL_POINT') return { type, touch: point(), lift: point() };
  if (type === 'TYPE') return { type, text: randomText(random) };
  return { type };
}

test("an action text has exactly Auto-UI's format", () => {
  assert.equal(
    formatAction(tap([0.1234, 0.5]), ['DUAL_POINT', 'TYPE', 'PRESS_ENTER']),
    'Action Plan: [DUAL_POINT,TYPE,PRESS_ENTER]; Action Decision: "action_type": "DUAL_POINT", ' +
      '"touch_point": "[0.1234, 0.5000]", "lift_point": "[0.1234, 0.5000]", "typed_text": ""',
  );
  assert.equal(
    formatAction({ type: 'TYPE', text: 'best buy' }),
    'Action Plan: [TYPE]; Action Decision: "action_type": "TYPE", "touch_point": "[-1.0, -1.0]", ' +
      '"lift_point": "[-1.0, -1.0]", "typed_text": "best buy"',
  );
});

test('every action and plan survives formatting and parsing, whatever is typed', () => {
  const random = new Random(1, 'grammar');
  for (let i = 0; i < 3000; i++) {
    const action = randomAction(random);
    const plan: ActionType[] = Array.from({ length: 1 + random.int(8) }, () => random.pick(ACTION_TYPES));
    assert.deepEqual(parseAction(formatAction(action, plan)), { action, plan }, JSON.stringify(action));
  }
});

test('the parser accepts any spaces and number of decimals', () => {
  const parsed = parseAction(
    ' Action Plan: [ DUAL_POINT, TYPE ];Action Decision: "action_type":"DUAL_POINT",  "touch_point": "[.5,1]", "lift_point": "[5e-1, 0.25]", "typed_text": "x"</s></s> ',
  );
  assert.deepEqual(parsed, {
    plan: ['DUAL_POINT', 'TYPE'],
    action: { type: 'DUAL_POINT', touch: [0.5, 1], lift: [0.5, 0.25] },
  });
});

const good = formatAction(tap([0.5, 0.5]));
const faults: [name: string, text: string, reason: RegExp][] = [
  ['no plan', formatDecision(tap([0.5, 0.5])), /does not start with/],
  ['an empty plan', good.replace('[DUAL_POINT]', '[]'), /plan is empty/],
  ['a plan of nine', good.replace('[DUAL_POINT]', `[${Array(9).fill('TYPE')}]`), /9 entries; expected at most 8/],
  ['an unknown entry in the plan', good.replace('[DUAL_POINT]', '[TAP]'), /unknown action type "TAP"/],
  ['an unknown type', good.replace('"DUAL_POINT"', '"CLICK"'), /unknown action type "CLICK"/],
  ['a point of one number', good.replaceAll('[0.5000, 0.5000]', '[0.5]'), /touch_point "\[0.5\]" is not/],
  ['a point of words', good.replace('"lift_point": "[0.5000, ', '"lift_point": "[0x1, '), /lift_point/],
  ['a point outside the screen', good.replace('[0.5000, 0.5000]', '[0.5000, 1.5000]'), /outside the screen/],
  ['an unused point for a tap', good.replace('[0.5000, 0.5000]', '[-1.0, -1.0]'), /outside the screen/],
  ['an infinite point', good.replace('0.5000', '1e999'), /touch_point/],
  ['a missing field', good.replace('"lift_point": "[0.5000, 0.5000]", ', ''), /the decision is not/],
  ['a cut text', good.slice(0, -1), /the decision is not/],
  ['an overlong text', good + 'x'.repeat(10000), /expected at most 8192/],
];
for (const [name, text, reason] of faults) {
  test(`${name} is invalid`, () => {
    const parsed = parseAction(text);
    assert.ok('invalid' in parsed, JSON.stringify(parsed));
    assert.match(parsed.invalid, reason);
    assert.equal(isValidAction(text), false);
  });
}

test('damaged texts are parsed or rejected quickly, without an exception', () => {
  const random = new Random(2, 'grammar');
  for (let i = 0; i < 3000; i++) {
    const parts = [...formatAction(randomAction(random))];
    for (let edit = 1 + random.int(3); edit > 0; edit--) {
      const at = random.int(parts.length);
      if (random.chance(0.5)) parts.splice(at, 1 + random.int(5));
      else parts.splice(at, 0, randomText(random));
    }
    const parsed = parseAction(parts.join(''));
    if (!('invalid' in parsed)) assert.ok(ACTION_TYPES.includes(parsed.action.type) && parsed.plan.length <= 8);
  }
  const started = performance.now();
  parseAction(`Action Plan: [TYPE]${' '.repeat(8000)}`);
  parseAction(`Action Plan: [${' '.repeat(8000)}`);
  assert.ok(performance.now() - started < 1000);
});

test('the prompt has only the decision of the last action', () => {
  assert.equal(policyPrompt('Go to ebay.com', ''), 'Previous Actions: Goal: Go to ebay.com</s>');
  const full = formatAction({ type: 'PRESS_HOME' }, ['PRESS_HOME', 'TYPE']);
  const expected =
    'Previous Actions: "action_type": "PRESS_HOME", "touch_point": "[-1.0, -1.0]", "lift_point": "[-1.0, -1.0]", "typed_text": "" Goal: x</s>';
  assert.equal(policyPrompt('x', full), expected);
  assert.equal(policyPrompt('x', formatDecision({ type: 'PRESS_HOME' })), expected);
  assert.equal(policyPrompt('x', 'no action'), 'Previous Actions: Goal: x</s>');
});
