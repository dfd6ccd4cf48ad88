import type { Command } from 'commander';
import { join } from 'node:path';
import { common, EXIT, load, print, summaryLine, verbosity, type Options } from './command.js';
import type { Interrupt } from './command.js';
import { Steps } from './steps.js';
import type { Summary } from '../runner/execute.js';
import type { Registry } from '../runner/registry.js';

/** The result of `critiq demo`. */
interface Demo {
  /** path of report.html */
  readonly report: string;
  /** a summary of each stage, in the order in which they finished */
  readonly stages: readonly Summary[];
}

/**
 * `critiq demo`: runs the whole pipeline from scratch, up to the report. Each step is the command of a stage in a process
 * of its own: together in one they would keep 6 GB of memory, apart they need 2.5.
 */
export function addDemoCommand(critiq: Command, registry: Registry, interrupt: Interrupt): void {
  const command = critiq
    .command('demo')
    .description('run the whole pipeline on the embedded phone from scratch, up to the report');
  common(command, 'critiq demo run=first seed=1')
    .option(
      '--redo',
      'replace results that no longer match their inputs and settings (the old ones are kept in .trash)',
    )
    .option('--force', 'rebuild all shards of every stage')
    .action(async (overrides: string[], options: Options) => {
      // wrong settings are reported once, before the first step
      const { config } = await load(registry, overrides, options);
      const { runFolder } = await import('../runner/instance.js');
      const { Display } = await import('../runner/display.js');
      const { demoSteps } = await import('../../pipelines/commands/demo.js');
      const display = new Display(verbosity(options));
      const stages = new Map<string, Summary>();
      const steps = new Steps(interrupt);
      try {
        for (const step of demoSteps((config.report as { sources: string[] }).sources)) {
          const { code, summaries } = await steps.run([
            step.stage,
            ...overrides,
            ...step.overrides,
            ...flags(options, registry),
          ]);
          if (code !== EXIT.ok) {
            interrupt.code = code;
            return;
          }
          for (const summary of summaries) {
            // later steps find earlier stages up to date: they are already reported
            if (stages.has(summary.instance) && summary.made === 0) continue;
            stages.set(summary.instance, summary);
            display.info(summaryLine(summary));
          }
        }
      } finally {
        steps.close();
      }
      const demo: Demo = { report: join(runFolder(config), 'report.html'), stages: [...stages.values()] };
      if (options.json) print(JSON.stringify(demo, null, 2));
      else display.info(`demo: wrote ${demo.report}; browse the run with \`critiq view ${runFolder(config)}\``);
    });
}

/** The options of the demo that its steps take. */
function flags(options: Options, { defaultConfig }: Registry): string[] {
  const { threads, json, quiet, verbose, redo, force } = options;
  // named in any case: a step alone in an empty folder would ask which settings to begin with
  const config = options.config ?? defaultConfig;
  return [
    ...(config === undefined ? [] : ['--config', config]),
    ...(threads === undefined ? [] : ['--threads', threads]),
    ...(json || quiet ? ['--quiet'] : []),
    ...(verbose ? ['--verbose'] : []),
    ...(redo ? ['--redo'] : []),
    ...(force ? ['--force'] : []),
  ];
}
