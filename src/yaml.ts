import type { Document } from 'yaml';

/** Most values of a YAML text, and how deep they may nest: aliases can repeat and nest them without end. */
const MOST_VALUES = 200_000;
const DEEPEST = 64;
/** Most times that an alias is followed (the library's own bound against texts that explode). */
const MOST_ALIASES = 100;

/**
 * The plain value of a YAML text that others wrote: bounded, and without an alias of something it is a part of.
 * @throws Error with one line that says what is wrong, without the file's name
 */
export function plainValue(document: Document): unknown {
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: MOST_ALIASES });
  } catch (error) {
    const text = (error as Error).message.split('\n')[0];
    throw new Error(/alias count/i.test(text) ? `its aliases repeat more than ${MOST_ALIASES} values` : text, {
      cause: error,
    });
  }
  const within = new Set<object>();
  let count = 0;
  const look = (part: unknown): void => {
    if (typeof part !== 'object' || part === null) return;
    if (within.has(part)) throw new Error('an alias stands for something that it is a part of');
    if (within.size >= DEEPEST) throw new Error(`nested more than ${DEEPEST} deep`);
    within.add(part);
    for (const item of Object.values(part)) {
      if (++count > MOST_VALUES) throw new Error(`more than ${MOST_VALUES} values`);
      look(item);
    }
    within.delete(part);
  };
  look(value);
  return value;
}
