import { formatDecision, parseAction, parseDecision } from '../grammar.js';

/**
 * Auto-UI's prompt in the DigiRL line (docs/algorithms.md §0): the decision of the last action, if any, and the task.
 * @param previous text of the action before: full, or its decision alone; '' or an invalid action leaves the place
 * empty, as the released code does
 */
export function policyPrompt(task: string, previous: string): string {
  const decision = previousDecision(previous);
  return `Previous Actions: ${decision === '' ? '' : `${decision} `}Goal: ${task}</s>`;
}

/** The decision part of a previous action text in its canonical form; '' where there is none or it is invalid. */
export function previousDecision(previous: string): string {
  if (previous === '') return '';
  const full = parseAction(previous);
  if (!('invalid' in full)) return formatDecision(full.action);
  const decision = parseDecision(previous.trim());
  return 'invalid' in decision ? '' : formatDecision(decision);
}
