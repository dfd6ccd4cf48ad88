/** The ways in which servers repeat a text, and how to find it again in each of them. */

const hex = (code: number, width: number): string => code.toString(16).padStart(width, '0');
const units = (text: string): number[] => Array.from({ length: text.length }, (_, i) => text.charCodeAt(i));
const points = (text: string): number[] => [...text].map((character) => character.codePointAt(0)!);
const bytes = (text: string): number[] => [...Buffer.from(text, 'utf8')];

export const ENCODINGS = {
  plain: (text: string) => text,
  json: (text: string) => units(text).map((code) => `\\u${hex(code, 4)}`).join(''), // prettier-ignore
  /** as PHP's json_encode writes it */
  php: (text: string) => JSON.stringify(text).slice(1, -1).replaceAll('/', '\\/').replace(/[\u0080-\uffff]/g, (c) => `\\u${hex(c.charCodeAt(0), 4)}`), // prettier-ignore
  script: (text: string) => points(text).map((code) => `\\u{${hex(code, 1)}}`).join(''), // prettier-ignore
  percent: (text: string) => bytes(text).map((byte) => `%${hex(byte, 2)}`).join(''), // prettier-ignore
  uri: encodeURIComponent,
  form: (text: string) => new URLSearchParams({ k: text }).toString().slice(2),
  entities: (text: string) => points(text).map((code) => `&#${code};`).join(''), // prettier-ignore
  'entities in hexadecimal': (text: string) => points(text).map((code) => `&#x${hex(code, 2)};`).join(''), // prettier-ignore
  html: (text: string) => text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;'),
  hexadecimal: (text: string) => Buffer.from(text, 'utf8').toString('hex'),
  base64: (text: string) => Buffer.from(text, 'utf8').toString('base64'),
  base64url: (text: string) => Buffer.from(text, 'utf8').toString('base64url'),
} as const satisfies Readonly<Record<string, (text: string) => string>>;

/** Every spelling of a text that can be found by looking for a string: of base64, the parts that do not depend on what is around. */
export function spellingsOf(text: string): string[] {
  const { base64: _, base64url: __, ...plain } = ENCODINGS;
  const all = Object.values(plain).map((encode) => encode(text));
  const value = Buffer.from(text, 'utf8');
  for (const alignment of [0, 1, 2]) {
    const coded = Buffer.concat([Buffer.alloc(alignment), value]);
    const [from, to] = [Math.ceil((8 * alignment) / 6), Math.floor((8 * coded.length) / 6)];
    for (const alphabet of ['base64', 'base64url'] as const) all.push(coded.toString(alphabet).slice(from, to));
  }
  return [...new Set(all)];
}
