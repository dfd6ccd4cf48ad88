import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Command } from 'commander';
import { print, type Options } from './command.js';
import { UserError } from '../errors.js';
import { packageRoot, withPages } from '../package.js';

/** `critiq init`: creates a starter project. */
export function addInitCommand(critiq: Command): void {
  critiq
    .command('init')
    .description('write a settings file, task lists and a Makefile to start from')
    .argument('[folder]', 'folder of the project; created if it does not exist', '.')
    .option('--json', 'print the result as JSON to stdout')
    .addHelpText('after', '\nExample:\n  $ critiq init mine')
    .action((folder: string, options: Options) => {
      const files = writeStarter(folder);
      if (options.json) print(JSON.stringify({ folder, files }, null, 2));
      else print(`${folder}: wrote ${files.join(', ')}\nNext: ${folder === '.' ? '' : `cd ${folder} && `}make`);
    });
}

/**
 * Copies examples/starter.
 * @returns the paths of its files, relative to the folder
 * @throws UserError if one of them already exists; nothing is written then
 */
function writeStarter(folder: string): string[] {
  const starter = join(packageRoot(), 'examples', 'starter');
  const files = readdirSync(starter, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(starter.length + 1))
    .sort();
  const there = files.filter((name) => existsSync(join(folder, name)));
  if (there.length > 0) {
    throw new UserError(
      `${folder}: already contains ${there.join(', ')}, which \`critiq init\` does not overwrite; choose another folder, or move ${there.length === 1 ? 'it' : 'them'} away`,
    );
  }
  for (const name of files) {
    const file = join(folder, name);
    try {
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, withPages(readFileSync(join(starter, name), 'utf8')), { flag: 'wx' });
    } catch (error) {
      throw new UserError(`${file}: cannot be written (${(error as NodeJS.ErrnoException).code})`);
    }
  }
  return files;
}
