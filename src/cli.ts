#!/usr/bin/env node
import { existsSync, realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Command, CommanderError, Option } from 'commander';
import type { ConvertOptions } from '../pipelines/checkpoint-convert.js';
import { RunError, UserError } from './errors.js';
import type { Display, Verbosity } from './runner/display.js';
import { describeFailure } from './runner/failure.js';
import { packageVersion } from './runner/package.js';
import type { LoadedRegistry, Registry } from './runner/registry.js';
import type { Config } from './settings.js';

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

interface Options {
  config?: string;
  threads?: string;
  json?: boolean;
  quiet?: boolean;
  verbose?: boolean;
  deps?: boolean;
  force?: boolean;
}

/**
 * Runs one command. Results go to stdout, everything else to stderr.
 * @param args without `node` and the script
 * @returns the exit code
 */
export async function main(args: readonly string[], registry: Registry): Promise<number> {
  const interrupt = new Interrupt();
  const critiq = program(registry, interrupt);
  if (args.length === 0) {
    process.stderr.write(critiq.helpInformation());
    return EXIT.usage;
  }
  try {
    await critiq.parseAsync([...args], { from: 'user' });
    return interrupt.code ?? EXIT.ok;
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return EXIT.ok;
      if (error.code === 'commander.help')
        return complain(`${args[0]}: needs one of its commands; see critiq ${args[0]} --help`, EXIT.usage);
      complain(error.message.replace(/^error: /, '').replace(/\s*\n\s*/g, ' '));
      return EXIT.usage;
    }
    return interrupt.code ?? report(error, args.includes('--verbose') || args.includes('-v'));
  } finally {
    interrupt.stop();
  }
}

