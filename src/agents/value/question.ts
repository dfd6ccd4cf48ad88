import { shortText } from '../rated-action.js';
import type { RatedAction } from './value-model.js';

/** Version of the question and the picture, for cache keys of answers. Raise it when either changes. */
export const QUESTION = 'vem-1';

/** What a value model is told before each question: the two ratings and what earns them (after VEM's released prompt). */
export const CRITERIA = `You judge the actions of an agent that operates a phone by its screen. You get the task, the actions so far, and the current action with the screenshot on which it is taken. A red dot marks where it touches the screen.
Rate the current action:
1: it does not help the task: it has no effect, undoes progress, opens or types something unrelated, repeats what failed, or declares the task complete or impossible when it is not.
2: it helps the task: it opens, taps, scrolls or types what the task needs next, corrects an earlier mistake, or declares the task complete when it is.
Answer with the digit alone.`;

/** The question about an action, without its picture: the criteria, the task, the earlier actions, the action. */
export function ratingQuestion({ goal, history: all, action }: RatedAction, most: number): string {
  const first = Math.max(0, all.length - most);
  const steps = all.slice(first).map((text, i) => `step ${first + i}: ${shortText(text)}`);
  return `${CRITERIA}

Task: ${goal}
Actions so far:
${steps.length === 0 ? 'none' : steps.join('\n')}
Current action:
step ${all.length}: ${shortText(action)}`;
}
