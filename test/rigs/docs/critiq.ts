/**
 * The `critiq` for the docs' commands: critiq itself with additional tiny settings. From the weakest to the strongest: defaults
 * and the shipped files under configs/; the tiny settings of tiny.ts; settings files that the page shows; settings on the
 * command line. So everything that a page writes is used as written.
 */
import { existsSync, mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parse, stringify } from 'yaml';
import { registry } from '../../../pipelines/index.js';
import { main } from '../../../src/cli/main.js';
import { tinySettings } from './tiny.js';

/** The environment of a page's commands; see shell.ts. */
export interface DocsEnvironment {
  /** contents of the files that the page shows */
  readonly files: readonly string[];
  /** stand-in servers, by the URL that they replace */
  readonly servers: Readonly<Record<string, string>>;
  /** settings with the same rank as the tiny ones */
  readonly settings: readonly string[];
  /** if given, tiny settings replace those of the page's files, and these replace both */
  readonly tiny?: readonly string[];
}

const { files, servers, settings, tiny } = JSON.parse(process.env.CRITIQ_DOCS ?? '{}') as Partial<DocsEnvironment>;
const scratch = mkdtempSync(join(tmpdir(), 'settings-'));
let made = 0;

function write(values: unknown): string {
  const file = join(scratch, `${made++}.yaml`);
  writeFileSync(file, stringify(values));
  return file;
}

/** The page's own settings in a file, and in the page's files that it extends; the most basic first. */
function ownLayers(file: string): string[] {
  if (!existsSync(file)) return [];
  const text = readFileSync(file, 'utf8');
  if (!files?.includes(text)) return [];
  const { extends: parents = [], ...own } = parse(standIns(text)) as Record<string, unknown>;
  // plugins are relative to the file
  if ('plugins' in own) own.plugins = [own.plugins].flat().map((name) => fromFolder(String(name), dirname(file)));
  const below = [parents].flat().flatMap((parent) => ownLayers(resolve(dirname(file), String(parent))));
  return [...below, write(own)];
}

function fromFolder(plugin: string, folder: string): string {
  return plugin.startsWith('.') ? resolve(folder, plugin) : plugin;
}

function standIns(text: string): string {
  return Object.entries(servers ?? {}).reduce((known, [there, here]) => known.replaceAll(there, here), text);
}

/** A settings file with the tiny settings on top, and the page's own above them. @param named a path, or a shipped config's name */
function shrunk(named: string): string {
  const places = [resolve(named), resolve(`${named}.yaml`), join(registry.library!, `${named}.yaml`)];
  const file = places.find((place) => existsSync(place) && statSync(place).isFile());
  // critiq itself reports a missing file
  if (file === undefined) return named;
  const small = write(tinySettings([...(settings ?? []), ...(tiny ?? [])]));
  return write({ extends: tiny === undefined ? [file, small, ...ownLayers(file)] : [file, small] });
}

const args = process.argv.slice(2).map(standIns);
const at = args.indexOf('--config');
if (at >= 0 && at + 1 < args.length) args[at + 1] = shrunk(args[at + 1]);
// a run keeps its own settings above those of the default file, so servers are named on the command line
const isSetting = (arg: string): boolean => /^[a-z_]+(\.[a-z_]+)+=/.test(arg);
if (at < 0 && args.some(isSetting)) {
  const key = (setting: string): string => setting.split('=')[0];
  args.push(...(settings ?? []).filter((one) => !args.some((arg) => key(arg) === key(one))));
}
// servers use a free port and open no browser
if (args[0] === 'view' || args[0] === 'phone') {
  const port = args.indexOf('--port');
  if (port >= 0) args.splice(port, 2);
  args.push('--port', '0', ...(args[0] === 'view' && !args.includes('--no-open') ? ['--no-open'] : []));
}
process.exit(await main(args, { ...registry, defaultConfig: shrunk(registry.defaultConfig!) }));
