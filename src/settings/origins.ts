import { Document, isCollection, isMap, isPair, isScalar, visit } from 'yaml';
import type { z } from 'zod';
import { leafPaths, scopeOf } from './schema.js';
import type { Config } from './settings.js';

/** The origin of a value that nobody set. */
const DEFAULT = 'default';

/**
 * Where each setting comes from: `default`, a settings file, `command line`, or, of earlier commands, `run: FILE` and
 * `run: command line`. `run: actor/cautious` was given for this result alone.
 * @param entries where the values that were set come from, by path
 */
export function settingOrigins(schema: z.ZodObject, entries: ReadonlyMap<string, string>): Record<string, string> {
  const set = [...entries];
  return Object.fromEntries(
    leafPaths(schema).map(({ path }) => {
      // a key of a map may be set alone
      const own = set.findLast(([name]) => name === path || name.startsWith(`${path}.`));
      return [path, own?.[1] ?? DEFAULT];
    }),
  );
}

/** All settings as YAML with their origins as comments; those of a command alone say so. */
export function settingsWithOrigins(
  schema: z.ZodObject,
  config: Config,
  origins: Readonly<Record<string, string>>,
): string {
  const document = new Document(config);
  visit(document, {
    Pair: (_, pair, parents) => {
      const keys = [...parents.filter(isPair), pair].map(({ key }) => String(isScalar(key) ? key.value : key));
      const path = keys.join('.');
      const origin = origins[path];
      if (origin === undefined) return undefined;
      const node = pair.value;
      if (isCollection(node)) node.flow = true;
      const alone = scopeOf(schema, keys) === 'run' ? '' : '; not stored';
      if (isScalar(node) || isCollection(node)) node.comment = ` ${origin}${origin === 'command line' ? alone : ''}`;
      return isMap(node) ? visit.SKIP : undefined;
    },
  });
  return document.toString({ lineWidth: 0 });
}