function program(registry: Registry, interrupt: Interrupt): Command {
  const critiq = new Command('critiq')
    .description(
      'The value-model pipeline for device-control agents: collect, represent, train a critic, extract a policy.',
    )
    .version(packageVersion(), '-V, --version')
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
    .helpCommand(false)
    // options behind the name of a command are that command's: of `vlm export`, not of `vlm`
    .enablePositionalOptions()
    .addHelpText(
      'after',
      `
Exit codes: 0 done, 1 failed, 2 a mistake of yours, 75 the run folder is in use, 130/143 stopped by a signal.

Example:
  $ critiq critic --config configs/pocket.yaml critic.lr=1e-4 run=exp7`,
    );

  for (const { name, summary } of registry.stages) {
    const command = common(critiq.command(name).description(summary), `critiq ${name} --threads 2 seed=1`);
    command
      .option('--no-deps', 'fail where an input is missing, instead of making it first')
      .option('--force', 'make all shards again')
      .action(async (overrides: string[], options: Options) => {
        const { loaded, config } = await load(registry, overrides, options);
        const { runStage } = await import('./runner/run.js');
        await work(options, interrupt, async (display, signal) => {
          const { deps, force } = options;
          const summaries = await runStage(loaded, name, config, { display, signal, deps, force });
          return { result: summaries, lines: summaries.map(summaryLine) };
        });
      });
    if (name === 'vlm') addVlmCommands(command, registry, interrupt);
  }

  const importing = critiq.command('import').description('make data sets from files of others');
  importing.addHelpText('after', '\nExample:\n  $ critiq import digiq general-offline.pt run=general');
  const digiq = importing.command('digiq').argument('<file>', 'the file');
  common(digiq, 'critiq import digiq general-offline.pt run=general')
    .description("a torch.save file in the layout of Digi-Q's released data; nothing in it is executed")
    .option('--force', 'replace what the stages of this run made')
    .action(async (file: string, overrides: string[], options: Options) => {
      const { config } = await load(registry, overrides, options);
      const { importFile } = await import('../pipelines/import.js');
      await work(options, interrupt, async (display, signal) => {
        const imported = await importFile(file, config, { display, signal, force: options.force ?? false });
        const { trajectories, transitions } = imported;
        return { result: imported, lines: [`import: done (${trajectories} trajectories, ${transitions} transitions)`] };
      });
    });

  checkpoints(critiq, interrupt);

  common(
    critiq.command('phone').description('play the embedded phone by hand, in a browser'),
    'critiq phone --task 3 --port 8700',
  )
    .option('--port <n>', 'port on 127.0.0.1; 0 takes a free one', '8700')
    .option('--split <name>', 'train or test tasks', 'train')
    .option('--task <n>', 'number of the task in its list', '0')
    .action(async (overrides: string[], options: Options & { port: string; split: string; task: string }) => {
      const { config } = await load(registry, overrides, options);
      const { playPhone } = await import('../pipelines/play.js');
      await work(options, interrupt, async (display, signal) => {
        const { port, split, task } = options;
        const say = (line: string): void => display.info(line);
        await playPhone(config, { port: Number(port), split, task: Number(task), signal, say });
        return { result: null, lines: [] };
      });
    });

  common(
    critiq.command('status').description('what each stage has done, and what is outdated'),
    'critiq status run=exp7 --json',
  ).action(async (overrides: string[], options: Options) => {
    const { loaded, config } = await load(registry, overrides, options);
    const { inspectRun } = await import('./runner/inspect.js');
    const rows = await inspectRun(loaded, config);
    const { formatStatus } = await import('../pipelines/status.js');
    print(options.json ? JSON.stringify(rows, null, 2) : formatStatus(rows));
  });

  common(
    critiq.command('doctor').description('look at models, servers, device, tasks and disk, and say what is missing'),
    'critiq doctor --config configs/aitw-webshop.yaml models.text=/models/roberta-base',
  ).action(async (overrides: string[], options: Options) => {
    const { config } = await load(registry, overrides, options);
    const { examine, formatFindings } = await import('../pipelines/doctor.js');
    const findings = await examine(config);
    print(options.json ? JSON.stringify(findings, null, 2) : formatFindings(findings));
    const missing = findings.filter(({ state }) => state === 'missing').length;
    if (missing > 0) {
      throw new UserError(
        `${missing === 1 ? 'one thing is' : `${missing} things are`} missing; the lines above say what to do`,
      );
    }
  });

  common(
    critiq.command('config').description('print the resolved settings as YAML'),
    'critiq config critic.lr=1e-5 > mine.yaml',
  )
    .option('--markdown', 'print the reference of all settings instead (docs/settings.md)')
    .action(async (overrides: string[], options: Options & { markdown?: boolean }) => {
      const { loaded, config } = await load(registry, overrides, options);
      if (options.markdown) {
        const { settingsReference } = await import('./settings-reference.js');
        print(settingsReference(loaded.schema, loaded.aliases).trimEnd());
      } else {
        const { settingsToYaml } = await import('./settings.js');
        print(options.json ? JSON.stringify(config, null, 2) : settingsToYaml(config).trimEnd());
      }
    });
  return critiq;
}

/** `critiq vlm export` and `critiq vlm import`: the fine-tuning done elsewhere. */
function addVlmCommands(vlm: Command, registry: Registry, interrupt: Interrupt): void {
  vlm.enablePositionalOptions();
  common(
    vlm
      .command('export')
      .description('write the data set of the fine-tuning for LLaVA or LLaMA-Factory')
      .argument('<out>', 'a new folder'),
    'critiq vlm export tuning --format llamafactory vlm.threshold=30 run=exp7',
  )
    .option('--format <name>', 'llava, llamafactory, or both', 'both')
    .action(async (out: string, overrides: string[], options: Options & { format: string }) => {
      const { config } = await load(registry, overrides, options);
      const { describeExport, exportVlm, VLM_FORMATS } = await import('../pipelines/vlm-export.js');
      const format = VLM_FORMATS.find((name) => name === options.format);
      if (!format) throw new UserError(`--format: expected ${VLM_FORMATS.join(' or ')}, got ${options.format}`);
      await work(options, interrupt, async (display, signal) => {
        const exported = await exportVlm(out, format, config, { display, signal });
        return { result: exported, lines: describeExport(exported) };
      });
    });
  common(
    vlm
      .command('import')
      .description('make a tuned model the VLM of this run; it stays where it is')
      .argument('<folder>', 'the merged model'),
    'critiq vlm import merged --name critiq-vlm run=exp7',
  )
    .requiredOption('--name <name>', 'name under which the server has it (vllm serve --served-model-name)')
    .option('--force', 'replace what `critiq vlm` made')
    .action(async (folder: string, overrides: string[], options: Options & { name: string }) => {
      const { config } = await load(registry, overrides, options);
      const { importVlm } = await import('../pipelines/vlm-import.js');
      await work(options, interrupt, async (display, signal) => {
        const force = options.force ?? false;
        const reference = await importVlm(folder, options.name, config, { display, signal, force });
        const { name, files, fingerprint } = reference;
        return {
          result: reference,
          lines: [`vlm import: ${name} (${files.length} files, fingerprint ${fingerprint})`],
        };
      });
    });
}

