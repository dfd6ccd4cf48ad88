import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import type { Command } from 'commander';
import { counted } from '../counted.js';
import { readSealed } from '../data/store/sealed.js';
import { setFile } from '../data/store/set-files.js';
import { oneLine, printable, UserError } from '../errors.js';
import type { Display, Verbosity } from '../runner/display.js';
import type { Summary } from '../runner/execute.js';
import type { LoadedRegistry, Registry } from '../runner/registry.js';
import { discreet, withoutKeys } from '../secrets/known.js';
import type { Config } from '../settings/settings.js';

/** Exit codes of the process. */
export const EXIT = {
  ok: 0,
  failure: 1,
  /** usage error: a wrong setting, a missing or broken file, a data set that nobody built, no permission */
  usage: 2,
  /** EX_TEMPFAIL of sysexits.h: another process is using the run folder; a scheduler may try again later */
  locked: 75,
  SIGINT: 130,
  SIGTERM: 143,
} as const;

/** Set in the environment of a step of `critiq demo`, which gets the result and whose end ends the step. */
export const STEP = 'CRITIQ_DEMO_STEP';

/** Time that a stage has to stop after the first signal. */
const GRACE_MS = 10_000;

/** Command-line options; each command has some of them. */
export interface Options {
  config?: string;
  threads?: string;
  json?: boolean;
  quiet?: boolean;
  verbose?: boolean;
  deps?: boolean;
  force?: boolean;
  redo?: boolean;
  dryRun?: boolean;
  unset?: readonly string[];
}

/** Adds the arguments and options of every command that reads settings. */
export function common(command: Command, example: string): Command {
  return command
    .argument('[overrides...]', 'settings to override, for example seed=1 critic.lr=1e-5')
    .option(
      '--config <file>',
      "settings file (YAML), or the name of one of critiq's own: pocket (default), aitw-webshop, ...",
    )
    .option(
      '--unset <setting>',
      'take back what an earlier command set in this run (again for further settings)',
      (path: string, before: readonly string[] = []) => [...before, path],
    )
    .option('--threads <n>', 'same as the setting threads=<n>')
    .option('--json', 'print the result as JSON to stdout')
    .option('-q, --quiet', 'print only warnings and errors')
    .option('-v, --verbose', 'print more, including stack traces of unexpected errors')
    .addHelpText('after', `\nExample:\n  $ ${example}`);
}

/** The value of an option as an integer. @throws UserError */
export function wholeNumber(option: string, value: string, least: number): number {
  const count = Number(value);
  if (Number.isInteger(count) && count >= least) return count;
  throw new UserError(`${option}: expected an integer >= ${least}, got ${value}`);
}

/** The settings file of a command: that of `--config`, or the registry's default. */
function settingsFile({ defaultConfig }: Registry, named: string | undefined): string | undefined {
  return named ?? (defaultConfig !== undefined && existsSync(defaultConfig) ? defaultConfig : undefined);
}

/** Commands that read settings, beside the stages. */
const OWN = ['config', 'status', 'doctor', 'demo', 'judge', 'record'];

/**
 * The registry with the plugins that a command names in its settings file or on the command line. They are loaded before
 * the arguments are parsed, because the stages of a plugin are commands.
 * @throws UserError if a plugin or the settings file cannot be read
 */
export async function extended(registry: Registry, args: readonly string[]): Promise<Registry> {
  if (!registry.extend) return registry;
  const at = args.findLastIndex((arg) => arg === '--config');
  const inline = args.findLast((arg) => arg.startsWith('--config='))?.slice('--config='.length);
  const named = at >= 0 ? args[at + 1] : inline;
  if (named === undefined && !args.some((arg) => arg.startsWith('plugins='))) return registry;
  const { pluginFiles } = await import('../settings/settings.js');
  let files: readonly string[];
  try {
    files = pluginFiles({ file: settingsFile(registry, named), library: registry.library, overrides: args });
  } catch (error) {
    // the command itself reports it, with all other mistakes
    if (error instanceof UserError && [...registry.stages.map(({ name }) => name), ...OWN].includes(args[0]))
      return registry;
    throw error;
  }
  return files.length === 0 ? registry : registry.extend(files);
}

/** What a command needs of its run. */
interface Needs {
  /** the stage that it runs: its settings may belong to one result of the stage */
  readonly stage?: string;
  /** false: only the place of the run counts, not the settings that it was made with */
  readonly stored?: boolean;
}

/**
 * A stage's command without any settings goes on with the default run. Where there is none, it would start a whole pipeline
 * that nobody asked for.
 * @throws UserError that says how to begin
 */
async function refuseNothing({ defaultConfig }: Registry, stage: string, config: Config): Promise<void> {
  const { runFolder } = await import('../runner/instance.js');
  if (defaultConfig === undefined || existsSync(runFolder(config))) return;
  const { runNames } = await import('../runner/folders.js');
  const runs = runNames(config.data);
  const name = basename(defaultConfig, '.yaml');
  throw new UserError(
    runs.length > 0
      ? `which run? ${config.data} has ${runs.slice(0, 12).join(', ')}: critiq ${stage} run=NAME`
      : `there is no run here yet: \`critiq demo\` runs everything on the embedded phone, \`critiq init\` writes a project of your own, \`critiq ${stage} --config ${name}\` begins with the demo's settings`,
  );
}

