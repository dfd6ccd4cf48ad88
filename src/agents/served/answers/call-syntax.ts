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

/**
 * Reads a text that is exactly one call with keyword arguments. Models often do not escape quotes inside strings, so a
 * string ends only at a quote before the next argument or before the end of the call.
 */
export function parseCall(text: string): Call | InvalidAnswer {
  const head = /^([A-Za-z_]\w*)\s*\(\s*/.exec(text);
  const body = text.trimEnd();
  if (!head || !body.endsWith(')')) return { invalid: `${quote(text)} is not an operation such as NAME(...)` };
  const args = new Map<string, string>();
  const end = body.length - 1;
  let at = head[0].length;
  while (at < end) {
    const key = /^([A-Za-z_]\w*)\s*=\s*/.exec(body.slice(at, at + 100));
    if (!key) return { invalid: `${quote(body.slice(at))} is not an argument such as key='value'` };
    if (args.has(key[1]) || args.size === MOST_ARGUMENTS)
      return { invalid: `${head[1]} has a duplicate argument ${key[1]}, or more than ${MOST_ARGUMENTS} arguments` };
    at += key[0].length;
    const value = readValue(body, at, end);
    if (!value) return { invalid: `the argument ${key[1]} of ${head[1]} has no end` };
    args.set(key[1], value.text);
    at = value.next;
    const comma = /^\s*,?\s*/.exec(body.slice(at, end))![0];
    at += comma.length;
    if (at < end && !comma.includes(','))
      return { invalid: `${quote(body.slice(at))} after the argument ${key[1]}; expected a comma` };
  }
  return { name: head[1], args };
}

/** The value that starts at `at`: a string, a list in brackets, or a word. */
function readValue(body: string, at: number, end: number): { text: string; next: number } | undefined {
  const first = body[at];
  if (first === "'" || first === '"') {
    for (let i = at + 1; i < end; i++) {
      if (body[i] === '\\') i++;
      else if (body[i] === first && /^\s*(,\s*[A-Za-z_]\w*\s*=|,?\s*$)/.test(body.slice(i + 1, end)))
        return { text: unescaped(body.slice(at + 1, i)), next: i + 1 };
    }
    return undefined;
  }
  if (first === '[') {
    const close = /^\[[^'"()]*?\](?=\s*(,\s*[A-Za-z_]\w*\s*=|,?\s*$))/.exec(body.slice(at, end));
    return close ? { text: close[0], next: at + close[0].length } : undefined;
  }
  const word = /^[^,'"()[\]]+/.exec(body.slice(at, end));
  return word ? { text: word[0].trim(), next: at + word[0].length } : undefined;
}

function unescaped(text: string): string {
  return text.replace(/\\([\s\S])/g, (_, escaped: string) => ESCAPES[escaped] ?? escaped);
}

/** The numbers of a point or box: `(1,2)`, `[[1, 2, 3, 4]]`, `<point>1 2</point>`; undefined for anything else. */
export function numbersOf(place: string): number[] | undefined {
  const plain = place.replace(/<\|?\/?[a-z_]+\|?>/g, ' ').trim();
  if (plain.length > 200 || !/^[[(\s]*[-+]?[\d.]+([,\s]+[-+]?[\d.]+)*[\])\s]*$/.test(plain)) return undefined;
  const numbers = plain
    .replace(/[[\]()]/g, ' ')
    .trim()
    .split(/[,\s]+/)
    .map(Number);
  return numbers.every(Number.isFinite) ? numbers : undefined;
}
