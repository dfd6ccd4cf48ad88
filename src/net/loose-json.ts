/** A value that a model wrote. Objects have no prototype. */
export type Loose = null | boolean | number | string | Loose[] | { [key: string]: Loose };

/** A whole object in a text, and where it is: [start, end). */
export interface FoundObject {
  readonly value: Readonly<Record<string, Loose>>;
  readonly start: number;
  readonly end: number;
}

/** Deeper values are not read; it also bounds the time that hostile texts take. */
const DEEPEST = 32;
const WORDS: Readonly<Record<string, Loose>> = {
  true: true,
  false: false,
  null: null,
  True: true,
  False: false,
  None: null,
};
/** Escapes of both languages; before any other letter the backslash stays, as in Python. */
const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', b: '\b', f: '\f' };

/** Why nothing was read. `cut`: the text ended too early. */
class Unreadable extends Error {
  constructor(
    readonly at: number,
    readonly cut: boolean,
  ) {
    super(cut ? 'the text ends too early' : `unexpected at ${at}`);
  }
}

/**
 * The objects in a text, outermost ones only, in order. An object is JSON's or Python's: single quotes, tuples, True, None,
 * a comma after the last element and raw line breaks in strings are allowed; a key that occurs twice is not. Braces that
 * start no object are skipped up to where they went wrong, so that the inside of a broken object is never taken for one.
 * @returns `cut`: an object has begun that does not end; nothing behind its brace was read
 */
export function objectsIn(text: string): { readonly objects: readonly FoundObject[]; readonly cut: boolean } {
  const objects: FoundObject[] = [];
  for (let at = text.indexOf('{'); at >= 0;) {
    const reader = new Reader(text, at);
    try {
      const value = reader.value(0) as Record<string, Loose>;
      objects.push({ value, start: at, end: reader.at });
      at = text.indexOf('{', reader.at);
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      if (error.cut) return { objects, cut: true };
      at = text.indexOf('{', Math.max(error.at, at + 1));
    }
  }
  return { objects, cut: false };
}

/** A text that is exactly one value; undefined otherwise. */
export function looseValue(text: string): Loose | undefined {
  const reader = new Reader(text, 0);
  try {
    const value = reader.value(0);
    reader.space();
    return reader.at === text.length ? value : undefined;
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    return undefined;
  }
}

class Reader {
  constructor(
    private readonly text: string,
    public at: number,
  ) {}

  space(): void {
    while (/^\s/.test(this.text.charAt(this.at))) this.at++;
  }

  value(depth: number): Loose {
    this.space();
    const { text, at } = this;
    if (at >= text.length) throw new Unreadable(at, true);
    if (depth > DEEPEST) throw new Unreadable(at, false);
    const first = text[at];
    if (first === '{') return this.object(depth);
    if (first === '[') return this.list(']', depth);
    if (first === '(') return this.list(')', depth);
    if (first === '"' || first === "'") return this.string();
    const [token] = /^[-+.\w]+/.exec(text.slice(at, at + 40)) ?? [''];
    if (at + token.length >= text.length) throw new Unreadable(at, true);
    const word = Object.hasOwn(WORDS, token) ? WORDS[token] : undefined;
    const number = /^-?\d+(\.\d*)?([eE][-+]?\d+)?$/.test(token) ? Number(token) : NaN;
    if (word === undefined && !Number.isFinite(number)) throw new Unreadable(at, false);
    this.at += token.length;
    return word === undefined ? number : word;
  }

  /** Moves past one of the characters. */
  private next(expected: string): string {
    this.space();
    const got = this.text.charAt(this.at);
    if (got === '') throw new Unreadable(this.at, true);
    if (!expected.includes(got)) throw new Unreadable(this.at, false);
    this.at++;
    return got;
  }

  private object(depth: number): Loose {
    const object = Object.create(null) as Record<string, Loose>;
    this.at++;
    for (;;) {
      if (this.next('}"\'') === '}') return object;
      this.at--;
      const start = this.at;
      const key = this.string();
      if (key in object) throw new Unreadable(start, false);
      this.next(':');
      object[key] = this.value(depth + 1);
      if (this.next(',}') === '}') return object;
    }
  }

  private list(close: string, depth: number): Loose {
    const list: Loose[] = [];
    this.at++;
    for (;;) {
      this.space();
      if (this.text.charAt(this.at) === close) {
        this.at++;
        return list;
      }
      list.push(this.value(depth + 1));
      if (this.next(`,${close}`) === close) return list;
    }
  }

  private string(): string {
    const { text } = this;
    const quote = text[this.at];
    let out = '';
    for (let at = this.at + 1; at < text.length; at++) {
      const character = text[at];
      if (character === quote) {
        this.at = at + 1;
        return out;
      }
      if (character !== '\\') {
        out += character;
        continue;
      }
      const escaped = text.charAt(++at);
      const hex = /^(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2}))/.exec(text.slice(at, at + 5));
      if (hex) {
        out += String.fromCharCode(parseInt(hex[1] ?? hex[2], 16));
        at += hex[0].length - 1;
      } else out += ESCAPES[escaped] ?? (/["'\\/]/.test(escaped) ? escaped : `\\${escaped}`);
    }
    throw new Unreadable(text.length, true);
  }
}
