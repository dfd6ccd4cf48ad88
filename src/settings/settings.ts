import { stringify } from 'yaml';
import type { z } from 'zod';
import { type Aliases, type Entry, fileEntries, overriddenPlugins, overrideEntries } from './entries.js';
import { isNames, readLayers } from './files.js';
import { toldAll } from './mistakes.js';
import { type Config, schemaAt, show, typeName } from './schema.js';

export { type Config, Core, composeSettings } from './schema.js';
export { type Alias, aliasPath, type Aliases } from './entries.js';

/** Where settings come from. */
export interface Sources {
  /** a settings file, by its path or name (`readLayers`) */
  readonly file?: string;
  /** folder of the settings files that come with the program */
  readonly library?: string;
  /** such as `critic.lr=1e-5` */
  readonly overrides?: readonly string[];
}

/**
 * Loads settings from a YAML file (with `extends`) and overrides such as `critic.lr=1e-5`, validates them and fills in
 * defaults. The result is frozen.
 * @throws UserError with a line for each mistake: unknown key (with file and the nearest known one), wrong type (expected,
 *   got), unreadable or broken file, a cycle of `extends`
 */
export function loadSettings(
  schema: z.ZodObject,
  { file, library, overrides = [], aliases = {} }: Sources & { aliases?: Aliases },
): Config {
  const mistakes: string[] = [];
  const reading = { schema, aliases, mistakes };
  const entries = [
    ...(file === undefined ? [] : fileEntries(file, library, reading)),
    ...overrideEntries(overrides, reading),
  ];
  return resolveEntries(schema, entries, mistakes);
}

/**
 * The settings of entries, later ones above earlier ones, with all defaults. The result is frozen.
 * @param mistakes that were found before; with one of them nothing is returned
 * @throws UserError with a line for each wrong value
 */
export function resolveEntries(
  schema: z.ZodObject,
  entries: readonly Entry[],
  mistakes: readonly string[] = [],
): Config {
  const values: Record<string, unknown> = {};
  const sources = new Map<string, string>();
  for (const { path, value, source } of entries) {
    setPath(values, path.split('.'), value);
    sources.set(path, source);
  }
  const parsed = schema.safeParse(values);
  if (parsed.success && mistakes.length === 0) return freeze(parsed.data) as Config;
  const wrong = (parsed.error?.issues ?? []).map((issue) => explain(schema, values, issue, sources));
  throw toldAll([...mistakes, ...wrong]);
}

/** The resolved settings as YAML, for people and for `--config`. */
export function settingsToYaml(config: Config): string {
  return stringify(config);
}

/**
 * The plugins that settings name. They are found before validation, because plugins add to the schema.
 * @returns absolute paths of their modules, as `loadSettings` returns them in `plugins`
 * @throws UserError if the settings file cannot be read or a plugin does not exist
 */
export function pluginFiles({ file, library, overrides = [] }: Sources): string[] {
  const layers = file === undefined ? [] : readLayers(file, library);
  const given = overrides.filter((text) => text.startsWith('plugins=')).map((text) => overriddenPlugins(text));
  const last = [...layers.map(({ values }) => values.plugins), ...given].findLast((value) => value !== undefined);
  return isNames(last) ? [...last] : [];
}

/** The message for one zod issue, in one line. */
function explain(
  schema: z.ZodObject,
  values: unknown,
  issue: z.core.$ZodIssue,
  sources: ReadonlyMap<string, string>,
): string {
  const path = issue.path.map(String);
  let source = 'settings';
  for (let n = path.length; n > 0; n--) {
    const found = sources.get(path.slice(0, n).join('.'));
    if (found !== undefined) {
      source = found;
      break;
    }
  }
  // a place inside a value that the schema does not describe by itself: the value around it
  let known = path;
  while (known.length > 0 && !schemaAt(schema, known, true)) known = known.slice(0, -1);
  let got: unknown = values;
  for (const part of known) got = (got as Record<string, unknown> | undefined)?.[part];
  const expected = typeName(schemaAt(schema, known, true) ?? schema);
  const own = issue.code === 'custom' || issue.code === 'invalid_format';
  // only what our schemas say, not zod's own words
  const detail = own && !issue.message.startsWith('Invalid') ? ` (${issue.message})` : '';
  return `${source}: ${known.join('.')}: expected ${expected}${detail}, got ${show(got)}`;
}

function setPath(target: Record<string, unknown>, path: readonly string[], value: unknown): void {
  let at = target;
  for (const part of path.slice(0, -1)) {
    const next = Object.hasOwn(at, part) ? at[part] : undefined;
    // copy a record that a file gave as a whole before overriding one of its keys
    const own = typeof next === 'object' && next !== null ? { ...next } : {};
    define(at, part, own);
    at = own as Record<string, unknown>;
  }
  define(at, path.at(-1)!, value);
}

/** Defines an own property, even for the name `__proto__`. */
function define(target: object, key: string, value: unknown): void {
  Object.defineProperty(target, key, { value, enumerable: true, writable: true, configurable: true });
}

function freeze(value: unknown): unknown {
  if (typeof value === 'object' && value !== null) {
    for (const item of Object.values(value)) freeze(item);
    Object.freeze(value);
  }
  return value;
}
