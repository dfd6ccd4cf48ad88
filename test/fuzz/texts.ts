/** Mutations of JSON values and of texts. */
import type { Random } from '../../src/random.js';
import { LONGEST, mutatedBytes } from './bytes.js';

/** Values that a reader of JSON must not take for another. */
const VALUES: readonly ((random: Random) => unknown)[] = [
  () => null,
  () => true,
  (random) => random.pick([0, -1, 1, 0.5, -0, 1e308, -1e308, 2 ** 31, 2 ** 32, 2 ** 53, 1e21]),
  () => '',
  (random) =>
    random.pick(['x', 'NaN', '../../x', '/dev/zero', 'a b', '\u0000', '\u001b[31m', '__proto__', '日本', '\ud800']),
  (random) => 'x'.repeat(random.pick([100, 5000, 70_000])),
  () => [],
  () => ({}),
  (random) => Array.from({ length: random.pick([1, 3, 2000]) }, () => random.pick([0, 'a', null, []])),
  (random) => nested(random.pick([3, 100, 800])),
  (random) =>
    Object.fromEntries([
      ['__proto__x', 1],
      ['constructor', 2],
      ['', 3],
      [String(random.int(9)), null],
    ]),
];

function nested(depth: number): unknown {
  let value: unknown = 1;
  for (let n = 0; n < depth; n++) value = n % 2 ? [value] : { a: value };
  return value;
}

interface Spot {
  readonly holder: Record<string, unknown>;
  readonly key: string;
}

/** Every place in a value. */
function spots(value: unknown, found: Spot[] = []): Spot[] {
  if (typeof value !== 'object' || value === null) return found;
  for (const key of Object.keys(value)) {
    if (found.length > 5000) break;
    found.push({ holder: value as Record<string, unknown>, key });
    spots((value as Record<string, unknown>)[key], found);
  }
  return found;
}

/** A JSON value with one to three places changed: another value, none, a moved or repeated one, another name. */
export function mutatedValue(random: Random, value: unknown): unknown {
  const top = { value: structuredClone(value) };
  for (let times = 1 + random.int(3); times > 0; times--) {
    const all = spots(top);
    // the outer fields are few and matter most
    const { holder, key } = random.chance(0.5) ? random.pick(all.slice(0, 40)) : random.pick(all);
    const old = holder[key];
    switch (random.int(7)) {
      case 0:
        if (Array.isArray(holder)) holder.splice(Number(key), 1);
        else Reflect.deleteProperty(holder, key);
        break;
      case 1:
        if (typeof old === 'number') holder[key] = random.pick([-old, old + 1, old * 1e6, old / 3, String(old)]);
        else holder[key] = random.pick(VALUES)(random);
        break;
      case 2:
        holder[key] = [old];
        break;
      case 3: {
        const from = random.pick(all);
        const taken = from.holder[from.key];
        // nothing may become a part of itself
        if (JSON.stringify(taken)?.length < 20_000) holder[key] = structuredClone(taken);
        break;
      }
      case 4:
        if (Array.isArray(old) && old.length > 0) old.push(structuredClone(random.pick(old)));
        else if (!Array.isArray(holder))
          holder[random.pick([`${key}x`, key.toUpperCase(), '__proto__', 'toString'])] = old;
        break;
      default:
        holder[key] = random.pick(VALUES)(random);
    }
    if (!('value' in top)) return undefined;
  }
  return top.value;
}

const PIECES = [
  '{',
  '}',
  '[',
  ']',
  ':',
  ',',
  '"',
  "'",
  '\\',
  '\n',
  '\r\n',
  '\u2028',
  '\ufeff',
  '\0',
  '#',
  '&a ',
  '*a',
  '<<: ',
  '!!x ',
  '- ',
  '|',
  '1e999',
  'null',
  '😀',
  '\ud83d',
];

/** A text with pieces left out, repeated and put in. */
export function mutatedText(random: Random, text: string, other = text): string {
  let out = text;
  for (let times = 1 + random.int(3); times > 0; times--) {
    const from = random.int(out.length + 1);
    const to = Math.min(out.length, from + random.int(random.chance(0.7) ? 12 : out.length + 1));
    const [start, middle, end] = [out.slice(0, from), out.slice(from, to), out.slice(to)];
    out = [
      () => start + end,
      () => start + middle + middle + end,
      () => start + random.pick(PIECES) + middle + end,
      () => start + random.pick(PIECES).repeat(random.pick([2, 50, 3000])) + end,
      () => start + other.slice(random.int(other.length + 1)),
      () => start,
      () => start + middle.toUpperCase() + end,
      () =>
        start + middle.replace(/\d+/, () => random.pick(['-1', '1e999', '99999999999999999999', '0x10', '٣'])) + end,
      () => random.pick(['\ufeff', '\n', '\0', '---\n']) + out,
    ][random.int(9)]();
  }
  return out.slice(0, LONGEST);
}

/** Damaged JSON: mostly another value, else another text, else other bytes. */
export function mutatedJson(random: Random, bytes: Buffer, other: Buffer = bytes): Buffer {
  const way = random.next();
  if (way < 0.6) {
    const text = JSON.stringify(
      mutatedValue(random, JSON.parse(bytes.toString('utf8').replace(/^\ufeff/, ''))),
      null,
      random.pick([0, 1, 2]),
    );
    return Buffer.from((text ?? '').slice(0, LONGEST));
  }
  if (way < 0.85) return Buffer.from(mutatedText(random, bytes.toString('utf8'), other.toString('utf8')));
  return mutatedBytes(random, bytes, other);
}

/** Damaged text in lines: lines go, come twice, change places, or change within. */
export function mutatedLines(random: Random, bytes: Buffer, other: Buffer, line: (text: string) => string): Buffer {
  const way = random.next();
  if (way < 0.2) return mutatedBytes(random, bytes, other);
  if (way < 0.4) return Buffer.from(mutatedText(random, bytes.toString('utf8'), other.toString('utf8')));
  const lines = bytes.toString('utf8').split('\n');
  for (let times = 1 + random.int(3); times > 0; times--) {
    const at = random.int(lines.length);
    switch (random.int(5)) {
      case 0:
        lines.splice(at, 1);
        break;
      case 1:
        lines.splice(at, 0, random.pick(lines.length > 0 ? lines : ['']));
        break;
      case 2:
        lines.splice(at, 0, random.pick(['', ' ', '{}', 'null', '[]', '\0', '"x"', 'x'.repeat(3000)]));
        break;
      default:
        if (at < lines.length && lines[at] !== '') lines[at] = line(lines[at]);
    }
    if (lines.length === 0) break;
  }
  return Buffer.from(lines.join('\n').slice(0, LONGEST));
}

/** A line of JSON with a changed value. */
export function mutatedJsonLine(random: Random, text: string): string {
  try {
    return JSON.stringify(mutatedValue(random, JSON.parse(text))) ?? '';
  } catch {
    return mutatedText(random, text);
  }
}
