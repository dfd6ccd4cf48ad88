import type { Rating } from '../data/labels.js';
import { WrongAnswer } from '../net/json-server.js';
import type { Loose } from '../net/loose-json.js';
import { brief } from '../net/brief.js';
import { answerParts } from './answer-parts.js';
import type { AnswerForm } from './chat.js';

/** A model's rating of an action, with the reason in its own words. */
export interface RatedAnswer {
  readonly rating: Rating;
  readonly explanation: string;
}

/** The form of a rating. The enumeration is of strings, since Gemini takes no others. */
export const RATING: AnswerForm<RatedAnswer> = {
  name: 'rating',
  schema: {
    type: 'object',
    properties: { rating: { type: 'string', enum: ['1', '2'] }, explanation: { type: 'string' } },
    required: ['rating', 'explanation'],
  },
  read: (text, clean) => {
    const { rating, explanation } = parseRating(text);
    return { rating, explanation: clean(explanation) };
  },
};

/** Characters of the explanation that are kept. */
const LONGEST_EXPLANATION = 1000;
/** A key `rating` in the source of an object. */
const RATING_KEY = /(["'])rating\1\s*:/i;

/**
 * Reads the rating from a model's answer, without its thoughts: the field `rating` of a JSON object, fenced or not, with
 * words around it or not. It must be 1 or 2, as a number or a text: a digit somewhere in free words is no rating. If an
 * answer has several objects with a rating, all must agree.
 * @throws WrongAnswer if there is no rating, another one, half an object, or a contradiction
 */
export function parseRating(text: string): RatedAnswer {
  const { answer, objects, words: rest } = answerParts(text);
  const stated = objects.filter((value) => field(value, 'rating') !== undefined);
  if (RATING_KEY.test(rest)) throw new WrongAnswer(`answered invalid JSON: ${brief(answer)}`);
  const [first, ...others] = stated.map((value) => asRating(field(value, 'rating')));
  if (first === undefined) throw new WrongAnswer(`answered without a rating: ${brief(answer)}`);
  if (others.some((rating) => rating !== first)) throw new WrongAnswer(`answered both ratings: ${brief(answer)}`);
  const words = field(stated[0], 'explanation');
  return { rating: first, explanation: typeof words === 'string' ? words.trim().slice(0, LONGEST_EXPLANATION) : '' };
}

/** The field of an object, whatever the case of its name. */
function field(value: Readonly<Record<string, Loose>>, name: string): Loose | undefined {
  const key = Object.keys(value).find((one) => one.toLowerCase() === name);
  return key === undefined ? undefined : value[key];
}

function asRating(value: Loose | undefined): Rating {
  const number = typeof value === 'string' && /^\s*[12]\s*$/.test(value) ? Number(value) : value;
  if (number === 1 || number === 2) return number;
  throw new WrongAnswer(`answered the rating ${brief(value)}, expected 1 or 2`);
}
