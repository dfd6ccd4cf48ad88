/** Translating the answers of third-party agents into our action space; an answer that is not understood is never a tap. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AnswerReader, ReadOptions } from '../../../src/agents/served/answers/answer.js';
import { readCogAgent } from '../../../src/agents/served/answers/cogagent.js';
import { formatAction, parseAction } from '../../../src/agents/grammar.js';
import { readMobileUse } from '../../../src/agents/served/answers/mobile-use.js';
import { SERVED_FORMATS } from '../../../src/agents/served/formats.js';
import { readUiTars } from '../../../src/agents/served/answers/ui-tars.js';
import { tap, type Action } from '../../../src/data/action.js';
import { Random } from '../../../src/random.js';

const THOUSANDTHS: ReadOptions = { width: 270, height: 585, coordinates: 'thousandths', scroll: 'finger' };
const PIXELS: ReadOptions = { width: 280, height: 588, coordinates: 'pixels', scroll: 'content' };

function good(read: AnswerReader, answer: string, options: ReadOptions) {
  const found = read(answer, options);
  if ('invalid' in found) assert.fail(`${JSON.stringify(answer)}: ${found.invalid}`);
  return found;
}

function bad(read: AnswerReader, answer: string, reason: RegExp, options: ReadOptions): void {
  const found = read(answer, options);
  assert.ok('invalid' in found, `${JSON.stringify(answer)} is not valid: ${JSON.stringify(found)}`);
  assert.match(found.invalid, reason);
  assert.ok(found.invalid.length < 300 && !found.invalid.includes('\n'), 'expected one short line');
}

const cog = (operation: string) =>
  `Status: The launcher is open.\nPlan: 1. Open the shop.\nAction: Touch the browser.\nGrounded Operation: ${operation}`;

test('CogAgent: taps hit the centre of a box in thousandths; TYPE taps its field first', () => {
  const click = good(
    readCogAgent,
    cog("CLICK(box=[[387,248,727,316]], element_type='Clickable text', element_info='it's \"on\", really')\n<<General Operation>>"), // prettier-ignore
    THOUSANDTHS,
  );
  assert.deepEqual(click.actions, [tap([0.282, 0.557])]);
  assert.match(click.operation, /^CLICK\(box.*'\)$/);
  assert.equal(click.summary, 'Touch the browser.');
  const typed = good(
    readCogAgent,
    cog("TYPE(box=[[000,100,200,300]], text='5\\' lamp, red', element_info='x')"),
    THOUSANDTHS,
  );
  assert.deepEqual(typed.actions, [tap([0.2, 0.1]), { type: 'TYPE', text: "5' lamp, red" }]);
  const submitted = good(readCogAgent, cog("TYPE(box=[[0,0,0,0]], text='lamp\\n')"), THOUSANDTHS);
  assert.deepEqual(submitted.actions.slice(1), [{ type: 'TYPE', text: 'lamp' }, { type: 'PRESS_ENTER' }]);
  assert.deepEqual(good(readCogAgent, cog('END()'), THOUSANDTHS).actions, [{ type: 'STATUS_TASK_COMPLETE' }]);
  assert.deepEqual(good(readCogAgent, cog("KEY_PRESS(key='Return')"), THOUSANDTHS).actions, [{ type: 'PRESS_ENTER' }]);
});

test('CogAgent: scrolls move the finger, as in its Android client, or the content', () => {
  const down = cog("SCROLL_DOWN(box=[[000,086,999,932]], element_type='Scroll', step_count=5)");
  const finger = good(readCogAgent, down, THOUSANDTHS).actions[0] as Extract<Action, { type: 'DUAL_POINT' }>;
  assert.ok(finger.lift[0] > finger.touch[0] + 0.3 && finger.lift[1] === finger.touch[1]);
  const content = good(readCogAgent, down, { ...THOUSANDTHS, scroll: 'content' }).actions[0] as typeof finger;
  assert.ok(content.lift[0] < content.touch[0] - 0.3);
});

test('CogAgent: malformed answers, refusals and points outside the screen are invalid', () => {
  for (const [answer, reason] of [
    ['', /no "Grounded Operation:"/],
    ["I'm sorry, but I can't help with that.", /no "Grounded Operation:"/],
    ['Action: Touch it.', /no "Grounded Operation:"/],
    [cog(''), /is not an operation/],
    [cog('CLICK(box=[[387,248,727,316]]'), /is not an operation/],
    [cog('CLICK(box=[[387,248,727]])'), /expected \[\[x1,y1,x2,y2\]\]/],
    [cog('CLICK(box=[[387,248,1727,316]])'), /outside the screen/],
    [cog('CLICK(box=[[-3,248,727,316]])'), /outside the screen/],
    [cog('CLICK(box=[[700,248,300,316]])'), /ends before it begins/],
    [cog("CLICK(element_info='x')"), /box is "missing"/],
    [cog("CLICK(box='[[1,2,3,4]]; rm -rf /')"), /box is/],
    [cog('CLICK(box=[[1,2,3,4]], box=[[5,6,7,8]])'), /duplicate argument box/],
    [cog("TYPE(box=[[1,2,3,4]], element_info='x')"), /without a text/],
    [cog("TYPE(box=[[1,2,3,4]], text='never ends)"), /has no end/],
    [cog(`TYPE(box=[[1,2,3,4]], text='${'x'.repeat(5000)}')`), /5000 characters/],
    [cog("LAUNCH(app='Settings', url='None')"), /LAUNCH.*not in the action space/],
    [cog('DOUBLE_CLICK(box=[[1,2,3,4]])'), /DOUBLE_CLICK/],
    [cog("KEY_PRESS(key='constructor')"), /KEY_PRESS of the key/],
    [cog("GESTURE(actions=[KEY_DOWN(key='Lcontrol'), KEY_PRESS(key='A')])"), /./],
  ] as const) {
    bad(readCogAgent, answer, reason, THOUSANDTHS);
  }
});

const call = (args: object, name = 'mobile_use') =>
  `<tool_call>\n${JSON.stringify({ name, arguments: args })}\n</tool_call>`;

test('mobile_use: points are in pixels of the sent picture', () => {
  const one = (args: object) => good(readMobileUse, call(args), PIXELS).actions;
  assert.deepEqual(one({ action: 'click', coordinate: [140, 147] }), [tap([0.25, 0.5])]);
  assert.deepEqual(one({ action: 'click', coordinate: [280, 588] }), [tap([1, 1])], 'the edge is on the screen');
  assert.deepEqual(one({ action: 'swipe', coordinate: [140, 441], coordinate2: [140, 147] }), [
    { type: 'DUAL_POINT', touch: [0.75, 0.5], lift: [0.25, 0.5] },
  ]);
  assert.deepEqual(one({ action: 'type', text: 'red "lamp"' }), [{ type: 'TYPE', text: 'red "lamp"' }]);
  assert.deepEqual(one({ action: 'system_button', button: 'Back' }), [{ type: 'PRESS_BACK' }]);
  assert.deepEqual(one({ action: 'key', text: 'home' }), [{ type: 'PRESS_HOME' }]);
  assert.deepEqual(one({ action: 'terminate', status: 'success' }), [{ type: 'STATUS_TASK_COMPLETE' }]);
  assert.deepEqual(one({ action: 'terminate', status: 'failure' }), [{ type: 'STATUS_TASK_IMPOSSIBLE' }]);
  assert.deepEqual(one({ action: 'wait', time: 2 }), [], 'no action');
  const thousandths = { ...PIXELS, coordinates: 'thousandths' } as const;
  assert.deepEqual(good(readMobileUse, call({ action: 'click', coordinate: [500, 250] }), thousandths).actions, [
    tap([0.25, 0.5]),
  ]);
});

test('mobile_use: a call may follow words, be fenced or bare; the last of several counts', () => {
  const click = { action: 'click', coordinate: [140, 147] };
  const said = good(readMobileUse, `I touch the shop.\n${call(click)}`, PIXELS);
  assert.equal(said.summary, 'I touch the shop.');
  assert.equal(said.operation, '{"name":"mobile_use","arguments":{"action":"click","coordinate":[140,147]}}');
  for (const answer of [
    `\`\`\`json\n${JSON.stringify({ name: 'mobile_use', arguments: click })}\n\`\`\``,
    `Then: ${JSON.stringify(click)}`,
    `<tool_call>{"name": "mobile_use", "arguments": ${JSON.stringify(click)}}`,
    `${call({ action: 'wait' })}\n${call(click)}`,
  ]) {
    assert.deepEqual(good(readMobileUse, answer, PIXELS).actions, [tap([0.25, 0.5])], answer);
  }
});

test('mobile_use: malformed answers, refusals and points outside the screen are invalid', () => {
  for (const [answer, reason] of [
    ['', /no function call/],
    ["I can't assist with that.", /no function call/],
    ['<tool_call>{"name": "mobile_use", "arguments": {"action": "cli', /no function call/],
    ['<tool_call>[1, 2]</tool_call>', /no function call/],
    [call({ action: 'click', coordinate: [140, 147] }, 'computer_use'), /computer_use/],
    ['<tool_call>{"name": "mobile_use"}</tool_call>', /arguments are "missing"/],
    ['<tool_call>{"name": "mobile_use", "arguments": "{\\"action\\": 1}"}</tool_call>', /action "1"/],
    ['<tool_call>{"name": "mobile_use", "arguments": [1]}</tool_call>', /expected an object/],
    ['<tool_call>{"name": {}, "arguments": {}}</tool_call>', /function "\{\}"/],
    [
      '<tool_call>{"name": "mobile_use", "arguments": {"action": "click", "coordinate": [140, 147]}',
      /no function call/,
    ],
    [call({}), /action "missing"/],
    [call({ action: 'click' }), /coordinate is "missing"/],
    [call({ action: 'click', coordinate: [140] }), /expected \[x, y\]/],
    [call({ action: 'click', coordinate: ['140', '147'] }), /expected \[x, y\]/],
    [call({ action: 'click', coordinate: [281, 147] }), /outside the screen of 280 x 588/],
    [call({ action: 'click', coordinate: [140, -1] }), /outside the screen/],
    [call({ action: 'swipe', coordinate: [140, 147] }), /coordinate2 is "missing"/],
    [call({ action: 'swipe', coordinate: [140, 147], coordinate2: [142, 147] }), /shorter than 4 %/],
    [call({ action: 'long_press', coordinate: [140, 147], time: 2 }), /long_press/],
    [call({ action: 'open', text: 'Shop' }), /open/],
    [call({ action: 'type' }), /without a text/],
    [call({ action: 'system_button', button: 'Menu' }), /Menu/],
    [call({ action: 'system_button', button: '__proto__' }), /not in the action space/],
    [call({ action: 'terminate' }), /status/],
  ] as const) {
    bad(readMobileUse, answer, reason, PIXELS);
  }
});

const tars = (action: string, thought = 'The shop is on the screen. I touch it.') =>
  `Thought: ${thought}\nAction: ${action}`;

test('UI-TARS: the three ways to write a point, pixels or thousandths', () => {
  for (const answer of [
    tars("click(start_box='(140,147)')"),
    tars("click(start_box='<|box_start|>(140,147)<|box_end|>')"),
    tars("click(point='<point>140 147</point>')"),
    tars("click(start_box='[130, 137, 150, 157]')"),
    tars("```\nclick(start_box='(140, 147)')\n```"),
  ]) {
    const read = good(readUiTars, answer, PIXELS);
    assert.deepEqual(read.actions, [tap([0.25, 0.5])], answer);
    assert.equal(read.summary, 'The shop is on the screen. I touch it.');
  }
  const old = { ...PIXELS, coordinates: 'thousandths' } as const;
  assert.deepEqual(good(readUiTars, tars("click(start_box='(500,250)')"), old).actions, [tap([0.25, 0.5])]);
});

test('UI-TARS: typing with quotes and newlines, scrolling the content, keys and final operations', () => {
  const one = (action: string) => good(readUiTars, tars(action), PIXELS).actions;
  assert.deepEqual(one("type(content='it's 5\\\" wide\\n')"), [
    { type: 'TYPE', text: 'it\'s 5" wide' },
    { type: 'PRESS_ENTER' },
  ]);
  assert.deepEqual(one("type(content='\\n')"), [{ type: 'PRESS_ENTER' }]);
  const [scrolled] = one("scroll(start_box='(140,294)', direction='down')") as Extract<
    Action,
    { type: 'DUAL_POINT' }
  >[];
  assert.ok(scrolled.lift[0] < scrolled.touch[0] - 0.3, 'the finger moves up');
  assert.deepEqual(one("scroll(start_box='(140,588)', direction='up')").length, 1, 'works at the edge too');
  assert.deepEqual(one("drag(start_box='(140,441)', end_box='(140,147)')"), [
    { type: 'DUAL_POINT', touch: [0.75, 0.5], lift: [0.25, 0.5] },
  ]);
  assert.deepEqual(one('press_home()'), [{ type: 'PRESS_HOME' }]);
  assert.deepEqual(one('press_back()'), [{ type: 'PRESS_BACK' }]);
  assert.deepEqual(one("hotkey(key='enter')"), [{ type: 'PRESS_ENTER' }]);
  assert.deepEqual(one("finished(content='done')"), [{ type: 'STATUS_TASK_COMPLETE' }]);
  assert.deepEqual(one('call_user()'), [{ type: 'STATUS_TASK_IMPOSSIBLE' }]);
  assert.deepEqual(one('wait()'), []);
  assert.deepEqual(one("click(start_box='(140,147)')\n\ntype(content='lamp')"), [
    tap([0.25, 0.5]),
    { type: 'TYPE', text: 'lamp' },
  ]);
});

test('UI-TARS: malformed answers, refusals and points outside the screen are invalid', () => {
  for (const [answer, reason] of [
    ['', /no "Action:"/],
    ['Sorry, I cannot do that.', /no "Action:"/],
    ['Thought: I touch it.', /no "Action:"/],
    [tars(''), /is not an operation/],
    [tars('click'), /is not an operation/],
    [tars("click(start_box='(140,147)'"), /is not an operation/],
    [tars("click(start_box='(300,147)')"), /outside the screen/],
    [tars("click(start_box='the shop')"), /expected '\(x,y\)'/],
    [tars("click(start_box='(1,2,3)')"), /3 numbers/],
    [tars('click()'), /"missing"/],
    [tars("scroll(start_box='(1,2)', direction='toString')"), /expected up, down/],
    [tars("long_press(start_box='(1,2)')"), /long_press/],
    [tars("open_app(app_name='Shop')"), /open_app/],
    [tars("hotkey(key='ctrl c')"), /hotkey/],
    [tars('constructor()'), /constructor/],
    [tars("press_home()\n\nclick(start_box='(300,147)')"), /outside the screen/],
    [tars('wait()\n\n'.repeat(5).trim()), /more than 4 operations/],
  ] as const) {
    bad(readUiTars, answer, reason, PIXELS);
  }
});

test("Auto-UI's text is found among other words", () => {
  const action: Action = { type: 'TYPE', text: 'a, "b"' };
  const { read } = SERVED_FORMATS.autoui;
  assert.deepEqual(good(read, `The field has the focus.\n${formatAction(action)}\n`, PIXELS).actions, [action]);
  bad(read, 'Action Plan: [TYPE]; Action Decision: nothing', /decision/, PIXELS);
  bad(read, 'I would type.', /Action Plan/, PIXELS);
});

test('randomly damaged answers are read as valid actions or as invalid', () => {
  const random = new Random(1, 'answers');
  const answers: [AnswerReader, string][] = [
    [readCogAgent, cog("TYPE(box=[[1,2,3,4]], text='a, b=(c)', element_info='x')")],
    [readMobileUse, call({ action: 'swipe', coordinate: [140, 147], coordinate2: [10, 300] })],
    [readUiTars, tars("drag(start_box='(140,441)', end_box='<point>1 2</point>')")],
    [SERVED_FORMATS.autoui.read, formatAction(tap([0.5, 0.5]))],
  ];
  let valid = 0;
  for (let i = 0; i < 4000; i++) {
    const [read, answer] = answers[i % answers.length];
    const [from, to] = [random.int(answer.length), random.int(answer.length)].sort((a, b) => a - b);
    const pieces = [answer.slice(0, from), answer.slice(from, to), answer.slice(to)];
    const changed = [pieces[0] + pieces[2], pieces[0] + pieces[1] + pieces[1] + pieces[2], pieces[0] + '9' + pieces[2]];
    for (const text of changed) {
      const found = read(text, random.chance(0.5) ? PIXELS : THOUSANDTHS);
      if ('invalid' in found) continue;
      for (const action of found.actions) {
        const parsed = parseAction(formatAction(action));
        assert.ok('action' in parsed, `${text}: ${JSON.stringify(action)}`);
        valid++;
      }
    }
  }
  assert.ok(valid > 100, String(valid));
});
