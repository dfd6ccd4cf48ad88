import { isTap, TAP_DISTANCE, type Action, type Point } from '../../../data/action.js';

/** What an agent that is not ours means by an answer, in our action space. */
export interface ReadAnswer {
  /** to be done one after the other, a step each; none: to wait for a step (the agent wants nothing done) */
  readonly actions: readonly Action[];
  /** the operation in the agent's own notation, for the history of its next prompts */
  readonly operation: string;
  /** what it says of it in plain words, '' where it says nothing */
  readonly summary: string;
}

/** Why an answer is no action, as an end of the sentence "the answer is invalid: ...". */
export interface InvalidAnswer {
  readonly invalid: string;
}

/** How the numbers of an answer are to be understood. */
export interface ReadOptions {
  /** size of the picture that was sent, in pixels */
  readonly width: number;
  readonly height: number;
  /** points are pixels of that picture, or thousandths of its width and height */
  readonly coordinates: 'pixels' | 'thousandths';
  /** `scroll down` brings up what is below (as a wheel does), or moves a finger down */
  readonly scroll: 'content' | 'finger';
}

/** Reads the answers of a family of models. Nothing in an answer is trusted; what is not understood is invalid, never a tap. */
export type AnswerReader = (answer: string, options: ReadOptions) => ReadAnswer | InvalidAnswer;

/** Longer answers are not read. */
export const LONGEST_ANSWER = 32_768;
/** Longest text that is typed. */
const LONGEST_TYPED = 4096;
/** Share of the screen that a scroll without an end of its own covers. */
const SCROLLED = 0.4;
/** Scrolls stay away from the edges, where phones have gestures of their own. */
const EDGE = 0.1;

/**
 * The middle of a point (2 numbers) or box (4: left, top, right, bottom) as fractions of the screen.
 * @param where begins the message, for example "box"
 */
export function pointOf(numbers: readonly number[], options: ReadOptions, where: string): Point | InvalidAnswer {
  if (numbers.length !== 2 && numbers.length !== 4)
    return { invalid: `${where} has ${numbers.length} numbers; expected 2 or 4` };
  const { width, height, coordinates } = options;
  const [right, bottom] = coordinates === 'pixels' ? [width, height] : [1000, 1000];
  const outside = numbers.some((n, i) => !(n >= 0 && n <= (i % 2 === 0 ? right : bottom)));
  if (outside) {
    return { invalid: `${where} [${numbers.join(', ')}] is off the screen of ${right} x ${bottom}` };
  }
  const [x1, y1, x2 = x1, y2 = y1] = numbers;
  if (x2 < x1 || y2 < y1) return { invalid: `${where} [${numbers.join(', ')}] ends before it begins` };
  return [(y1 + y2) / 2 / bottom, (x1 + x2) / 2 / right];
}

/** A swipe from one place to another. One as short as a tap is invalid: it would be taken for one. */
export function swipe(from: Point, to: Point): Action | InvalidAnswer {
  const action: Action = { type: 'DUAL_POINT', touch: from, lift: to };
  const short: boolean = isTap(action);
  return short ? { invalid: `a swipe of less than ${100 * TAP_DISTANCE} % of the screen` } : action;
}

/** A scroll from a place (the middle of the screen where none is said), by less than half the screen. */
export function scrollFrom(
  at: Point | undefined,
  direction: string,
  { scroll }: Pick<ReadOptions, 'scroll'>,
): Action | InvalidAnswer {
  const toward: Readonly<Record<string, Point>> = { up: [-1, 0], down: [1, 0], left: [0, -1], right: [0, 1] };
  if (!Object.hasOwn(toward, direction)) {
    return { invalid: `the direction ${quote(direction)} is none of up, down, left, right` };
  }
  const sign = scroll === 'finger' ? 1 : -1;
  const [dy, dx] = toward[direction].map((part) => sign * part * SCROLLED);
  const [y, x] = at ?? [0.5, 0.5];
  const inside = (value: number): number => Math.min(1 - EDGE, Math.max(EDGE, value));
  const lift: Point = [dy === 0 ? y : inside(y + dy), dx === 0 ? x : inside(x + dx)];
  // from a place at the edge in its direction the whole way is not free: begin further back
  const touch: Point = [dy === 0 ? y : inside(lift[0] - dy), dx === 0 ? x : inside(lift[1] - dx)];
  return swipe(touch, lift);
}

/** Typing, and ENTER where the text ends with a new line. */
export function typing(text: string): readonly Action[] | InvalidAnswer {
  if (text.length > LONGEST_TYPED)
    return { invalid: `${text.length} characters to type; expected at most ${LONGEST_TYPED}` };
  const enter: Action[] = /\n$/.test(text) ? [{ type: 'PRESS_ENTER' }] : [];
  const typed = text.replace(/\n+$/, '');
  return typed === '' && enter.length > 0 ? enter : [{ type: 'TYPE', text: typed }, ...enter];
}

/** A text in quotes, cut to a length that fits a message. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}
