import { isTap, type Action, type Point } from '../data/action.js';
import { parseAction } from './grammar.js';

const WORDS: Readonly<Record<Exclude<Action['type'], 'DUAL_POINT' | 'TYPE'>, string>> = {
  PRESS_BACK: 'press back',
  PRESS_HOME: 'press home',
  PRESS_ENTER: 'press enter',
  STATUS_TASK_COMPLETE: 'declares complete',
  STATUS_TASK_IMPOSSIBLE: 'declares impossible',
};

/** Most characters of a typed or invalid text that are shown. */
const SHOWN = 60;

/** An action text in a few words; points are x, y in percent of the screen from the top left. */
export function inWords(text: string): string {
  const parsed = parseAction(text);
  if ('invalid' in parsed) return `invalid: ${cut(text)}`;
  const { action } = parsed;
  if (action.type === 'TYPE') return `type “${cut(action.text)}”`;
  if (action.type !== 'DUAL_POINT') return WORDS[action.type];
  const tapped: boolean = isTap(action);
  if (tapped) return `tap ${place(action.touch)}`;
  return `swipe ${place(action.touch)} → ${place(action.lift)}`;
}

function place([y, x]: Point): string {
  return `${Math.round(100 * x)}, ${Math.round(100 * y)}`;
}

function cut(text: string): string {
  return text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text;
}
