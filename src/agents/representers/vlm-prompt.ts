import { isTap, type Action, type Point } from '../../data/action.js';
import { parseAction } from '../grammar.js';

/** The two answers that a VLM is tuned to give: the screen will change, or it will not (docs/algorithms.md §2.2). */
export type Answer = 'Yes' | 'No';

/** The question to a VLM about an action: a text, and the place of the cursor on the screenshot, if there is one. */
export interface VlmPrompt {
  readonly text: string;
  readonly cursor?: Point;
}

/** Longer goals and typed texts are cut, since the prompt has to fit a VLM's context together with the picture. */
const MOST_CHARACTERS = 500;

const SCREEN = 'This is the screen of a phone.';
const QUESTION = 'Will the screen change? Answer with one word, Yes or No.';

/**
 * The question "does this action change the screen?", with one wording for each type of action (docs/algorithms.md §2.2).
 * Tuning a VLM and representing with it use the same texts, so both call this function.
 *
 * A tap is shown by a cursor at its touch point, and the text has its coordinates too. A swipe has no cursor, since the VLM
 * has learned that a cursor is a tap and one point cannot show a path; its two ends and its direction are in the text. The
 * goal appears only if the action is about it (the task is declared complete or impossible, or there is no action), so all
 * tasks share the answers about the same action on the same screenshot. Invalid actions are never executed, so one question
 * serves all of them.
 *
 * @param goal the agent's instruction
 * @param action an action text in the policy's grammar; '' asks about the state alone
 */
export function vlmPrompt(goal: string, action: string): VlmPrompt {
  const task = `The task is "${plain(goal)}".`;
  if (action === '') return prompt(`${task} Is it complete? Answer with one word, Yes or No.`);
  const parsed = parseAction(action);
  if ('invalid' in parsed) return prompt(`The next action cannot be understood, and nothing is done. ${QUESTION}`);
  return ofAction(parsed.action, task);
}

function ofAction(action: Action, task: string): VlmPrompt {
  switch (action.type) {
    case 'DUAL_POINT': {
      const { touch, lift } = action;
      if (!isTap(action)) {
        const way = `swipes ${direction(touch, lift)}, from ${place(touch)} to ${place(lift)}`;
        return prompt(`A finger ${way}. Is there something that moves with it? ${QUESTION}`);
      }
      const cursor = `The cursor, a magenta disc with a white ring, marks the touch point ${place(touch)} of a tap.`;
      return { ...prompt(`${cursor} Is the cursor on something that reacts to it? ${QUESTION}`), cursor: touch };
    }
    case 'TYPE':
      return prompt(`The text "${plain(action.text)}" is typed. Is there a field that it goes into? ${QUESTION}`);
    case 'PRESS_BACK':
      return prompt(`The BACK button is pressed. Is there something to go back to? ${QUESTION}`);
    case 'PRESS_HOME':
      return prompt(`The HOME button is pressed. Is this another screen than the home screen? ${QUESTION}`);
    case 'PRESS_ENTER':
      return prompt(`The ENTER key is pressed. Is there a text to be submitted? ${QUESTION}`);
    case 'STATUS_TASK_COMPLETE':
      return prompt(`${task} It is said to be complete, and nothing more is done. ${QUESTION}`);
    case 'STATUS_TASK_IMPOSSIBLE':
      return prompt(`${task} It is said to be impossible, and nothing more is done. ${QUESTION}`);
  }
}

function prompt(text: string): VlmPrompt {
  return { text: `${SCREEN} ${text}` };
}

/** [y, x] in fractions of height and width, with four decimals as in the action's own text. */
function place([y, x]: Point): string {
  return `[${y.toFixed(4)}, ${x.toFixed(4)}]`;
}

function direction([y0, x0]: Point, [y1, x1]: Point): string {
  if (Math.abs(y1 - y0) >= Math.abs(x1 - x0)) return y1 < y0 ? 'up' : 'down';
  return x1 < x0 ? 'left' : 'right';
}

/**
 * An outside text as one line of bounded length. Anything that looks like a special token (`<image>`, `</s>`,
 * `<|im_end|>`) gets other brackets, since a VLM's tokenizer would read it as one.
 */
function plain(text: string): string {
  const line = text
    .replace(/\s+/g, ' ')
    .trim()
    .replace(/<([^<>\s]{1,40})>/g, '‹$1›');
  const characters = [...line];
  return characters.length > MOST_CHARACTERS ? `${characters.slice(0, MOST_CHARACTERS).join('')}…` : line;
}
