import { tap, type Action, type Point } from '../../../data/action.js';
import {
  pointOf,
  quote,
  scrollFrom,
  typing,
  type AnswerReader,
  type InvalidAnswer,
  type ReadOptions,
} from './answer.js';
import { numbersOf, parseCall, type Call } from './call-syntax.js';

/** Our keys by their names in CogAgent's KEY_PRESS (its action space names the keys of Windows and macOS). */
const KEYS: Readonly<Record<string, Action>> = {
  return: { type: 'PRESS_ENTER' },
  enter: { type: 'PRESS_ENTER' },
  back: { type: 'PRESS_BACK' },
  home: { type: 'PRESS_HOME' },
};

const GROUNDED = /Grounded Operation\**[ \t]*[:：]\**\s*([^\n]*)/g;
const ACTION = /(?:^|\n)\s*\**(?:Next )?Action\**[ \t]*[:：]\**[ \t]*([^\n]*)/g;

/**
 * Reads an answer of CogAgent-9B (20241220): `Status: ... Plan: ... Action: <words> Grounded Operation:
 * CLICK(box=[[x1,y1,x2,y2]], element_type='...', element_info='...')`. Box numbers run from 0 to 999, in thousandths of the
 * screen; the action happens at the centre of the box. From https://github.com/THUDM/CogAgent, Action_space_en.md and
 * app_for_android/{client_for_android,controller}.py. TYPE has a box, so it taps the field first. Operations that our action
 * space lacks (LAUNCH, DOUBLE_CLICK, HOVER, GESTURE, QUOTE_TEXT, LLM, ...) are invalid.
 *
 * The first CogAgent (cogagent-chat, 2023) writes `Next Action: <words> Grounded Operation: [combobox] Search -> TYPE: words
 * at the box [[x1,y1,x2,y2]]`, and on phones `tap [[x,y]]` (https://github.com/THUDM/CogVLM, README; arXiv 2312.08914).
 */
export const readCogAgent: AnswerReader = (answer, options) => {
  const grounded = [...answer.matchAll(GROUNDED)].at(-1);
  if (!grounded) return { invalid: `no "Grounded Operation:" in ${quote(answer)}` };
  // the operation's sensitivity follows it: <<...>>
  const operation = grounded[1].replace(/<<[^<>]*>>\s*$/, '').trim();
  const summary = [...answer.slice(0, grounded.index).matchAll(ACTION)].at(-1)?.[1].trim() ?? '';
  if (/^END(\s*[(（]\s*[)）])?\s*$/.test(operation))
    return { actions: [{ type: 'STATUS_TASK_COMPLETE' }], operation, summary };
  const old = OLD.exec(operation);
  const call = old ? oldCall(old) : parseCall(operation);
  if ('invalid' in call) return call;
  const actions = actionsOf(call, options);
  return 'invalid' in actions ? actions : { actions, operation, summary };
};

/** The first CogAgent's notation: an element, an operation, perhaps its text, and a place. */
const OLD =
  /^(?:\[[^\][]*\].{0,200}->\s*)?(CLICK|TYPE|tap)(?:\s*[:：]\s*(.*?))?\s+(?:at\s+the\s+box\s+)?(\[\[[\d,\s]+\]\])\s*\.?$/;

function oldCall([, name, text, box]: RegExpExecArray): Call {
  const args = new Map([['box', box]]);
  if (text !== undefined) args.set('text', text.trim());
  return { name: name.toUpperCase() === 'TAP' ? 'CLICK' : name, args };
}

function actionsOf({ name, args }: Call, options: ReadOptions): readonly Action[] | InvalidAnswer {
  const scroll = /^SCROLL_(UP|DOWN|LEFT|RIGHT)$/.exec(name);
  if (name === 'KEY_PRESS') {
    const key = args.get('key') ?? '';
    const known = Object.hasOwn(KEYS, key.toLowerCase());
    return known
      ? [KEYS[key.toLowerCase()]]
      : { invalid: `KEY_PRESS of the key ${quote(key)}, which is not in the action space` };
  }
  if (!scroll && name !== 'CLICK' && name !== 'TYPE') {
    return { invalid: `the operation ${quote(name)} is not in the action space` };
  }
  const at = boxOf(args.get('box'), options);
  if ('invalid' in at) return at;
  if (name === 'CLICK') return [tap(at)];
  if (scroll) {
    const action = scrollFrom(at, scroll[1].toLowerCase(), options);
    return 'invalid' in action ? action : [action];
  }
  const text = args.get('text');
  if (text === undefined) return { invalid: 'TYPE without a text' };
  const typed = typing(text);
  return 'invalid' in typed ? typed : [tap(at), ...typed];
}

function boxOf(text: string | undefined, options: ReadOptions): Point | InvalidAnswer {
  const numbers = text === undefined ? undefined : numbersOf(text);
  // the first CogAgent has points too
  if (numbers?.length !== 4 && numbers?.length !== 2)
    return { invalid: `the box is ${quote(text ?? 'missing')}; expected [[x1,y1,x2,y2]]` };
  return pointOf(numbers, options, 'box');
}
