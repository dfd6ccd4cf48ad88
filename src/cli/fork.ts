import type { Command } from 'commander';
import { common, load, work, type Interrupt, type Options } from './command.js';
import { counted } from '../counted.js';
import type { Registry } from '../runner/registry.js';

/** `critiq fork`: a new run that shares everything another one has built. */
export function addForkCommand(critiq: Command, registry: Registry, interrupt: Interrupt): void {
  const fork = critiq
    .command('fork')
    .argument('<from>', 'name of the run to fork')
    .argument('<to>', 'name of the new run');
  common(fork, 'critiq fork exp7 exp7-lr')
    .description('make a new run that shares everything another one has built, without copying the data')
    .action(async (from: string, to: string, overrides: string[], options: Options) => {
      const { config } = await load(registry, overrides, options, { stored: false });
      const { forkRun } = await import('../runs/fork.js');
      await work(options, interrupt, async (display) => {
        const forked = await forkRun({ data: config.data, from, to });
        if (forked.left_out.length > 0)
          display.warn(
            `${from} is in use: ${forked.left_out.join(', ')} ${forked.left_out.length === 1 ? 'is' : 'are'} not finished and left out`,
          );
        if (forked.lost > 0)
          display.warn(
            `${from} lacks ${counted(forked.lost, 'file')} of its own; ${to} will build what they belong to`,
          );
        const copied = forked.copied > 0 ? `, ${counted(forked.copied, 'file')} copied` : '';
        const line = `${forked.folder}: forked from ${from} (${counted(forked.shared, 'file')} shared${copied})`;
        return { result: forked, lines: [line] };
      });
    });
}
