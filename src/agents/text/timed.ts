import { Script } from 'node:vm';

const WORK = Symbol.for('critiq.timed');
const SCRIPT = new Script(`globalThis[Symbol.for('critiq.timed')]()`);

/**
 * Does some work that takes no other turns, and ends it if it takes too long, even inside a regular expression.
 * @param most milliseconds
 * @throws the error that `late` makes; else what the work throws
 */
export function timed<T>(work: () => T, most: number, late: () => Error): T {
  const place = globalThis as Record<symbol, unknown>;
  place[WORK] = work;
  try {
    return SCRIPT.runInThisContext({ timeout: most }) as T;
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code === 'ERR_SCRIPT_EXECUTION_TIMEOUT' ? late() : error;
  } finally {
    place[WORK] = undefined;
  }
}

const MOST_UNBOUNDED = 2;
const MOST_REPEATS = 4;

/**
 * Whether a regular expression is plain enough never to take long: no repeated group, and in each alternative at most two
 * unbounded repeats and four repeats or options. Those of GPT-2, RoBERTa, Llama 3, Qwen and GPT-4o are.
 */
export function isPlain(pattern: string): boolean {
  const bare = pattern
    .replace(/\\[\s\S]/g, 'x')
    .replace(/\[[^\]]*\]/g, 'x')
    .replace(/\(\?/g, '(');
  if (/\)(?:[*+]|\{)/.test(bare)) return false;
  // for each open group: the most of its finished alternatives, and the count of the present one
  const open = [{ most: [0, 0], now: [0, 0] }];
  const close = ({ most, now }: { most: number[]; now: number[] }): number[] =>
    most.map((one, i) => Math.max(one, now[i]));
  for (const [sign] of bare.matchAll(/[()|*+?]|\{\d*(?:,\d*)?\}/g)) {
    const top = open.at(-1)!;
    let add = [0, 0];
    if (sign === '(') open.push({ most: [0, 0], now: [0, 0] });
    else if (sign === '|') [top.most, top.now] = [close(top), [0, 0]];
    else if (sign !== ')') add = [sign === '?' ? 0 : 1, 1];
    else if (open.length > 1) add = close(open.pop()!);
    const { now } = open.at(-1)!;
    now.forEach((_, i) => (now[i] += add[i]));
    if (now[0] > MOST_UNBOUNDED || now[1] > MOST_REPEATS) return false;
  }
  return true;
}

/** The regular expressions in a tokenizer.json, outside of its vocabulary. */
export function patternsIn(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(patternsIn);
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]) =>
    name === 'Regex' && typeof inner === 'string' ? [inner] : patternsIn(inner),
  );
}
