import type { Picture, Question } from './chat.js';

/** Raise it when the prompt or the pictures change: it is part of the keys of cached ratings. */
export const RATING_PROMPT_VERSION = 1;

/** A step as the judge sees it. */
export interface ShownStep {
  /** the action in VEM's short form (`shortText`) */
  readonly text: string;
  /** the screenshot before the action, with a red dot where it touches; undefined if there is none */
  readonly picture: Picture | undefined;
}

/** Which steps a judge sees beside the current one: all of the episode, as in VEM, or only the earlier ones. */
export type Shown = 'episode' | 'past';

/**
 * What the judge is told: its role, the eleven types of action, the two ratings with three examples each, and the form of
 * the answer. These are the contents of VEM's prompt (docs/algorithms.md §5) in our words.
 */
const SYSTEM = `You are an expert in operating phones. You check the work of an agent that does tasks on an Android phone: it looks at a screenshot, then takes one action, and so on until it declares the task complete. You rate a single action of the agent by how much it helps the task.

# Actions

An action is written as one of these. Points are [y, x], as fractions of the screen's height and width from its top left corner.

1. Tap: "action_type": "DUAL_POINT", "click_point": "[0.1200, 0.8500]" taps near the top right corner.
2. Type: "action_type": "TYPE", "typed_text": "bestmart.com" types the text into the field that has the focus.
3. Back: "action_type": "PRESS_BACK" goes to the previous screen, or closes the keyboard.
4. Home: "action_type": "PRESS_HOME" goes to the home screen.
5. Enter: "action_type": "PRESS_ENTER" submits the text that was typed.
6. Complete: "action_type": "STATUS_TASK_COMPLETE" declares that the task is done.
7. Impossible: "action_type": "STATUS_TASK_IMPOSSIBLE" declares that the task cannot be done.
8. Scroll up: "action_type": "SCROLL_UP" moves the finger up, which shows what is further down.
9. Scroll down: "action_type": "SCROLL_DOWN" moves the finger down, which shows what is further up.
10. Scroll left: "action_type": "SCROLL_LEFT" moves the finger left, which shows what is further right.
11. Scroll right: "action_type": "SCROLL_RIGHT" moves the finger right, which shows what is further left.

In the screenshots a red dot marks the point of a tap, or the middle of a scroll. The dot is not part of the screen.

# Ratings

2: the action is good. It does what the task needs next, or corrects an earlier mistake.
- The task is to search for a lamp, the search field has the focus, and the action types "lamp".
- The task needs the settings, the settings are not in view, and the action opens the list of all apps.
- A banner covers the page, and the action closes it.

1: the action is bad. It does not help the task, or works against it.
- The task is to open the clock, and the action taps the camera.
- The action repeats a tap that has already had no effect.
- The action declares the task complete, but its last step has not been done.

An action that is no valid action is bad. Judge the current action alone: not the actions before it, and not those after it, which only show what it led to.`;

const HOW =
  'Rate the current action. Answer with a JSON object and nothing else, the explanation in one short sentence:\n{"rating": <1 or 2>, "explanation": "<why>"}';

/**
 * The question about one step of an episode: the task, the steps of the episode with their pictures, then the current
 * action with its text and picture.
 * @param current index of the step to rate
 */
export function ratingQuestion(task: string, steps: readonly ShownStep[], current: number, shown: Shown): Question {
  const parts: (string | Picture)[] = [];
  const show = ({ text, picture }: ShownStep, i: number): void => {
    parts.push(`Step ${i + 1}: ${text}`, picture ?? '(no screenshot)');
  };
  const listed = shown === 'episode' ? steps : steps.slice(0, current);
  parts.push(`Task: ${task}`);
  if (listed.length > 0)
    parts.push(shown === 'episode' ? `The whole episode, ${listed.length} steps:` : 'The steps so far:');
  listed.forEach(show);
  parts.push('The current action, which is the one to rate:');
  show(steps[current], current);
  parts.push(HOW);
  return { system: SYSTEM, parts };
}
