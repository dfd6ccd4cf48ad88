import type { Format, Picture, Question } from './chat.js';
import type { Example } from './few-shot.js';

/** Raise it when the prompt changes: it is part of the keys of cached verdicts. */
export const PROMPT_VERSION = 1;

const SYSTEM =
  'You are an expert in judging from a screenshot whether a task on a phone or in a web browser has been completed.';

const EXPECTATION = 'Q: What should the screenshot show if the task has been completed?';

const HOW: Record<Format, string> = {
  text: `Judge only by what can be seen. Begin with "Q:", write nothing after the status, and answer in this form:
${EXPECTATION}
A: <what it should show, then what it does show>
Status: <success or failure>`,
  json: `Judge only by what can be seen. First ask yourself what the screenshot should show if the task has been completed. Answer with a JSON object and nothing else:
{"reasoning": "<what it should show, then what it does show>", "status": "<success or failure>"}`,
};

/**
 * The question to the model: the examples, each with its screenshot and the expected answer, then the task and its
 * screenshot. It follows the DigiRL line's judge (question, answer, status).
 * @param screens the last screenshot, or the one before it and the last
 */
export function judgeQuestion(
  task: string,
  screens: readonly Picture[],
  examples: readonly Example[],
  format: Format,
): Question {
  const parts: (string | Picture)[] = [];
  examples.forEach(({ picture, task: text, status, reasoning }, i) => {
    parts.push(`Example ${i + 1}. Screenshot:`, picture, `Task: ${text}\n${answered(status, reasoning, format)}`);
  });
  parts.push(examples.length > 0 ? 'Now the screenshot to judge.' : 'The screenshot to judge.');
  const [before, last] = screens.length > 1 ? screens : [undefined, screens[0]];
  if (before)
    parts.push('Screenshot before the last action:', before, 'Screenshot after it, which is the one to judge:');
  else parts.push('Screenshot:');
  parts.push(last, `Task: ${task}\n\n${HOW[format]}`);
  return { system: SYSTEM, parts };
}

function answered(status: Example['status'], reasoning: string, format: Format): string {
  if (format === 'json') return JSON.stringify({ reasoning, status });
  return reasoning === '' ? `Status: ${status}` : `${EXPECTATION}\nA: ${reasoning}\nStatus: ${status}`;
}
