import { isDeepStrictEqual } from 'node:util';
import type { z } from 'zod';
import { type Aliases, COMMAND_LINE, type Entry, fileEntries, overrideEntries, settingPath } from './entries.js';
import { toldAll } from './mistakes.js';
import { schemaAt, scopeOf } from './schema.js';
import { type Config, resolveEntries, type Sources } from './settings.js';
import type { FileValue, StoredSettings } from './stored.js';

/** What a command was given: a settings file, overrides, and settings to take back. */
export interface Given {
  readonly fileEntries: readonly Entry[];
  /** the file as it was named, in messages; undefined without one */
  readonly file: string | undefined;
  readonly overrides: readonly Entry[];
  /** paths whose values of earlier commands no longer count */
  readonly unset: readonly string[];
}

/** Reads what a command was given. @throws UserError with a line for each mistake */
export function readGiven(
  schema: z.ZodObject,
  {
    file,
    library,
    overrides = [],
    unset = [],
    aliases = {},
  }: Sources & { aliases?: Aliases; unset?: readonly string[] },
): Given {
  const mistakes: string[] = [];
  const reading = { schema, aliases, mistakes };
  const given = {
    fileEntries: file === undefined ? [] : fileEntries(file, library, reading),
    overrides: overrideEntries(overrides, reading),
    unset: unset.flatMap((named) => settingPath(named, '--unset', reading) ?? []),
  };
  if (mistakes.length > 0) throw toldAll(mistakes);
  return { ...given, file: file === undefined ? undefined : (given.fileEntries.at(-1)?.source ?? file) };
}

/** How the settings of a stage that makes several results share among them (`Stage.results`). */
export interface Sharing {
  /** the stage's name, which is the name of its section */
  readonly section: string;
  /** further sections whose settings, given along, hold for the result alone: `device`, `judge`, ... */
  readonly sections: readonly string[];
  instance(config: Config): string;
}

/** How a settings file that is named again differs from what the run was made with, or from what the run uses. */
export interface Difference {
  readonly path: string;
  /** what the file said when the run was made; undefined: nothing */
  readonly before: unknown;
  /** what it says now; undefined: nothing */
  readonly now: unknown;
  /** what the run used before this command */
  readonly was: unknown;
  /** what this command uses */
  readonly used: unknown;
  /** whether the command line of an earlier command set what is used */
  readonly overridden: boolean;
}

/** The settings of a command on a run. */
export interface Composed {
  /** of the stage that the command names */
  readonly config: Config;
  /** of all other stages: without what was given for the named result alone */
  readonly beneath: Config;
  /** where the value of each path in `config` that is not a default comes from; the last entry for a path counts */
  readonly origins: ReadonlyMap<string, string>;
  /** what the run stores from now on, once the command starts to work */
  readonly next: StoredSettings;
  /** paths that this command changes for the run's other results, too */
  readonly changed: ReadonlySet<string>;
  readonly differences: readonly Difference[];
}

/**
 * Puts settings together, from the weakest to the strongest: defaults; what the run stores (files, then the command line);
 * the file that the command names, where it differs from what it said when the run was made; the command line.
 * @param stored what the run stores; undefined for a new run
 * @param sharing of the stage that the command names
 * @throws UserError with a line for each wrong value
 */
