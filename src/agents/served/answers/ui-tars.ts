import { tap, type Action, type Point } from '../../../data/action.js';
import {
  pointOf,
  quote,
  scrollFrom,
  swipe,
  typing,
  type AnswerReader,
  type InvalidAnswer,
  type ReadOptions,
} from './answer.js';
import { numbersOf, parseCalls, type Call } from './call-syntax.js';

/** Most operations in one answer. */
const MOST_OPERATIONS = 4;
const HOTKEYS: Readonly<Record<string, Action>> = {
  enter: { type: 'PRESS_ENTER' },
  return: { type: 'PRESS_ENTER' },
  back: { type: 'PRESS_BACK' },
  home: { type: 'PRESS_HOME' },
};
/** Operations whose arguments do not matter. */
const PLAIN: Readonly<Record<string, readonly Action[]>> = {
  press_home: [{ type: 'PRESS_HOME' }],
  press_back: [{ type: 'PRESS_BACK' }],
  press_enter: [{ type: 'PRESS_ENTER' }],
  finished: [{ type: 'STATUS_TASK_COMPLETE' }],
  // "the task is unsolvable, or when you need the user's help"
  call_user: [{ type: 'STATUS_TASK_IMPOSSIBLE' }],
  wait: [],
};

/** What stands before the operation, in English or with a Chinese keyboard's colon, perhaps in bold. */
const ACTION = /(?:^|\n)[ \t]*\**Action\**[ \t]*[:：]\**/g;
const ANYWHERE = /Action[:：]/g;
const THOUGHT = /(?:Thought|Reflection|Action_Summary)\**[ \t]*[:：]\**/;

/**
 * Reads an answer of UI-TARS: `Thought: ... Action: click(start_box='(x,y)')`, also with `<|box_start|>(x,y)<|box_end|>`,
 * `<bbox>x y x y</bbox>` or `point='<point>x y</point>'`. Coordinates are pixels of the resized picture for UI-TARS 1.5
 * (Qwen2.5-VL), thousandths for UI-TARS 1.0 (Qwen2-VL) and Doubao. `scroll(direction='down')` reveals what is below;
 * `scroll(start_box=..., end_box=...)`, the scroll of UI-TARS 1.0 on phones, moves a finger; a text that ends with a newline
 * is submitted. From https://github.com/bytedance/UI-TARS, codes/ui_tars/{action_parser,prompt}.py and README_v1.md
 * (Apache-2.0). `long_press`, `open_app` and the desktop's operations are invalid, since our action space lacks them.
 */
export const readUiTars: AnswerReader = (answer, options) => {
  const found = [...answer.matchAll(ACTION)].at(-1) ?? [...answer.matchAll(ANYWHERE)].at(-1);
  if (!found) return { invalid: `no "Action:" in ${quote(answer)}` };
  const said = answer.slice(found.index + found[0].length).trim();
  const operation = (/^```\w*\s*([\s\S]*?)\s*(?:```|$)/.exec(said)?.[1] ?? said).replace(/\s*```$/, '');
  const thought = answer.slice(0, found.index).split(THOUGHT).at(-1)!.trim();
  const calls = parseCalls(operation, MOST_OPERATIONS);
  if ('invalid' in calls) return calls;
  const actions: Action[] = [];
  for (const call of calls) {
    const next = actionsOf(call, options);
    if ('invalid' in next) return next;
    actions.push(...next);
  }
  return { actions, operation, summary: thought };
};

function actionsOf({ name, args }: Call, options: ReadOptions): readonly Action[] | InvalidAnswer {
  if (Object.hasOwn(PLAIN, name)) return PLAIN[name];
  const place = (...keys: string[]): Point | InvalidAnswer => {
    const text = keys.map((key) => args.get(key)).find((value) => value !== undefined);
    const numbers = text === undefined ? undefined : numbersOf(text);
    if (!numbers) return { invalid: `${keys[0]} of ${name} is ${quote(text ?? 'missing')}; expected '(x,y)'` };
    return pointOf(numbers, options, keys[0]);
  };
  switch (name) {
    case 'click': {
      const at = place('start_box', 'point');
      return 'invalid' in at ? at : [tap(at)];
    }
    case 'drag': {
      const from = place('start_box', 'start_point');
      const to = place('end_box', 'end_point');
      if ('invalid' in from) return from;
      if ('invalid' in to) return to;
      const action = swipe(from, to);
      return 'invalid' in action ? action : [action];
    }
    case 'scroll': {
      const start = args.get('start_box') ?? args.get('start_point') ?? args.get('point');
      const from = start === undefined || start === '' ? undefined : place('start_box', 'start_point', 'point');
      if (from && 'invalid' in from) return from;
      if (from && !args.get('direction') && (args.has('end_box') || args.has('end_point'))) {
        const to = place('end_box', 'end_point');
        if ('invalid' in to) return to;
        const action = swipe(from, to);
        return 'invalid' in action ? action : [action];
      }
      const action = scrollFrom(from, args.get('direction') ?? '', options);
      return 'invalid' in action ? action : [action];
    }
    case 'type': {
      const text = args.get('content');
      return text === undefined ? { invalid: 'type without content' } : typing(text);
    }
    case 'hotkey': {
      const key = args.get('key') ?? '';
      const known = Object.hasOwn(HOTKEYS, key.toLowerCase());
      return known
        ? [HOTKEYS[key.toLowerCase()]]
        : { invalid: `hotkey ${quote(key)}, which is not in the action space` };
    }
    default:
      return { invalid: `the operation ${quote(name)} is not in the action space` };
  }
}
