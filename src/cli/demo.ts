import type { Command } from 'commander';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { common, complain, EXIT, load, print, STEP, stopped, summaryLine, verbosity, type Options } from './command.js';
import type { Interrupt } from './command.js';
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
      const { DEMO } = await import('../../pipelines/commands/demo.js');
      const display = new Display(verbosity(options));
      const stages = new Map<string, Summary>();
      const steps = new Steps(interrupt);
      try {
        for (const step of DEMO) {
          const summaries = await steps.run([step.stage, ...overrides, ...step.overrides, ...flags(options)]);
          if (!summaries) return;
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
function flags({ config, threads, json, quiet, verbose, redo, force }: Options): string[] {
  return [
    ...(config === undefined ? [] : ['--config', config]),
    ...(threads === undefined ? [] : ['--threads', threads]),
    ...(json || quiet ? ['--quiet'] : []),
    ...(verbose ? ['--verbose'] : []),
    ...(redo ? ['--redo'] : []),
    ...(force ? ['--force'] : []),
  ];
}

/** Runs commands of this program one after the other. Signals go to the one that runs, which then comes to rest. */
class Steps {
  private child: ChildProcess | undefined;

  constructor(private readonly interrupt: Interrupt) {
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, this.forward);
  }

  /** @returns what the stages did, or undefined if the command failed or was stopped, which it has reported */
  async run(args: readonly string[]): Promise<readonly Summary[] | undefined> {
    if (this.interrupt.code !== undefined) return undefined;
    // a session of its own: Ctrl-C of a terminal comes here and is passed on, once
    const child = fork(process.argv[1], args, {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      env: { ...process.env, [STEP]: '1' },
      detached: true,
    });
    this.child = child;
    let summaries: readonly Summary[] = [];
    child.on('message', (result) => (summaries = result as readonly Summary[]));
    const [code, killed] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
    this.child = undefined;
    if (code === EXIT.ok) return summaries;
    // by a signal only before it listens, or by force
    if (killed) complain(`${args[0]}: ${stopped(killed)}`);
    this.interrupt.code = code ?? (killed === 'SIGINT' || killed === 'SIGTERM' ? EXIT[killed] : EXIT.failure);
    return undefined;
  }

  close(): void {
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.off(name, this.forward);
  }

  private readonly forward = (name: NodeJS.Signals): void => {
    if (this.child) this.child.kill(name);
    else this.interrupt.code = name === 'SIGINT' ? EXIT.SIGINT : EXIT.SIGTERM;
  };
}
