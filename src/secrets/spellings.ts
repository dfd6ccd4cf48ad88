/**
 * Finds a value in a text however it is spelled there: plain, in JSON or script escapes, percent-encoded, in HTML entities,
 * in hexadecimal or in base64 at any alignment, also several of these around each other, and also where a `…` cuts it off.
 */

/** A part of a text: from `start` up to `end`. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** Spellings around each other that are undone: JSON in JSON in a percent-encoded address is three. */
const DEEPEST = 4;
/** A value that was cut off, together with its text, is recognised by this many characters. */
const SHORTEST_PIECE = 6;

/**
 * A text as bytes, a character each, of which every one knows its place in the original. Values are looked for in bytes,
 * since percent-encoding and base64 spell bytes.
 */
interface Bytes {
  readonly text: string;
  readonly start: readonly number[];
  readonly end: readonly number[];
}

/** What to look for in bytes. */
interface Needle {
  readonly bytes: string;
  /** base64 characters beside it that hold some of its bits */
  readonly before: number;
  readonly after: number;
}

/** A value that can be found in texts; made once for a value. */
export class Spelled {
  private readonly plain: readonly Needle[];
  private readonly hex: readonly Needle[];
  private readonly base64: readonly Needle[];

  constructor(value: string) {
    const bytes = latin(value);
    const decoded = levels(bytesOf(value)).at(-1)!.text;
    // a form's encoding writes spaces as plus signs
    const plain = new Set([bytes, decoded, bytes.replaceAll(' ', '+')]);
    this.plain = [...plain].map((one) => ({ bytes: one, before: 0, after: 0 }));
    this.hex = [{ bytes: Buffer.from(value, 'utf8').toString('hex'), before: 0, after: 0 }];
    this.base64 = [0, 1, 2].map((alignment) => inBase64(Buffer.from(value, 'utf8'), alignment));
  }

  /** Where the value is in a text. Spans may overlap. @param whole only as a word of its own, and in no other bytes */
  in(text: Text, whole = false): Span[] {
    const spans: Span[] = [];
    for (const bytes of text.levels) {
      spans.push(...found(this.plain, bytes, bytes.text));
      if (whole) continue;
      const unbroken = withoutBreaks(bytes);
      if (unbroken !== bytes) spans.push(...found(this.plain, unbroken, unbroken.text));
      spans.push(...found(this.hex, unbroken, unbroken.text.toLowerCase()));
      spans.push(...found(this.base64, unbroken, unbroken.text.replaceAll('-', '+').replaceAll('_', '/')));
    }
    if (!whole) return spans;
    const word = /[\p{L}\p{N}]/u;
    const { original } = text;
    return spans.filter(({ start, end }) => !word.test(original.charAt(start - 1)) && !word.test(original.charAt(end)));
  }
}

/** A text to search, with its spellings undone step by step. */
export class Text {
  readonly levels: readonly Bytes[];

  constructor(readonly original: string) {
    this.levels = levels(bytesOf(original));
  }
}

/** A text with other words at some spans, which may overlap. */
export function replaced(text: string, spans: readonly Span[], by: string): string {
  let clean = '';
  let at = 0;
  for (const { start, end } of merged(spans)) {
    clean += text.slice(at, start) + by;
    at = end;
  }
  return clean + text.slice(at);
}

function merged(spans: readonly Span[]): Span[] {
  const out: { start: number; end: number }[] = [];
  for (const { start, end } of [...spans].sort((a, b) => a.start - b.start)) {
    const last = out.at(-1);
    if (last && start < last.end) last.end = Math.max(last.end, end);
    else out.push({ start, end });
  }
  return out;
}

function inBase64(value: Buffer, alignment: number): Needle {
  const coded = Buffer.concat([Buffer.alloc(alignment), value]).toString('base64');
  const [first, last] = [(8 * alignment) / 6, (8 * (alignment + value.length)) / 6];
  return {
    bytes: coded.slice(Math.ceil(first), Math.floor(last)),
    before: Number.isInteger(first) ? 0 : 1,
    after: Number.isInteger(last) ? 0 : 1,
  };
}

