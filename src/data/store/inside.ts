import { cpSync, existsSync, linkSync, realpathSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, isAbsolute, resolve, sep } from 'node:path';
import { UserError } from '../../errors.js';
import { temporaryName } from './atomic.js';

/**
 * The path that a name means below a folder, whether it is there or not; links are not looked into.
 * @param where begins the error message
 * @throws UserError where it would be outside of the folder
 */
export function pathInside(folder: string, name: unknown, where: string): string {
  const shown = JSON.stringify(name);
  if (typeof name !== 'string' || name === '' || name.includes('\0'))
    throw new UserError(`${where}: expected the name of a file in ${folder}, got ${shown}`);
  const path = resolve(folder, name);
  if (isAbsolute(name) || !path.startsWith(resolve(folder) + sep))
    throw new UserError(`${where}: expected a file in ${folder}, got ${shown}, which is outside of it`);
  return path;
}

/**
 * The path of a file that a list in a folder names. The name is relative to the folder, and the file (after following
 * links) must be inside it.
 * @param where start of the error message, for example "set.jsonl, line 3: \"image\""
 * @throws UserError if there is no such file
 */
export function fileInside(folder: string, name: unknown, where: string): string {
  const path = pathInside(folder, name, where);
  let real: string;
  try {
    real = realpathSync(path);
  } catch (error) {
    throw new UserError(`${where}: ${path} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
  if (!real.startsWith(realpathSync(folder) + sep))
    throw new UserError(
      `${where}: expected a file in ${folder}, got ${JSON.stringify(name)}, which is a link to outside of it`,
    );
  if (!statSync(real).isFile()) throw new UserError(`${where}: expected a file, but ${path} is not one`);
  return real;
}

/**
 * The path of a file in a folder that is about to be written or removed: no folder on the way to it is a link to elsewhere.
 * The folder itself may be a link.
 * @throws UserError as `pathInside` does, and for such a link
 */
export function ownPath(folder: string, name: unknown, where: string): string {
  const path = pathInside(folder, name, where);
  if (!existsSync(folder)) return path;
  let near = dirname(path);
  while (!existsSync(near)) near = dirname(near);
  const [root, real] = [realpathSync(folder), realpathSync(near)];
  if (real === root || real.startsWith(root + sep)) return path;
  throw new UserError(`${where}: ${near} is a link to ${real}, outside of ${folder}; remove the link`);
}

/** Removes a file of a folder, or a link in its place, if it is there. @throws UserError as `ownPath` does */
export function removeInside(folder: string, name: unknown, where: string): void {
  rmSync(ownPath(folder, name, where), { force: true });
}

/** A second name for a file, or a copy where the file system has no hard links. Replaces a file of that name. */
export function linkOrCopy(from: string, to: string): void {
  const temporary = temporaryName(to);
  rmSync(temporary, { force: true });
  try {
    linkSync(from, temporary);
  } catch {
    // no hard links here; whatever else is wrong, the copy meets it too
    cpSync(from, temporary);
  }
  renameSync(temporary, to);
  // renaming one of two names of the same file to the other does nothing
  rmSync(temporary, { force: true });
}
