import { WrongAnswer } from '../net/json-server.js';
import type { Verdict } from './judge.js';

/** What a model answered: its verdict, and its reasons in its own words. */
export interface Answer {
  readonly status: Exclude<Verdict, 'unknown'>;
  readonly reasoning: string;
}

/** Characters of a model's reasons that are kept. */
const REASONS = 2000;

/** `Status: success` as models write it: with quotes, emphasis, a full stop. */
const STATUS = /\bstatus["'*_`]*[ \t]*:[ \t]*([^\n]*)/gi;

/**
 * The verdict in a model's answer: the field `status` of a JSON object, or `Status: success` or `Status: failure` in a
 * text, and nothing behind it in its line. What is said more than once must be the same.
 * @throws WrongAnswer where there is none, or another one
 */
export function parseStatus(text: string): Answer {
  const said = text.trim();
  const fenced = /^```(?:json)?\s*([\s\S]*?)\s*```$/.exec(said)?.[1] ?? said;
  // what begins as JSON must be it to its end
  if (/^(```(json)?\s*)?\{/.test(said)) return fromJson(fenced);
  const found = [...said.matchAll(STATUS)];
  if (found.length === 0) throw new WrongAnswer(`answered without a status: ${brief(said)}`);
  const [first, ...others] = found.map(([, words]) => asStatus(words));
  if (others.some((status) => status !== first)) throw new WrongAnswer(`answered both statuses: ${brief(said)}`);
  return { status: first, reasoning: said.slice(0, found[0].index).trim().slice(0, REASONS) };
}

function fromJson(json: string): Answer {
  let value: { status?: unknown; reasoning?: unknown };
  try {
    value = JSON.parse(json) as typeof value;
  } catch {
    throw new WrongAnswer(`answered half a JSON object: ${brief(json)}`);
  }
  if (typeof value.status !== 'string') throw new WrongAnswer(`answered without a status: ${brief(json)}`);
  const reasoning = typeof value.reasoning === 'string' ? value.reasoning.trim().slice(0, REASONS) : '';
  return { status: asStatus(value.status), reasoning };
}

function asStatus(words: string): Answer['status'] {
  const word = words.replace(/^[\s"'*_`]+|[\s"'*_`.]+$/g, '').toLowerCase();
  if (word === 'success' || word === 'failure') return word;
  throw new WrongAnswer(`answered the status ${brief(words.trim())}, expected success or failure`);
}

/** A value in messages. */
export function brief(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
