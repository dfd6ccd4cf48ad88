import { existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { readText } from '../../src/data/formats/text.js';
import { removeInside } from '../../src/data/store/inside.js';
import { UserError } from '../../src/errors.js';

/** What an export writes into its folder, so that it takes no folder of others. */
export interface ExportFolder {
  /** the command, for messages */
  readonly command: string;
  /** the file that marks the folder as an export, finished or not */
  readonly mark: string;
  /** whether a name in the folder is the export's own */
  readonly own: (name: string) => boolean;
  /** names of pictures below `images/` */
  readonly picture: RegExp;
}

/**
 * Makes the folder of an export if there is none.
 * @throws UserError if it holds anything that no such export wrote
 */
export function claimFolder(out: string, { command, mark, own, picture }: ExportFolder): void {
  const stat = statSync(out, { throwIfNoEntry: false });
  if (!stat) {
    mkdirSync(out, { recursive: true });
    return;
  }
  if (!stat.isDirectory()) throw new UserError(`${out}: expected a folder, got a file; choose a new folder`);
  const names = readdirSync(out);
  const images = join(out, 'images');
  const pictures = names.includes('images') && statSync(images).isDirectory() ? readdirSync(images) : [];
  const foreign = isMarked(join(out, mark))
    ? (names.find((name) => !own(name)) ?? pictures.find((name) => !picture.test(name)))
    : // a temporary file of the mark itself is all that an export leaves before it has marked the folder
      names.find((name) => !own(name) || !name.startsWith('.'));
  if (foreign === undefined) return;
  throw new UserError(
    `${out}: holds ${basename(foreign)}, which no \`${command}\` wrote; choose a new or empty folder`,
  );
}

/** An object, which is empty or short while an export is running. */
function isMarked(mark: string): boolean {
  return existsSync(mark) && readText(mark).startsWith('{');
}

/** Removes pictures of an earlier export with other settings, and partial files of a killed one. */
export function removeStale(
  images: string,
  wanted: { readonly has: (name: string) => boolean },
  command: string,
): void {
  for (const name of existsSync(images) ? readdirSync(images) : [])
    if (!wanted.has(name)) removeInside(images, name, command);
}
