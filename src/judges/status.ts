import { WrongAnswer } from '../net/json-server.js';
import { brief } from '../net/brief.js';
import { answerParts } from './answer-parts.js';
import type { AnswerForm } from './chat.js';
import { withoutKeys } from '../secrets/known.js';
import type { Verdict } from './judge.js';

/** A model's answer: its verdict and its reasoning in its own words. */
export interface Answer {
  readonly status: Exclude<Verdict, 'unknown'>;
  readonly reasoning: string;
}

/** The form of a verdict. */
export const VERDICT: AnswerForm<Answer> = {
  name: 'verdict',
  schema: {
    type: 'object',
    properties: {
      reasoning: { type: 'string' },
      status: { type: 'string', enum: ['success', 'failure'] },
    },
    required: ['reasoning', 'status'],
  },
  read: (text, clean) => {
    const { status, reasoning } = parseStatus(text);
    return { status, reasoning: clean(reasoning) };
  },
};

/** Characters of the reasoning that are kept. */
const LONGEST_REASONING = 2000;

/** `Status: success` in the ways models write it: with quotes, emphasis, a full stop or a Chinese keyboard's colon. */
const STATUS = /\bstatus["'*_`]*[ \t]*[:：][ \t]*([^\n]*)/gi;
/** A key `status` in the source of an object. */
const STATUS_KEY = /(["'])status\1\s*:/g;

/**
 * Reads the verdict from a model's answer, without its thoughts: the field `status` of a JSON object, fenced or not, with
 * words around it or not; or a `Status: success` or `Status: failure` at the end of a line of text. If an answer states it
 * more than once, all must agree.
 * @throws WrongAnswer if there is no verdict, another word, half an object, or a contradiction
 */
export function parseStatus(text: string): Answer {
  const { answer, objects, words } = answerParts(text);
  const stated = objects.filter((value) => 'status' in value);
  if (words.search(STATUS_KEY) >= 0) throw new WrongAnswer(`answered invalid JSON: ${brief(answer)}`);
  const found = [...words.matchAll(STATUS)];
  const [first, ...others] = [...stated.map(({ status }) => status), ...found.map(([, said]) => said)].map(asStatus);
  if (first === undefined) throw new WrongAnswer(`answered without a status: ${brief(answer)}`);
  if (others.some((status) => status !== first)) throw new WrongAnswer(`answered both statuses: ${brief(answer)}`);
  const reasons = stated.length > 0 ? stated[0].reasoning : words.slice(0, found[0].index);
  // it is stored: without the keys that a server or a model may repeat
  const reasoning = typeof reasons === 'string' ? withoutKeys(reasons.trim()).slice(0, LONGEST_REASONING) : '';
  return { status: first, reasoning };
}

function asStatus(words: unknown): Answer['status'] {
  if (typeof words !== 'string')
    throw new WrongAnswer(`answered the status ${brief(words)}, expected success or failure`);
  const word = words.replace(/^[\s"'*_`]+|[\s"'*_`.]+$/g, '').toLowerCase();
  if (word === 'success' || word === 'failure') return word;
  throw new WrongAnswer(`answered the status ${brief(words.trim())}, expected success or failure`);
}