/** `critiq checkpoint inspect|convert|greedy`: folders of models, without a run. */
function checkpoints(critiq: Command, interrupt: Interrupt): void {
  const checkpoint = critiq.command('checkpoint').description('look at, convert and try out folders of models');
  checkpoint.addHelpText('after', '\nExample:\n  $ critiq checkpoint inspect ~/models/Auto-UI-Base');
  const plain = (name: string, description: string, example: string): Command =>
    checkpoint
      .command(name)
      .description(description)
      .option('--json', 'print the result as JSON on stdout')
      .option('-q, --quiet', 'print only warnings and errors')
      .option('-v, --verbose', 'print more, and the stack of unexpected errors')
      .addHelpText('after', `\nExample:\n  $ ${example}`);

  plain(
    'inspect',
    'what a checkpoint is, and whether critiq can load it',
    'critiq checkpoint inspect ~/models/Auto-UI-Base --json',
  )
    .argument('<path>', 'a folder, or a weight file')
    .action(async (path: string, options: Options) => {
      const { inspectCheckpoint, formatInspection } = await import('../pipelines/checkpoint.js');
      const found = await inspectCheckpoint(path);
      print(options.json ? JSON.stringify(found, null, 2) : formatInspection(found));
    });

  plain(
    'convert',
    'write a checkpoint anew as safetensors that Python and critiq read',
    'critiq checkpoint convert data/pocket/policy/digiq policy-for-python --dtype f32',
  )
    .argument('<in>', 'the folder to read')
    .argument('<out>', 'the folder to make; it must not be there yet')
    .addOption(
      new Option('--dtype <type>', 'how numbers are stored; as they are by default').choices(['f32', 'f16', 'bf16']),
    )
    .addOption(new Option('--format <name>', 'format of the weights').choices(['safetensors']).default('safetensors'))
    .addOption(
      new Option(
        '--names <whose>',
        "hf: what Python's classes load; critiq: just what critiq reads (of a BLIP-2 its vision tower)",
      )
        .choices(['hf', 'critiq'])
        .default('hf'),
    )
    .action(async (from: string, to: string, options: Options & ConvertOptions) => {
      const { convertCheckpoint } = await import('../pipelines/checkpoint-convert.js');
      await work(options, interrupt, async () => {
        const made = await convertCheckpoint(from, to, options);
        return {
          result: made,
          lines: [`${made.folder}: done (${made.kind}, ${made.tensors} tensors, ${made.dtypes})`],
        };
      });
    });

  plain(
    'greedy',
    'greedy actions of an Auto-UI checkpoint as JSON, to compare with PyTorch (docs/checkpoints.md)',
    'critiq checkpoint greedy policy-for-python --max-tokens 64 > greedy.json',
  )
    .argument('<folder>', 'an Auto-UI checkpoint')
    .option('--prompts <file>', 'a prompt a line; by default eight of the embedded phone')
    .option('--max-tokens <n>', 'tokens of an action at most; by default what generation_config.json says, or 128')
    .option('--seed <n>', 'decides the image vectors', '0')
    .option('--threads <n>', 'threads to compute with', '2')
    .action(
      async (
        folder: string,
        options: Record<'seed' | 'threads', string> & { prompts?: string; maxTokens?: string },
      ) => {
        const { greedyActions } = await import('../pipelines/checkpoint-greedy.js');
        const { prompts, maxTokens, seed, threads } = options;
        const said = await greedyActions(folder, {
          prompts,
          seed: wholeNumber('--seed', seed, 0),
          threads: wholeNumber('--threads', threads, 1),
          maxTokens: maxTokens === undefined ? undefined : wholeNumber('--max-tokens', maxTokens, 1),
        });
        print(JSON.stringify(said));
      },
    );
}

