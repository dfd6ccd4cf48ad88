import { quote, type InvalidAnswer } from './answer.js';

/** An operation in the notation of a Python call: `click(start_box='(197,520)')`, `CLICK(box=[[1,2,3,4]])`. */
export interface Call {
  readonly name: string;
  /** arguments as written, but strings without quotes and escapes */
  readonly args: ReadonlyMap<string, string>;
}

/** More than any operation has. */
const MOST_ARGUMENTS = 16;
const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r' };
/** Quotes by the one that opens; models with a Chinese keyboard's habits write the curly ones. */
const CLOSING: Readonly<Record<string, string>> = { "'": "'", '"': '"', '‘': '’', '“': '”' };
/** The start of a call. */
const HEAD = /^([A-Za-z_]\w*)\s*[(（]\s*/;
const KEY = /^([A-Za-z_]\w*)\s*[=＝]\s*/;
/** What follows a value: the next argument, or the end. */
const NEXT = /^\s*([,，]\s*[A-Za-z_]\w*\s*[=＝]|[,，]?\s*$)/;
/** A place without quotes: numbers, brackets and tags such as <point>. */
const PLACE = /^(?:<[^<>'"=]{1,40}>|[\s\d.,，()（）[\]-])+/;

/**
 * Reads a text that is exactly one call with keyword arguments. Models often do not escape quotes inside strings, so a
 * string ends only at a quote before the next argument or before the end of the call.
 */
export function parseCall(text: string): Call | InvalidAnswer {
  const head = HEAD.exec(text);
  const body = text.trimEnd();
  if (!head || !/[)）]$/.test(body)) return { invalid: `${quote(text)} is not an operation such as NAME(...)` };
  const args = new Map<string, string>();
  const end = body.length - 1;
  let at = head[0].length;
  while (at < end) {
    const key = KEY.exec(body.slice(at, Math.min(end, at + 100)));
    if (!key) return { invalid: `${quote(body.slice(at))} is not an argument such as key='value'` };
    if (args.has(key[1]) || args.size === MOST_ARGUMENTS)
      return { invalid: `${head[1]} has a duplicate argument ${key[1]}, or more than ${MOST_ARGUMENTS} arguments` };
    at += key[0].length;
    const value = readValue(body, at, end);
    if (!value) return { invalid: `the argument ${key[1]} of ${head[1]} has no end` };
    args.set(key[1], value.text);
    at = value.next;
    const comma = /^\s*[,，]?\s*/.exec(body.slice(at, end))![0];
    at += comma.length;
    if (at < end && !/[,，]/.test(comma))
      return { invalid: `${quote(body.slice(at))} after the argument ${key[1]}; expected a comma` };
  }
  return { name: head[1], args };
}

/**
 * Reads the calls that a text begins with, one below the other. Words below the last call are not looked at; anything that
 * begins as a call is one, and must be whole.
 */
export function parseCalls(text: string, most: number): readonly Call[] | InvalidAnswer {
  const calls: Call[] = [];
  for (let rest = text.trim(); calls.length === 0 || HEAD.test(rest);) {
    if (calls.length === most) return { invalid: `more than ${most} operations; expected at most ${most}` };
    const found = firstCall(rest);
    if ('invalid' in found) return found;
    calls.push(found.call);
    rest = found.rest.trim();
  }
  return calls;
}

/** Most lines that one call may have, and most tries to find its end. */
const MOST_LINES = 100;

/** The call at the start of a text: it ends at a parenthesis at the end of a line. */
function firstCall(text: string): { call: Call; rest: string } | InvalidAnswer {
  const ends = [...text.matchAll(/[)）][ \t;；]*(?=\n|$)/g)].slice(0, MOST_LINES);
  for (const { index } of ends) {
    const call = parseCall(text.slice(0, index + 1));
    const rest = text.slice(index + 1).replace(/^[ \t;；]+/, '');
    // words that end like a call belong to a string with an unescaped quote at the end of a line
    if (!('invalid' in call) && (HEAD.test(rest.trim()) || !/['"’”][)）]\s*$/.test(rest))) return { call, rest };
  }
  const whole = parseCall(text);
  return 'invalid' in whole ? whole : { call: whole, rest: '' };
}

/** The value that starts at `at`: a string, a place without quotes, or a word. */
function readValue(body: string, at: number, end: number): { text: string; next: number } | undefined {
  const close = CLOSING[body[at]];
  if (close !== undefined) {
    for (let i = at + 1; i < end; i++) {
      if (body[i] === '\\') i++;
      else if (body[i] === close && NEXT.test(body.slice(i + 1, end)))
        return { text: unescaped(body.slice(at + 1, i)), next: i + 1 };
    }
    return undefined;
  }
  const place = PLACE.exec(body.slice(at, end))?.[0].replace(/[,，\s]+$/, '');
  if (place !== undefined && /\d/.test(place) && isBalanced(place) && NEXT.test(body.slice(at + place.length, end)))
    return { text: place, next: at + place.length };
  const word = /^[^,，'"‘’“”()（）[\]]+/.exec(body.slice(at, end));
  return word ? { text: word[0].trim(), next: at + word[0].length } : undefined;
}

/** Whether every bracket of a place is closed. */
function isBalanced(place: string): boolean {
  const count = (brackets: RegExp): number => place.match(brackets)?.length ?? 0;
  return count(/[(（[]/g) === count(/[)）\]]/g);
}

function unescaped(text: string): string {
  return text.replace(/\\([\s\S])/g, (_, escaped: string) => ESCAPES[escaped] ?? escaped);
}

/** The numbers of a point or box: `(1,2)`, `[[1, 2, 3, 4]]`, `<point>1 2</point>`; undefined for anything else. */
export function numbersOf(place: string): number[] | undefined {
  if (place.length > 200) return undefined;
  // a Chinese keyboard's digits, commas and parentheses count as the others
  const plain = place
    .normalize('NFKC')
    .replace(/<\|?\/?[a-z_]+\|?>/g, ' ')
    .trim();
  if (plain.length > 200 || !/^[[(\s]*[-+]?[\d.]+([,\s]+[-+]?[\d.]+)*[\])\s]*$/.test(plain)) return undefined;
  const numbers = plain
    .replace(/[[\]()]/g, ' ')
    .trim()
    .split(/[,\s]+/)
    .map(Number);
  return numbers.every(Number.isFinite) ? numbers : undefined;
}
