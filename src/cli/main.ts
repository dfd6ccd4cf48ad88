#!/usr/bin/env node
import { existsSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, CommanderError } from 'commander';
import {
  common,
  complain,
  EXIT,
  extended,
  Interrupt,
  load,
  print,
  summaryLine,
  withResult,
  wholeNumber,
  work,
  type Options,
} from './command.js';
import { addCompletionCommand } from './completion.js';
import { addCompareCommand, compareNamed } from './compare.js';
import { addRankingCommand } from './ranking.js';
import { addDemoCommand } from './demo.js';
import { addForkCommand } from './fork.js';
import { addImportConfigCommand } from './import-config.js';
import { addExportEpisodesCommands, addImportEpisodesCommands } from './import-episodes.js';
import { examineNamedRun, namesRun } from './doctor.js';
import { addInitCommand } from './init.js';
import { addJudgeCommand } from './judge.js';
import { addLogCommand } from './log.js';
import { addCheckpointCommands, addValueCommands, addVlmCommands } from './models.js';
import { addRecordCommand } from './record.js';
import { addRunsCommand } from './runs.js';
import { addSweepCommand } from './sweep.js';
import { addTrashCommands } from './trash.js';
import { addViewCommand } from './view.js';
import { counted } from '../counted.js';
import { exitCodeOf, RunError, UserError } from '../errors.js';
import { describeFailure } from '../runner/failure.js';
import { nameCommand } from '../runner/log/this-command.js';
import { packageRoot, packageVersion, repositoryUrl, withPages } from '../package.js';
import { discreet } from '../secrets/known.js';
import type { LoadedRegistry, Registry } from '../runner/registry.js';
import type { Config } from '../settings/settings.js';

/**
 * Runs one command. Results go to stdout, everything else to stderr.
 * @param args without `node` and the script
 * @returns the exit code
 */
export async function main(args: readonly string[], registry: Registry): Promise<number> {
  const interrupt = new Interrupt();
  nameCommand(args);
  try {
    const critiq = program(await extended(registry, args), interrupt);
    if (args.length === 0) {
      process.stderr.write(critiq.helpInformation());
      return EXIT.usage;
    }
    await critiq.parseAsync([...args], { from: 'user' });
    return interrupt.code ?? EXIT.ok;
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return EXIT.ok;
      if (error.code === 'commander.help')
        return complain(`${args[0]}: expected a subcommand; see critiq ${args[0]} --help`, EXIT.usage);
      const { optionHint } = await import('./hints.js');
      const hint = await optionHint(error, args, registry).catch(() => undefined);
      const line = error.message.replace(/^error: /, '').replace(/\s*\n\s*/g, ' ');
      return complain(hint === undefined ? line : `${line.replace(/ \(Did you mean .*/, '')}: ${hint}`, EXIT.usage);
    }
    return interrupt.code ?? report(error, args.includes('--verbose') || args.includes('-v'));
  } finally {
    interrupt.stop();
    nameCommand(null);
  }
}

