import { brief } from '../net/brief.js';
import { WrongAnswer } from '../net/json-server.js';
import { objectsIn, type Loose } from '../net/loose-json.js';

/** Longer answers are not read. */
const LONGEST_ANSWER = 1 << 18;

/** A model's answer in parts. */
export interface AnswerParts {
  /** trimmed */
  readonly answer: string;
  /** its JSON objects, fenced or not */
  readonly objects: readonly Readonly<Record<string, Loose>>[];
  /** what stands around them: what an object says in its other fields is no statement */
  readonly words: string;
}

/** @throws WrongAnswer if the answer is too long, or an object in it is cut off */
export function answerParts(text: string): AnswerParts {
  const answer = text.trim();
  if (answer.length > LONGEST_ANSWER) throw new WrongAnswer(`answered ${answer.length} characters`);
  const { objects, cut } = objectsIn(answer);
  if (cut) throw new WrongAnswer(`answered invalid JSON: ${brief(answer)}`);
  let words = '';
  let at = 0;
  for (const { start, end } of objects) {
    words += `${answer.slice(at, start)}\n`;
    at = end;
  }
  words += answer.slice(at);
  return { answer, objects: objects.map(({ value }) => value), words };
}
