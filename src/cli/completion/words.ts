import type { Command, Option } from 'commander';
import type { z } from 'zod';
import { libraryNames } from '../../settings/files.js';
import { leafPaths, typeName, unwrap } from '../../settings/schema.js';

/** What a shell can complete of critiq, for the scripts of all shells. */
export interface Words {
  readonly commands: readonly CommandWords[];
  readonly settings: readonly SettingWords[];
  /** names of the settings files that come with critiq */
  readonly configs: readonly string[];
}

/** Words, or a kind of words that the shell looks up. */
type Kind = 'configs' | 'runs' | 'files' | readonly string[];

export interface CommandWords {
  /** `critiq`, `critiq eval`, `critiq vlm export` */
  readonly name: string;
  readonly summary: string;
  readonly options: readonly OptionWords[];
  /** takes settings such as seed=1 */
  readonly settings: boolean;
  /** what it takes besides settings */
  readonly takes?: Kind;
}

export interface OptionWords {
  /** `--quiet`, `-q` */
  readonly flags: readonly string[];
  readonly summary: string;
  /** what follows it */
  readonly value?: Kind;
}

export interface SettingWords {
  /** `critic.lr` */
  readonly path: string;
  readonly summary: string;
  /** the values that it may have, if they are few */
  readonly values: readonly string[];
}

/** Everything that can be completed, from the commands, the schema and the settings files of the library. */
export function completionWords(program: Command, schema: z.ZodObject, library: string | undefined): Words {
  return {
    commands: commandsFrom(program, program.name()),
    settings: leafPaths(schema).map(({ path, schema: leaf }) => ({
      path,
      summary: brief(leaf.description ?? unwrap(leaf).description ?? ''),
      values: valuesOf(leaf),
    })),
    configs: library === undefined ? [] : libraryNames(library),
  };
}

/** What comes after a command: its own commands, its words, and with @ the kinds of them. */
export function argumentsOf(command: CommandWords, commands: readonly CommandWords[]): string[] {
  const { name, takes, settings } = command;
  const below = commands
    .filter((other) => other.name.startsWith(`${name} `) && !other.name.slice(name.length + 1).includes(' '))
    .map((other) => other.name.slice(name.length + 1));
  return [...below, ...wordsOf(takes), ...(settings ? ['@settings'] : [])];
}

/** What follows each option that needs a value, by `critiq eval --config`. */
export function optionValues(commands: readonly CommandWords[]): [key: string, words: string[]][] {
  return commands.flatMap(({ name, options }) =>
    options.flatMap(({ flags, value }) =>
      value === undefined ? [] : flags.map((flag): [string, string[]] => [`${name} ${flag}`, wordsOf(value)]),
    ),
  );
}

function wordsOf(kind: Kind | undefined): string[] {
  if (kind === undefined) return [];
  return typeof kind === 'string' ? [`@${kind}`] : [...kind];
}

function commandsFrom(command: Command, name: string): CommandWords[] {
  const own = command.registeredArguments;
  const first = own.find((argument) => argument.name() !== 'overrides');
  const takes = first && (first.argChoices ?? (first.name() === 'run' ? 'runs' : 'files'));
  const help = { flags: ['--help', '-h'], summary: 'show the help' };
  const words: CommandWords = {
    name,
    summary: brief(command.description()),
    options: [...command.options.map(optionWords), help],
    settings: own.some((argument) => argument.name() === 'overrides'),
    takes,
  };
  return [words, ...command.commands.flatMap((below) => commandsFrom(below, `${name} ${below.name()}`))];
}

function optionWords({ flags, long, short, description, required, optional, argChoices }: Option): OptionWords {
  const names = [long, short].filter((flag) => flag != null);
  const path = /<(file|folder|path)>/.test(flags) ? 'files' : [];
  const kind = argChoices ?? (long === '--config' ? 'configs' : long === '--run' ? 'runs' : path);
  return { flags: names, summary: brief(description), value: required || optional ? kind : undefined };
}

/** The values of an enum or a boolean; other types have too many. */
function valuesOf(schema: z.ZodType): string[] {
  const type = typeName(schema);
  if (type === 'boolean') return ['true', 'false'];
  const words = type.split(' or ').map((word) => /^"([\w./+-]+)"$/.exec(word)?.[1]);
  return words.filter((word) => word !== undefined).length === words.length ? (words as string[]) : [];
}

/** Up to the first colon or semicolon: it stands in a list. */
function brief(text: string): string {
  return text
    .replace(/\s+/g, ' ')
    .replace(/[;:] .*$/, '')
    .replace(/ \([^)]*$/, '');
}
