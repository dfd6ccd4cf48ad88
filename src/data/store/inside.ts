import { realpathSync, statSync } from 'node:fs';
import { isAbsolute, resolve, sep } from 'node:path';
import { UserError } from '../../errors.js';

/**
 * The path of a file that a list in a folder names. The name is relative to the folder, and the file (after following
 * links) must be inside it.
 * @param where start of the error message, for example "set.jsonl, line 3: \"image\""
 * @throws UserError if there is no such file
 */
export function fileInside(folder: string, name: unknown, where: string): string {
  const shown = JSON.stringify(name);
  if (typeof name !== 'string' || name === '' || name.includes('\0'))
    throw new UserError(`${where}: expected the name of a file in ${folder}, got ${shown}`);
  const outside = new UserError(`${where}: expected a file in ${folder}, got ${shown}, which is outside of it`);
  if (isAbsolute(name)) throw outside;
  const path = resolve(folder, name);
  if (!path.startsWith(resolve(folder) + sep)) throw outside;
  let real: string;
  try {
    real = realpathSync(path);
  } catch (error) {
    throw new UserError(`${where}: ${path} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
  if (!real.startsWith(realpathSync(folder) + sep)) throw outside;
  if (!statSync(real).isFile()) throw new UserError(`${where}: expected a file, but ${path} is not one`);
  return real;
}
