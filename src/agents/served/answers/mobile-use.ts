import { looseValue, objectsIn, type Loose } from '../../../net/loose-json.js';
import { tap, type Action, type Point } from '../../../data/action.js';
import { pointOf, quote, swipe, typing, type AnswerReader, type InvalidAnswer, type ReadOptions } from './answer.js';

/** Our keys by their names in `system_button`, which are also those of adb's key events. */
const BUTTONS: Readonly<Record<string, Action>> = {
  back: { type: 'PRESS_BACK' },
  home: { type: 'PRESS_HOME' },
  enter: { type: 'PRESS_ENTER' },
};

/**
 * Reads an answer that calls the function `mobile_use`, in the form of Qwen2.5-VL's cookbook: `<tool_call>{"name":
 * "mobile_use", "arguments": {"action": "click", "coordinate": [x, y]}}</tool_call>`, in pixels of the picture that was sent
 * (Qwen3-VL: in thousandths). The call may also come without tags, in a fenced block, as the arguments alone, in Python's
 * quotes, or as Qwen3-Coder and Qwen3.5 write calls (`<function=mobile_use><parameter=action>click</parameter>...`). The first
 * whole object is the call; what follows is not looked at. Actions: click, swipe (coordinate to coordinate2), type,
 * system_button, key (back, home, enter), wait, answer, terminate. long_press, open and other keys are invalid, since our
 * action space lacks them. From https://github.com/QwenLM/Qwen3-VL,
 * cookbooks/{mobile_agent.ipynb,utils/agent_function_call.py} (Apache-2.0).
 */
export const readMobileUse: AnswerReader = (answer, options) => {
  const found = lastCall(answer);
  if (!found) return { invalid: `no function call in JSON in ${quote(answer)}` };
  const { name, arguments: given } = found.value as { name?: unknown; arguments?: unknown };
  if (name !== undefined && name !== 'mobile_use') {
    return {
      invalid: `a call of the function ${quote(typeof name === 'string' ? name : JSON.stringify(name))}; expected "mobile_use"`,
    };
  }
  // some write the arguments as a text, as in OpenAI's API
  const own = typeof given === 'string' ? looseValue(given) : given;
  const args = name === undefined ? found.value : own;
  if (typeof args !== 'object' || args === null || Array.isArray(args)) {
    return { invalid: `the arguments are ${quote(JSON.stringify(args) ?? 'missing')}; expected an object` };
  }
  const actions = actionsOf(args as Arguments, options);
  if ('invalid' in actions) return actions;
  return { actions, operation: JSON.stringify(found.value), summary: found.before };
};

type Arguments = Readonly<
  Partial<Record<'action' | 'coordinate' | 'coordinate2' | 'text' | 'button' | 'status', unknown>>
>;

function actionsOf(args: Arguments, options: ReadOptions): readonly Action[] | InvalidAnswer {
  const { action, text, button, status } = args;
  switch (action) {
    case 'click': {
      const at = place(args, 'coordinate', options);
      return 'invalid' in at ? at : [tap(at)];
    }
    case 'swipe': {
      const from = place(args, 'coordinate', options);
      const to = place(args, 'coordinate2', options);
      if ('invalid' in from) return from;
      if ('invalid' in to) return to;
      const action = swipe(from, to);
      return 'invalid' in action ? action : [action];
    }
    case 'type':
      return typeof text === 'string' ? typing(text) : { invalid: 'type without a text' };
    case 'key':
      return pressed('key', text);
    case 'system_button':
      return pressed('system_button', button);
    // neither does anything to the phone
    case 'wait':
    case 'answer':
      return [];
    case 'terminate':
      if (status === 'success') return [{ type: 'STATUS_TASK_COMPLETE' }];
      if (status === 'failure') return [{ type: 'STATUS_TASK_IMPOSSIBLE' }];
      return {
        invalid: `terminate with the status ${quote(JSON.stringify(status) ?? 'missing')}; expected success or failure`,
      };
    default:
      return { invalid: `the action ${quote(JSON.stringify(action) ?? 'missing')} is not in the action space` };
  }
}

function place(args: Arguments, key: 'coordinate' | 'coordinate2', options: ReadOptions): Point | InvalidAnswer {
  const numbers = args[key];
  if (!Array.isArray(numbers) || numbers.length !== 2 || !numbers.every((n) => typeof n === 'number')) {
    return { invalid: `${key} is ${quote(JSON.stringify(numbers) ?? 'missing')}; expected [x, y]` };
  }
  return pointOf(numbers, options, key);
}

function pressed(what: string, name: unknown): readonly Action[] | InvalidAnswer {
  const key = typeof name === 'string' ? name.toLowerCase() : '';
  if (Object.hasOwn(BUTTONS, key)) return [BUTTONS[key]];
  return { invalid: `${what} ${quote(JSON.stringify(name) ?? 'missing')} is not in the action space` };
}

/** The function call in an answer: in the last tags, else in the last fenced block, else anywhere. */
function lastCall(answer: string): { value: object; before: string } | undefined {
  const tags = [...answer.matchAll(/<tool_call>([\s\S]*?)(?:<\/tool_call>|$)/g)].at(-1);
  const fence = [...answer.matchAll(/```(?:\w+)?\s*([\s\S]*?)```/g)]
    .filter(([, inside]) => inside.includes('{'))
    .at(-1);
  const part = tags ?? fence;
  const text = part?.[1] ?? answer;
  const tagged = taggedCall(text);
  const [first] = tagged ? [] : objectsIn(text).objects;
  const value = tagged?.value ?? first?.value;
  if (!value) return undefined;
  const at = part?.index ?? first?.start ?? tagged!.start;
  return { value, before: answer.slice(0, at).trim() };
}

/** A call in Qwen3-Coder's notation. */
function taggedCall(text: string): { value: object; start: number } | undefined {
  const call = /<function=(\w+)>([\s\S]*?)<\/function>/.exec(text);
  if (!call) return undefined;
  const args = Object.create(null) as Record<string, Loose>;
  for (const [, key, written] of call[2].matchAll(/<parameter=(\w+)>\n?([\s\S]*?)\n?<\/parameter>/g)) {
    if (key in args) return undefined;
    // texts come as they are, lists and numbers in JSON
    args[key] = key === 'text' ? written : (looseValue(written.trim()) ?? written.trim());
  }
  return { value: { name: call[1], arguments: args }, start: call.index };
}
