import { WrongAnswer } from '../net/json-server.js';
import type { Verdict } from './judge.js';

/** A model's answer: its verdict and its reasoning in its own words. */
export interface Answer {
  readonly status: Exclude<Verdict, 'unknown'>;
  readonly reasoning: string;
}

/** Characters of the reasoning that are kept. */
const LONGEST_REASONING = 2000;

/** `Status: success` in the ways models write it: with quotes, emphasis or a full stop. */
const STATUS = /\bstatus["'*_`]*[ \t]*:[ \t]*([^\n]*)/gi;

/**
 * Reads the verdict from a model's answer: the field `status` of a JSON object, or a `Status: success` or
 * `Status: failure` at the end of a line of text. If a text states it more than once, all must agree.
 * @throws WrongAnswer if there is no verdict, another word, or a contradiction
 */
export function parseStatus(text: string): Answer {
  const answer = text.trim();
  const unfenced = /^```(?:json)?\s*([\s\S]*?)\s*```$/.exec(answer)?.[1] ?? answer;
  // an answer that starts as JSON must be JSON to its end
  if (/^(```(json)?\s*)?\{/.test(answer)) return fromJson(unfenced);
  const found = [...answer.matchAll(STATUS)];
  if (found.length === 0) throw new WrongAnswer(`answered without a status: ${brief(answer)}`);
  const [first, ...others] = found.map(([, words]) => asStatus(words));
  if (others.some((status) => status !== first)) throw new WrongAnswer(`answered both statuses: ${brief(answer)}`);
  return { status: first, reasoning: answer.slice(0, found[0].index).trim().slice(0, LONGEST_REASONING) };
}

function fromJson(json: string): Answer {
  let value: { status?: unknown; reasoning?: unknown };
  try {
    value = JSON.parse(json) as typeof value;
  } catch {
    throw new WrongAnswer(`answered invalid JSON: ${brief(json)}`);
  }
  if (typeof value.status !== 'string') throw new WrongAnswer(`answered without a status: ${brief(json)}`);
  const reasoning = typeof value.reasoning === 'string' ? value.reasoning.trim().slice(0, LONGEST_REASONING) : '';
  return { status: asStatus(value.status), reasoning };
}

function asStatus(words: string): Answer['status'] {
  const word = words.replace(/^[\s"'*_`]+|[\s"'*_`.]+$/g, '').toLowerCase();
  if (word === 'success' || word === 'failure') return word;
  throw new WrongAnswer(`answered the status ${brief(words.trim())}, expected success or failure`);
}

/** A value as JSON for messages, cut after 80 characters. */
export function brief(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
