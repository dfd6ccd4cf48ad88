import type { Command } from 'commander';
import { common, load, work, type Interrupt, type Options } from './command.js';
import { counted } from '../counted.js';
import type { Registry } from '../runner/registry.js';

interface RecordOptions extends Options {
  run?: string;
  dataset: string;
  episodes?: string;
  failures?: boolean;
}

/** `critiq record`: videos of finished episodes. */
export function addRecordCommand(critiq: Command, registry: Registry, interrupt: Interrupt): void {
  const command = critiq.command('record').description('make videos of episodes, with the actions drawn on the screen');
  common(command, 'critiq record --run exp7 --dataset eval/digiq-test --failures recordings.format=webp')
    .option('--run <name>', 'same as the setting run=<name>')
    .option('--dataset <name>', 'data set of the episodes: trajectories, demos, eval/digiq-test, ...', 'trajectories')
    .option('--episodes <list>', 'episode numbers and ranges, for example 3,7,10-20; default: all')
    .option('--failures', 'only episodes that did not succeed')
    .option('--force', 'remake existing videos')
    .action(async (overrides: string[], options: RecordOptions) => {
      const run = options.run === undefined ? [] : [`run=${options.run}`];
      const { config } = await load(registry, [...overrides, ...run], options);
      const { record } = await import('../../pipelines/episodes/recordings.js');
      await work(options, interrupt, async (display, signal) => {
        const { dataset, episodes, failures = false, force = false } = options;
        const result = await record(config, { dataset, episodes, failures, force }, { display, signal });
        const kept = result.kept > 0 ? `, ${result.kept} already there` : '';
        return { result, lines: [`record: ${counted(result.made, 'video')} made${kept}: ${result.folder}`] };
      });
    });
}
