import type { Command } from 'commander';
import { common, load, summaryLine, work, type Interrupt, type Options } from './command.js';
import type { Registry } from '../runner/registry.js';

/** `critiq demo`: runs the whole pipeline from scratch, up to the report. */
export function addDemoCommand(critiq: Command, registry: Registry, interrupt: Interrupt): void {
  const command = critiq
    .command('demo')
    .description('run the whole pipeline on the embedded phone from scratch, up to the report');
  common(command, 'critiq demo run=first seed=1')
    .option('--force', 'rebuild all shards of every stage')
    .action(async (overrides: string[], options: Options) => {
      const { runDemo } = await import('../../pipelines/commands/demo.js');
      await work(options, interrupt, async (display, signal) => {
        const demo = await runDemo(
          (step) => load(registry, [...overrides, ...step.overrides], options),
          { display, signal, force: options.force },
          (summary) => display.info(summaryLine(summary)),
        );
        return {
          result: demo,
          lines: [`demo: wrote ${demo.report}; browse the run with \`critiq view\``],
        };
      });
    });
}
