/**
 * 10,000 damaged answers of each family: none is an exception, and none is an action that its text does not state. A cut
 * answer is no action at all.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAction, formatAction } from '../../../src/agents/grammar.js';
import type { AnswerReader, ReadOptions } from '../../../src/agents/served/answers/answer.js';
import { SERVED_FORMATS } from '../../../src/agents/served/formats.js';
import { tap, type Action, type Point } from '../../../src/data/action.js';
import { Random } from '../../../src/random.js';

const OPTIONS: readonly ReadOptions[] = [
  { width: 280, height: 588, coordinates: 'pixels', scroll: 'content' },
  { width: 1092, height: 2408, coordinates: 'thousandths', scroll: 'finger' },
];
const MUTATIONS = 10_000;
const WORDS = ['lamp', "it's", '5" wide', 'a, b=(c)', 'naïve 灯', 'x)\ny', ''];

/** An answer, and where its operation is in it. */
interface Written {
  readonly before: string;
  readonly operation: string;
  readonly after: string;
}

type Family = { readonly read: AnswerReader; write(random: Random): Written };

const number = (random: Random): string =>
  `${random.pick(['', '', '', '0', '-'])}${random.int(300)}${random.pick(['', '', '.5'])}`;
const pair = (random: Random): string => `${number(random)},${random.pick(['', ' '])}${number(random)}`;
const direction = (random: Random): string => random.pick(['up', 'down', 'left', 'right']);
const json = (random: Random): string => JSON.stringify(random.pick(WORDS));

