import { RECORDED } from '../settings/stored.js';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../errors.js';
import { Core } from '../settings/schema.js';

/** The file that makes a folder a run. */
export const RUN_FILE = RECORDED;

/** Whether a text can be the name of a run: a plain folder name. */
export function isRunName(name: string): boolean {
  return Core.shape.run.safeParse(name).success;
}

/** Names of the runs below a data folder, sorted. */
export function runNames(data: string): string[] {
  if (!existsSync(data)) return [];
  return readdirSync(data)
    .filter((name) => isRunName(name) && existsSync(join(data, name, RUN_FILE)))
    .sort();
}

/**
 * The folder of an existing run.
 * @throws UserError with the runs that exist
 */
export function existingRun(data: string, name: string): string {
  const folder = join(data, name);
  if (isRunName(name) && existsSync(join(folder, RUN_FILE))) return folder;
  if (!isRunName(name))
    throw new UserError(`run ${JSON.stringify(name)}: expected a folder name: letters, digits, _ . + -`);
  const known = runNames(data);
  const shown = known.slice(0, 12).join(', ');
  const more = known.length > 12 ? ` and ${known.length - 12} more` : '';
  throw new UserError(
    known.length === 0
      ? `${folder}: no such run; ${data} has no runs yet (\`critiq demo\` makes one)`
      : `${folder}: no such run; ${data} has ${shown}${more}`,
  );
}
