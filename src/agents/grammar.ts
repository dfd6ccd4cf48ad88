import { ACTION_TYPES, type Action, type ActionType, type Point } from '../data/action.js';

/** A parsed action text: the action to execute now, and the types of the actions that the model plans from here on. */
export interface ParsedAction {
  readonly action: Action;
  readonly plan: readonly ActionType[];
}

/** Why a text is not a valid action. The reason completes "the action is invalid: ...". */
export interface InvalidAction {
  readonly invalid: string;
}

/** Plans have at most this many entries (released Digi-Q; docs/algorithms.md §0). */
export const MAX_PLAN = 8;
/** Longer texts are rejected without parsing; within a policy's token limit no text gets this long. */
const MAX_TEXT = 8192;
const UNUSED = '[-1.0, -1.0]';

/**
 * The part of Auto-UI's text after `Action Decision: `; the prompt shows the previous action in this form too. Points are
 * [y, x] with four decimals (docs/algorithms.md §0). Equal actions have equal texts, so the text can serve as a key.
 */
export function formatDecision(action: Action): string {
  const touch = action.type === 'DUAL_POINT' ? formatPoint(action.touch) : UNUSED;
  const lift = action.type === 'DUAL_POINT' ? formatPoint(action.lift) : UNUSED;
  const text = action.type === 'TYPE' ? action.text : '';
  return `"action_type": "${action.type}", "touch_point": "${touch}", "lift_point": "${lift}", "typed_text": "${text}"`;
}

/** Auto-UI's full action text. The plan starts with the action's own type; by default it has no other entry. */
export function formatAction(action: Action, plan: readonly ActionType[] = [action.type]): string {
  return `Action Plan: [${plan.join(',')}]; Action Decision: ${formatDecision(action)}`;
}

function formatPoint([y, x]: Point): string {
  return `[${y.toFixed(4)}, ${x.toFixed(4)}]`;
}

const FIELDS = ['action_type', 'touch_point', 'lift_point', 'typed_text'] as const;
const DECISION = new RegExp(
  '^"action_type":\\s*"([^"]*)",\\s*"touch_point":\\s*"([^"]*)",\\s*"lift_point":\\s*"([^"]*)",\\s*"typed_text":\\s*"([\\s\\S]*)"$',
);
const PLAN = /^Action Plan:\s*\[([^\]]*)\]\s*;?\s*Action Decision:\s*/;
const NUMBER = /^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$/;

/**
 * Parses an action text. As in the released parser, spaces and the number of decimals are free. Unlike there, typed text
 * may contain commas and quotes, and a touched point must be on the screen. A text is valid (docs/algorithms.md §0) if its
 * plan has 1 to MAX_PLAN known types, its type is known, both points parse and typed_text is a string.
 */
export function parseAction(text: string): ParsedAction | InvalidAction {
  if (text.length > MAX_TEXT) return { invalid: `${text.length} characters; expected at most ${MAX_TEXT}` };
  const trimmed = text
    .trim()
    .replace(/(<\/s>)+$/, '')
    .trimEnd();
  const head = PLAN.exec(trimmed);
  if (!head) return { invalid: 'the text does not start with `Action Plan: [...]; Action Decision: `' };
  const plan = parsePlan(head[1]);
  if ('invalid' in plan) return plan;
  const action = parseDecision(trimmed.slice(head[0].length));
  return 'invalid' in action ? action : { action, plan };
}

function parsePlan(list: string): ActionType[] | InvalidAction {
  const entries = list.split(',').map((entry) => entry.trim().replace(/^["']|["']$/g, ''));
  if (entries.length === 1 && entries[0] === '') return { invalid: 'the plan is empty' };
  if (entries.length > MAX_PLAN)
    return { invalid: `the plan has ${entries.length} entries; expected at most ${MAX_PLAN}` };
  const unknown = entries.find((entry) => !isActionType(entry));
  if (unknown !== undefined) return { invalid: `the plan has the unknown action type ${quote(unknown)}` };
  return entries as ActionType[];
}

/** Parses what `formatDecision` writes: an action without its plan. Same rules as `parseAction`. */
export function parseDecision(text: string): Action | InvalidAction {
  const fields = DECISION.exec(text);
  if (!fields) return { invalid: `the decision is not ${FIELDS.map((field) => `"${field}": "..."`).join(', ')}` };
  const [, type, touchText, liftText, typed] = fields;
  if (!isActionType(type)) return { invalid: `unknown action type ${quote(type)}` };
  const touch = parsePoint(touchText);
  const lift = parsePoint(liftText);
  if (!touch) return { invalid: `touch_point ${quote(touchText)} is not "[y, x]"` };
  if (!lift) return { invalid: `lift_point ${quote(liftText)} is not "[y, x]"` };
  if (type === 'TYPE') return { type, text: typed };
  if (type !== 'DUAL_POINT') return { type };
  for (const [name, point] of [
    ['touch_point', touch],
    ['lift_point', lift],
  ] as const) {
    if (!point.every((part) => part >= 0 && part <= 1))
      return { invalid: `${name} [${point.join(', ')}] is outside the screen` };
  }
  return { type, touch, lift };
}

/** Whether the text is a valid action. */
export function isValidAction(text: string): boolean {
  return !('invalid' in parseAction(text));
}

function parsePoint(text: string): Point | undefined {
  const inner = /^\s*\[([^[\]]*)\]\s*$/.exec(text);
  const parts = inner?.[1].split(',').map((part) => part.trim());
  if (parts?.length !== 2 || !parts.every((part) => NUMBER.test(part))) return undefined;
  const [y, x] = parts.map(Number);
  return Number.isFinite(y) && Number.isFinite(x) ? [y, x] : undefined;
}

function isActionType(text: string): text is ActionType {
  return (ACTION_TYPES as readonly string[]).includes(text);
}

/** The text in quotes, cut to 40 characters for messages. */
function quote(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
}
