import { counted } from '../counted.js';
import { UserError } from '../errors.js';

/** Most mistakes that are told; the rest is counted. */
export const MOST_MISTAKES = 20;

/** The error for some mistakes, a line each. */
export function toldAll(mistakes: Iterable<string>): UserError {
  const distinct = [...new Set([...mistakes].flatMap((mistake) => mistake.split('\n')))];
  const more = distinct.length - MOST_MISTAKES;
  if (more > 0) distinct.splice(MOST_MISTAKES, more, `and ${counted(more, 'more mistake')}`);
  return new UserError(distinct);
}
