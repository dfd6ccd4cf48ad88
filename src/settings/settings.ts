import { closest, distance } from 'fastest-levenshtein';
import { parse, stringify } from 'yaml';
import type { z } from 'zod';
import { UserError } from '../errors.js';
import { isNames, readLayers } from './files.js';
import { resolvePlugin } from './plugins.js';
import { type Config, fields, leafPaths, schemaAt, show, typeName } from './schema.js';

export { type Config, Core, composeSettings } from './schema.js';

/** What an alias stands for: a setting, or a setting whose values have other names too. */
export type Alias = string | { readonly path: string; readonly values: Readonly<Record<string, string>> };

/** Aliases of settings, such as the names in the reference code: `critic_lr` -> `critic.lr`. */
export type Aliases = Readonly<Record<string, Alias>>;

/** The setting that an alias stands for. */
export function aliasPath(alias: Alias): string {
  return typeof alias === 'string' ? alias : alias.path;
}

/** The value of one dotted path, and where it came from (for messages). */
interface Entry {
  readonly path: string;
  readonly value: unknown;
  readonly source: string;
}

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
  const entries: Entry[] = [];
  for (const layer of file === undefined ? [] : readLayers(file, library)) {
    entries.push(...flatten(schema, layer.values, [], layer.source, aliases, mistakes));
  }
  for (const override of overrides) entries.push(...parseOverride(schema, override, aliases, mistakes));
  if (mistakes.length > 0) throw new UserError(mistakes.join('\n'));

  const values: Record<string, unknown> = {};
  const sources = new Map<string, string>();
  for (const { path, value, source } of entries) {
    setPath(values, path.split('.'), value);
    sources.set(path, source);
  }
  const parsed = schema.safeParse(values);
  if (parsed.success) return freeze(parsed.data) as Config;
  throw new UserError(parsed.error.issues.map((issue) => explain(schema, values, issue, sources)).join('\n'));
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

/** `plugins=[./a.js, b]` of the command line; paths are relative to the working directory. */
function overriddenPlugins(override: string): unknown {
  const text = override.slice(override.indexOf('=') + 1);
  let value: unknown;
  try {
    value = parse(text, { logLevel: 'silent' });
  } catch {
    return text;
  }
  return isNames(value) ? value.map((name) => resolvePlugin(name, process.cwd(), 'command line')) : value;
}

/** Nested settings as entries with dotted paths. Unknown keys are added to `mistakes`. */
function flatten(
  schema: z.ZodObject,
  values: Record<string, unknown>,
  prefix: readonly string[],
  source: string,
  aliases: Aliases,
  mistakes: string[],
): Entry[] {
  return Object.entries(values).flatMap(([key, value]) => {
    const path = resolvePath(schema, [...prefix, ...key.split('.')].join('.'), aliases);
    const at = schemaAt(schema, path.split('.'));
    if (!at) {
      mistakes.push(unknownKey(schema, path, source, aliases));
      return [];
    }
    if (!fields(at)) return [{ path, value: aliasValue(aliases, key, value), source }];
    if (value === null) return [];
    if (typeof value !== 'object' || Array.isArray(value)) {
      mistakes.push(`${source}: ${path}: expected a map of settings, got ${show(value)}`);
      return [];
    }
    return flatten(schema, value as Record<string, unknown>, path.split('.'), source, aliases, mistakes);
  });
}

function parseOverride(schema: z.ZodObject, override: string, aliases: Aliases, mistakes: string[]): Entry[] {
  const source = 'command line';
  const equals = override.indexOf('=');
  if (equals < 1) {
    mistakes.push(`${source}: expected setting=value (for example seed=1), got ${JSON.stringify(override)}`);
    return [];
  }
  const path = resolvePath(schema, override.slice(0, equals), aliases);
  const raw = override.slice(equals + 1);
  const at = schemaAt(schema, path.split('.'));
  if (!at) {
    mistakes.push(unknownKey(schema, path, source, aliases));
    return [];
  }
  let value: unknown = raw;
  try {
    value = parse(raw, { logLevel: 'silent' });
  } catch {
    // not YAML: a plain string
  }
  const section = fields(at);
  if (section && typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return flatten(schema, value as Record<string, unknown>, path.split('.'), source, aliases, mistakes);
  }
  if (section) {
    mistakes.push(`${source}: ${path} is a section: set one of ${path}.${Object.keys(section).join(', .')}`);
    return [];
  }
  if (path === 'plugins') value = overriddenPlugins(override);
  // YAML reads `name=007` as a number: where the schema wants a string, keep the raw text
  if (at.safeParse(raw).success && !at.safeParse(value).success) value = raw;
  return [{ path, value: aliasValue(aliases, override.slice(0, equals), value), source }];
}

function resolvePath(schema: z.ZodObject, path: string, aliases: Aliases): string {
  const target = Object.hasOwn(aliases, path) ? aliasPath(aliases[path]) : undefined;
  return target !== undefined && !schemaAt(schema, path.split('.')) && schemaAt(schema, target.split('.'))
    ? target
    : path;
}

/** The value of a setting that was named by an alias, with that alias's own names of values replaced. */
function aliasValue(aliases: Aliases, name: string, value: unknown): unknown {
  const alias = Object.hasOwn(aliases, name) ? aliases[name] : undefined;
  if (alias === undefined || typeof alias === 'string' || typeof value !== 'string') return value;
  return Object.hasOwn(alias.values, value) ? alias.values[value] : value;
}

function unknownKey(schema: z.ZodObject, path: string, source: string, aliases: Aliases): string {
  const known = leafPaths(schema).map((leaf) => leaf.path);
  const sameName = known.filter((name) => name.endsWith(`.${path}`));
  const all = [...known, ...Object.keys(schema.shape), ...Object.keys(aliases)];
  const nearest = closest(path, all);
  // never suggest a name that shares no letter
  const tolerance = Math.min(path.length - 1, Math.max(2, Math.floor(path.length / 3)));
  const near = distance(path, nearest) <= tolerance;
  const nearestLast = closest(
    path,
    known.map((name) => name.slice(name.lastIndexOf('.') + 1)),
  );
  let hint = '`critiq config` lists all settings';
  if (sameName.length > 0) hint = `did you mean ${sameName.slice(0, 6).join(' or ')}?`;
  else if (near) hint = `did you mean ${nearest}?`;
  else if (!path.includes('.') && distance(path, nearestLast) <= Math.min(2, tolerance)) {
    hint = `did you mean ${known.find((name) => name.endsWith(`.${nearestLast}`)) ?? nearestLast}?`;
  }
  return `${source}: unknown setting ${path}; ${hint}`;
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
  let got: unknown = values;
  for (const part of path) got = (got as Record<string, unknown> | undefined)?.[part];
  const at = schemaAt(schema, path, true);
  const expected = at ? typeName(at) : issue.message;
  const detail = issue.code === 'custom' || issue.code === 'invalid_format' ? ` (${issue.message})` : '';
  return `${source}: ${path.join('.')}: expected ${expected}${detail}, got ${show(got)}`;
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