/** The commands of critiq, which `main` runs. */
export function program(registry: Registry, interrupt: Interrupt): Command {
  const critiq = new Command('critiq')
    .description(
      'The value-model pipeline for device-control agents: collect, represent, train a critic, extract a policy.',
    )
    .version(packageVersion(), '-V, --version')
    .exitOverride()
    .configureOutput({ writeOut: (text) => process.stdout.write(withPages(text)), writeErr: () => {} })
    .helpCommand(false)
    // options after the name of a subcommand belong to it: to `vlm export`, not to `vlm`
    .enablePositionalOptions()
    .addHelpText(
      'after',
      `
Exit codes: 0 done, 1 failed, 2 usage error, 75 run folder in use, 130/143 stopped by Ctrl-C/SIGTERM.

Documentation: ${repositoryUrl()}#readme, or the pages in ${join(packageRoot(), 'docs')}

Example:
  $ critiq critic --config pocket critic.lr=1e-4 run=exp7`,
    );

  for (const { name, summary } of registry.stages) {
    const command = common(critiq.command(name).description(summary), `critiq ${name} --threads 2 seed=1`);
    command
      .option('--no-deps', 'fail if an input is missing instead of building it first')
      .option(
        '--redo',
        'replace results that no longer match their inputs and settings (the old ones are kept in .trash)',
      )
      .option('--force', 'rebuild all shards of this stage')
      .option('--dry-run', 'say what would be built, reused and replaced, why, and what it costs; write nothing')
      .action(async (overrides: string[], options: Options) => {
        // `critiq report exp7 exp8`, or a sweep: settings are written name=value
        const named = name === 'report' ? overrides.filter((word) => !word.includes('=')) : [];
        if (named.length > 0) {
          const settings = overrides.filter((word) => word.includes('='));
          return compareNamed(registry, named, settings, { ...options, html: `${named.join('+')}.report.html` });
        }
        const { loaded, config } = await load(registry, overrides, options, { stage: name });
        if (options.dryRun) return foretell(loaded, name, config, options);
        const { runStage } = await import('../runner/run.js');
        await work(options, interrupt, async (display, signal) => {
          const { deps, force, redo } = options;
          const { followed } = await import('../tracking/follow.js');
          const summaries = await followed(config, display, () =>
            runStage(loaded, name, config, { display, signal, deps, force, redo }),
          );
          return { result: summaries.map(withResult), lines: summaries.map(summaryLine) };
        });
      });
    if (name === 'vlm') addVlmCommands(command, registry, interrupt);
    if (name === 'value') addValueCommands(command, registry, interrupt);
  }

  addDemoCommand(critiq, registry, interrupt);
  addInitCommand(critiq);

  const importing = critiq.command('import').description("import other projects' data");
  importing.addHelpText('after', '\nExample:\n  $ critiq import digiq general-offline.pt run=general');
  addImportConfigCommand(importing, registry);
  addImportEpisodesCommands(importing, registry, interrupt);
  const digiq = importing.command('digiq').argument('<file>', 'file to import');
  common(digiq, 'critiq import digiq general-offline.pt run=general')
    .description("import a torch.save file in the layout of Digi-Q's released data; no code in it is executed")
    .option('--force', 'replace data sets that the stages of this run built')
    .option('--images <path>', 'folder or zip of the screenshots that the file names, to store them in the run')
    .action(async (file: string, overrides: string[], options: Options & { images?: string }) => {
      const { config } = await load(registry, overrides, options);
      const { importFile, describeImport } = await import('../../pipelines/commands/import.js');
      await work(options, interrupt, async (display, signal) => {
        const { force = false, images } = options;
        const imported = await importFile(file, config, { display, signal, force, images });
        return { result: imported, lines: describeImport(imported) };
      });
    });

  const agent = importing.command('agent').argument('<folder>', 'trained agent: a folder as accelerate saves it');
  common(agent, 'critiq import agent general-offline/trainer_offline.pt run=general models.policy=Auto-UI-Base')
    .description(
      "import a trained agent of Digi-Q or DigiRL: its policy, its critic, and the critic's values of the run's data",
    )
    .option('--name <name>', 'name of the policy, below policy/', 'released')
    .option('--force', 'replace data sets that the stages of this run built')
    .action(async (folder: string, overrides: string[], options: Options & { name: string }) => {
      const { config } = await load(registry, overrides, options);
      const { importAgent, describeAgent } = await import('../../pipelines/commands/import-agent.js');
      await work(options, interrupt, async (display, signal) => {
        const { force = false, name } = options;
        const imported = await importAgent(folder, config, { display, signal, force, name });
        return { result: imported, lines: describeAgent(imported) };
      });
    });

  const exporting = critiq.command('export').description("write what other projects' code reads");
  exporting.addHelpText('after', '\nExample:\n  $ critiq export agent trainer_offline.pt run=general');
  addExportEpisodesCommands(exporting, registry, interrupt);
  const outgoing = exporting.command('agent').argument('<folder>', 'new folder');
  common(outgoing, 'critiq export agent trainer_offline.pt --policy digiq run=general')
    .description("write a policy and the critic as accelerate's load_state reads them in Digi-Q's code")
    .option('--policy <name>', 'the policy, below policy/', 'digiq')
    .action(async (folder: string, overrides: string[], options: Options & { policy: string }) => {
      const { config } = await load(registry, overrides, options);
      const { exportAgent } = await import('../../pipelines/commands/export-agent.js');
      await work(options, interrupt, async () => {
        const exported = await exportAgent(folder, options.policy, config);
        return {
          result: exported,
          lines: [`export: done (${folder}: ${exported.files.join(', ')})`, ...exported.notes],
        };
      });
    });

  addCheckpointCommands(critiq, interrupt);
  addJudgeCommand(critiq, registry, interrupt);
  addRecordCommand(critiq, registry, interrupt);
  addViewCommand(critiq, registry, interrupt);
  addTrashCommands(critiq, registry, interrupt);
  addLogCommand(critiq, registry, interrupt);
  addRunsCommand(critiq, registry);
  addForkCommand(critiq, registry, interrupt);
  addCompareCommand(critiq, registry);
  addRankingCommand(critiq, registry);
  addSweepCommand(critiq, registry, interrupt);

  common(
    critiq.command('phone').description('play the embedded phone by hand in a browser'),
    'critiq phone --task 3 --port 8700',
  )
    .option('--port <n>', 'port on 127.0.0.1; 0 picks a free one', '8700')
    .option('--split <name>', 'task list: train or test', 'train')
    .option('--task <n>', 'number of the task in the list, from 0', '0')
    .action(async (overrides: string[], options: Options & { port: string; split: string; task: string }) => {
      const { config } = await load(registry, overrides, options);
      const { playPhone } = await import('../../pipelines/commands/play.js');
      await work(options, interrupt, async (display, signal) => {
        const { port, split, task } = options;
        const say = (line: string): void => display.info(line);
        const numbers = { port: wholeNumber('--port', port, 0), task: wholeNumber('--task', task, 0) };
        const opened = (address: object): void => {
          if (options.json) print(JSON.stringify(address));
        };
        await playPhone(config, { ...numbers, split, signal, say, opened });
        return { result: null, lines: [] };
      });
    });

  common(
    critiq.command('status').description('show what each stage has built and what is outdated'),
    'critiq status run=exp7 --why',
  )
    .option('--why', 'say of each outdated or incomplete result what changed')
    .action(async (overrides: string[], options: Options & { why?: boolean }) => {
      const { loaded, config } = await load(registry, overrides, options);
      const { inspectRun } = await import('../runner/inspect.js');
      const rows = await inspectRun(loaded, config);
      const { formatStatus } = await import('../../pipelines/commands/status.js');
      if (options.json) return print(JSON.stringify(rows, null, 2));
      print(formatStatus(rows, options.why));
      const { spareBytes } = await import('../runner/spare.js');
      const { runFolder } = await import('../runner/instance.js');
      const aside = spareBytes(runFolder(config));
      if (aside > 0) print(`kept aside in .spare: ${(aside / 1e6).toFixed(1)} MB (critiq gc --spare removes it)`);
    });

  common(
    critiq
      .command('doctor')
      .description(
        'check models, servers, device, tasks and disk, and say what is missing; with run=NAME, check the files of that run instead',
      ),
    'critiq doctor --config aitw-webshop models.text=/models/roberta-base',
  ).action(async (overrides: string[], options: Options) => {
    // a run is examined as it is, even where its settings are damaged
    const { config } = await load(registry, overrides, options, { stored: !namesRun(overrides) });
    if (namesRun(overrides)) return examineNamedRun(config, options);
    const { examine, formatFindings } = await import('../../pipelines/commands/doctor.js');
    const findings = await examine(config);
    print(options.json ? JSON.stringify(findings, null, 2) : withPages(formatFindings(findings)));
    const missing = findings.filter(({ state }) => state === 'missing').length;
    if (missing > 0) {
      throw new UserError(`${counted(missing, 'item is', 'items are')} missing; the lines above say what to do`);
    }
  });

  common(
    critiq.command('config').description('print all settings of a run, and where each comes from, as YAML'),
    'critiq config run=exp7 critic.lr=1e-5 > mine.yaml',
  )
    .option('--markdown', 'print the reference of all settings instead (docs/settings.md)')
    .action(async (overrides: string[], options: Options & { markdown?: boolean }) => {
      const { loaded, config } = await load(registry, overrides, options);
      if (options.markdown) {
        const { settingsReference } = await import('../settings/reference.js');
        print(withPages(settingsReference(loaded.schema, loaded.aliases).trimEnd()));
      } else {
        const { settingOrigins, settingsWithOrigins } = await import('../settings/origins.js');
        const { commandSettings } = await import('../runner/run-settings.js');
        const { origins: set, next, exists } = commandSettings(config)!;
        const origins = settingOrigins(loaded.schema, set);
        const results = exists ? next.results : {};
        if (options.json) print(JSON.stringify({ run: config.run, settings: config, origins, results }, null, 2));
        else print(settingsWithOrigins(loaded.schema, config, origins).trimEnd());
      }
    });
  addCompletionCommand(critiq, registry);
  return critiq;
}

