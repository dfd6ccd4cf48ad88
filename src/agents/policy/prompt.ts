import { formatDecision, parseAction, parseDecision } from '../grammar.js';

/**
 * Auto-UI's prompt in the DigiRL line (docs/algorithms.md §0): the decision of the previous action, if any, and the task.
 * @param previous the previous action's full text, or only its decision; '' and invalid actions give an empty place, as in
 * the released code
 */
export function policyPrompt(task: string, previous: string): string {
  const decision = previousDecision(previous);
  return `Previous Actions: ${decision === '' ? '' : `${decision} `}Goal: ${task}</s>`;
}

/** The decision of a previous action text in canonical form; '' if there is none or it is invalid. */
export function previousDecision(previous: string): string {
  if (previous === '') return '';
  const full = parseAction(previous);
  if (!('invalid' in full)) return formatDecision(full.action);
  const decision = parseDecision(previous.trim());
  return 'invalid' in decision ? '' : formatDecision(decision);
}
