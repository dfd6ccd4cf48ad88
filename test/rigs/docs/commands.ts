/** Checks commands of the docs without running them: whether the command, its options and its settings exist. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { registry as shipped } from '../../../pipelines/index.js';
import { extended, Interrupt } from '../../../src/cli/command.js';
import { program as commandLine } from '../../../src/cli/main.js';
import { packageRoot } from '../../../src/package.js';
import { loadRegistry, type Registry } from '../../../src/runner/registry.js';
import { axesOf } from '../../../src/runs/sweep/axes.js';
import { schemaAt } from '../../../src/settings/schema.js';
import { loadSettings } from '../../../src/settings/settings.js';

/** The words of a shell line's simple commands: quotes and backslashes resolved, redirections and comments removed. */
export function simpleCommands(line: string): string[][] {
  const commands: string[][] = [[]];
  const token =
    /\s+|#[^\n]*|\\\n|(?:&&|\|\||[;|&\n])|(?:\d?>>?(?:&\d)?|<)\s*(?:[<>]\([^()]*\)|[^\s;|&]*)|((?:"(?:\\.|[^"\\])*"|'[^']*'|\\.|[^\s;|&<>"'\\])+)/gy;
  for (let match = token.exec(line); match; match = token.exec(line)) {
    const [whole, word] = match;
    if (word !== undefined) commands.at(-1)!.push(unquoted(word));
    else if (/^(&&|\|\||[;|&\n])$/.test(whole)) commands.push([]);
    if (token.lastIndex >= line.length) break;
  }
  return commands.filter((words) => words.length > 0);
}

function unquoted(word: string): string {
  return word.replace(/"((?:\\.|[^"\\])*)"|'([^']*)'|\\(.)/gs, (_, double?: string, single?: string, one?: string) =>
    double !== undefined ? double.replace(/\\(["\\$`])/g, '$1') : (single ?? one ?? ''),
  );
}

/** All commands of critiq with their full names: `checkpoint convert`. */
export function everyCommand(): { name: string; command: Command }[] {
  const walk = (command: Command, name: string): { name: string; command: Command }[] => [
    { name, command },
    ...command.commands.flatMap((sub) => walk(sub, `${name} ${sub.name()}`.trim())),
  ];
  return walk(commandLine(shipped, new Interrupt()), '');
}

/** The output of `--help`. */
export function helpOf(name: string): string {
  let text = '';
  const { command } = everyCommand().find((one) => one.name === name)!;
  command.configureOutput({ writeOut: (piece) => (text += piece) });
  command.outputHelp();
  return text;
}

/**
 * Checks a command without running it.
 * @param words as the shell passes them; programs other than critiq, make and npm always pass
 * @returns the mistake, or undefined
 */
export async function mistakeIn(words: readonly string[]): Promise<string | undefined> {
  // skip VARIABLE=value and programs that start others
  const own = words.slice(words.findIndex((word) => !/^[A-Z_]+=|^(srun|nice|time)$/.test(word)));
  const [program, ...args] = own;
  if (program === 'critiq') return mistakeOfCritiq(args);
  if (program === 'node' && args[0] === 'dist/src/cli/main.js') return mistakeOfCritiq(args.slice(1));
  if (program === 'make') return mistakeOfMake(args);
  if (program === 'npm' && args[0] === 'run') {
    const { scripts } = JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8')) as PackageJson;
    const script = args.slice(1).find((word) => !word.startsWith('-'));
    if (script !== undefined && !Object.hasOwn(scripts, script)) return `package.json has no script ${script}`;
  }
  if (program === 'node' && args[0]?.startsWith('dist/') && !existsSync(join(packageRoot(), args[0])))
    return `no such file: ${args[0]}`;
  return undefined;
}

interface PackageJson {
  readonly scripts: Readonly<Record<string, string>>;
}

async function mistakeOfCritiq(args: readonly string[]): Promise<string | undefined> {
  const registry = await withPlugins(args);
  const root = commandLine(registry, new Interrupt());
  let given: string[] | undefined;
  const prepare = (command: Command): void => {
    command.exitOverride().configureOutput({ writeErr: () => {}, writeOut: () => {} });
    if (command.commands.length === 0 || command.registeredArguments.length > 0)
      command.action((...all: unknown[]) => {
        given = (all.at(-1) as Command).args;
      });
    command.commands.forEach(prepare);
  };
  prepare(root);
  try {
    await root.parseAsync([...args], { from: 'user' });
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    return code === 'commander.helpDisplayed' || code === 'commander.version' ? undefined : message;
  }
  if (given === undefined) return 'names no command';
  const settings = given.filter((word) => /^[a-z_][\w.]*=/.test(word));
  if (args[0] !== 'sweep') return mistakeInSettings(settings, registry);
  // the first value of each axis
  const { axes, plain } = axesOf(settings);
  return mistakeInSettings([...plain, ...axes.map(({ path, values }) => `${path}=${values[0]}`)], registry);
}

/** The registry with the plugins of a command, if its settings file exists. */
async function withPlugins(args: readonly string[]): Promise<Registry> {
  try {
    return await extended(shipped, args);
  } catch {
    return shipped;
  }
}

/** The mistake in a command line's settings, if any; for values with shell variables, only the names are checked. */
async function mistakeInSettings(overrides: readonly string[], registry: Registry): Promise<string | undefined> {
  const { schema, aliases } = await loadRegistry(registry);
  for (const override of overrides) {
    const [name] = override.split('=', 1);
    if (override.includes('$') && !schemaAt(schema, name.split('.'))) return `unknown setting ${name}`;
  }
  try {
    loadSettings(schema, { overrides: overrides.filter((override) => !override.includes('$')), aliases });
  } catch (error) {
    return (error as Error).message;
  }
  return undefined;
}

async function mistakeOfMake(args: readonly string[]): Promise<string | undefined> {
  const makefile = readFileSync(join(packageRoot(), 'Makefile'), 'utf8');
  const phony = [...makefile.matchAll(/^(?:\.PHONY:|STAGES :=)(.*)$/gm)].flatMap(([, names]) =>
    names.trim().split(/\s+/),
  );
  for (const word of args) {
    const [, variable, value] = /^(\w+)=(.*)$/s.exec(word) ?? [];
    if (variable === 'ARGS' && args.some((target) => shipped.stages.some(({ name }) => name === target))) {
      const mistake = await mistakeInSettings(
        value.split(/\s+/).filter((part) => !part.startsWith('-')),
        shipped,
      );
      if (mistake !== undefined) return mistake;
    }
    if (variable === undefined && !word.startsWith('-') && !phony.includes(word)) return `the Makefile has no ${word}`;
  }
  return undefined;
}
