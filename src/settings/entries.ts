import { closest, distance } from 'fastest-levenshtein';
import { parseDocument } from 'yaml';
import type { z } from 'zod';
import { UserError } from '../errors.js';
import { isNames, readLayers } from './files.js';
import { resolvePlugin } from './plugins.js';
import { plainValue } from '../yaml.js';
import { MOST_MISTAKES } from './mistakes.js';
import { fields, leafPaths, schemaAt, show } from './schema.js';

/** What an alias stands for: a setting, or a setting whose values have other names too. */
export type Alias = string | { readonly path: string; readonly values: Readonly<Record<string, string>> };

/** Aliases of settings, such as the names in the reference code: `critic_lr` -> `critic.lr`. */
export type Aliases = Readonly<Record<string, Alias>>;

/** The setting that an alias stands for. */
export function aliasPath(alias: Alias): string {
  return typeof alias === 'string' ? alias : alias.path;
}

/** The value of one dotted path, and where it came from (for messages). */
export interface Entry {
  readonly path: string;
  readonly value: unknown;
  readonly source: string;
}

/** The source of entries that were given on the command line. */
export const COMMAND_LINE = 'command line';

/** What entries are read with. Mistakes are collected, a line each. */
interface Reading {
  readonly schema: z.ZodObject;
  readonly aliases: Aliases;
  readonly mistakes: string[];
}

/** The entries of a settings file and the files that it extends, base files first; none of a broken file. */
export function fileEntries(file: string, library: string | undefined, reading: Reading): Entry[] {
  const { schema, aliases, mistakes } = reading;
  let layers: ReturnType<typeof readLayers>;
  try {
    layers = readLayers(file, library);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    mistakes.push(error.message);
    return [];
  }
  return layers.flatMap(({ values, source }) => flatten(schema, values, [], source, aliases, mistakes));
}

/** The entries of overrides such as `critic.lr=1e-5`. */
export function overrideEntries(overrides: readonly string[], { schema, aliases, mistakes }: Reading): Entry[] {
  const known = (name: string): boolean =>
    schemaAt(schema, resolvePath(schema, name, aliases).split('.')) !== undefined;
  return overrides.flatMap((override, i) => {
    if (override.includes('=')) return parseOverride(schema, override, aliases, mistakes);
    // `critic.lr 1e-4`: one mistake, not two
    const before = overrides[i - 1];
    if (i > 0 && !before.includes('=') && known(before) && !known(override)) return [];
    const value = overrides.slice(i + 1, i + 2).find((next) => !next.includes('=') && !known(next)) ?? 'VALUE';
    if (!known(override)) return parseOverride(schema, override, aliases, mistakes);
    mistakes.push(`${COMMAND_LINE}: expected setting=value, got ${override}; write ${override}=${value}`);
    return [];
  });
}

/** The path of a setting that a user names: itself, or what the alias stands for. An unknown one is a mistake. */
export function settingPath(named: string, source: string, { schema, aliases, mistakes }: Reading): string | undefined {
  const path = resolvePath(schema, named, aliases);
  if (schemaAt(schema, path.split('.'))) return path;
  mistakes.push(unknownKey(schema, path, source, aliases));
  return undefined;
}

/** `plugins=[./a.js, b]` of the command line; paths are relative to the working directory. */
export function overriddenPlugins(override: string): unknown {
  const text = override.slice(override.indexOf('=') + 1);
  let value: unknown;
  try {
    value = plainValue(parseDocument(text, { logLevel: 'silent' }));
  } catch {
    // the settings report it
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
      // the nearest name is looked for only where it is told
      const told = mistakes.length < MOST_MISTAKES;
      mistakes.push(told ? unknownKey(schema, path, source, aliases) : `${source}: unknown setting ${path}`);
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
  const source = COMMAND_LINE;
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
    const document = parseDocument(raw, { logLevel: 'silent' });
    if (document.errors.length === 0) value = plainValue(document);
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
  if (sameName.length > 0) hint = `did you mean ${shallowFirst(sameName).slice(0, 8).join(' or ')}?`;
  else if (near) hint = `did you mean ${nearest}?`;
  else if (!path.includes('.') && distance(path, nearestLast) <= Math.min(2, tolerance)) {
    hint = `did you mean ${known.find((name) => name.endsWith(`.${nearestLast}`)) ?? nearestLast}?`;
  }
  return `${source}: unknown setting ${path}; ${hint}`;
}

/** Settings of stages before those of their parts, which fewer people mean. */
function shallowFirst(paths: readonly string[]): string[] {
  const depth = (path: string) => path.split('.').length;
  return [...paths].sort((a, b) => depth(a) - depth(b));
}
