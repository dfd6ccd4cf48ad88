import { CommanderError } from 'commander';
import type { Registry } from '../runner/registry.js';
import { loadRegistry } from '../runner/registry.js';
import { settingPath } from '../settings/entries.js';
import { leafPaths } from '../settings/schema.js';

/** Options that every command has, with the number of their values. */
const OPTIONS: Readonly<Record<string, number>> = {
  '--config': 1,
  '--threads': 1,
  '--unset': 1,
  '--json': 0,
  '--quiet': 0,
  '-q': 0,
  '--verbose': 0,
  '-v': 0,
  '--redo': 0,
  '--force': 0,
  '--dry-run': 0,
  '--no-deps': 0,
};

/** Settings to name in a hint. */
const NAMED = 4;

/**
 * How to write what the user meant by an option that no command has: options follow the command, and settings are written
 * without dashes, `critic.lr=1e-4`.
 * @returns undefined where there is nothing to say
 */
export async function optionHint(
  error: unknown,
  args: readonly string[],
  registry: Registry,
): Promise<string | undefined> {
  if (!(error instanceof CommanderError) || error.code !== 'commander.unknownOption') return undefined;
  const at = args.findIndex((arg) => arg.startsWith('-') && error.message.includes(`'${arg}'`));
  if (at < 0) return undefined;
  return optionsFirst(args, at) ?? settingHint(args, at, registry);
}

/** `critiq --quiet critic`: the same options behind the command. */
function optionsFirst(args: readonly string[], at: number): string | undefined {
  if (at > 0 || !(args[0].split('=')[0] in OPTIONS)) return undefined;
  let next = 0;
  while (next < args.length && args[next].startsWith('-'))
    next += 1 + (args[next].includes('=') ? 0 : (OPTIONS[args[next]] ?? 0));
  if (next >= args.length) return 'options follow a command; see critiq --help';
  return `options follow the command: critiq ${[args[next], ...args.slice(0, next), ...args.slice(next + 1)].join(' ')}`;
}

/** `--critic.lr=1e-4`, `--lr 1e-4`: the setting of that name, of the command's own section if it has one. */
async function settingHint(args: readonly string[], at: number, registry: Registry): Promise<string | undefined> {
  const { schema, aliases } = await loadRegistry(registry);
  const [named, given] = args[at].replace(/^-+/, '').split(/=(.*)/s);
  const follows = args[at + 1];
  const value =
    given ?? (follows === undefined || follows.startsWith('-') || follows.includes('=') ? 'VALUE' : follows);
  const write = (paths: readonly string[]): string =>
    `settings are written without dashes: ${paths
      .slice(0, NAMED)
      .map((path) => `${path}=${value}`)
      .join(' or ')}`;
  const spelled = named.replaceAll('-', '_');
  for (const name of [`${args[0]}.${spelled}`, spelled]) {
    const path = settingPath(name, '', { schema, aliases, mistakes: [] });
    if (path !== undefined && leafPaths(schema).some((leaf) => leaf.path === path)) return write([path]);
  }
  const alike = leafPaths(schema).filter(({ path }) => path.endsWith(`.${spelled}`));
  return alike.length > 0 ? write(alike.map(({ path }) => path)) : undefined;
}
