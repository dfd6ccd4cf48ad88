import type { Command } from 'commander';
import { common, load, work, type Interrupt, type Options } from './command.js';
import type { Layout } from '../../pipelines/commands/import-episodes.js';
import type { Registry } from '../runner/registry.js';

/** A layout's command: what it reads, and how it is called. */
interface LayoutCommand {
  readonly layout: Layout;
  readonly argument: string;
  readonly about: string;
  readonly description: string;
  readonly example: string;
  /** whether the screenshots are files beside it */
  readonly images?: boolean;
  readonly parts?: boolean;
}

const COMMANDS: readonly LayoutCommand[] = [
  {
    layout: 'seeclick',
    argument: '<file>',
    about: 'aitw_data_train.json, aitw_data_val.json, ...',
    description: "import AitW episodes in SeeClick's layout, which VEM uses too",
    example: 'critiq import seeclick aitw_data_train.json --images aitw_images --part general run=vem',
    images: true,
    parts: true,
  },
  {
    layout: 'jsonl',
    argument: '<folder>',
    about: 'folder with .jsonl files and screenshots',
    description: "import episodes in critiq's plain layout: JSON lines and pictures (docs/importing.md)",
    example: 'critiq import jsonl episodes run=mine',
    images: true,
  },
];

/** Settings look like `name=value`; all other arguments are files. */
const isSetting = (argument: string): boolean => /^[\w.]+=/.test(argument);

/** `critiq import seeclick | jsonl | ...`: demonstrations in other projects' layouts. */
export function addImportEpisodesCommands(importing: Command, registry: Registry, interrupt: Interrupt): void {
  for (const { layout, argument, about, description, example, images, parts } of COMMANDS) {
    const command = common(importing.command(layout).argument(argument, about), example)
      .description(description)
      .option('--force', 'replace data sets that the stages of this run built');
    if (images) command.option('--images <path>', 'folder or zip of the screenshots');
    if (parts)
      command.option(
        '--part <name>',
        'import this part alone (again for further parts)',
        (part: string, before: readonly string[] = []) => [...before, part],
      );
    command.action(
      async (
        first: string,
        rest: readonly string[],
        options: Options & { images?: string; part?: readonly string[] },
      ) => {
        const { config } = await load(registry, rest.filter(isSetting), options);
        const { describeEpisodes, importDemonstrations } = await import('../../pipelines/commands/import-episodes.js');
        await work(options, interrupt, async (display, signal) => {
          const { force = false, images: from, part } = options;
          const files = [first, ...rest.filter((one) => !isSetting(one))];
          const imported = await importDemonstrations(layout, files, config, {
            ...{ display, signal, force },
            ...(from === undefined ? {} : { images: from }),
            ...(part === undefined ? {} : { parts: part }),
          });
          return { result: imported, lines: describeEpisodes(imported) };
        });
      },
    );
  }
}
