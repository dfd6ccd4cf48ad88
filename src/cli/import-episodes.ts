import type { Command } from 'commander';
import { counted } from '../counted.js';
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
  readonly splits?: boolean;
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
    layout: 'vem',
    argument: '<file>',
    about: 'general_train.jsonl, general_train_critic.jsonl, general_val_policy.jsonl, ...',
    description: "import the rows of VEM's own code (critic and policy)",
    example: 'critiq import vem general_train.jsonl --images aitw_images run=vem',
    images: true,
  },
  {
    layout: 'aitw',
    argument: '<file>',
    about: "Android in the Wild's TFRecord files",
    description: 'import Android in the Wild from its own TFRecord files, with the screenshots inside',
    example: 'critiq import aitw general/* --splits standard.json run=aitw',
    splits: true,
  },
  {
    layout: 'androidcontrol',
    argument: '<file>',
    about: "AndroidControl's TFRecord files",
    description: 'import AndroidControl from its own TFRecord files, with accessibility trees as UI boxes',
    example: 'critiq import androidcontrol android_control-* --splits splits.json run=control',
    splits: true,
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
  for (const { layout, argument, about, description, example, images, parts, splits } of COMMANDS) {
    const command = common(importing.command(layout).argument(argument, about), example)
      .description(description)
      .option('--force', 'replace data sets that the stages of this run built');
    if (images) command.option('--images <path>', 'folder or zip of the screenshots');
    if (splits) command.option('--splits <file>', 'JSON file with the episode ids of train, validation and test');
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
        options: Options & { images?: string; part?: readonly string[]; splits?: string },
      ) => {
        const { config } = await load(registry, rest.filter(isSetting), options);
        const { describeEpisodes, importDemonstrations } = await import('../../pipelines/commands/import-episodes.js');
        await work(options, interrupt, async (display, signal) => {
          const { force = false, images: from, part, splits: list } = options;
          const files = [first, ...rest.filter((one) => !isSetting(one))];
          const imported = await importDemonstrations(layout, files, config, {
            ...{ display, signal, force },
            ...(from === undefined ? {} : { images: from }),
            ...(part === undefined ? {} : { parts: part }),
            ...(list === undefined ? {} : { splits: list }),
          });
          return { result: imported, lines: describeEpisodes(imported) };
        });
      },
    );
  }

  const vectors = common(importing.command('vectors'), 'critiq import vectors run=aitw')
    .description('compute the image vectors of imported trajectories, by the vision tower of a policy of the run')
    .option('--policy <name>', 'the policy, below policy/; `base` is built first if it is missing', 'base')
    .option('--force', 'replace image vectors that a stage of this run built');
  vectors.action(async (overrides: readonly string[], options: Options & { policy: string }) => {
    const { config, loaded } = await load(registry, overrides, options);
    const { hasImported, importVectors } = await import('../../pipelines/commands/import-vectors.js');
    await work(options, interrupt, async (display, signal) => {
      const { runStage } = await import('../runner/run.js');
      const { policySet } = await import('../runner/reference.js');
      const { force = false, policy } = options;
      if (policy === 'base' && hasImported(config)) await runStage(loaded, 'sft', config, { display, signal });
      const made = await importVectors(policySet(policy), config, { display, signal, force });
      const kept = made.kept > 0 ? `; ${made.kept} of ${made.shards} shards were there` : '';
      return {
        result: made,
        lines: [`import: ${counted(made.screens, 'image vector')} of ${made.dim} floats${kept}`],
      };
    });
  });
}

/** `critiq export seeclick | vem FOLDER`: the run's episodes in these layouts. */
export function addExportEpisodesCommands(exporting: Command, registry: Registry, interrupt: Interrupt): void {
  for (const [layout, files] of [
    ['seeclick', "aitw_data_train.json, ... in SeeClick's layout"],
    ['vem', "general_train.jsonl, ... with the keys of VEM's rows"],
  ] as const) {
    common(
      exporting.command(layout).argument('<folder>', 'new folder'),
      `critiq export ${layout} ${layout}-data run=aitw`,
    )
      .description(`write the run's episodes and their screenshots as ${files}`)
      .action(async (folder: string, overrides: readonly string[], options: Options) => {
        const { config } = await load(registry, overrides, options);
        const { describeExported, exportEpisodes } = await import('../../pipelines/commands/export-episodes.js');
        await work(options, interrupt, async (display, signal) => {
          const exported = await exportEpisodes(layout, folder, config, { display, signal });
          return { result: exported, lines: describeExported(exported) };
        });
      });
  }
}