function wholeNumber(option: string, value: string, least: number): number {
  const count = Number(value);
  if (Number.isInteger(count) && count >= least) return count;
  throw new UserError(`${option}: expected a whole number from ${least}, got ${value}`);
}

function common(command: Command, example: string): Command {
  return command
    .argument('[overrides...]', 'settings, for example seed=1 critic.lr=1e-5')
    .option('--config <file>', 'settings file (YAML); default configs/pocket.yaml')
    .option('--threads <n>', 'the same as the setting threads=<n>')
    .option('--json', 'print the result as JSON on stdout')
    .option('-q, --quiet', 'print only warnings and errors')
    .option('-v, --verbose', 'print more, and the stack of unexpected errors')
    .addHelpText('after', `\nExample:\n  $ ${example}`);
}

/** Does something long with progress and signals, and prints its result: JSON on stdout, or lines of the log. */
async function work(
  options: Options,
  interrupt: Interrupt,
  job: (display: Display, signal: AbortSignal) => Promise<{ result: unknown; lines: readonly string[] }>,
): Promise<void> {
  const { Display } = await import('./runner/display.js');
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

async function load(
  registry: Registry,
  overrides: readonly string[],
  options: Options,
): Promise<{ loaded: LoadedRegistry; config: Config }> {
  const { loadRegistry } = await import('./runner/registry.js');
  const { loadSettings } = await import('./settings.js');
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

function verbosity({ quiet, verbose, json }: Options): Verbosity {
  if (verbose) return 'verbose';
  return quiet || json ? 'quiet' : 'normal';
}

function summaryLine({
  instance,
  shards,
  made,
  rows,
}: {
  instance: string;
  shards: number;
  made: number;
  rows: number;
}): string {
  const size = `${shards} shard${shards === 1 ? '' : 's'}${rows > 0 ? `, ${rows} rows` : ''}`;
  return made === 0 ? `${instance}: up to date (${size})` : `${instance}: done (${size}; ${made} made now)`;
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

function complain(line: string, code = 0): number {
  process.stderr.write(`critiq: ${line}\n`);
  return code;
}

/** One line on stderr (for settings, a line a mistake) and the exit code. */
function report(thrown: unknown, verbose: boolean): number {
  const error = describeFailure(thrown);
  const message = error instanceof Error ? error.message : String(error);
  const known = error instanceof UserError || error instanceof RunError;
  for (const line of known
    ? message.split('\n')
    : [`unexpected error: ${message.split('\n')[0]}${verbose ? '' : ' (--verbose shows where)'}`])
    complain(line);
  if (verbose && thrown instanceof Error) process.stderr.write(`${thrown.stack}\n`);
  if (error instanceof UserError) return error.name === 'LockedError' ? EXIT.locked : EXIT.usage;
  return EXIT.failure;
}

/** Ctrl-C and SIGTERM: the first asks the stage to come to rest, the second or a while without rest ends the process. */
class Interrupt {
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

const script = process.argv[1];
if (script && existsSync(script) && realpathSync(script) === fileURLToPath(import.meta.url)) {
  process.stdout.on('error', (error: NodeJS.ErrnoException) =>
    process.exit(error.code === 'EPIPE' ? EXIT.ok : EXIT.failure),
  );
  const { registry } = await import('../pipelines/index.js');
  // not by the event loop running dry: a worker or a library handle that somebody left open must not keep a job alive
  process.exit(await main(process.argv.slice(2), registry));
}
