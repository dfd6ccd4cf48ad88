import type { Command } from 'commander';
import { common, load, print, type Options } from './command.js';
import type { Registry } from '../runner/registry.js';

/** `critiq runs`: the table of all runs below the data folder. */
export function addRunsCommand(critiq: Command, registry: Registry): void {
  common(
    critiq
      .command('runs')
      .description('list all runs: state, the settings that differ from the closest settings file, success rates'),
    'critiq runs data=experiments --json',
  ).action(async (overrides: string[], options: Options) => {
    const { loaded, config } = await load(registry, overrides, options, { stored: false });
    const { listRuns } = await import('../runs/listing.js');
    const { runsTable } = await import('../runs/listing-text.js');
    const runs = listRuns(loaded, config.data, await namedSettings(registry, loaded));
    if (options.json) print(JSON.stringify(runs, null, 2));
    else if (runs.length === 0) print(`no runs in ${config.data}; \`critiq demo\` makes one`);
    else print(runsTable(runs, new Date()));
  });
}

/** The settings of critiq's own settings files by name, and the defaults. */
export async function namedSettings(
  registry: Registry,
  { schema, aliases }: Awaited<ReturnType<typeof load>>['loaded'],
): Promise<Map<string, Readonly<Record<string, unknown>>>> {
  const { loadSettings } = await import('../settings/settings.js');
  const { libraryNames } = await import('../settings/files.js');
  const { library } = registry;
  const named = new Map<string, Readonly<Record<string, unknown>>>();
  for (const name of library === undefined ? [] : libraryNames(library))
    named.set(name, loadSettings(schema, { file: name, library, aliases }));
  named.set('defaults', loadSettings(schema, { aliases }));
  return named;
}