/** Loads the stages and the settings of a command, with those that its run was made with. @throws UserError */
export async function load(
  registry: Registry,
  overrides: readonly string[],
  options: Options,
  { stage, stored = true }: Needs = {},
): Promise<{ loaded: LoadedRegistry; config: Config }> {
  const { loadRegistry } = await import('../runner/registry.js');
  const loaded = await loadRegistry(registry);
  const threads = options.threads === undefined ? [] : [`threads=${options.threads}`];
  const sources = { library: registry.library, overrides: [...overrides, ...threads] };
  if (!stored) {
    const { loadSettings } = await import('../settings/settings.js');
    const file = settingsFile(registry, options.config);
    return { loaded, config: loadSettings(loaded.schema, { ...sources, file, aliases: loaded.aliases }) };
  }
  const { loadRunSettings } = await import('../runner/run-settings.js');
  const { describeDifferences } = await import('../settings/differences.js');
  const command = loadRunSettings(
    loaded,
    { ...sources, file: options.config, fallback: settingsFile(registry, undefined), unset: options.unset },
    stage === undefined ? undefined : loaded.stages.get(stage),
  );
  if (stage !== undefined && options.config === undefined && sources.overrides.length === 0 && !command.exists)
    await refuseNothing(registry, stage, command.config);
  if (!options.quiet && !options.json)
    for (const line of describeDifferences(command.differences, options.config, command.config.run)) complain(line);
  return { loaded, config: command.config };
}

/** Runs a long job with progress and signal handling, then prints its result: JSON to stdout, or lines to stderr. */
export async function work(
  options: Options,
  interrupt: Interrupt,
  job: (display: Display, signal: AbortSignal) => Promise<{ result: unknown; lines: readonly string[] }>,
): Promise<void> {
  const { Display } = await import('../runner/display.js');
  const display = new Display(verbosity(options));
  interrupt.listen(display);
  try {
    const { result, lines } = await job(display, interrupt.signal);
    display.clear();
    if (isStep()) await new Promise((sent) => process.send!(result, sent));
    else if (options.json && result !== null) print(JSON.stringify(result, null, 2));
    else for (const line of lines) display.info(line);
  } finally {
    display.clear();
  }
}

/** A finished stage with the numbers that it computed from all its shards: of an evaluation, its rates and intervals. */
export function withResult(summary: Summary): Summary & { readonly result?: unknown } {
  const file = setFile(summary.outputs[0], 'result');
  return existsSync(file) ? { ...summary, result: readSealed(file, 'delete it and run `critiq eval` again') } : summary;
}

/** A finished stage in one line. */
export function summaryLine({ instance, shards, made, rows }: Summary): string {
  const size = `${counted(shards, 'shard')}${rows > 0 ? `, ${counted(rows, 'row')}` : ''}`;
  return made === 0 ? `${instance}: up to date (${size})` : `${instance}: done (${size}; ${made} built)`;
}

function isStep(): boolean {
  return process.env[STEP] !== undefined && process.send !== undefined;
}

export function verbosity({ quiet, verbose, json }: Options): Verbosity {
  if (verbose) return 'verbose';
  return quiet || json ? 'quiet' : 'normal';
}

/** Prints a result to stdout, without keys. */
export function print(text: string): void {
  process.stdout.write(`${printable(withoutKeys(text))}\n`);
}

/** Prints a line to stderr, without keys. @returns the exit code */
export function complain(line: string, code = 0): number {
  process.stderr.write(`critiq: ${oneLine(discreet(line))}\n`);
  return code;
}

/** What a command says when a signal has stopped it. */
export function stopped(signal: string): string {
  return `stopped by ${signal}; finished work is kept: run the same command again to resume`;
}

/** Ctrl-C and SIGTERM: the first asks the stage to stop; a second one, or GRACE_MS later, ends the process. */
export class Interrupt {
  private readonly controller = new AbortController();
  private readonly handlers: { name: 'SIGINT' | 'SIGTERM' | 'disconnect'; handler: () => void }[] = [];
  /** the exit code, if the command ends before its time */
  code: number | undefined;

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  listen(display: { clear(): void }): void {
    const end = (name: 'SIGINT' | 'SIGTERM') => (): void => {
      if (this.code !== undefined) process.exit(this.code);
      this.code = EXIT[name];
      process.exitCode = this.code; // for the log of the run
      display.clear();
      complain(stopped(name));
      setTimeout(() => process.exit(this.code), GRACE_MS).unref();
      this.controller.abort();
    };
    this.on('SIGINT', end('SIGINT'));
    this.on('SIGTERM', end('SIGTERM'));
    // the demo was killed
    if (isStep()) this.on('disconnect', end('SIGTERM'));
  }

  stop(): void {
    if (this.code !== undefined) process.exitCode = undefined;
    for (const { name, handler } of this.handlers) process.off(name, handler);
  }

  private on(name: 'SIGINT' | 'SIGTERM' | 'disconnect', handler: () => void): void {
    process.on(name, handler);
    this.handlers.push({ name, handler });
  }
}