export function compose(
  schema: z.ZodObject,
  { fileEntries: file, file: name, overrides, unset }: Given,
  stored: StoredSettings | undefined,
  sharing?: Sharing,
): Composed {
  const old = stored ?? { files: {}, command: {}, results: {} };
  const known = (path: string): boolean => schemaAt(schema, path.split('.')) !== undefined;
  const scope = (path: string) => scopeOf(schema, path.split('.'));
  const says = new Map(file.map((entry) => [entry.path, entry]));
  const alone = aloneWith(schema, overrides, sharing, stored !== undefined);
  // a file that the run was not made with, named for one evaluation
  const aloneFile =
    sharing !== undefined && stored !== undefined && wholeCommand(schema, sharing) && !namesFile(old, name);
  const ownFile = aloneFile ? file.filter(({ path }) => belongs(sharing, path)) : [];
  const runFile = file.filter((entry) => !ownFile.includes(entry));

  const files: Record<string, FileValue> = {};
  for (const [path, value] of Object.entries(old.files)) if (value.file !== name || aloneFile) files[path] = value;
  for (const { path, value, source } of runFile)
    if (scope(path) !== 'machine') files[path] = { value, from: source, file: name ?? source };
  const unsaid = (path: string): boolean =>
    !says.has(path) || isDeepStrictEqual(old.files[path]?.value, says.get(path)!.value);
  const kept = Object.entries(old.command).filter(([path]) => !unset.includes(path) && unsaid(path));
  const forRun = overrides.filter((entry) => !alone.includes(entry) && scope(entry.path) === 'run');
  const command = Object.fromEntries([...kept, ...forRun.map(({ path, value }) => [path, value] as const)]);

  const base: Entry[] = [
    ...Object.entries(files)
      .filter(([path]) => known(path))
      .map(([path, { value, from }]) => ({
        path,
        value,
        source: says.get(path)?.source === from && name !== undefined ? from : `run: ${from}`,
      })),
    ...runFile.filter(({ path }) => scope(path) === 'machine'),
    ...kept.filter(([path]) => known(path)).map(([path, value]) => ({ path, value, source: `run: ${COMMAND_LINE}` })),
  ];
  const shared = overrides.filter((entry) => !alone.includes(entry));
  const beneath = resolveEntries(schema, [...base, ...shared]);
  let entries = [...base, ...ownFile, ...overrides];
  let config = resolveEntries(schema, entries);
  let results = old.results;
  if (sharing) {
    const instance = sharing.instance(config);
    const before = Object.entries(old.results[instance] ?? {}).filter(([path]) => !unset.includes(path));
    const earlier = before
      .filter(([path]) => known(path))
      .map(([path, value]) => ({ path, value, source: `run: ${instance}` }));
    entries = [...base, ...earlier, ...ownFile, ...overrides];
    config = resolveEntries(schema, entries);
    const own = [...ownFile, ...alone].map(({ path, value }) => [path, value] as const);
    const now = Object.fromEntries([...before, ...own]);
    if (Object.keys(now).length > 0) results = { ...old.results, [instance]: now };
    else if (instance in old.results) results = without(old.results, instance);
  }
  const differences = stored && name !== undefined && !aloneFile ? compared(schema, old, says, name, config, kept) : [];
  return {
    config,
    beneath: isDeepStrictEqual(beneath, config) ? config : beneath,
    origins: new Map(entries.map(({ path, source }) => [path, source])),
    next: { files, command, results },
    changed: new Set([
      ...shared.map(({ path }) => path),
      ...unset,
      ...differences.filter(({ overridden }) => !overridden).map(({ path }) => path),
    ]),
    differences,
  };
}

/** The overrides that hold for the result alone that the command makes. */
function aloneWith(
  schema: z.ZodObject,
  overrides: readonly Entry[],
  sharing: Sharing | undefined,
  exists: boolean,
): readonly Entry[] {
  if (!sharing) return [];
  const own = overrides.filter(({ path }) => path.startsWith(`${sharing.section}.`));
  const whole = wholeCommand(schema, sharing);
  const named = whole || own.some(({ path }) => scopeOf(schema, path.split('.')) === 'result');
  if (!named) return [];
  return exists ? overrides.filter(({ path }) => belongs(sharing, path)) : own;
}

/** Whether every result of the stage is made by a command of its own: the settings of an evaluation never become the run's. */
function wholeCommand(schema: z.ZodObject, { section }: Sharing): boolean {
  return scopeOf(schema, [section]) === 'command';
}

function belongs({ section, sections }: Sharing, path: string): boolean {
  return [section, ...sections].includes(path.split('.')[0]);
}

function namesFile(old: StoredSettings, name: string | undefined): boolean {
  return name === undefined || Object.values(old.files).some(({ file }) => file === name);
}

function compared(
  schema: z.ZodObject,
  old: StoredSettings,
  says: ReadonlyMap<string, Entry>,
  name: string,
  config: Config,
  kept: readonly (readonly [string, unknown])[],
): Difference[] {
  const overriding = new Map(kept);
  const paths = new Set([...says.keys(), ...Object.keys(old.files).filter((path) => old.files[path].file === name)]);
  const defaults = resolveEntries(schema, []);
  return [...paths].flatMap((path): Difference[] => {
    if (scopeOf(schema, path.split('.')) === 'machine') return [];
    const before = old.files[path]?.value;
    const now = says.get(path)?.value;
    const used = valueOf(config, path);
    const was = path in old.command ? old.command[path] : (before ?? valueOf(defaults, path));
    if (overriding.has(path) && !isDeepStrictEqual(now, overriding.get(path)))
      return [{ path, before, now, was, used, overridden: true }];
    // a file that says the default for the first time changes nothing
    const unchanged = isDeepStrictEqual(before, now) || isDeepStrictEqual(was, now ?? valueOf(defaults, path));
    return unchanged ? [] : [{ path, before, now, was, used, overridden: false }];
  });
}

function valueOf(config: Config, path: string): unknown {
  let at: unknown = config;
  for (const key of path.split('.')) at = (at as Record<string, unknown> | null | undefined)?.[key];
  return at;
}

function without<T>(map: Readonly<Record<string, T>>, key: string): Record<string, T> {
  return Object.fromEntries(Object.entries(map).filter(([name]) => name !== key));
}