/** `--dry-run`: prints the plan of a stage's command. @throws UserError where the command would stop */
async function foretell(loaded: LoadedRegistry, name: string, config: Config, options: Options): Promise<void> {
  const { forecast } = await import('../runner/forecast.js');
  const { formatForecast } = await import('./forecast.js');
  const plan = await forecast(loaded, name, config, options);
  print(options.json ? JSON.stringify(plan, null, 2) : formatForecast(plan));
  const stopping = plan.steps.find(({ stops }) => stops !== null);
  if (stopping?.stops) throw new UserError(stopping.stops);
}

/** Prints the error to stderr, in one line (wrong settings: a line each). @returns the exit code */
function report(thrown: unknown, verbose: boolean): number {
  const error = describeFailure(thrown);
  const message = error instanceof Error ? error.message : String(error);
  const known = error instanceof UserError || error instanceof RunError;
  for (const line of known
    ? message.split('\n')
    : [`unexpected error: ${message.split('\n')[0]}${verbose ? '' : ' (--verbose shows where)'}`])
    complain(line);
  if (verbose && thrown instanceof Error) process.stderr.write(`${discreet(thrown.stack ?? '')}\n`);
  return exitCodeOf(error);
}

const script = process.argv[1];
if (script && existsSync(script) && realpathSync(script) === fileURLToPath(import.meta.url)) {
  process.stdout.on('error', (error: NodeJS.ErrnoException) =>
    process.exit(error.code === 'EPIPE' ? EXIT.ok : EXIT.failure),
  );
  const { registry } = await import('../../pipelines/index.js');
  // exit explicitly: a worker or a handle that a library left open must not keep the process alive
  process.exit(await main(process.argv.slice(2), registry));
}
