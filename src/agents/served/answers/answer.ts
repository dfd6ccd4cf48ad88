import { isTap, TAP_DISTANCE, type Action, type Point } from '../../../data/action.js';

/** The answer of a third-party agent, translated into our action space. */
export interface ReadAnswer {
  /** one step each, in order; empty: wait for one step */
  readonly actions: readonly Action[];
  /** the operation in the agent's own notation, for the history in later prompts */
  readonly operation: string;
  /** the agent's description of the operation in plain words; '' if there is none */
  readonly summary: string;
}

/** Why an answer is invalid. The text completes "invalid answer: ...". */
export interface InvalidAnswer {
  readonly invalid: string;
}

/** How to read the coordinates of an answer. */
export interface ReadOptions {
  /** size of the picture that was sent, in pixels */
  readonly width: number;
  readonly height: number;
  /** points are in pixels of that picture, or in thousandths of its width and height */
  readonly coordinates: 'pixels' | 'thousandths';
  /** `content`: "scroll down" reveals what is below, like a mouse wheel; `finger`: it moves a finger down */
  readonly scroll: 'content' | 'finger';
}

/** Reads the answers of a family of models. Answers are not trusted: one that is not understood is invalid, never a tap. */
export type AnswerReader = (answer: string, options: ReadOptions) => ReadAnswer | InvalidAnswer;

/** Most characters of an answer; longer ones are invalid. */
export const LONGEST_ANSWER = 32_768;
/** Most characters of a typed text. */
const LONGEST_TYPED = 4096;
/** Share of the screen that a scroll without an end point covers. */
const SCROLLED = 0.4;
/** Share of the screen at each edge that scrolls avoid, since phones have system gestures there. */
const EDGE = 0.1;

/**
 * A point (2 numbers: x, y) or the centre of a box (4: left, top, right, bottom), as fractions of the screen.
 * @param where starts the message, for example "box"
 */
export function pointOf(numbers: readonly number[], options: ReadOptions, where: string): Point | InvalidAnswer {
  if (numbers.length !== 2 && numbers.length !== 4)
    return { invalid: `${where} has ${numbers.length} numbers; expected 2 or 4` };
  const { width, height, coordinates } = options;
  const [right, bottom] = coordinates === 'pixels' ? [width, height] : [1000, 1000];
  const outside = numbers.some((n, i) => !(n >= 0 && n <= (i % 2 === 0 ? right : bottom)));
  if (outside) {
    return { invalid: `${where} [${numbers.join(', ')}] is outside the screen of ${right} x ${bottom}` };
  }
  const [x1, y1, x2 = x1, y2 = y1] = numbers;
  if (x2 < x1 || y2 < y1) return { invalid: `${where} [${numbers.join(', ')}] ends before it begins` };
  return [(y1 + y2) / 2 / bottom, (x1 + x2) / 2 / right];
}

/** A swipe between two points. A swipe as short as a tap is invalid, since it would count as a tap. */
export function swipe(from: Point, to: Point): Action | InvalidAnswer {
  const action: Action = { type: 'DUAL_POINT', touch: from, lift: to };
  const short: boolean = isTap(action);
  return short ? { invalid: `the swipe is shorter than ${100 * TAP_DISTANCE} % of the screen` } : action;
}

/** A scroll over less than half the screen, from a point or else from the middle of the screen. */
export function scrollFrom(
  at: Point | undefined,
  direction: string,
  { scroll }: Pick<ReadOptions, 'scroll'>,
): Action | InvalidAnswer {
  const toward: Readonly<Record<string, Point>> = { up: [-1, 0], down: [1, 0], left: [0, -1], right: [0, 1] };
  if (!Object.hasOwn(toward, direction)) {
    return { invalid: `scroll direction ${quote(direction)}; expected up, down, left or right` };
  }
  const sign = scroll === 'finger' ? 1 : -1;
  const [dy, dx] = toward[direction].map((part) => sign * part * SCROLLED);
  const [y, x] = at ?? [0.5, 0.5];
  const inside = (value: number): number => Math.min(1 - EDGE, Math.max(EDGE, value));
  const lift: Point = [dy === 0 ? y : inside(y + dy), dx === 0 ? x : inside(x + dx)];
  // near the edge there is no room for the whole scroll, so it starts further back
  const touch: Point = [dy === 0 ? y : inside(lift[0] - dy), dx === 0 ? x : inside(lift[1] - dx)];
  return swipe(touch, lift);
}

/** Typing, followed by ENTER if the text ends with a newline. */
export function typing(text: string): readonly Action[] | InvalidAnswer {
  if (text.length > LONGEST_TYPED)
    return { invalid: `the text to type has ${text.length} characters; expected at most ${LONGEST_TYPED}` };
  const enter: Action[] = /\n$/.test(text) ? [{ type: 'PRESS_ENTER' }] : [];
  const typed = text.replace(/\n+$/, '');
  return typed === '' && enter.length > 0 ? enter : [{ type: 'TYPE', text: typed }, ...enter];
}

/** A text in quotes, cut to 60 characters for messages. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}
