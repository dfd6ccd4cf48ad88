import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';
import { parseDocument } from 'yaml';
import { counted } from '../counted.js';
import { UserError } from '../errors.js';
import { resolvePlugin } from './plugins.js';
import { plainValue } from '../yaml.js';
import { MOST_MISTAKES } from './mistakes.js';
import { show } from './schema.js';

/** Most files that one file extends, directly or through others. */
const MOST_FILES = 100;
/** Maximum size of a settings file, in bytes. The YAML library compares every key of a map with every other one. */
const LONGEST_FILE = 1 << 17;

/** The settings of one file, and the file's name in messages. */
export interface Layer {
  readonly values: Record<string, unknown>;
  readonly source: string;
}

/**
 * The layers of a settings file, base files first. A file is given by its path or by its plain name: `pocket` is `pocket` or
 * `pocket.yaml` in the folder, or else `pocket.yaml` of the library. The same holds for `extends`.
 * @param file as the user named it, relative to the working directory
 * @param library folder of the settings files that come with critiq
 * @throws UserError for a file that is missing, unreadable or broken, and for a cycle of `extends`
 */
export function readLayers(file: string, library?: string): Layer[] {
  return new Reader(library).layers(file, '', []);
}

/** Names of the settings files of a library, as `--config` takes them. */
export function libraryNames(library: string): string[] {
  return readdirSync(library)
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => name.slice(0, -'.yaml'.length))
    .sort();
}

class Reader {
  private files = 0;

  constructor(private readonly library: string | undefined) {}

  /** @param chain the files that extend this one, to detect cycles */
  layers(name: string, folder: string, chain: readonly string[]): Layer[] {
    const file = this.find(name, folder, chain.at(-1));
    const source = this.describe(file);
    if (chain.includes(file)) {
      const cycle = [...chain.slice(chain.indexOf(file)), file].map((f) => this.describe(f)).join(' -> ');
      throw new UserError(`${source}: extends itself: ${cycle}; remove one of these extends lines`);
    }
    if (++this.files > MOST_FILES)
      throw new UserError(`${source}: extended as more than the ${MOST_FILES}th file; merge some of them`);
    const values = this.read(file, source, chain.at(-1));
    const { extends: parents = [], ...own } = values;
    const list = Array.isArray(parents) ? parents : [parents];
    if (!list.every((parent) => typeof parent === 'string')) {
      throw new UserError(`${source}: extends: expected a file name or a list of them, got ${show(parents)}`);
    }
    if (isNames(own.plugins)) own.plugins = own.plugins.map((name) => resolvePlugin(name, dirname(file), source));
    const base = list.flatMap((parent: string) => this.layers(parent, dirname(file), [...chain, file]));
    return [...base, { values: own, source }];
  }

  /**
   * The path of a named file, which need not exist. A file that extends its own name extends the one in the library:
   * `pocket.yaml` may extend `pocket`.
   */
  private find(name: string, folder: string, extendedBy: string | undefined): string {
    const plain = !/[/\\]/.test(name);
    const there = [resolve(folder, name), ...(plain ? [resolve(folder, `${name}.yaml`)] : [])];
    const ownName = plain && this.library !== undefined && extendedBy !== undefined;
    const found = there.find((file) => isFile(file) && !(ownName && file === extendedBy && this.inLibrary(name)));
    return found ?? this.inLibrary(name) ?? there[0];
  }

  private inLibrary(name: string): string | undefined {
    if (this.library === undefined || /[/\\]/.test(name)) return undefined;
    return [name, `${name}.yaml`].map((file) => resolve(this.library!, file)).find(isFile);
  }

  /** Name of a file in messages. */
  private describe(file: string): string {
    const path = relative('', file);
    const ours = this.library !== undefined && dirname(file) === resolve(this.library);
    if (ours && path.startsWith('..')) return `critiq's ${relative(this.library!, file)}`;
    return path || file;
  }

  private read(file: string, source: string, extendedBy: string | undefined): Record<string, unknown> {
    const from = extendedBy === undefined ? '' : ` (extended by ${this.describe(extendedBy)})`;
    const ours = this.library === undefined ? '' : `; critiq's own are ${libraryNames(this.library).join(', ')}`;
    return readYaml(file, source, { from, missing: ours });
  }
}

/**
 * The values of a YAML file, which others may have written: only a file of bounded size is read, and only bounded values.
 * @param source its name in messages
 * @param from who names it, and `missing` what to add where there is none, both for messages
 * @throws UserError if it is missing, unreadable, no YAML or no map
 */
export function readYaml(file: string, source = file, { from = '', missing = '' } = {}): Record<string, unknown> {
  let text: string;
  try {
    const stat = statSync(file);
    // a device or a pipe has no size, and no end
    if (!stat.isFile() && !stat.isDirectory())
      throw new UserError(`${source}: expected a settings file${from}, got a device or pipe`);
    const { size } = stat;
    if (size > LONGEST_FILE)
      throw new UserError(`${source}: settings file of ${size} bytes${from}, expected at most ${LONGEST_FILE}`);
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof UserError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw new UserError(`${source}: no such settings file${from}${missing}`);
    throw new UserError(`${source}: cannot read the settings file${from} (${code ?? String(error)})`);
  }
  return parseYaml(text, source);
}

function parseYaml(text: string, source: string): Record<string, unknown> {
  const document = parseDocument(text);
  const mistakes = document.errors.map(({ linePos, message }) => {
    const line = linePos?.[0];
    const first = message.split('\n')[0].replace(/ at line \d+, column \d+:?$/, '');
    const what = /call stack/i.test(first) ? 'nested too deep' : first;
    return `${source}${line ? `:${line.line}:${line.col}` : ''}: not valid YAML: ${what}`;
  });
  const more = mistakes.length - MOST_MISTAKES;
  if (more > 0) mistakes.splice(MOST_MISTAKES, more, `${source}: and ${counted(more, 'more mistake')}`);
  if (mistakes.length > 0) throw new UserError(mistakes);
  let values: unknown;
  try {
    values = plainValue(document) ?? {};
  } catch (cause) {
    throw new UserError(`${source}: not valid YAML: ${(cause as Error).message.split('\n')[0]}`);
  }
  if (typeof values !== 'object' || Array.isArray(values)) {
    throw new UserError(`${source}: expected a map of settings, got ${show(values)}`);
  }
  return values as Record<string, unknown>;
}

/** A list of names, such as the plugins of a settings file. */
export function isNames(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((name) => typeof name === 'string' && name !== '');
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}
