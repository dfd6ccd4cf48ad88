import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import { UserError } from '../errors.js';
import type { Display, Verbosity } from '../runner/display.js';
import type { LoadedRegistry, Registry } from '../runner/registry.js';
import type { Config } from '../settings/settings.js';

/** What the commands of the command line share. */

/** What the process ends with. */
export const EXIT = {
  ok: 0,
  failure: 1,
  /** the user's mistake: a wrong setting, a broken or foreign file, a missing stage, no permission */
  usage: 2,
  /** EX_TEMPFAIL of sysexits.h: another process has the run folder; a scheduler may try again later */
  locked: 75,
  SIGINT: 130,
  SIGTERM: 143,
} as const;

/** How long after the first signal a stage may take to come to rest. */
const GRACE_MS = 10_000;

/** Options of the commands; each has some of them. */
export interface Options {
  config?: string;
  threads?: string;
  json?: boolean;
  quiet?: boolean;
  verbose?: boolean;
  deps?: boolean;
  force?: boolean;
}

/** The arguments and options of a command that works with settings. */
export function common(command: Command, example: string): Command {
  return command
    .argument('[overrides...]', 'settings, for example seed=1 critic.lr=1e-5')
    .option('--config <file>', 'settings file (YAML); default configs/pocket.yaml')
    .option('--threads <n>', 'the same as the setting threads=<n>')
    .option('--json', 'print the result as JSON on stdout')
    .option('-q, --quiet', 'print only warnings and errors')
    .option('-v, --verbose', 'print more, and the stack of unexpected errors')
    .addHelpText('after', `\nExample:\n  $ ${example}`);
}

/** An option's value as a number. @throws UserError */
export function wholeNumber(option: string, value: string, least: number): number {
  const count = Number(value);
  if (Number.isInteger(count) && count >= least) return count;
  throw new UserError(`${option}: expected a whole number from ${least}, got ${value}`);
}

/** The stages, and the settings that a command was given. @throws UserError */
export async function load(
  registry: Registry,
  overrides: readonly string[],
  options: Options,
): Promise<{ loaded: LoadedRegistry; config: Config }> {
  const { loadRegistry } = await import('../runner/registry.js');
  const { loadSettings } = await import('../settings/settings.js');
  const loaded = await loadRegistry(registry);
  const standard =
    registry.defaultConfig !== undefined && existsSync(registry.defaultConfig) ? registry.defaultConfig : undefined;
  const threads = options.threads === undefined ? [] : [`threads=${options.threads}`];
  const config = loadSettings(loaded.schema, {
    file: options.config ?? standard,
    overrides: [...overrides, ...threads],
    aliases: loaded.aliases,
  });
  return { loaded, config };
}

/** Does something long with progress and signals, and prints its result: JSON on stdout, or lines of the log. */
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
    if (options.json) print(JSON.stringify(result, null, 2));
    else for (const line of lines) display.info(line);
  } finally {
    display.clear();
  }
}

function verbosity({ quiet, verbose, json }: Options): Verbosity {
  if (verbose) return 'verbose';
  return quiet || json ? 'quiet' : 'normal';
}

/** A result, on stdout. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** A line on stderr. Returns the exit code. */
export function complain(line: string, code = 0): number {
  process.stderr.write(`critiq: ${line}\n`);
  return code;
}

/** Ctrl-C and SIGTERM: the first asks the stage to come to rest, the second or a while without rest ends the process. */
export class Interrupt {
  private readonly controller = new AbortController();
  private readonly handlers: { name: 'SIGINT' | 'SIGTERM'; handler: () => void }[] = [];
  code: number | undefined;

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  listen(display: { clear(): void }): void {
    for (const name of ['SIGINT', 'SIGTERM'] as const) {
      const handler = (): void => {
        if (this.code !== undefined) process.exit(this.code);
        this.code = EXIT[name];
        display.clear();
        complain(`stopped by ${name}; what is done is kept, and the same command goes on from there`);
        setTimeout(() => process.exit(this.code), GRACE_MS).unref();
        this.controller.abort();
      };
      process.on(name, handler);
      this.handlers.push({ name, handler });
    }
  }

  stop(): void {
    for (const { name, handler } of this.handlers) process.off(name, handler);
  }
}