const FAMILIES: Readonly<Record<string, Family>> = {
  cogagent: {
    read: SERVED_FORMATS.cogagent.read,
    write(random) {
      const box = `[[${pair(random)},${random.int(999)},${random.int(999)}]]`;
      const text = random.pick(WORDS).replace(/\n/g, '\\n');
      return {
        before: `Status: [[0, 2, 998, 905]]\nAction${random.pick([':', '：'])} Tap.\nGrounded Operation${random.pick([':', ': ', '：'])}`,
        operation: random.pick([
          `CLICK(box=${box}, element_type='x', element_info='${text}')`,
          `TYPE(box=${box}, text='${text}', element_info='Search')`,
          `SCROLL_${direction(random).toUpperCase()}(box=${box}, step_count=5)`,
          "KEY_PRESS(key='Return')",
          'END',
          `[combobox] Search -> TYPE: ${text} at the box ${box}`,
          `[button] Go -> CLICK at the box ${box}`,
          `tap [[${pair(random)}]]`,
        ]),
        after: random.pick(['', '\n<<General Operation>>', ' <<一般操作>>']),
      };
    },
  },
  mobile_use: {
    read: SERVED_FORMATS.mobile_use.read,
    write(random) {
      const args = random.pick([
        `{"action": "click", "coordinate": [${pair(random)}]}`,
        `{"action": "swipe", "coordinate": [${pair(random)}], "coordinate2": [${pair(random)}]}`,
        `{"action": "type", "text": ${json(random)}}`,
        '{"action": "system_button", "button": "Back"}',
        '{"action": "terminate", "status": "success"}',
        '{"action": "wait", "time": 2}',
      ]);
      const call = random.pick([`{"name": "mobile_use", "arguments": ${args}}`, args]);
      const [before, after] = random.pick([
        ['<tool_call>\n', '\n</tool_call>'],
        ['I tap {it}.\n<tool_call>\n', '\n⚗'],
        ['```json\n', '\n```'],
        ['', '\nThis opens the shop.'],
      ]);
      return { before, operation: random.chance(0.2) ? call.replaceAll('"', "'") : call, after };
    },
  },
  ui_tars: {
    read: SERVED_FORMATS.ui_tars.read,
    write(random) {
      const place = random.pick([
        `'(${pair(random)})'`,
        `'<|box_start|>(${pair(random)})<|box_end|>'`,
        `'<point>${number(random)} ${number(random)}</point>'`,
        `'[${pair(random)}, ${random.int(999)}, ${random.int(999)}]'`,
        `(${pair(random)})`,
        `‘（${random.int(300)}，${random.int(300)}）’`,
      ]);
      return {
        before: `Thought: I look.\nAction${random.pick([': ', ':', '：'])}`,
        operation: random.pick([
          `click(start_box=${place})`,
          `click(point=${place})`,
          `type(content='${random.pick(WORDS)}${random.pick(['', '\\n'])}')`,
          `scroll(start_box=${place}, direction='${direction(random)}')`,
          `scroll(start_box=${place}, end_box='(${pair(random)})')`,
          `drag(start_box=${place}, end_box='(${pair(random)})')`,
          'press_back()',
          "hotkey(key='enter')",
          "finished(content='done')",
        ]),
        after: random.pick(['', '\n', '\nThis opens the shop.', '\n\npress_home()']),
      };
    },
  },
  autoui: {
    read: SERVED_FORMATS.autoui.read,
    write(random) {
      const point = (): Point => [random.int(10_000) / 10_000, random.int(10_000) / 10_000];
      const action = random.pick<Action>([
        tap(point()),
        { type: 'DUAL_POINT', touch: point(), lift: point() },
        { type: 'TYPE', text: random.pick(WORDS).replace(/[\n"]/g, ' ') },
        { type: 'PRESS_BACK' },
        { type: 'STATUS_TASK_COMPLETE' },
      ]);
      return {
        before: random.pick(['', 'I tap it.\n']),
        operation: formatAction(action),
        after: random.pick(['', '\n']),
      };
    },
  },
};

const ALPHABET = [
  ...'0123456789{}[]()<>|/\\"\'‘’：，（）=:,;.-_ \nabcxyEND\u0000\u2028😀',
  'Action:',
  '<tool_call>',
  '</think>',
  '```',
  '\\n',
];

function mutated(random: Random, text: string, other: string): string {
  const [from, to] = [random.int(text.length + 1), random.int(text.length + 1)].sort((a, b) => a - b);
  const [start, middle, end] = [text.slice(0, from), text.slice(from, to), text.slice(to)];
  switch (random.int(8)) {
    case 0:
      return start + end;
    case 1:
      return start + middle + middle + end;
    case 2:
      return start + random.pick(ALPHABET) + middle + end;
    case 3:
      return start + random.pick(ALPHABET) + end;
    case 4:
      return middle;
    case 5:
      return start + other.slice(random.int(other.length)) + end;
    case 6:
      return text.replace(/\d+/g, (digits) => (random.chance(0.5) ? String(random.int(1200)) : digits));
    default:
      return start + middle.toUpperCase() + end;
  }
}

/** Whether the text states the action: its numbers, its words, or its key. */
function isStated(action: Action, text: string, { width, height, coordinates }: ReadOptions, family: string): boolean {
  const plain = text.normalize('NFKC');
  if (action.type === 'TYPE') {
    const letters = (words: string) => words.replace(/\\[nrtbf]/g, '').replace(/[^\p{L}\p{N}]/gu, '');
    return /\\[ux]/.test(text) || letters(text).includes(letters(action.text));
  }
  if (action.type !== 'DUAL_POINT')
    return /back|home|enter|return|\\n|\n|finished|call_user|terminate|END|STATUS|PRESS/i.test(plain);
  if (/scroll/i.test(plain) && /up|down|left|right/i.test(plain)) return true;
  const numbers = (plain.match(/[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?/g) ?? []).map(Number);
  const [right, bottom] = family === 'autoui' ? [1, 1] : coordinates === 'pixels' ? [width, height] : [1000, 1000];
  const near = (a: number, b: number) => Math.abs(a - b) < 1e-9;
  return [action.touch, action.lift].every((point) => {
    // our own texts have y first
    const [first, second] = family === 'autoui' ? point : [point[1], point[0]];
    return numbers.some((_, i) => {
      const [a, b, c = NaN, d = NaN] = numbers.slice(i, i + 4);
      const isPoint = near(a / right, first) && near(b / bottom, second);
      return isPoint || (near((a + c) / 2 / right, first) && near((b + d) / 2 / bottom, second));
    });
  });
}

for (const [name, { read, write }] of Object.entries(FAMILIES)) {
  test(`${name}: damaged answers are read as what they state, or as invalid`, () => {
    const random = new Random(3, 'mutated', name);
    let valid = 0;
    for (let i = 0; i < MUTATIONS; i++) {
      const whole = ({ before, operation, after }: Written) => before + operation + after;
      let text = whole(write(random));
      for (let times = random.int(3); times >= 0; times--) text = mutated(random, text, whole(write(random)));
      const options = random.pick(OPTIONS);
      const found = read(text, options);
      if ('invalid' in found) {
        assert.ok(found.invalid.length < 400 && !found.invalid.includes('\n'), found.invalid);
        continue;
      }
      for (const action of found.actions) {
        assert.ok('action' in parseAction(formatAction(action)), `${JSON.stringify(text)}: ${JSON.stringify(action)}`);
        assert.ok(isStated(action, text, options, name), `${JSON.stringify(text)}: ${JSON.stringify(action)}`);
        valid++;
      }
    }
    assert.ok(valid > MUTATIONS / 50, `only ${valid} valid actions`);
  });

  test(`${name}: an answer that ends within its operation is invalid, one that goes on behind it is not`, () => {
    const random = new Random(4, 'cut', name);
    let whole = 0;
    for (let i = 0; i < 2000; i++) {
      const { before, operation, after } = write(random);
      const options = OPTIONS[i % 2];
      const read1 = read(before + operation + after, options);
      if (!('invalid' in read1)) whole++;
      const end = 1 + random.int(operation.length - 1);
      const cut = read(before + operation.slice(0, end), options);
      assert.ok('invalid' in cut, `${JSON.stringify(before + operation.slice(0, end))}: ${JSON.stringify(cut)}`);
    }
    assert.ok(whole > 500, String(whole));
  });
}