/** @param text the same bytes, perhaps in another case or alphabet */
function found(needles: readonly Needle[], { text: plain, start, end }: Bytes, text: string): Span[] {
  const spans: Span[] = [];
  const add = (from: number, to: number): void => {
    if (to > from) spans.push({ start: start[from], end: end[to - 1] });
  };
  const isBase64 = (at: number): boolean => /[\w+/-]/.test(plain.charAt(at));
  for (const { bytes, before, after } of needles) {
    for (let at = text.indexOf(bytes); at >= 0; at = text.indexOf(bytes, at + 1)) {
      const to = at + bytes.length;
      add(before > 0 && isBase64(at - 1) ? at - 1 : at, after > 0 && isBase64(to) ? to + 1 : to);
    }
    for (let cut = plain.indexOf(CUT); cut >= 0; cut = plain.indexOf(CUT, cut + 1)) {
      const [escape] = /[\\%&][\\#\w]*$/.exec(plain.slice(Math.max(0, cut - 12), cut)) ?? [''];
      for (const to of new Set([cut, cut - escape.length])) {
        const most = Math.min(bytes.length - 1, to);
        for (let length = most; length >= SHORTEST_PIECE; length--) {
          if (!text.startsWith(bytes.slice(0, length), to - length)) continue;
          add(to - length, cut);
          break;
        }
      }
    }
  }
  return spans;
}

const latin = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');
/** The sign of a cut, as bytes. */
const CUT = latin('…');

function bytesOf(text: string): Bytes {
  const start: number[] = [];
  const end: number[] = [];
  let at = 0;
  for (const character of text) {
    const length = character.charCodeAt(0) < 0x80 ? 1 : Buffer.byteLength(character);
    for (let i = 0; i < length; i++) {
      start.push(at);
      end.push(at + character.length);
    }
    at += character.length;
  }
  return { text: latin(text), start, end };
}

/** The text itself, and what it says once its escapes are undone, again and again until none is left. */
function levels(bytes: Bytes): Bytes[] {
  const all = [bytes];
  while (all.length <= DEEPEST) {
    const next = unescaped(all.at(-1)!);
    if (next.text === all.at(-1)!.text) break;
    all.push(next);
  }
  return all;
}

/** Characters that HTML spells by name. */
const ENTITIES: Readonly<Record<string, string>> = {
  ...{ amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", sol: '/', bsol: '\\', plus: '+', equals: '=', lowbar: '_' },
  ...{ period: '.', comma: ',', colon: ':', semi: ';', excl: '!', quest: '?', num: '#', dollar: '$', percnt: '%' },
  ...{ lpar: '(', rpar: ')', lsqb: '[', lbrack: '[', rsqb: ']', rbrack: ']', lcub: '{', lbrace: '{', rcub: '}' },
  ...{ rbrace: '}', ast: '*', midast: '*', commat: '@', hat: '^', grave: '`', verbar: '|', vert: '|', underbar: '_' },
  ...{ tab: '\t', newline: '\n' },
};
const LETTERS: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', b: '\b', f: '\f' };
const HEX = '[0-9a-f]';
/** An escape of any of the kinds, with the number or letters that it holds. */
const ESCAPE = new RegExp(
  [
    String.raw`(?<!\\)\\+u(d[89ab]${HEX}{2})\\+u(d[c-f]${HEX}{2})`, // two halves of a character
    // an escape that was cut in the middle stays, to be seen as such
    String.raw`(?<!\\)\\+(?:u\{(${HEX}{1,6})\}|u(${HEX}{4})|x(${HEX}{2})|(?![ux]\{?${HEX}{0,5}${CUT})([^\\]))`,
    `%(?:25)*(${HEX}{2})`,
    `(?!&[#\\w]{1,12}${CUT})&(?:amp;)*(?:#x0*(${HEX}{1,6});?|#0*(\\d{1,7});?|([a-z]{2,8});)`,
  ].join('|'),
  'gi',
);

function unescaped({ text, start, end }: Bytes): Bytes {
  if (!/[\\%&]/.test(text)) return { text, start, end };
  const pieces: string[] = [];
  const from: number[] = [];
  const to: number[] = [];
  const keep = (bytes: string, first: number, last: number, one: boolean): void => {
    pieces.push(bytes);
    for (let i = 0; i < bytes.length; i++) {
      from.push(start[one ? first : first + i]);
      to.push(end[one ? last - 1 : first + i]);
    }
  };
  let at = 0;
  for (const match of text.matchAll(ESCAPE)) {
    const bytes = meaning(match);
    if (bytes === undefined) continue;
    keep(text.slice(at, match.index), at, match.index, false);
    at = match.index + match[0].length;
    keep(bytes, match.index, at, true);
  }
  keep(text.slice(at), at, text.length, false);
  return { text: pieces.join(''), start: from, end: to };
}

function meaning(match: RegExpExecArray): string | undefined {
  const [, high, low, braces, unicode, byte, letter, percent, hex, decimal, name] = match as (string | undefined)[];
  if (high !== undefined) return latin(String.fromCharCode(parseInt(high, 16), parseInt(low!, 16)));
  if (letter !== undefined) return LETTERS[letter] ?? letter;
  if (percent !== undefined) return String.fromCharCode(parseInt(percent, 16));
  if (name !== undefined) return ENTITIES[name.toLowerCase()];
  const code = decimal === undefined ? parseInt((braces ?? unicode ?? byte ?? hex)!, 16) : Number(decimal);
  return code <= 0x10ffff ? latin(String.fromCodePoint(code)) : undefined;
}

/** Without white space: base64 comes in lines, and messages are broken anywhere. */
function withoutBreaks(bytes: Bytes): Bytes {
  if (!/\s/.test(bytes.text)) return bytes;
  const kept: number[] = [];
  for (let i = 0; i < bytes.text.length; i++) if (!/\s/.test(bytes.text[i])) kept.push(i);
  return {
    text: kept.map((i) => bytes.text[i]).join(''),
    start: kept.map((i) => bytes.start[i]),
    end: kept.map((i) => bytes.end[i]),
  };
}
