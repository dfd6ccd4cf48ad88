import { isDeepStrictEqual } from 'node:util';
import type { z } from 'zod';
import { type Config, leafPaths } from './schema.js';

/** A setting that is not at its default. */
export interface Change {
  readonly default: unknown;
  readonly value: unknown;
}

/** The settings that differ from the schema's defaults, by dotted path, in the order of the schema. */
export function changedSettings(schema: z.ZodObject, config: Config): Record<string, Change> {
  const defaults = schema.parse({});
  const changes = leafPaths(schema).map(({ path }) => {
    const keys = path.split('.');
    return [path, { default: valueAt(defaults, keys), value: valueAt(config, keys) }] as const;
  });
  return Object.fromEntries(changes.filter(([, change]) => !isDeepStrictEqual(change.default, change.value)));
}

/** The value at a path of keys; undefined if a key is missing. */
export function valueAt(settings: unknown, keys: readonly string[]): unknown {
  let at = settings;
  for (const key of keys) at = (at as Record<string, unknown> | null | undefined)?.[key];
  return at;
}
